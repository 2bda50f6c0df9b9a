package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"damselfly/internal/lab"
)

// ndCount is what Damselfly's metrics say at one moment.
type ndCount struct {
	punts   int                       // packet-ins that came in on the lanes
	ended   int                       // those of them that ended in a reason
	reasons map[string]map[string]int // the same by port and reason
	roles   map[string]int            // packets of flows, by role
}

// read scrapes the metrics once they tell of everything that has happened. The
// switch is made to credit its flows first: it does that by itself, but later.
func (p *play) read(t *testing.T) ndCount {
	t.Helper()
	if _, err := p.stage.Appctl("revalidator/purge"); err != nil {
		t.Fatal(err)
	}
	var c ndCount
	lab.WaitFor(t, patience, "a reason for every packet-in", func() error {
		var text []byte
		if err := p.daemon.Get("/metrics", &text); err != nil {
			return err
		}
		c = ndCount{reasons: map[string]map[string]int{}, roles: map[string]int{}}
		for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
			if err := c.add(s.Text()); err != nil {
				return err
			}
		}
		if c.ended != c.punts {
			return fmt.Errorf("%d packet-ins, %d ended: %v", c.punts, c.ended, c.reasons)
		}
		return nil
	})
	return c
}

// add takes one line of the metrics.
func (c *ndCount) add(line string) error {
	end := max(strings.LastIndexByte(line, ' '), 0)
	series, value := line[:end], strings.TrimSpace(line[end:])
	name, labels, labelled := strings.Cut(series, "{")
	if !labelled {
		return nil
	}
	label := func(key string) string {
		_, rest, _ := strings.Cut(labels, key+`="`)
		v, _, _ := strings.Cut(rest, `"`)
		return v
	}
	var of func(n int)
	switch name {
	case "damselfly_lane_frames_total":
		of = func(n int) { c.punts += n }
	case "damselfly_frames_total":
		of = func(n int) { c.ended += n }
	case "damselfly_port_frames_total":
		port, _, _ := strings.Cut(label("port"), " of ") // an uplink of a network
		if c.reasons[port] == nil {
			c.reasons[port] = map[string]int{}
		}
		of = func(n int) { c.reasons[port][label("reason")] += n }
	case "damselfly_flow_packets_total":
		of = func(n int) { c.roles[label("role")] += n }
	default:
		return nil
	}
	n, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return fmt.Errorf("metrics: %q: %w", line, err)
	}
	of(int(n))
	return nil
}

// grown is what after has more than before.
func grown(before, after map[string]int) map[string]int {
	out := map[string]int{}
	for k, n := range after {
		if d := n - before[k]; d != 0 {
			out[k] = d
		}
	}
	return out
}
