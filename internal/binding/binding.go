package binding

import (
	"net/netip"
	"time"
)

// The times of bindings.
const (
	// Wait is how long the others have to object (RFC 6620 section 4.1, T_WAIT).
	Wait = 250 * time.Millisecond
	// DefaultLifetime is how long a binding lasts without a sign of life before
	// its holder is asked (RFC 6620 section 4.1, DEFAULT_LT).
	DefaultLifetime = 5 * time.Minute
	// Probes is how often a silent holder is asked, ProbeInterval apart (RFC 4861
	// section 10, MAX_UNICAST_SOLICIT and RETRANS_TIMER).
	Probes        = 3
	ProbeInterval = time.Second
	// Fresh is how recent a sign of life must be to stand for its holder without
	// a test. A guest whose probe is under way answers no test: its address is
	// tentative for up to a second of delay and a second of waiting (RFC 4862
	// sections 5.1 and 5.4.2).
	Fresh = 3 * time.Second
)

// Unlimited is the Claim.Most of a port without a bound.
const Unlimited = -1

// Claim says that a port is using, or wants to use, an address.
type Claim struct {
	Network, Port string
	Addr          netip.Addr
	// Most is how many addresses the port may hold; Unlimited for no bound.
	Most int
	// Witness marks a port that nothing is bound to: it can object, but not hold.
	Witness bool
}

// Outcome is what becomes of the message that made a claim.
type Outcome uint8

const (
	// Carry: nobody is known to hold the address, so the others are to hear the message.
	Carry Outcome = iota
	// Own: the address is the port's.
	Own
	// Undecided: who holds the address shows in a moment; the message ends here.
	Undecided
	// Held: another port holds the address.
	Held
	// Full: the port holds as many addresses as it may.
	Full
)

// state is how far a binding is.
type state uint8

const (
	// tentative: the others are being asked.
	tentative state = iota + 1
	// valid: the port holds the address.
	valid
	// tested: the port is being asked whether it still does.
	tested
)

// Binding is one address that a port holds.
type Binding struct {
	Network, Port string
	Addr          netip.Addr
}

// Kind is what an Event asks or tells.
type Kind uint8

const (
	// AskOthers: ask the network's other ports than Port for the address by a
	// duplicate address probe (RFC 6620's DAD_NSOL).
	AskOthers Kind = iota
	// AskHolder: ask Port alone whether it is still there (RFC 4861 section 7.3.1).
	AskHolder
	// Defend: tell Port that Other holds the address.
	Defend
	// Learned: Port holds the address now.
	Learned
	// Moved: Port holds the address now, and Other, which did, gave no sign of life.
	Moved
	// Lost: Port gave no sign of life and holds the address no more.
	Lost
	// Superseded: the configuration or a lease says whose the address is.
	Superseded
	// Conflict: Port wanted the address, which is Other's.
	Conflict
)

// String returns the kind as metrics label it.
func (k Kind) String() string {
	return [...]string{"ask-others", "ask-holder", "defend", "learned", "moved", "lost", "superseded", "conflict"}[k]
}

// Event is something to be sent or told.
type Event struct {
	Kind    Kind
	Network string
	Addr    netip.Addr
	Port    string
	Other   string
}
