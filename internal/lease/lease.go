package lease

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"damselfly/internal/store"
	"damselfly/internal/wire"
)

// Kind is what was given.
type Kind uint8

const (
	// Address is an address of an IA_NA (RFC 9915 section 21.4).
	Address Kind = 1 + iota
	// Prefix is a delegated prefix of an IA_PD (RFC 9915 section 21.21).
	Prefix
	// Registration is an address its guest chose and told us of (RFC 9686).
	Registration
)

// String returns the kind as lists and metrics write it.
func (k Kind) String() string {
	switch k {
	case Address:
		return "address"
	case Prefix:
		return "prefix"
	case Registration:
		return "registration"
	}
	return "invalid"
}

// State is what became of a lease that is in the Book. One that was released
// or has expired is not.
type State uint8

const (
	// Bound leases are the client's.
	Bound State = 1 + iota
	// Declined addresses are nobody's until their quarantine ends (RFC 9915
	// section 18.3.8); they still count to the port that declined them.
	Declined
)

// String returns the state as lists and metrics write it.
func (s State) String() string {
	switch s {
	case Bound:
		return "bound"
	case Declined:
		return "declined"
	}
	return "invalid"
}

// Lease is one address or prefix a client holds.
type Lease struct {
	Kind    Kind
	State   State
	Port    string // name
	Network string // name
	DUID    string // opaque octets
	IAID    uint32 // 0 is as good as any
	// Prefix is what was given; an address has the length 128.
	Prefix netip.Prefix
	// Preferred and Valid are the lifetimes. Of a declined address Valid is the
	// end of its quarantine.
	Preferred, Valid store.Deadline
	Client
}

// Addr returns the address, or the first of a prefix.
func (l *Lease) Addr() netip.Addr { return l.Prefix.Addr() }

// Client is what a lease keeps of the client beside its identity. Zero fields
// are unknown and cost no memory.
type Client struct {
	// MAC and LinkLocal are where the client's messages came from. Of a prefix
	// they are the next hop: the requesting router.
	MAC       wire.MAC
	LinkLocal netip.Addr
	// ReconfKey authenticates RECONFIGURE (RFC 9915 section 20.4); the zero key
	// says that the client does not accept it.
	ReconfKey [16]byte
	// FQDN is the name the client wants to be known by (RFC 4704), as text.
	FQDN string
}

// ReconfAccept reports whether the client accepts RECONFIGURE.
func (c *Client) ReconfAccept() bool { return c.ReconfKey != [16]byte{} }

// Grant is a Lease to be: what Tx.Bind makes one of.
type Grant struct {
	Kind    Kind
	Port    string // name, 1 to 255 octets
	Network string // name, 1 to 255 octets
	DUID    []byte // 1 to 130 octets (RFC 9915 section 11.1)
	IAID    uint32 // 0 for a Registration
	Prefix  netip.Prefix
	// Preferred and Valid are whole seconds; store.Infinite is 0xffffffff.
	Preferred, Valid time.Duration
	Client           Client
	// Own says that the address is the port's by configuration, so that another
	// client behind the port loses it: the firmware to the system it boots.
	Own bool
	// Limit is how many leases, or registrations, the port may hold; below 1
	// is DefaultLimit.
	Limit int
}

// DefaultLimit is how many leases a port may hold where nothing else is said;
// registrations are counted apart.
const DefaultLimit = 16

// Errors that decide what the client is told.
var (
	// ErrTaken says that somebody else holds the address or prefix.
	ErrTaken = errors.New("lease: held by another client")
	// ErrPortFull says that the port holds as many leases as it may.
	ErrPortFull = errors.New("lease: the port holds as many leases as it may")
	// ErrNoAddress says that no address is left for the client on the subnet.
	ErrNoAddress = errors.New("lease: no address left")
	// ErrNoPrefix says that no prefix is left to delegate.
	ErrNoPrefix = errors.New("lease: no prefix left")
	// ErrNoPool says that the subnet has nothing to give to this client: no
	// fixed address, no reservation and no pool; or the network delegates
	// nothing.
	ErrNoPool = errors.New("lease: nothing is configured to give")
)

// Filter selects leases. Zero fields select all; several must all hold.
type Filter struct {
	Port    string
	Network string
	DUID    string
	// Within selects what lies in a prefix, or the delegated prefix that an
	// address lies in.
	Within netip.Prefix
	Kind   Kind
	State  State
}

// Match reports whether l is selected.
func (f *Filter) Match(l *Lease) bool {
	return (f.Port == "" || f.Port == l.Port) &&
		(f.Network == "" || f.Network == l.Network) &&
		(f.DUID == "" || f.DUID == l.DUID) &&
		(f.Kind == 0 || f.Kind == l.Kind) &&
		(f.State == 0 || f.State == l.State) &&
		(!f.Within.IsValid() || f.Within.Overlaps(l.Prefix))
}

// compare orders leases for people: by port, DUID, IAID, kind and address.
func compare(a, b *Lease) int {
	switch {
	case a.Port != b.Port:
		return strings.Compare(a.Port, b.Port)
	case a.DUID != b.DUID:
		return strings.Compare(a.DUID, b.DUID)
	case a.IAID != b.IAID:
		return int(int64(a.IAID) - int64(b.IAID))
	case a.Kind != b.Kind:
		return int(a.Kind) - int(b.Kind)
	}
	return a.Addr().Compare(b.Addr())
}
