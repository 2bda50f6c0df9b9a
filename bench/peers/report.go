package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"damselfly/bench/loadgen"
)

// report is all that was measured.
type report struct {
	house                 *house
	when                  time.Time
	loadBefore, loadAfter string
	sync                  time.Duration // of a page on the disk that leases are on
	cells                 []*cell
	memory                map[string]float64 // MiB, by contender
}

// row is a line of the table: medians of all turns, and ratios to the reference of
// its kind.
type row struct {
	Kind        loadgen.Kind `json:"kind"`
	Who         string       `json:"who"`
	Outstanding int          `json:"outstanding"`
	Rate        float64      `json:"answers_per_second"`
	OwnUS       float64      `json:"own_cpu_us"`
	OVSUS       float64      `json:"ovs_vswitchd_cpu_us"`
	Lost        float64      `json:"lost_percent"`
	Reference   string       `json:"reference,omitempty"`
	RateOf      float64      `json:"rate_of_reference,omitempty"`
	CPUOf       float64      `json:"cpu_of_reference,omitempty"`
	PacedRate   float64      `json:"paced_rate,omitempty"`
	P50US       float64      `json:"p50_us,omitempty"`
	P99US       float64      `json:"p99_us,omitempty"`
	PacedLost   float64      `json:"paced_lost_percent,omitempty"`
}

// reference is whom a kind is compared with.
func reference(kind loadgen.Kind) string {
	if kind == loadgen.Request {
		return kea
	}
	return ovn
}

func (r *report) row(c *cell) row {
	line := row{Kind: c.kind, Who: c.who.name, Outstanding: c.outstanding,
		Rate:  c.median(func(t turn) float64 { return t.rate }),
		OwnUS: c.median(func(t turn) float64 { return t.own }), OVSUS: c.median(func(t turn) float64 { return t.ovs }),
		Lost: 100 * c.median(func(t turn) float64 { return t.lost })}
	for _, other := range r.cells {
		if other.trial == c.trial && other.who.name == reference(c.kind) {
			line.Reference = other.who.name
			line.RateOf, line.CPUOf = c.ratio(other, func(t turn) float64 { return t.rate }), c.ratio(other, turn.cpu)
		}
	}
	if sum := c.paced.Total(); sum.Asked > 0 {
		line.PacedRate, line.PacedLost = c.rate, 100*float64(sum.Lost)/float64(sum.Asked)
		line.P50US, line.P99US = micros(sum.Times.Quantile(0.5)), micros(sum.Times.Quantile(0.99))
	}
	return line
}

func (r *report) rows() (list []row) {
	for _, c := range r.cells {
		list = append(list, r.row(c))
	}
	return list
}

// text is the report to read.
func (r *report) text() string {
	var b strings.Builder
	h := r.house
	fmt.Fprintf(&b, "%s; %s\nload average %s before, %s after; %d turns of %v each, taking turns; medians\n"+
		"a page is on disk after %v; Damselfly syncs before every Reply, Kea and dnsmasq never\n", r.when.UTC().Format("2 January 2006 15:04"), machine(),
		r.loadBefore, r.loadAfter, h.rounds, h.turn, r.sync.Round(time.Microsecond))
	fmt.Fprintf(&b, "%s\n\n", strings.Join(h.versionList(), "; "))
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "kind\twho\toutstanding\tanswers/s\tx\town us\tovs us\tx CPU\t% lost\tat /s\tp50 us\tp99 us\t% lost\tof\t")
	x := func(v float64) string {
		if v == 0 {
			return "-"
		}
		return fmt.Sprintf("%.2f", v)
	}
	for _, l := range r.rows() {
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%s\t%.1f\t%.1f\t%s\t%.2f\t%.0f\t%.0f\t%.0f\t%.2f\t%s\t\n", l.Kind, l.Who, l.Outstanding, l.Rate, x(l.RateOf), l.OwnUS, l.OVSUS,
			x(l.CPUOf), l.Lost, l.PacedRate, l.P50US, l.P99US, l.PacedLost, l.Reference)
	}
	_ = w.Flush() // a Builder takes all
	b.WriteString("\nBudgets (printed, never asserted)\n")
	for _, v := range r.verdicts() {
		fmt.Fprintf(&b, "  %v\n", v)
	}
	b.WriteString("\nMemory, MiB resident at the end:")
	for _, c := range h.contenders {
		fmt.Fprintf(&b, " %s %.0f;", c.name, r.memory[c.name])
	}
	b.WriteString("\n")
	for _, a := range h.absent {
		fmt.Fprintln(&b, a)
	}
	return b.String()
}

// json is the same for programs.
func (r *report) json() ([]byte, error) {
	type judged struct {
		verdict
		Said string
	}
	var budgets []judged
	for _, v := range r.verdicts() {
		budgets = append(budgets, judged{v, v.String()})
	}
	text, err := json.MarshalIndent(struct {
		When              time.Time          `json:"when"`
		Machine           string             `json:"machine"`
		LoadAverageBefore string             `json:"load_average_before"`
		LoadAverageAfter  string             `json:"load_average_after"`
		Versions          map[string]string  `json:"versions"`
		SyncUS            float64            `json:"sync_page_us"`
		Rounds            int                `json:"rounds"`
		TurnSeconds       float64            `json:"turn_seconds"`
		Rows              []row              `json:"rows"`
		Budgets           []judged           `json:"budgets"`
		Memory            map[string]float64 `json:"memory_mib"`
		Absent            []string           `json:"absent,omitempty"`
	}{r.when.UTC(), machine(), r.loadBefore, r.loadAfter, r.house.versions, micros(r.sync), r.house.rounds, r.house.turn.Seconds(), r.rows(), budgets, r.memory, r.house.absent}, "", "  ")
	return append(text, '\n'), err
}

// versionList is who took part in which version.
func (h *house) versionList() (list []string) {
	for name, v := range h.versions {
		if !strings.Contains(strings.ToLower(v), strings.ToLower(name)) {
			v = name + " " + v
		}
		list = append(list, v)
	}
	slices.Sort(list)
	return list
}
