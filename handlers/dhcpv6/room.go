package dhcpv6

import codec "damselfly/internal/dhcpv6"

// Octets of an answer's parts, their headers included.
const (
	iaRoom     = 4 + 12 // an IA without what is in it
	statusRoom = 4 + 2  // a status without words
	grantRoom  = 4 + 25 // a prefix; an address is one less
	// besideRoom is what an answer may have beside its IAs and cannot do without:
	// Rapid Commit, Reconfigure Accept and the reconfigure key, or a status with
	// a word.
	besideRoom = 4 + 4 + 32
	// laterRoom is kept for the first grant of each IA that is still to come: a
	// prefix with one excluded, in the place of a status.
	laterRoom = grantRoom + 4 + 1 + 16 - statusRoom
)

// reserve sets apart what the answer, which is open, needs at least: each IA of
// the message with a status. false says that not even this fits. What is bound
// must be told, so nothing is bound that has no room: fits decides.
func (x *exchange) reserve() bool {
	x.spare = x.room() - besideRoom - len(x.q.IAs())*(iaRoom+statusRoom)
	return !x.w.Full() && x.spare >= 0
}

// beginIA says that the grants that follow are those of the i-th IA.
func (x *exchange) beginIA(i int) {
	x.first, x.later = len(x.grants), len(x.q.IAs())-i-1
}

// fits reports whether the IA may have one grant more.
func (x *exchange) fits(g *grant) bool { return x.cost(g) <= x.spare }

// add adds a grant that fits.
func (x *exchange) add(g grant) {
	x.spare -= x.cost(&g)
	x.grants = append(x.grants, g)
}

// cost is how much of the spare room a grant takes.
func (x *exchange) cost(g *grant) int {
	n := grantRoom
	if g.exclude.IsValid() {
		n += 4 + 1 + (g.exclude.Bits()-g.prefix.Bits()+7)/8
	}
	if len(x.grants) == x.first {
		n -= statusRoom // which it stands in for
	}
	return n
}

// iaStatus tells a status within an IA, in words where there is room.
func (x *exchange) iaStatus(c codec.Status, text string) {
	if len(text) > x.spare {
		text = ""
	}
	x.spare -= len(text)
	x.status(c, text)
}
