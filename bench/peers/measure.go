package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"damselfly/bench"
	"damselfly/bench/loadgen"
)

// trial is a kind with so many exchanges outstanding, and at a rate for latency
// where there is one.
type trial struct {
	kind        loadgen.Kind
	outstanding int
	rate        float64
}

// trials are what is measured. A server that syncs its leases in groups needs more
// four-way exchanges at once than one that does not, so there are two.
var trials = []trial{
	{loadgen.NS, guests * perGuest, 1000},
	{loadgen.RS, guests * perGuest, 1000},
	{loadgen.Echo, guests * perGuest, 1000},
	{loadgen.Solicit, guests * perGuest, 1000},
	{loadgen.Information, guests * perGuest, 1000},
	{loadgen.Request, guests * perGuest, 500},
	{loadgen.Request, 4 * guests * perGuest, 0},
}

const (
	patience   = 3 * time.Second
	paceRounds = 3
)

// turn is what one turn came to.
type turn struct {
	rate     float64 // answers a second
	own, ovs float64 // microseconds of processor time an answer
	lost     float64 // part of what was asked
}

// cpu is all processor time of an answer.
func (t turn) cpu() float64 { return t.own + t.ovs }

// cell is all turns of a contender in a trial.
type cell struct {
	trial
	who   *contender
	load  *loadgen.Load
	turns []turn
	paced loadgen.Result // at the trial's rate
}

// median is that of something of all turns.
func (c *cell) median(of func(turn) float64) float64 {
	var list []float64
	for _, t := range c.turns {
		list = append(list, of(t))
	}
	return median(list)
}

// ratio is the median of what something of c is of that of other, turn by turn.
func (c *cell) ratio(other *cell, of func(turn) float64) float64 {
	var list []float64
	for i := range min(len(c.turns), len(other.turns)) {
		list = append(list, of(c.turns[i])/of(other.turns[i]))
	}
	return median(list)
}

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	if n := len(list); n%2 == 0 {
		return (list[n/2-1] + list[n/2]) / 2
	}
	return list[len(list)/2]
}

// measure has all contenders take turns in every trial.
func (h *house) measure(ctx context.Context) (*report, error) {
	sync, err := syncTime(h.dir)
	if err != nil {
		return nil, err
	}
	r := &report{house: h, when: time.Now(), loadBefore: loadAverage(), sync: sync}
	for _, t := range trials {
		cells, err := h.try(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.kind, err)
		}
		r.cells = append(r.cells, cells...)
		fmt.Fprintf(h.log, "%s, %d outstanding: done\n", t.kind, t.outstanding)
	}
	r.memory = map[string]float64{}
	for _, c := range h.contenders {
		for _, pid := range c.pids {
			m, err := resident(pid)
			if err != nil {
				return nil, err
			}
			r.memory[c.name] += m
		}
	}
	r.loadAfter = loadAverage()
	return r, nil
}

// try is one trial.
func (h *house) try(ctx context.Context, t trial) (cells []*cell, err error) {
	defer func() {
		for _, c := range cells {
			err = errors.Join(err, c.load.Close())
		}
	}()
	for _, who := range h.contenders {
		if !slices.Contains(who.kinds, t.kind) {
			continue
		}
		l, err := h.load(who, t.kind, t.outstanding/guests)
		if err != nil {
			return cells, err
		}
		c := &cell{trial: t, who: who, load: l}
		cells = append(cells, c)
		if _, err := l.Run(ctx, loadgen.Plan{Time: h.turn, Patience: patience}); err != nil {
			return cells, fmt.Errorf("%s: %w", who.name, err)
		}
	}
	for range h.rounds {
		for _, c := range cells {
			if err := h.turnOf(ctx, c); err != nil {
				return cells, fmt.Errorf("%s: %w", c.who.name, err)
			}
		}
	}
	for range paceRounds {
		for _, c := range cells {
			if t.rate == 0 {
				continue
			}
			r, err := c.load.Run(ctx, loadgen.Plan{Rate: t.rate, Time: 2 * h.turn, Patience: patience})
			if err != nil {
				return cells, fmt.Errorf("%s: %w", c.who.name, err)
			}
			c.paced.Merge(r)
		}
	}
	return cells, ctx.Err()
}

// turnOf adds a turn.
func (h *house) turnOf(ctx context.Context, c *cell) error {
	own, ovs, err := h.clocks(c.who)
	if err != nil {
		return err
	}
	r, err := c.load.Run(ctx, loadgen.Plan{Time: h.turn, Patience: patience})
	if err != nil {
		return err
	}
	ownAfter, ovsAfter, err := h.clocks(c.who)
	if err != nil {
		return err
	}
	sum := r.Total()
	n := float64(sum.Answered)
	c.turns = append(c.turns, turn{rate: r.Rate(), own: micros(ownAfter-own) / n, ovs: micros(ovsAfter-ovs) / n,
		lost: float64(sum.Lost) / float64(sum.Asked)})
	return nil
}

// clocks are the processor times of a contender and of ovs-vswitchd.
func (h *house) clocks(c *contender) (own, ovs time.Duration, err error) {
	for _, pid := range c.pids {
		used, err := bench.ExactCPU(pid)
		if err != nil {
			return 0, 0, err
		}
		own += used
	}
	ovs, err = bench.ExactCPU(h.switchPID)
	return own, ovs, err
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// resident is how much memory a process has, in MiB.
func resident(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0, fmt.Errorf("/proc/%d/status has no VmRSS", pid)
	}
	kib, err := strconv.ParseFloat(fields[0], 64)
	return kib / 1024, err
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
