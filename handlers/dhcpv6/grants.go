package dhcpv6

import (
	"encoding/binary"
	"math"
	"net/netip"
	"time"

	codec "damselfly/internal/dhcpv6"
)

// grant is one address or prefix as it goes out; lifetimes of 0 take it away.
type grant struct {
	prefix           netip.Prefix
	preferred, valid time.Duration
	exclude          netip.Prefix
}

// verdict is what becomes of one IA: grants[first:end], or a status if that is
// nothing.
type verdict struct {
	first, end int
	status     codec.Status
}

// Texts of statuses, for people who look at a capture.
const (
	noBinding = "no such lease is known here: ask anew"
	noAddrs   = "no address is left to give"
	noPrefix  = "no prefix is left to delegate"
	notOnLink = "an address is not of this link"
	noReason  = "could not be given: the answer is full, or the server's log says why"
)

// granted reports whether the answer gives anything.
func (x *exchange) granted() bool {
	for i := range x.grants {
		if x.grants[i].valid > 0 {
			return true
		}
	}
	return false
}

// writeIAs writes each IA with what it has, or why it has nothing. T1 and T2 are
// 0.5 and 0.8 of the shortest preferred lifetime, the same in all IAs, so that
// one message renews all (RFC 9915 section 21.4).
func (x *exchange) writeIAs() {
	t1, t2 := x.renewal()
	for i := range x.q.IAs() {
		ia, v := &x.q.IAs()[i], &x.ias[i]
		grants := x.grants[v.first:v.end]
		a, b := uint32(0), uint32(0)
		for j := range grants {
			if grants[j].valid > 0 {
				a, b = t1, t2
			}
		}
		if ia.Code == codec.OptionIAPD {
			x.w.OpenIAPD(ia.ID, a, b)
		} else {
			x.w.OpenIANA(ia.ID, a, b)
		}
		for j := range grants {
			x.write(ia.Code, &grants[j])
		}
		if len(grants) == 0 {
			x.iaStatus(v.status, text(v.status))
		}
		x.w.Close()
	}
}

// write writes one address or prefix.
func (x *exchange) write(code uint16, g *grant) {
	preferred, valid := seconds(g.preferred), seconds(g.valid)
	switch {
	case code == codec.OptionIANA:
		x.w.Address(g.prefix.Addr(), preferred, valid)
	case g.exclude.IsValid() && x.q.Requested(codec.OptionPDExclude):
		x.w.PrefixExcluding(g.prefix, g.exclude, preferred, valid)
	default:
		x.w.Prefix(g.prefix, preferred, valid)
	}
}

// renewal is T1 and T2 in seconds.
func (x *exchange) renewal() (t1, t2 uint32) {
	shortest := time.Duration(math.MaxInt64)
	for i := range x.grants {
		if g := &x.grants[i]; g.valid > 0 {
			shortest = min(shortest, g.preferred)
		}
	}
	s := uint64(shortest / time.Second)
	return uint32(s / 2), uint32(s * 4 / 5)
}

// seconds is a lifetime as the wire has it.
func seconds(d time.Duration) uint32 {
	return uint32(min(d/time.Second, math.MaxUint32))
}

// text is the words beside a status in an IA.
func text(s codec.Status) string {
	switch s {
	case codec.StatusNoBinding:
		return noBinding
	case codec.StatusNoAddrsAvail:
		return noAddrs
	case codec.StatusNoPrefixAvail:
		return noPrefix
	case codec.StatusNotOnLink:
		return notOnLink
	}
	return noReason
}

// iaHead is the fixed part of an IA without times.
func iaHead(iaid uint32) (b [12]byte) {
	binary.BigEndian.PutUint32(b[:], iaid)
	return b
}
