package agent

import (
	"fmt"
	"io"
	"net/netip"
	"text/tabwriter"

	"github.com/prometheus/client_golang/prometheus"

	"damselfly/internal/topology"
)

// FloatingStatus is what floats on a network: an address, or a prefix of such.
type FloatingStatus struct {
	Network string       `json:"network"`
	Prefix  netip.Prefix `json:"prefix"`
	// Form is routed, nat or nptv6; Fixed what it stands for, invalid where the
	// guest has it itself.
	Form  string       `json:"form"`
	Fixed netip.Prefix `json:"fixed,omitzero"`
	// Router carries it. Port is the guest's, "" for a prefix; Away says that it is
	// not on the switch.
	Router string `json:"router"`
	Port   string `json:"port,omitempty"`
	Away   bool   `json:"away,omitempty"`
	// Translations is how many addresses or subnets of it flows translate.
	Translations int `json:"translations,omitempty"`
}

func floatingStatus(snap *topology.Snapshot) (out []FloatingStatus) {
	for _, r := range snap.Routers {
		for i := range r.Floating {
			f := &r.Floating[i]
			s := FloatingStatus{Network: f.External.Name, Prefix: f.Outer, Form: f.Form.String(), Fixed: f.Inner, Router: r.Name}
			if p := snap.Port(f.Port); p != nil {
				s.Port, s.Away = p.Name, f.Away
			}
			for _, t := range r.Translations {
				if t.External == f.External.Key && f.Outer.Contains(t.Outer.Addr()) {
					s.Translations++
				}
			}
			out = append(out, s)
		}
	}
	return out
}

// printFloating lists what floats.
func (s *Status) printFloating(w io.Writer) error {
	if len(s.Floating) == 0 {
		return nil
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "\nFLOATING\tNETWORK\tFORM\tSTANDS FOR\tROUTER\tPORT\tTRANSLATIONS")
	for _, f := range s.Floating {
		port := orDash(f.Port)
		if f.Away {
			port += " (unbound)"
		}
		fixed := "-"
		if f.Fixed.IsValid() {
			fixed = single(f.Fixed)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%d\n", single(f.Prefix), f.Network, f.Form, fixed, f.Router, port, f.Translations)
	}
	return tw.Flush()
}

// single renders a prefix, and one of a single address as that.
func single(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// floating counts what floats.
func floating(gauge func(*prometheus.Desc, float64, ...string), list []FloatingStatus) {
	counts := map[[3]string]int{}
	for _, f := range list {
		guest := "there"
		switch {
		case f.Port == "":
			guest = "any"
		case f.Away:
			guest = "away"
		}
		counts[[3]string{f.Network, f.Form, guest}]++
	}
	for labels, n := range counts {
		gauge(floatsDesc, float64(n), labels[:]...)
	}
}
