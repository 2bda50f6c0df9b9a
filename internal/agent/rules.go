package agent

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"sync/atomic"
	"text/tabwriter"

	"damselfly/flows"
	"damselfly/handlers"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// GroupStatus is one security group of a Status.
type GroupStatus struct {
	Name      string `json:"name"`
	Stateless bool   `json:"stateless,omitempty"`
	// Ports are those that have the group.
	Ports []string     `json:"ports"`
	Rules []RuleStatus `json:"rules"`
}

// RuleStatus is one rule of a GroupStatus.
type RuleStatus struct {
	// Rule is what it says, on one line.
	Rule string `json:"rule"`
	// Packets is how many it decided: those that began connections or went in
	// their direction. Of rules that overlap one counts.
	Packets uint64 `json:"packets"`
}

// hits reads from the switch how often each rule decided, by the rule's id.
func (a *Agent) hits(ctx context.Context) map[uint32]uint64 {
	hits := map[uint32]uint64{}
	conn := a.connection()
	if conn == nil {
		return hits
	}
	ctx, cancel := context.WithTimeout(ctx, scrapeTime)
	defer cancel()
	stats, err := conn.FlowStats(ctx, flows.Owner, flows.OwnerMask)
	if err != nil {
		return hits
	}
	for _, f := range stats {
		if f.Cookie.Role() == flows.RoleRule {
			hits[f.Cookie.Object()] += f.Packets
		}
	}
	return hits
}

// groupStatus tells of the groups that some port has.
func (a *Agent) groupStatus(ctx context.Context, snap *topology.Snapshot) (list []GroupStatus) {
	ports := map[string][]string{}
	for _, p := range snap.Ports {
		if p.Filter != nil {
			for _, g := range p.Filter.Groups {
				ports[g.Name] = append(ports[g.Name], p.Name)
			}
		}
	}
	if len(ports) == 0 {
		return nil
	}
	hits := a.hits(ctx)
	for _, g := range snap.Groups {
		if ports[g.Name] == nil {
			continue
		}
		s := GroupStatus{Name: g.Name, Stateless: g.Stateless, Ports: ports[g.Name]}
		for i := range g.Rules {
			s.Rules = append(s.Rules, RuleStatus{g.Rules[i].String(), hits[g.Rules[i].ID]})
		}
		list = append(list, s)
	}
	return list
}

// printGroups writes the groups for people.
func printGroups(w io.Writer, groups []GroupStatus) error {
	if len(groups) == 0 {
		return nil
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "\nSECURITY GROUP\tPORTS\tRULE\tPACKETS")
	for _, g := range groups {
		for _, r := range g.Rules {
			fmt.Fprintf(tw, "%s\t%d\t%s\t%d\n", g.Name, len(g.Ports), r.Rule, r.Packets)
		}
	}
	return tw.Flush()
}

// ruleLog writes what logging rules matched to the log, off the way of frames.
type ruleLog struct {
	a       *Agent
	matches chan handlers.Match
	lost    atomic.Uint64
}

// logPlaces is how many matches wait at most to be written.
const logPlaces = 256

func newRuleLog(a *Agent) *ruleLog {
	return &ruleLog{a: a, matches: make(chan handlers.Match, logPlaces)}
}

// matched is called by the workers; it never waits.
func (l *ruleLog) matched(m handlers.Match) {
	select {
	case l.matches <- m:
	default:
		l.lost.Add(1)
	}
}

// run writes until ctx ends.
func (l *ruleLog) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-l.matches:
			verdict := "allowed"
			if m.Rejected {
				verdict = "rejected"
			}
			l.a.log.Info("a rule of a security group matched", "verdict", verdict, "group", m.Rule.Group.Name, "rule", m.Rule.Rule.String(),
				"port", m.Port.Name, "packet", packetText(m.Packet), "unlogged", l.lost.Swap(0))
		}
	}
}

// packetText tells of a packet in a few words.
func packetText(b []byte) string {
	switch {
	case len(b) >= wire.IPv6Len && b[0]>>4 == 6:
		ip := wire.IPv6(b)
		text := fmt.Sprintf("%s > %s protocol %d", ip.Source(), ip.Destination(), ip.NextHeader())
		return text + upperText(ip.NextHeader(), ip.Payload())
	case len(b) >= 20 && b[0]>>4 == 4:
		text := fmt.Sprintf("%s > %s protocol %d", netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20])), b[9])
		return text + upperText(b[9], b[min(len(b), int(b[0]&15)*4):])
	}
	return fmt.Sprintf("%d octets", len(b))
}

// upperText tells of ports or type.
func upperText(protocol uint8, b []byte) string {
	switch protocol {
	case wire.ProtocolTCP, wire.ProtocolUDP, wire.ProtocolSCTP:
		if len(b) >= 4 {
			return fmt.Sprintf(" ports %d > %d", uint16(b[0])<<8|uint16(b[1]), uint16(b[2])<<8|uint16(b[3]))
		}
	case wire.ProtocolICMPv6, topology.ProtocolICMP:
		if len(b) >= 2 {
			return fmt.Sprintf(" type %d code %d", b[0], b[1])
		}
	}
	return ""
}
