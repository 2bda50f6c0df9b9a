package agent

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"text/tabwriter"
	"time"

	"damselfly/internal/neighbor"
	"damselfly/pipeline"
)

// NeighborStatus is one neighbour that nobody configured.
type NeighborStatus struct {
	Network string     `json:"network"`
	Address netip.Addr `json:"address"`
	// State is that of RFC 4861 section 7.3.2 in lower case; MAC and Port are
	// where it is, "" while it is incomplete.
	State string `json:"state"`
	MAC   string `json:"mac,omitempty"`
	Port  string `json:"port,omitempty"`
	// NextHop says that a route leads to it, Router that it told that it is one.
	NextHop bool `json:"next_hop,omitempty"`
	Router  bool `json:"router,omitempty"`
	// DefaultFor is how many seconds longer it is a default router by what it
	// advertised.
	DefaultFor float64 `json:"default_for,omitempty"`
}

// neighborStatus lists all neighbours as they are now; none where the slow lane
// has ended.
func (a *Agent) neighborStatus(ctx context.Context) (out []NeighborStatus) {
	l := a.leases.neighbors
	_ = a.leases.owner.Call(ctx, func(*pipeline.Replies) {
		now := a.leases.now().Uptime
		until := map[neighbor.Place]time.Duration{}
		for _, r := range l.routers.List() {
			until[r.Place] = r.Until - now
		}
		for _, n := range l.table.List() {
			s := NeighborStatus{
				Network: n.Network, Address: n.Addr, State: n.State.String(), Port: n.Port, NextHop: n.Pinned, Router: n.Router,
				DefaultFor: until[n.Place].Round(time.Second).Seconds(),
			}
			if !n.MAC.IsZero() {
				s.MAC = n.MAC.String()
			}
			out = append(out, s)
		}
	})
	return out
}

// PrintNeighbors writes the neighbours for people.
func (s *Status) PrintNeighbors(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "NETWORK\tADDRESS\tSTATE\tMAC\tPORT\tNEXT HOP\tROUTER\tDEFAULT FOR")
	for _, n := range s.Neighbors {
		lasts := "-"
		if n.DefaultFor > 0 {
			lasts = time.Duration(n.DefaultFor * float64(time.Second)).String()
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			n.Network, n.Address, n.State, orDash(n.MAC), orDash(n.Port), yesNo(n.NextHop), yesNo(n.Router), lasts)
	}
	return tw.Flush()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
