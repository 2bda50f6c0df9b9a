package dhcpv6

import (
	"net/netip"
	"sync/atomic"
	"time"

	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/lease"
	"damselfly/internal/store"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// Bindings tells what a client holds.
type Bindings interface {
	// Find appends to dst the bound leases of one IA, on any network, ordered by address.
	Find(dst []lease.Lease, port string, duid []byte, kind lease.Kind, iaid uint32) []lease.Lease
}

// Chooser says what a client is to get; it changes nothing.
type Chooser interface {
	// Choose gives the addresses of an IA on one subnet: lease.ErrNoAddress, lease.ErrNoPool.
	Choose(a lease.Ask, s *topology.Subnet, hint netip.Addr) ([]netip.Addr, error)
	// ChoosePrefix gives the prefix of an IA and what it is from: lease.ErrNoPrefix, lease.ErrNoPool.
	ChoosePrefix(a lease.Ask, hint netip.Prefix) (netip.Prefix, *topology.Delegation, error)
}

// Binder changes what clients hold.
type Binder interface {
	// Bind records or extends a lease: lease.ErrTaken, lease.ErrPortFull.
	Bind(g lease.Grant) error
	// Release gives a lease back; false if the client's IA does not hold it.
	Release(port string, duid []byte, kind lease.Kind, iaid uint32, p netip.Prefix) bool
	// Decline puts an address in quarantine; false if the client's IA does not hold it.
	Decline(port string, duid []byte, iaid uint32, a netip.Addr, quarantine time.Duration) bool
	// OfClient appends to dst all that a client holds.
	OfClient(dst []lease.Lease, port string, duid []byte) []lease.Lease
}

// Changes is a transaction: what Decide needs of lease.Tx.
type Changes interface {
	Bindings
	Chooser
	Binder
}

// SlowLane takes copies of frames whose answer changes durable state.
type SlowLane interface {
	// Push reports whether there was a place for f, which came at a time.
	Push(f *pipeline.Frame, at time.Time) bool
}

// Uplink takes messages for external servers.
type Uplink interface {
	// Forward sends a Relay-forward to a server without waiting; false if it could not.
	Forward(server netip.Addr, message []byte) bool
}

// Server answers DHCPv6. It is one goroutine's: each worker has its own, and so
// has the owner of the slow lane; they share ID. Which fields count is said at
// each.
type Server struct {
	// ID is the server's DUID.
	ID codec.DUID
	// Committed is what Handle reads.
	Committed Bindings
	// Slow is where Handle hands over; nil has no room.
	Slow SlowLane
	// Now is the moment that Decide counts lifetimes from. Its owner sets it before a group.
	Now store.Clock
	// Reconfigures says that clients which accept Reconfigure are sent it (RFC 9915 section 18.3.11).
	Reconfigures bool
	// NewKey makes a reconfigure key, for Decide where Reconfigures is set.
	NewKey func() [codec.KeyLen]byte
	// NextReplay gives a value of replay detection greater than all before, for
	// Decide where Reconfigures is set (RFC 9915 section 20.3); false says that
	// there is none, and then no key is told.
	NextReplay func() (uint64, bool)
	// Heard is told by Handle of each message that a Reconfigure asks for; nil is
	// told nothing. It keeps no octets of duid.
	Heard func(port string, duid []byte)
	// Uplink is where Decide forwards to; nil reaches nobody.
	Uplink Uplink
	// Stats may be read by anybody.
	Stats Stats

	x exchange
}

// Stats counts what Server read and wrote.
type Stats struct {
	// Messages counts the messages of clients by their type.
	Messages [codec.AddrRegReply + 1]atomic.Uint64
	// Statuses counts the statuses told, by their code.
	Statuses [codec.StatusNoPrefixAvail + 1]atomic.Uint64
	// Offloaded counts messages whose checksum the sender had left to its network card.
	Offloaded atomic.Uint64
}

// Committed is the Bindings of a View at one moment, for Server.Committed; its
// owner sets Now before each batch.
type Committed struct {
	View *lease.View
	Now  store.Clock
}

// Find implements Bindings.
func (c *Committed) Find(dst []lease.Lease, port string, duid []byte, kind lease.Kind, iaid uint32) []lease.Lease {
	return c.View.Find(dst, c.Now, port, duid, kind, iaid)
}

var (
	_ Bindings = (*Committed)(nil)
	_ Changes  = (*lease.Tx)(nil)
)
