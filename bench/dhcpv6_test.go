package bench

import (
	"bytes"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	client "github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/handlers"
	"damselfly/handlers/dhcpv6"
	"damselfly/handlers/reason"
	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/lease"
	"damselfly/internal/store"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// dhcpWorld is one network with a pool and its lanes: the fast one, and all that
// the slow one does but waiting for its turn.
type dhcpWorld struct {
	snapshot *topology.Snapshot
	book     *lease.Book
	clock    store.Clock
	fast     handlers.Services
	handed   int
}

// Push implements dhcpv6.SlowLane.
func (w *dhcpWorld) Push(*pipeline.Frame, time.Time) bool {
	w.handed++
	return true
}

func newDHCPWorld(tb testing.TB) *dhcpWorld {
	tb.Helper()
	spec := &topology.Spec{
		Networks: []topology.NetworkSpec{{Name: "blue", Subnets: []topology.SubnetSpec{{
			Prefix: prefix, Mode: topology.DHCPv6Stateful, DNS: []netip.Addr{netip.MustParseAddr("2001:db8::53")}, Search: []string{"example.test"},
			Pools: []topology.AddrRange{{First: netip.MustParseAddr("fd00:b1::1:0"), Last: netip.MustParseAddr("fd00:b1::1:ffff")}},
		}}}},
		Routers: []topology.RouterSpec{{Name: "r1", Networks: []topology.PresenceSpec{{Network: "blue"}}}},
		Ports:   []topology.PortSpec{{Name: "vm0", Network: "blue", MAC: guestMAC(0)}},
	}
	s, problems := new(topology.Builder).Build(topology.Input{
		Spec: spec, Keys: topology.Keys{Networks: map[string]uint16{"blue": 1}, Ports: map[string]uint16{"vm0": 1}},
		Bindings: []topology.Binding{{Interface: "vm0", OFPort: 1}},
	})
	if s == nil || len(problems) > 0 {
		tb.Fatalf("the topology is refused: %v", problems)
	}
	st, err := store.Open(tb.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = st.Close() })
	w := &dhcpWorld{snapshot: s, clock: store.Clock{Wall: now, Boot: store.BootID{1}, Uptime: time.Hour}}
	if w.book, err = lease.Open(lease.InStore(st), w.clock, slog.New(slog.DiscardHandler)); err != nil {
		tb.Fatal(err)
	}
	w.fast.DHCPv6 = &dhcpv6.Server{ID: codec.DUID(w.book.DUID()), Slow: w,
		Committed: &dhcpv6.Committed{View: w.book.View(), Now: w.clock}}
	return w
}

// batch is 64 frames of a client's message, as clients write it.
func (w *dhcpWorld) batch(tb testing.TB, m *client.Message) []pipeline.Frame {
	tb.Helper()
	mac, group := guestMAC(0), netip.MustParseAddr("ff02::1:2")
	to := wire.MulticastMAC(group)
	eth := &layers.Ethernet{SrcMAC: mac[:], DstMAC: to[:], EthernetType: layers.EthernetTypeIPv6}
	ip := &layers.IPv6{Version: 6, HopLimit: 1, NextHeader: layers.IPProtocolUDP,
		SrcIP: wire.LinkLocal(mac).AsSlice(), DstIP: group.AsSlice()}
	udp := &layers.UDP{SrcPort: 546, DstPort: 547}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		tb.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, udp, gopacket.Payload(m.ToBytes()))
	if err != nil {
		tb.Fatal(err)
	}
	list := make([]pipeline.Frame, pipeline.MaxBatch)
	for i := range list {
		list[i] = pipeline.Frame{Data: bytes.Clone(b.Bytes()), InPort: 1, Port: 1, Network: 1}
	}
	return list
}

// clientMessage is what a client sends: its DUID, an IA where it asks for
// addresses, and what it wants to know.
func clientMessage(t client.MessageType) *client.Message {
	m := &client.Message{MessageType: t, TransactionID: client.TransactionID{1, 2, 3}}
	mac := guestMAC(0)
	client.WithClientID(&client.DUIDLL{HWType: 1, LinkLayerAddr: mac[:]})(m)
	if t != client.MessageTypeInformationRequest {
		m.AddOption(&client.OptIANA{IaId: [4]byte{0, 0, 0, 1}})
	}
	m.AddOption(client.OptElapsedTime(0))
	client.WithRequestedOptions(client.OptionDNSRecursiveNameServer, client.OptionDomainSearchList)(m)
	return m
}

// bind gives the client its address, through the slow lane's own way.
func (w *dhcpWorld) bind(tb testing.TB) {
	tb.Helper()
	request := clientMessage(client.MessageTypeRequest)
	id, err := client.DUIDFromBytes(w.book.DUID())
	if err != nil {
		tb.Fatal(err)
	}
	client.WithServerID(id)(request)
	slow := handlers.Services{DHCPv6: &dhcpv6.Server{ID: codec.DUID(w.book.DUID()), Now: w.clock}}
	tx := w.book.Begin(w.clock)
	why := slow.Decide(w.snapshot, now, tx, &w.batch(tb, request)[0], pipeline.NewReplies(4096))
	if err := tx.Commit(); err != nil || why != reason.Answered {
		tb.Fatalf("the client's Request ends in %s, %v", handlers.ReasonName(why), err)
	}
}

// dhcpKinds are the messages that the fast lane answers alone.
var dhcpKinds = []struct {
	name string
	typ  client.MessageType
}{
	{"information-request", client.MessageTypeInformationRequest},
	{"solicit", client.MessageTypeSolicit},
}

// TestDHCPv6NoAllocations: what changes nothing is answered without allocating,
// and without the slow lane. It cannot be parallel: allocations are counted for
// the whole process.
func TestDHCPv6NoAllocations(t *testing.T) {
	w := newDHCPWorld(t)
	w.bind(t)
	handle, r, reasons := w.handler(), pipeline.NewReplies(1<<15), make([]pipeline.Reason, pipeline.MaxBatch)
	for _, k := range dhcpKinds {
		batch := w.batch(t, clientMessage(k.typ))
		if n := testing.AllocsPerRun(100, func() {
			r.Reset()
			handle(batch, r, reasons)
		}); n != 0 {
			t.Errorf("%s: %v allocations a batch, want 0", k.name, n)
		}
		for _, why := range reasons {
			if why != reason.Answered {
				t.Fatalf("%s ends in %s", k.name, handlers.ReasonName(why))
			}
		}
	}
	if w.handed > 0 {
		t.Errorf("%d frames were handed over", w.handed)
	}
}

func (w *dhcpWorld) handler() pipeline.Handler {
	return w.fast.Bind(func() *topology.Snapshot { return w.snapshot }, func() time.Time { return now }, slog.New(slog.DiscardHandler))
}

// BenchmarkDHCPv6 is BenchmarkFrame for what DHCPv6's fast lane answers; solicit
// is of a client that has its lease.
func BenchmarkDHCPv6(b *testing.B) {
	w := newDHCPWorld(b)
	w.bind(b)
	for _, k := range dhcpKinds {
		b.Run("kind="+k.name, func(b *testing.B) {
			batch, handle := w.batch(b, clientMessage(k.typ)), w.handler()
			r, reasons := pipeline.NewReplies(1<<15), make([]pipeline.Reason, pipeline.MaxBatch)
			b.ReportAllocs()
			for b.Loop() {
				r.Reset()
				handle(batch, r, reasons)
			}
			perFrame(b, b.Elapsed(), b.N*pipeline.MaxBatch)
			if reasons[0] != reason.Answered {
				b.Fatalf("frames end in %s", handlers.ReasonName(reasons[0]))
			}
		})
	}
}
