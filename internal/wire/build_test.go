package wire

import (
	"encoding/hex"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"
)

var (
	guest1    = netip.MustParseAddr("fd00:b1::11")
	guest2    = netip.MustParseAddr("fd00:b1::12")
	router    = netip.MustParseAddr("fe80::1")
	guestMAC  = MAC{2, 0, 0, 0, 0, 0x11}
	guest2MAC = MAC{2, 0, 0, 0, 0, 0x12}
	routerMAC = MAC{2, 0, 0, 0, 0, 0x01}
)

// echoPacket is the scapy echo request behind its gates.
func echoPacket(t testing.TB, p *Packet) Echo {
	t.Helper()
	if f := Cut(frame(echoHex), p); f != FaultNone {
		t.Fatal(f)
	}
	e, f := CheckEchoRequest(p)
	if f != FaultNone {
		t.Fatal(f)
	}
	return e
}

// The expected frames are scapy's.
func TestPut(t *testing.T) {
	t.Parallel()
	group := SolicitedNode(guest2)
	var p Packet
	echo := echoPacket(t, &p)
	tests := []struct {
		name string
		put  func(b []byte) int
		want string
	}{
		{"neighbor advertisement", func(b []byte) int {
			return PutNeighborAdvert(b, &Headers{guestMAC, guest2MAC, guest1, guest2, MaxHopLimit}, guest1, guestMAC, FlagSolicited|FlagOverride)
		}, naHex},
		{"neighbor solicitation", func(b []byte) int {
			return PutNeighborSolicit(b, &Headers{guestMAC, MulticastMAC(group), guest1, group, MaxHopLimit}, guest2)
		}, nsHex},
		{"duplicate address probe", func(b []byte) int {
			return PutNeighborSolicit(b, &Headers{guestMAC, MulticastMAC(group), netip.Addr{}, group, MaxHopLimit}, guest2)
		}, dadHex},
		{"router advertisement around a compiled body", func(b []byte) int {
			body := frame(raHex)[HeadersLen:]
			body[2], body[3] = 0, 0
			return PutICMPv6(b, &Headers{guestMAC, AllNodesMAC, router, AllNodes, MaxHopLimit}, body, SumBody(body))
		}, raHex},
		{"echo reply", func(b []byte) int {
			return PutEchoReply(b, &Headers{routerMAC, guestMAC, router, guest1, 64}, &p, echo)
		}, echoReplyHex},
	}
	for _, tt := range tests {
		b := make([]byte, 128)
		for i := range b {
			b[i] = 0xa5 // a buffer used before
		}
		n := tt.put(b)
		if diff := cmp.Diff(hex.EncodeToString(frame(tt.want)), hex.EncodeToString(b[:n])); diff != "" {
			t.Errorf("%s (-scapy +got):\n%s", tt.name, diff)
		}
		if b[n] != 0xa5 {
			t.Errorf("%s: wrote behind its end", tt.name)
		}
	}
}

// An echo request to a multicast group is answered from another address, so the checksum changes by more than the type.
func TestPutEchoReplyFromOtherAddress(t *testing.T) {
	t.Parallel()
	var p Packet
	echo := echoPacket(t, &p)
	for i := range 256 {
		b := make([]byte, HeadersLen+len(echo))
		src := netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 14: byte(i * 7), 15: byte(i)})
		PutEchoReply(b, &Headers{routerMAC, guestMAC, src, guest1, 64}, &p, echo)
		got := ICMPv6(b[HeadersLen:]).Checksum()
		b[HeadersLen+2], b[HeadersLen+3] = 0, 0
		if want := slowChecksum(b[EthernetLen:], 58, b[HeadersLen:]); got != want {
			t.Fatalf("from %s: checksum %#x, want %#x", src, got, want)
		}
	}
}

func TestPutNeighborAdvertAgreesWithNDP(t *testing.T) {
	t.Parallel()
	for _, flags := range []uint8{0, FlagRouter, FlagOverride, FlagRouter | FlagSolicited | FlagOverride} {
		for _, dst := range []netip.Addr{guest2, AllNodes} {
			want, err := ndp.MarshalMessageChecksum(&ndp.NeighborAdvertisement{
				Router:        flags&FlagRouter != 0,
				Solicited:     flags&FlagSolicited != 0,
				Override:      flags&FlagOverride != 0,
				TargetAddress: guest1,
				Options:       []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: net.HardwareAddr(guestMAC[:])}},
			}, guest1, dst)
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, NeighborAdvertFrameLen)
			PutNeighborAdvert(b, &Headers{guestMAC, guest2MAC, guest1, dst, MaxHopLimit}, guest1, guestMAC, flags)
			if diff := cmp.Diff(want, b[HeadersLen:]); diff != "" {
				t.Errorf("flags %#x to %s (-ndp +got):\n%s", flags, dst, diff)
			}
		}
	}
}
