package replay

import (
	"encoding/binary"
	"log/slog"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"damselfly/handlers"
	"damselfly/handlers/dhcpv6"
	"damselfly/handlers/reason"
	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/lease"
	"damselfly/internal/store"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// leases is the DHCPv6 server of a replay: both lanes in one place, its leases
// in memory, and nothing in it that differs from run to run.
type leases struct {
	book   *lease.Book
	server *dhcpv6.Server // of both lanes
	read   *dhcpv6.Committed
	keys   uint64
	replay uint64 // the last value of replay detection
}

// openLeases starts without any lease, under the DUID that the capture's clients
// speak to. What goes to external servers is added to replies.
func openLeases(id lease.Identity, replies *pipeline.Replies) (*leases, error) {
	book, err := lease.Open(memory(id), store.Clock{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	l := &leases{book: book, read: &dhcpv6.Committed{View: book.View()}}
	l.server = &dhcpv6.Server{
		ID: codec.DUID(book.DUID()), Committed: l.read, Slow: later{}, Uplink: upward{replies},
		Reconfigures: true, NewKey: l.newKey, NextReplay: l.nextReplay,
	}
	return l, nil
}

// newKey counts: a key of a replay keeps nothing secret.
func (l *leases) newKey() (key [codec.KeyLen]byte) {
	l.keys++
	binary.BigEndian.PutUint64(key[:], l.keys)
	return key
}

// nextReplay goes by the capture's clock.
func (l *leases) nextReplay() (uint64, bool) {
	l.replay = max(l.replay+1, uint64(l.server.Now.Wall.UnixNano()))
	return l.replay, true
}

// at sets the clock to the time of a frame.
func (l *leases) at(t time.Time) {
	// The capture is one boot, whose beginning does not matter.
	now := store.Clock{Wall: t, Boot: store.BootID{1}, Uptime: time.Duration(t.UnixNano())}
	l.read.Now, l.server.Now = now, now
}

// decide is the slow lane for one frame that the fast lane handed over; what
// changes no lease is the addresses' to decide.
func (l *leases) decide(s *topology.Snapshot, f *pipeline.Frame, slow handlers.Services, r *pipeline.Replies) pipeline.Reason {
	now := l.server.Now
	tx := l.book.Begin(now)
	decider := handlers.NewDecider(slow, slog.New(slog.DiscardHandler))
	made := len(r.List())
	why := decider.Decide(s, now.Wall, tx, f, r)
	if err := tx.Commit(); err != nil {
		r.Undo(made)
		return reason.NotDurable
	}
	if why == pipeline.Unset {
		why = decider.DecideAddress(s, now.Wall, f, r)
	}
	return why
}

// later is the slow lane's door: whoever handed a frame over has it still.
type later struct{}

// Push implements dhcpv6.SlowLane.
func (later) Push(*pipeline.Frame, time.Time) bool { return true }

// memory is a lease.Storage that lasts as long as the replay.
type memory lease.Identity

// Load implements lease.Storage.
func (memory) Load(func(key, value []byte) error) error { return nil }

// Apply implements lease.Storage. Nobody loads what a replay leaves.
func (memory) Apply([]lease.Change) error { return nil }

// Identity implements lease.Storage.
func (m memory) Identity() (lease.Identity, error) { return lease.Identity(m), nil }

// defaultDUID is the server's where the capture tells none: a DUID-UUID of
// octets that nobody could take for random (RFC 6355 section 4).
var defaultDUID = [...]byte{0, 4, 'd', 'a', 'm', 's', 'e', 'l', 'f', 'l', 'y', ' ', 'r', 'e', 'p', 'l', 'a', 'y'}

// identityOf finds the server that the clients of a capture speak to: what they
// send to it must come to the right one here. The first DUID of a Damselfly's
// form counts. Behind relays it is what the innermost message says.
func identityOf(frames []Frame) lease.Identity {
	id := lease.Identity{DUID: defaultDUID}
	for i := range frames {
		p := gopacket.NewPacket(frames[i].Data, layers.LayerTypeEthernet, gopacket.NoCopy)
		m, _ := p.Layer(layers.LayerTypeDHCPv6).(*layers.DHCPv6)
		if m = innermost(m); m == nil {
			continue
		}
		for _, o := range m.Options {
			if o.Code == layers.DHCPv6OptServerID && len(o.Data) == len(id.DUID) && o.Data[0] == 0 && o.Data[1] == 4 {
				copy(id.DUID[:], o.Data)
				return id
			}
		}
	}
	return id
}

// innermost is the client's message of one that relays may have wrapped, nil if
// there is none.
func innermost(m *layers.DHCPv6) *layers.DHCPv6 {
	for m != nil && m.MsgType == layers.DHCPv6MsgTypeRelayForward {
		var next *layers.DHCPv6
		for _, o := range m.Options {
			if o.Code != layers.DHCPv6OptRelayMessage {
				continue
			}
			next = new(layers.DHCPv6)
			if next.DecodeFromBytes(o.Data, gopacket.NilDecodeFeedback) != nil {
				return nil
			}
		}
		m = next
	}
	return m
}
