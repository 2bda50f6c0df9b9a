package send

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// How far clocks may differ (RFC 3971 section 10.2).
const (
	// delta is TIMESTAMP_DELTA.
	delta = 300 * time.Second
	// fuzz is TIMESTAMP_FUZZ.
	fuzz = time.Second
	// driftPart is one part in so many of TIMESTAMP_DRIFT, 1 %.
	driftPart = 100
)

// Bounds of who is remembered.
const (
	// maxPeers is how many peers of all ports are.
	maxPeers = 1 << 16
	// MaxPortPeers is how many of one port: who has more loses its own.
	MaxPortPeers = 64
	// PeerLife is how long who does not sign any more is remembered, and how far its
	// clock may run ahead: what it said then is remembered until it is past.
	PeerLife = time.Hour
	// maxTaken is how many messages of a peer are told apart by more than their time:
	// those that one may sign within two fuzzes, by the default limit.
	maxTaken = 32
	// farSeconds is a time so far ahead that no arithmetic is done with it.
	farSeconds = 1 << 40
)

// Stamp is a time as a Timestamp option has it: seconds since 1970 in 48 bits, and
// 16 bits of fraction (RFC 3971 section 5.3.1).
func Stamp(t time.Time) uint64 {
	return uint64(t.Unix())<<16 | uint64(t.Nanosecond())<<16/uint64(time.Second)
}

// ticks is a duration in the unit of a Timestamp.
func ticks(d time.Duration) int64 { return int64(d/time.Microsecond) << 16 / 1e6 }

// Peer is a signer: an address on a network.
type Peer struct {
	Network string
	Addr    netip.Addr
}

// Peers remember of each signer the last timestamp and when it came (RFC 3971
// section 5.3.4.2), and on which port, so that whoever speaks unsigned does not
// pass for it. Who is forgotten, since its port has too many or is no more, is as good
// as new: what it said in the last five minutes may be said again. Port and Each are for anybody, all else is one goroutine's.
type Peers struct {
	ports map[string]map[Peer]*peerState
	count int
	known sync.Map // Peer to *peerState; readers take no lock
}

// peerState is what is remembered of one peer. Readers use port alone.
type peerState struct {
	port     string
	stamp    uint64    // TSlast
	received time.Time // RDlast
	seen     time.Time // when it signed last
	// taken are messages that the rule of times would let pass once more, as fuzz is
	// there for those that overtake each other; none is taken from before floor.
	taken []taken
	floor uint64
}

// taken is a message that was taken.
type taken struct{ stamp, signature uint64 }

// least is what a timestamp that comes at now has to exceed: "TSnew + fuzz > TSlast +
// (RDnew - RDlast) x (1 - drift) - fuzz".
func (s *peerState) least(now time.Time) int64 {
	passed := ticks(now.Sub(s.received))
	return int64(s.stamp) + passed - passed/driftPart - 2*ticks(fuzz)
}

// most is what a timestamp that comes at now may be by the same clock, as far as it may drift the other way.
func (s *peerState) most(now time.Time) int64 {
	passed := ticks(now.Sub(s.received))
	return int64(s.stamp) + passed + passed/driftPart + 2*ticks(fuzz)
}

// past reports whether all that was taken is so old that nobody new could say it.
func (s *peerState) past(now time.Time) bool { return int64(s.stamp)+ticks(delta) <= int64(Stamp(now)) }

// NewPeers knows nobody.
func NewPeers() *Peers { return &Peers{ports: map[string]map[Peer]*peerState{}} }

// Port is where a signer spoke from last; ok is false where the address has none.
func (c *Peers) Port(p Peer) (port string, ok bool) {
	s, ok := c.known.Load(p)
	if !ok {
		return "", false
	}
	return s.(*peerState).port, true
}

// Each yields all signers and their ports, in no order; for anybody.
func (c *Peers) Each(yield func(p Peer, port string) bool) {
	c.known.Range(func(p, s any) bool { return yield(p.(Peer), s.(*peerState).port) })
}

// Len is how many peers are remembered.
func (c *Peers) Len() int { return c.count }

// Check judges the timestamp of a message that came at now, with the first octets of
// its signature.
func (c *Peers) Check(now time.Time, p Peer, stamp, signature uint64) Fault {
	if stamp>>16 >= farSeconds {
		return FaultTimestamp
	}
	// "-Delta < (RDnew - TSnew) < +Delta"
	off := int64(stamp - Stamp(now))
	near := off > -ticks(delta) && off < ticks(delta)
	v, known := c.known.Load(p)
	if !known {
		if !near {
			return FaultTimestamp
		}
		return FaultNone
	}
	s := v.(*peerState)
	switch {
	case stamp <= s.floor || slices.Contains(s.taken, taken{stamp, signature}):
		return FaultReplay
	case int64(stamp) <= s.least(now):
		// A clock that was ahead and is right again is as good as that of who is new:
		// nothing that was said before is near any more.
		if near && s.past(now) {
			return FaultNone
		}
		return FaultReplay
	case off >= ticks(PeerLife):
		return FaultTimestamp
	// Of a clock that is far behind the rule would take all that its peer signed when it was right,
	// and nothing that the peer says after that.
	case off <= -ticks(delta) && int64(stamp) > s.most(now):
		return FaultTimestamp
	}
	return FaultNone
}

// Taken reports whether this very message of a peer was accepted, as far as that is
// remembered.
func (c *Peers) Taken(p Peer, stamp, signature uint64) bool {
	v, known := c.known.Load(p)
	return known && slices.Contains(v.(*peerState).taken, taken{stamp, signature})
}

// Accept remembers a message whose signature verified, and whose timestamp passed Check
// or that answers Damselfly's own question (RFC 3971 section 5.3.4.1), from a port. "If
// TSnew > TSlast" it is the last one from now on. Where the port has as many as it may,
// its own oldest is forgotten. Whose clock is further ahead than PeerLife is not
// remembered.
func (c *Peers) Accept(now time.Time, p Peer, stamp, signature uint64, port string) Fault {
	if stamp>>16 >= farSeconds || int64(stamp-Stamp(now)) >= ticks(PeerLife) {
		return FaultNone
	}
	next := &peerState{port: port, stamp: stamp, received: now, seen: now}
	if v, known := c.known.Load(p); known {
		s := v.(*peerState)
		if s.stamp >= stamp {
			next.stamp, next.received = s.stamp, s.received
		}
		next.taken, next.floor = s.taken, s.floor
		c.leave(p, s) // and stays known, for who reads meanwhile
	}
	next.take(now, taken{stamp, signature})
	mine := c.ports[port]
	if len(mine) >= MaxPortPeers || c.count >= maxPeers {
		var oldest Peer
		var of *peerState
		for q, s := range mine {
			if of == nil || s.seen.Before(of.seen) {
				oldest, of = q, s
			}
		}
		if of == nil {
			return FaultPeers
		}
		c.forget(oldest, of)
	}
	if c.ports[port] == nil {
		c.ports[port] = map[Peer]*peerState{}
	}
	c.ports[port][p] = next
	c.count++
	c.known.Store(p, next)
	return FaultNone
}

// take adds a message to those taken, and drops those that are refused for their time.
// A peer whose clock is slow lowers what is the least, so they raise the floor.
func (s *peerState) take(now time.Time, m taken) {
	least := s.least(now)
	s.taken = append(slices.DeleteFunc(s.taken, func(old taken) bool {
		late := int64(old.stamp) <= least
		if late {
			s.floor = max(s.floor, old.stamp)
		}
		return late
	}), m)
	if len(s.taken) > maxTaken {
		oldest := 0
		for i, old := range s.taken {
			if old.stamp < s.taken[oldest].stamp {
				oldest = i
			}
		}
		s.floor = max(s.floor, s.taken[oldest].stamp)
		s.taken = slices.Delete(s.taken, oldest, oldest+1)
	}
}

func (c *Peers) forget(p Peer, s *peerState) {
	c.leave(p, s)
	c.known.Delete(p)
}

// leave takes a peer from its port.
func (c *Peers) leave(p Peer, s *peerState) {
	delete(c.ports[s.port], p)
	if len(c.ports[s.port]) == 0 {
		delete(c.ports, s.port)
	}
	c.count--
}

// Expire forgets who has not signed for PeerLife, once all that it said is past.
func (c *Peers) Expire(now time.Time) {
	for _, mine := range c.ports {
		for p, s := range mine {
			if now.Sub(s.seen) > PeerLife && s.past(now) {
				c.forget(p, s)
			}
		}
	}
}

// Revise forgets every peer that keep refuses: the topology has changed.
func (c *Peers) Revise(keep func(p Peer, port string) bool) {
	for port, mine := range c.ports {
		for p, s := range mine {
			if !keep(p, port) {
				c.forget(p, s)
			}
		}
	}
}
