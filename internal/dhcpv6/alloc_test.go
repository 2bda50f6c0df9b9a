package dhcpv6

import (
	"net/netip"
	"testing"

	"damselfly/internal/wire"
)

// exchange is a server's whole work on a datagram: reading it and writing a reply with an address in a frame.
type exchange struct {
	r   Request
	w   Writer
	c   *Context
	out [1500]byte
}

var (
	leased  = netip.MustParseAddr("2001:db8::1")
	servers = []netip.Addr{leased, leased}
)

func (e *exchange) run(data []byte) Fault {
	if f := e.r.Read(data, e.c); f != FaultNone {
		return f
	}
	e.w.Reset(e.out[FrameHeaderLen:])
	e.w.OpenRelayReplies(&e.r)
	e.w.Begin(Reply, e.r.TransactionID())
	e.w.Option(OptionClientID, e.r.ClientID)
	e.w.Option(OptionServerID, e.c.ServerID)
	for i := range e.r.IAs() {
		e.w.OpenIANA(e.r.IAs()[i].ID, 1, 2)
		e.w.Address(leased, 3, 4)
		e.w.Close()
	}
	if e.r.Requested(OptionDNSServers) {
		e.w.Addresses(OptionDNSServers, servers)
	}
	e.w.Status(StatusSuccess, "")
	b, ok := e.w.Finish()
	if !ok {
		return FaultShort
	}
	h := wire.Headers{Source: leased, Destination: leased, HopLimit: 64}
	PutFrame(e.out[:], &h, ServerPort, ClientPort, len(b))
	return FaultNone
}

func TestNoAllocations(t *testing.T) {
	e := exchange{c: onLink()}
	for _, s := range []string{solicitNA, requestNA, relayed, full} {
		data := octets(s)
		if f := e.run(data); f != FaultNone {
			t.Errorf("%x: %v", data, f)
		}
		if n := testing.AllocsPerRun(100, func() { e.run(data) }); n != 0 {
			t.Errorf("%x: %v allocations, want none", data, n)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, bb := range []struct{ name, data string }{{"solicit", full}, {"request", requestNA}, {"relayed", relayed}} {
		b.Run(bb.name, func(b *testing.B) {
			data, c := octets(bb.data), onLink()
			var r Request
			b.ReportAllocs()
			for b.Loop() {
				if f := r.Read(data, c); f != FaultNone {
					b.Fatal(f)
				}
			}
		})
	}
}

func BenchmarkExchange(b *testing.B) {
	data := octets(full)
	e := exchange{c: onLink()}
	b.ReportAllocs()
	for b.Loop() {
		if f := e.run(data); f != FaultNone {
			b.Fatal(f)
		}
	}
}
