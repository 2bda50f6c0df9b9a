package handlers

import (
	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Match is a packet that a logging rule of a security group matched.
type Match struct {
	// Port is the port that sent the packet.
	Port *topology.Port
	Rule topology.RuleOf
	// Rejected is how it ended: rejected, by this rule or another, or allowed.
	Rejected bool
	// Source and Destination are its link-layer addresses, Packet its first
	// octets behind them.
	Source, Destination wire.MAC
	Packet              []byte
}

// loggedOctets is how much of a packet a Match holds: the IPv6 header and ports.
const loggedOctets = 64

// log tells of a copy of a packet that a logging rule decided.
func (v *Services) log(s *topology.Snapshot, f *pipeline.Frame, p *packet.Packet) pipeline.Reason {
	if why := locate(s, f, p); why != 0 {
		return why
	}
	rule, ok := s.Rule(f.Note &^ punt.RuleRejected)
	if !ok || v.Matched == nil || len(f.Data) < wire.EthernetLen {
		return reason.NotOurs // the rule is not there any more
	}
	e := wire.Ethernet(f.Data)
	v.Matched(Match{
		Port: p.Port, Rule: rule, Rejected: f.Note&punt.RuleRejected != 0,
		Source: e.Source(), Destination: e.Destination(),
		Packet: append([]byte(nil), f.Data[wire.EthernetLen:min(len(f.Data), wire.EthernetLen+loggedOctets)]...),
	})
	return reason.Logged
}
