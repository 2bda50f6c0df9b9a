package dhcpv6

import (
	"slices"
	"time"

	"damselfly/handlers/packet"
	"damselfly/handlers/reason"
	codec "damselfly/internal/dhcpv6"
	"damselfly/pipeline"
)

// Quarantine is how long a declined address is given to nobody: somebody whom
// nobody knows uses it (RFC 9915 section 18.3.8).
const Quarantine = 24 * time.Hour

// Handle is the fast lane: it answers p, a datagram to port 547 or 546, if that
// changes nothing, and hands it over otherwise.
func (s *Server) Handle(p *packet.Packet, r *pipeline.Replies) pipeline.Reason {
	if why := s.read(p); why != 0 {
		return why
	}
	x := &s.x
	x.heard()
	if x.external().IsValid() {
		return s.handOver()
	}
	switch x.q.Type() {
	case codec.InformationRequest:
		return x.information(r)
	case codec.Confirm:
		return x.confirm(r)
	case codec.Solicit:
		if x.rapid() {
			break
		}
		if !x.open(codec.Advertise) {
			return reason.DHCPv6TooLarge
		}
		if x.settled() {
			return x.advertise(r)
		}
	}
	return s.handOver()
}

// heard tells that a client sent what Reconfigure asks for (RFC 9915 section
// 18.3.11).
func (x *exchange) heard() {
	if x.s.Heard == nil || x.q.ClientID == nil {
		return
	}
	switch x.q.Type() {
	case codec.Renew, codec.Rebind, codec.InformationRequest:
		x.s.Heard(x.p.Port.Name, x.q.ClientID)
	}
}

// handOver leaves the frame to the slow lane.
func (s *Server) handOver() pipeline.Reason {
	if s.Slow == nil || !s.Slow.Push(&s.x.p.Frame, s.x.p.Now) {
		return reason.SlowLaneFull
	}
	return reason.HandedOver
}

// Decide is the slow lane: it answers p within the transaction c. A reply that
// it adds to r may leave only once c is committed.
func (s *Server) Decide(p *packet.Packet, c Changes, r *pipeline.Replies) pipeline.Reason {
	if why := s.read(p); why != 0 {
		return why
	}
	x := &s.x
	x.b, x.c = c, c
	if to := x.external(); to.IsValid() {
		return x.forward(to)
	}
	switch x.q.Type() {
	case codec.InformationRequest:
		return x.information(r)
	case codec.Confirm:
		return x.confirm(r)
	case codec.Solicit:
		if x.rapid() {
			return x.bind(r)
		}
		if !x.open(codec.Advertise) {
			return reason.DHCPv6TooLarge
		}
		x.choose()
		return x.advertise(r)
	case codec.RequestMessage, codec.Renew, codec.Rebind:
		return x.bind(r)
	case codec.Release:
		return x.giveUp(r, x.release)
	case codec.Decline:
		return x.giveUp(r, x.decline)
	case codec.AddrRegInform:
		return x.register(r)
	}
	return reason.OfDHCPv6(codec.FaultUnknownType)
}

// rapid reports whether a Solicit is to be answered by a Reply (RFC 9915
// section 18.3.1).
func (x *exchange) rapid() bool {
	if !x.q.RapidCommit {
		return false
	}
	for i := range x.n.Subnets {
		if s := &x.n.Subnets[i]; serves(s) && s.RapidCommit {
			return true
		}
	}
	return false
}

// information answers an Information-request (RFC 9915 section 18.3.6).
func (x *exchange) information(r *pipeline.Replies) pipeline.Reason {
	if !x.open(codec.Reply) {
		return reason.DHCPv6TooLarge
	}
	x.options(codec.InformationRequest)
	return x.send(r)
}

// confirm answers a Confirm by a status alone: whether all its addresses are on
// this link (RFC 9915 section 18.3.3).
func (x *exchange) confirm(r *pipeline.Replies) pipeline.Reason {
	if len(x.n.Subnets) == 0 {
		// "The server MUST NOT send a Reply if it cannot perform this test", RFC 9915 section 18.3.3.
		return reason.DHCPv6CannotJudge
	}
	status, text := codec.StatusSuccess, "all addresses are on this link"
	for i := range x.q.IAs() {
		ia := &x.q.IAs()[i]
		if ia.Code != codec.OptionIANA {
			continue
		}
		if slices.ContainsFunc(x.q.Hints(ia), func(h codec.Hint) bool { return !x.onLink(h.Address) }) {
			status, text = codec.StatusNotOnLink, "an address is not on this link"
		}
	}
	if !x.open(codec.Reply) {
		return reason.DHCPv6TooLarge
	}
	x.status(status, text)
	return x.send(r)
}

// allOnLink reports whether every address that an IA names, :: being none, is on
// the link.
func (x *exchange) allOnLink(ia *codec.IA) bool {
	for _, h := range x.q.Hints(ia) {
		if !h.Address.IsUnspecified() && !x.onLink(h.Address) {
			return false
		}
	}
	return true
}

// advertise tells what a Request would get (RFC 9915 section 18.3.9); the
// answer is open.
func (x *exchange) advertise(r *pipeline.Replies) pipeline.Reason {
	x.writeIAs()
	for _, o := range x.p.Port.Options.Find(codec.OptionPreference) {
		x.raw(&o) // not for the client to ask for (RFC 9915 section 21.8)
	}
	x.options(codec.Advertise)
	return x.send(r)
}

// bind answers what asks for leases or for more time: Request, Renew, Rebind and
// a Solicit with Rapid Commit (RFC 9915 sections 18.3.1, 18.3.2, 18.3.4 and 18.3.5).
func (x *exchange) bind(r *pipeline.Replies) pipeline.Reason {
	if !x.open(codec.Reply) {
		return reason.DHCPv6TooLarge
	}
	key, tell := x.reconfKey()
	x.client = x.clientOf(key)
	x.binding = true
	x.choose()
	if x.q.Type() == codec.Solicit {
		x.w.Option(codec.OptionRapidCommit, nil)
	}
	x.writeIAs()
	if tell && x.granted() {
		if replay, ok := x.s.NextReplay(); ok {
			x.w.ReconfigureKey(replay, key)
		}
	}
	x.options(codec.Reply)
	return x.send(r)
}

// giveUp answers a Release or a Decline: Success for all of it, and NoBinding
// for each IA that holds nothing (RFC 9915 sections 18.3.7 and 18.3.8).
func (x *exchange) giveUp(r *pipeline.Replies, one func(*codec.IA, *codec.Hint) bool) pipeline.Reason {
	if !x.open(codec.Reply) {
		return reason.DHCPv6TooLarge
	}
	x.status(codec.StatusSuccess, "done")
	for i := range x.q.IAs() {
		ia := &x.q.IAs()[i]
		if x.q.Type() == codec.Decline && ia.Code != codec.OptionIANA {
			continue // a prefix cannot be declined
		}
		bound := len(x.find(ia)) > 0
		for j := range x.q.Hints(ia) {
			if one(ia, &x.q.Hints(ia)[j]) {
				bound = true
			}
		}
		if !bound {
			head := iaHead(ia.ID)
			x.w.Open(ia.Code, head[:])
			x.iaStatus(codec.StatusNoBinding, noBinding)
			x.w.Close()
		}
	}
	return x.send(r)
}

// release gives one lease of an IA back.
func (x *exchange) release(ia *codec.IA, h *codec.Hint) bool {
	return x.c.Release(x.p.Port.Name, x.q.ClientID, kindOf(ia), ia.ID, h.Prefix())
}

// decline quarantines one address of an IA.
func (x *exchange) decline(ia *codec.IA, h *codec.Hint) bool {
	return x.c.Decline(x.p.Port.Name, x.q.ClientID, ia.ID, h.Address, Quarantine)
}
