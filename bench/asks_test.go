package bench

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/mdlayher/ndp"

	"damselfly/fixtures"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

const (
	guests   = 4  // ports of a bridge
	perGuest = 16 // requests of a guest that are outstanding
	spare    = 6  // addresses of a guest: the others ask for them, perGuest together at least
)

var prefix = netip.MustParsePrefix("fd00:b1::/64")

func guestMAC(g int) wire.MAC { return wire.MAC{2, 0, 0, 0, 0, byte(0x11 + g)} }

// guestAddress is the n-th address of a guest.
func guestAddress(g, n int) netip.Addr {
	a := prefix.Addr().As16()
	a[13], a[15] = byte(g+1), byte(n+1)
	return netip.AddrFrom16(a)
}

// asked is what guests ask: each kind's requests of one guest, and where in an
// answer it says which one it is for.
type asked struct {
	name string
	asks func(g int) map[string]Ask
	key  func(answer []byte) []byte // nil for a frame that is no answer
}

// message returns octets of an ICMPv6 message of a type, nil of any other.
func message(typ byte, from, to int) func([]byte) []byte {
	return func(f []byte) []byte {
		if len(f) < 62 || len(f) < to || f[20] != wire.ProtocolICMPv6 || f[54] != typ {
			return nil
		}
		return f[from:to]
	}
}

// The kinds; a bare responder gives the same link-layer address for all.
var (
	askNS     = asked{"ns", func(g int) map[string]Ask { return solicitations(g, guestMAC) }, message(136, 62, 78)}
	askBareNS = asked{"ns", func(g int) map[string]Ask {
		return solicitations(g, func(int) wire.MAC { return BareMAC })
	}, message(136, 62, 78)}
	askRS   = asked{"rs", routerSolicitations, message(134, 38, 54)}
	askEcho = asked{"echo", echoes, message(129, 60, 62)}
)

// solicitations ask for addresses of the other guests.
func solicitations(g int, owner func(int) wire.MAC) map[string]Ask {
	asks := map[string]Ask{}
	mac := guestMAC(g)
	source := wire.LinkLocal(mac)
	for i := range perGuest {
		other := (g + 1 + i%(guests-1)) % guests
		target := guestAddress(other, i/(guests-1))
		group := wire.SolicitedNode(target)
		want := fixtures.Advert{SourceMAC: owner(other), DestinationMAC: mac, Source: target, Destination: source,
			Target: target, LinkLayer: owner(other), Solicited: true, Override: true}
		asks[string(target.AsSlice())] = Ask{
			Frame: fixtures.ND(mac, wire.MulticastMAC(group), source, group, &ndp.NeighborSolicitation{
				TargetAddress: target, Options: []ndp.Option{fixtures.LinkLayer(ndp.Source, mac)}}).Bytes(),
			Check: func(f []byte) error { return fixtures.CheckReply(f, want.Is) },
		}
	}
	return asks
}

// routerSolicitations come from ever other addresses, by which the answers are
// told apart.
func routerSolicitations(g int) map[string]Ask {
	asks := map[string]Ask{}
	mac := guestMAC(g)
	for i := range perGuest {
		a := wire.LinkLocal(mac).As16()
		a[8] = byte(i + 1)
		source := netip.AddrFrom16(a)
		asks[string(a[:])] = Ask{
			Frame: fixtures.ND(mac, wire.AllRoutersMAC, source, wire.AllRouters,
				&ndp.RouterSolicitation{Options: []ndp.Option{fixtures.LinkLayer(ndp.Source, mac)}}).Bytes(),
			Check: func(f []byte) error {
				return fixtures.CheckReply(f, fixtures.Type(134, 0), fixtures.HopLimit(255),
					fixtures.MACs(topology.RouterMAC("blue"), mac), fixtures.Addresses(topology.DefaultLinkLocal, source), saysPrefix)
			},
		}
	}
	return asks
}

// saysPrefix checks that an advertisement is a default router's with the prefix.
func saysPrefix(r *fixtures.Reply) error {
	ra, ok := r.Message.(*ndp.RouterAdvertisement)
	if !ok || ra.RouterLifetime != 1800*time.Second {
		return fmt.Errorf("got %+v, want a router lifetime of 1800 s", r.Message)
	}
	for _, o := range ra.Options {
		if p, ok := o.(*ndp.PrefixInformation); ok && p.Prefix == prefix.Addr() && p.AutonomousAddressConfiguration {
			return nil
		}
	}
	return fmt.Errorf("options %+v have no prefix %v for addresses", ra.Options, prefix)
}

// echoes are pings of the gateway with 56 octets of data.
func echoes(g int) map[string]Ask {
	asks := map[string]Ask{}
	mac, source, gateway := guestMAC(g), guestAddress(g, 0), topology.DefaultGateway(prefix)
	for i := range perGuest {
		body := make([]byte, 4+56)
		for n := range body {
			body[n] = byte(n*7 + i)
		}
		binary.BigEndian.PutUint16(body[2:], uint16(i))
		router := topology.RouterMAC("blue")
		asks[string(body[2:4])] = Ask{
			Frame: fixtures.Message{From: mac, To: router, Source: source, Destination: gateway, HopLimit: 64,
				Type: 128, Body: body}.Bytes(),
			Check: func(f []byte) error {
				if !bytes.Equal(f[58:], body) {
					return fmt.Errorf("data: got %x, want %x", f[58:], body)
				}
				return fixtures.CheckReply(f, fixtures.Type(129, 0), fixtures.MACs(router, mac), fixtures.Addresses(gateway, source))
			},
		}
	}
	return asks
}

// station is guest g asking.
func (a asked) station(g int) Station {
	s := Station{}
	places := map[string]int{}
	for key, ask := range a.asks(g) {
		places[key] = len(s.Asks)
		s.Asks = append(s.Asks, ask)
	}
	s.Which = func(f []byte) int {
		key := a.key(f)
		if key == nil {
			return -1
		}
		if i, ok := places[string(key)]; ok {
			return i
		}
		return -1
	}
	return s
}
