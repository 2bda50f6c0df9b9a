package loadgen

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/mdlayher/ndp"

	"damselfly/fixtures"
	"damselfly/internal/wire"
)

// fixed is a question that is the same each time, and so is its answer.
type fixed struct {
	frame []byte
	// check says what is wrong with the answer. It is asked once: every later
	// answer must be the same octets.
	check   func(answer []byte) error
	pattern []byte // the answer, once it was checked
}

func (x *fixed) begin() []byte { return x.frame }

func (x *fixed) take(frame []byte) ([]byte, verdict, error) {
	if x.pattern == nil {
		if err := x.check(frame); err != nil {
			return nil, right, err
		}
		x.pattern = bytes.Clone(frame)
	} else if !bytes.Equal(frame, x.pattern) {
		return nil, right, fmt.Errorf("it came after %x", x.pattern)
	}
	return nil, right, nil
}

// check reads an answer and applies checks in order.
func (s *Site) check(f []byte, checks ...fixtures.Check) error {
	if s.AnyClass && len(f) > 18 {
		f = bytes.Clone(f)
		f[14] &= 0xf0
		f[15], f[16], f[17] = 0, 0, 0
	}
	return fixtures.CheckReply(f, checks...)
}

// solicitation is guest g asking for a neighbour (RFC 4861 section 7.2.2).
func (s *Site) solicitation(g int, n Neighbor) *fixed {
	mac := s.Guests[g].MAC
	source, group := wire.LinkLocal(mac), wire.SolicitedNode(n.Address)
	answerer := s.Answerer
	if answerer.IsZero() {
		answerer = n.MAC
	}
	want := fixtures.Advert{SourceMAC: answerer, DestinationMAC: mac, Source: n.Address, Destination: source,
		Target: n.Address, LinkLayer: answerer, Solicited: true, Override: true}
	return &fixed{
		frame: fixtures.ND(mac, wire.MulticastMAC(group), source, group, &ndp.NeighborSolicitation{
			TargetAddress: n.Address, Options: []ndp.Option{fixtures.LinkLayer(ndp.Source, mac)}}).Bytes(),
		check: func(f []byte) error { return s.check(f, want.Is) },
	}
}

// routerSolicitation is guest g asking for routers (RFC 4861 section 6.3.7), from
// its i-th link-local address, by which the answers are told apart.
func (s *Site) routerSolicitation(g, i int) (*fixed, netip.Addr) {
	mac := s.Guests[g].MAC
	a := wire.LinkLocal(mac).As16()
	a[8] = byte(i + 1)
	source := netip.AddrFrom16(a)
	return &fixed{
		frame: fixtures.ND(mac, wire.AllRoutersMAC, source, wire.AllRouters,
			&ndp.RouterSolicitation{Options: []ndp.Option{fixtures.LinkLayer(ndp.Source, mac)}}).Bytes(),
		check: func(f []byte) error {
			return s.check(f, fixtures.Type(wire.TypeRouterAdvert, 0), fixtures.HopLimit(255),
				fixtures.MACs(s.Router.MAC, mac), fixtures.Addresses(s.Router.LinkLocal, source), s.Router.advertises)
		},
	}, source
}

// advertises checks that an advertisement is the router's.
func (r *Router) advertises(reply *fixtures.Reply) error {
	ra, ok := reply.Message.(*ndp.RouterAdvertisement)
	if !ok || ra.RouterLifetime != r.Lifetime {
		return fmt.Errorf("got %+v, want a router lifetime of %v", reply.Message, r.Lifetime)
	}
	if !r.Prefix.IsValid() {
		return nil
	}
	for _, o := range ra.Options {
		if p, ok := o.(*ndp.PrefixInformation); ok && p.Prefix == r.Prefix.Addr() && int(p.PrefixLength) == r.Prefix.Bits() {
			return nil
		}
	}
	return fmt.Errorf("options %+v lack the prefix %v", ra.Options, r.Prefix)
}

// echo is guest g's i-th ping of the gateway with 56 octets of data (RFC 4443
// section 4.1), and the octets by which its answer is known.
func (s *Site) echo(g, i int) (*fixed, []byte) {
	guest, r := &s.Guests[g], &s.Router
	body := make([]byte, 4+56)
	for n := range body {
		body[n] = byte(n*7 + i)
	}
	binary.BigEndian.PutUint16(body[2:], uint16(i))
	return &fixed{
		frame: fixtures.Message{From: guest.MAC, To: r.MAC, Source: guest.Addresses[0], Destination: r.Gateway, HopLimit: 64,
			Type: wire.TypeEchoRequest, Body: body}.Bytes(),
		check: func(f []byte) error {
			if len(f) < 58 || !bytes.Equal(f[58:], body) {
				return fmt.Errorf("data: got %x, want %x", f[min(58, len(f)):], body)
			}
			return s.check(f, fixtures.Type(wire.TypeEchoReply, 0), fixtures.MACs(r.MAC, guest.MAC),
				fixtures.Addresses(r.Gateway, guest.Addresses[0]))
		},
	}, body[:4]
}
