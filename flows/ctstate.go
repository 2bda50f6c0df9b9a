package flows

import "strings"

// Bits of CTState (openvswitch.h, OVS_CS_F_*), in the order of their values.
const (
	ctNew = 1 << iota
	ctEst
	ctRel
	ctRpl
	ctInv
	ctTrk
)

var ctStateNames = []string{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"}

// ctCut marks a connection that the rules do not allow any more. Its entry stays,
// since a connection that is forgotten begins anew with whoever speaks first:
// the server's next segment would make the client's those of a reply.
const ctCut = 1

// State matches packets whose connection tracking has the bits of set and not
// those of unset.
func (m Match) State(set, unset uint32) Match { return m.WithMask(CTState, U32(set), U32(set|unset)) }

// ctStateText renders a match on CTState as ovs-ofctl does: +new-est.
func ctStateText(v, mask uint32) string { return bitsText(ctStateNames, v, mask) }

// bitsText renders a match on single bits, whose names are in the order of their values.
func bitsText(names []string, v, mask uint32) string {
	var b strings.Builder
	for i, name := range names {
		switch bit := uint32(1) << i; {
		case mask&bit == 0:
		case v&bit != 0:
			b.WriteString("+" + name)
		default:
			b.WriteString("-" + name)
		}
	}
	return b.String()
}
