package agent

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"

	"damselfly/internal/multicast"
)

// MulticastStatus is what is known of who listens on one network.
type MulticastStatus struct {
	Network string `json:"network"`
	// Ready says that somebody asks for listeners and has been answered: until then
	// all get all groups. Querier is who asks: "self", an address, or "" for nobody known.
	Ready   bool   `json:"ready"`
	Querier string `json:"querier,omitempty"`
	// Older says that a router asks by MLD version 1.
	Older bool `json:"older,omitempty"`
	// Routers are the ports where multicast routers are.
	Routers []string      `json:"routers,omitempty"`
	Groups  []GroupListen `json:"groups,omitempty"`
}

// GroupListen is one multicast group and who listens to it.
type GroupListen struct {
	Group     netip.Addr       `json:"group"`
	Listeners []ListenerStatus `json:"listeners"`
}

// ListenerStatus is one port that listens to a group.
type ListenerStatus struct {
	Port string `json:"port"`
	// Mode is include or exclude, of Sources.
	Mode    string       `json:"mode"`
	Sources []netip.Addr `json:"sources,omitempty"`
	// Static says that the configuration has it.
	Static bool `json:"static,omitempty"`
}

// multicastStatus lists what is known, by network.
func (a *Agent) multicastStatus() (out []MulticastStatus) {
	for name, s := range a.leases.listeners.table.View().Networks() {
		m := MulticastStatus{Network: name, Ready: s.Ready, Older: s.Older, Routers: s.Routers}
		switch {
		case s.Querying:
			m.Querier = "self"
		case s.Querier.IsValid():
			m.Querier = s.Querier.String()
		}
		for i := range s.Groups {
			m.Groups = append(m.Groups, groupListen(&s.Groups[i]))
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b MulticastStatus) int { return strings.Compare(a.Network, b.Network) })
	return out
}

func groupListen(g *multicast.ShownGroup) GroupListen {
	out := GroupListen{Group: g.Group}
	for _, p := range g.Ports {
		l := ListenerStatus{Port: p.Port, Mode: "include", Sources: p.Sources, Static: p.Static}
		if p.Exclude {
			l.Mode = "exclude"
		}
		out.Listeners = append(out.Listeners, l)
	}
	return out
}

// PrintMulticast writes who listens for people.
func (s *Status) PrintMulticast(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "NETWORK\tKNOWN\tQUERIER\tROUTERS")
	for _, m := range s.Multicast {
		querier := orDash(m.Querier)
		if m.Older {
			querier += " (version 1 is there)"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", m.Network, yesNo(m.Ready), querier, orDash(strings.Join(m.Routers, " ")))
	}
	fmt.Fprintln(tw, "\t\t\t\nNETWORK\tGROUP\tPORT\tSOURCES")
	for _, m := range s.Multicast {
		for _, g := range m.Groups {
			for _, l := range g.Listeners {
				fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", m.Network, g.Group, l.Port, l.wanted())
			}
		}
	}
	return tw.Flush()
}

// wanted says which sources a listener wants.
func (l *ListenerStatus) wanted() string {
	list := make([]string, len(l.Sources))
	for i, s := range l.Sources {
		list[i] = s.String()
	}
	text := strings.Join(list, " ")
	switch {
	case l.Mode == "exclude" && text == "":
		text = "all"
	case l.Mode == "exclude":
		text = "all but " + text
	}
	if l.Static {
		text += " (configured)"
	}
	return text
}
