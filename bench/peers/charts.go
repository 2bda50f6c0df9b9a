package main

import (
	"fmt"
	"strings"

	"damselfly/bench/chart"
	"damselfly/bench/loadgen"
)

// headings are what charts call the kinds.
var headings = map[loadgen.Kind]string{
	loadgen.NS: "Neighbor Solicitation", loadgen.RS: "Router Solicitation", loadgen.Echo: "Echo of the gateway",
	loadgen.Solicit: "DHCPv6 Solicit", loadgen.Information: "DHCPv6 Information-request", loadgen.Request: "DHCPv6, four messages",
}

// charts are the table as pictures, by file.
func (r *report) charts() map[string]*chart.Chart {
	notes := []string{fmt.Sprintf("%s; load average %s", machine(), r.loadBefore), strings.Join(r.house.versionList(), "; ")}
	cpu := &chart.Chart{Title: "Processor time of an answer", Axis: "microseconds an answer (median of turns; 64 outstanding, four messages 64 or 256, as suits each); less is better",
		Parts: []string{"who answers", "ovs-vswitchd"}, Notes: notes}
	rate := &chart.Chart{Title: "Answers a second", Axis: "answers a second (median of turns; 64 outstanding, four messages 64 or 256, as suits each); more is better",
		Parts: []string{"answers"}, Notes: notes}
	latency := &chart.Chart{Title: "How long an answer takes at a steady rate", Axis: "microseconds from when a request was due, 1,000 a second (four messages: 500); less is better",
		Parts: []string{"median", "99 of 100"}, Beside: true, Notes: notes}
	for _, t := range trials {
		if t.rate == 0 {
			continue // what differs is how many are outstanding
		}
		var groups [3]chart.Group
		for i := range groups {
			groups[i].Name = headings[t.kind]
		}
		for _, c := range r.cells {
			if c.trial != t {
				continue
			}
			l, best := r.row(c), r.row(c)
			if b := r.best(l.Who); b != nil && t.kind == loadgen.Request {
				best = r.row(b)
			}
			for i, values := range [][]float64{{best.OwnUS, best.OVSUS}, {best.Rate}, {l.P50US, l.P99US}} {
				groups[i].Bars = append(groups[i].Bars, chart.Bar{Name: l.Who, Values: values, Ours: c.who.ours})
			}
		}
		for i, c := range []*chart.Chart{cpu, rate, latency} {
			if len(groups[i].Bars) > 0 {
				c.Groups = append(c.Groups, groups[i])
			}
		}
	}
	return map[string]*chart.Chart{"cpu.svg": cpu, "rate.svg": rate, "latency.svg": latency}
}
