package wire

import (
	"slices"
	"testing"
)

const icmpOff = HeadersLen // where ICMPv6 begins in a frame without extension headers

// edit gives the frame with some octets overwritten, and a right checksum.
func edit(s string, change func(f []byte) []byte) []byte {
	f := change(frame(s))
	return resum(f, icmpOff)
}

// set overwrites octets from an offset on.
func set(off int, b ...byte) func([]byte) []byte {
	return func(f []byte) []byte { copy(f[off:], b); return f }
}

// behind appends octets to the packet, as options, and makes the payload length right.
func behind(b ...byte) func([]byte) []byte {
	return func(f []byte) []byte { return setLen(append(f, b...)) }
}

// cutTo shortens the packet to n octets of ICMPv6.
func cutTo(n int) func([]byte) []byte {
	return func(f []byte) []byte { return setLen(f[:icmpOff+n]) }
}

func setLen(f []byte) []byte {
	n := len(f) - HeadersLen
	f[18], f[19] = byte(n>>8), byte(n)
	return f
}

// all chains changes.
func all(changes ...func([]byte) []byte) func([]byte) []byte {
	return func(f []byte) []byte {
		for _, c := range changes {
			f = c(f)
		}
		return f
	}
}

// from sets the IPv6 source, to the destination.
func from(a [16]byte) func([]byte) []byte { return set(22, a[:]...) }
func to(a [16]byte) func([]byte) []byte   { return set(38, a[:]...) }

func plain(s string) []byte { return frame(s) }

// verdict is what the gate for the frame's own ICMPv6 type says.
func verdict(f []byte) Fault {
	var p Packet
	fault := Cut(f, &p)
	if fault != FaultNone {
		return fault
	}
	if p.Protocol == ProtocolUDP {
		_, _, fault = CheckUDP(&p)
		return fault
	}
	switch p.ICMPv6().Type() {
	case TypeNeighborSolicit:
		_, fault = CheckNeighborSolicit(&p)
	case TypeNeighborAdvert:
		_, fault = CheckNeighborAdvert(&p)
	case TypeRouterSolicit:
		_, fault = CheckRouterSolicit(&p)
	case TypeRouterAdvert:
		_, fault = CheckRouterAdvert(&p)
	case TypeEchoRequest:
		_, fault = CheckEchoRequest(&p)
	default:
		_, fault = CheckICMPv6(&p)
	}
	return fault
}

func TestGates(t *testing.T) {
	t.Parallel()
	var (
		unspecified [16]byte
		slla        = []byte{1, 1, 2, 0, 0, 0, 0, 0x11}
		tlla        = []byte{2, 1, 2, 0, 0, 0, 0, 0x11}
		nonce       = []byte{14, 1, 1, 2, 3, 4, 5, 6}
		unknown     = []byte{0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		group       = [16]byte{0: 0xff, 1: 2, 15: 1}
		global      = [16]byte{0: 0x20, 1: 1, 15: 1}
	)
	tests := []struct {
		name  string
		frame []byte
		want  Fault
	}{
		{"NS", plain(nsHex), FaultNone},
		{"NS, DAD", plain(dadHex), FaultNone},
		{"NS, DAD with nonce", edit(dadHex, behind(nonce...)), FaultNone},
		{"NS, unknown option and nonce", edit(nsHex, behind(slices.Concat(unknown, nonce)...)), FaultNone},
		{"NS, reserved bits", edit(nsHex, set(icmpOff+4, 0xff, 0xff, 0xff, 0xff)), FaultNone},
		{"NS, a TLLA of 16 octets is not NS's to judge", edit(dadHex, behind(append([]byte{2, 2}, make([]byte, 14)...)...)), FaultNone},
		{"NS behind hop-by-hop and destination options", plain(nsChainHex), FaultNone},
		{"NS with Ethernet padding", append(plain(nsHex), make([]byte, 300)...), FaultNone},
		{"NS, hop limit 254", edit(nsHex, set(21, 254)), FaultHopLimit},
		{"NS, code 1", edit(nsHex, set(icmpOff+1, 1)), FaultCode},
		{"NS, checksum", set(icmpOff+2, 0, 0)(plain(nsHex)), FaultChecksum},
		{"NS, 23 octets", edit(nsHex, cutTo(23)), FaultShort},
		{"NS, 4 octets", edit(nsHex, cutTo(4)), FaultShort},
		{"NS, option of length 0", edit(nsHex, set(icmpOff+25, 0)), FaultOptionZeroLength},
		{"NS, length 0 behind SLLA", edit(nsHex, behind(0xfd, 0, 0, 0, 0, 0, 0, 0)), FaultOptionZeroLength},
		{"NS, option beyond the packet", edit(nsHex, set(icmpOff+25, 5)), FaultOptionTruncated},
		{"NS, four octets behind SLLA", edit(nsHex, behind(14, 1, 0, 0)), FaultOptionTruncated},
		{"NS, one octet behind SLLA", edit(nsHex, behind(14)), FaultOptionTruncated},
		{"NS, SLLA of 16 octets", edit(nsHex, all(behind(make([]byte, 8)...), set(icmpOff+25, 2))), FaultLinkLayerLength},
		{"NS, two SLLAs", edit(nsHex, behind(slla...)), FaultDuplicateLinkLayer},
		{"NS, multicast target", edit(nsHex, set(icmpOff+8, 0xff)), FaultMulticastTarget},
		{"NS, :: with SLLA", edit(nsHex, from(unspecified)), FaultUnspecifiedWithLinkLayer},
		{"NS, :: to all nodes", edit(dadHex, to(group)), FaultNotSolicitedNode},
		{"NS, :: to unicast", edit(dadHex, to(global)), FaultNotSolicitedNode},
		{"NS, multicast source", edit(nsHex, from(group)), FaultMulticastSource},
		{"NS, loopback source", edit(nsHex, from([16]byte{15: 1})), FaultInternalSource},
		{"NS, mapped source", edit(nsHex, from([16]byte{10: 0xff, 11: 0xff, 12: 192, 14: 2, 15: 1})), FaultInternalSource},
		{"NS, atomic fragment", plain(nsAtomicHex), FaultFragment},
		{"NS, first fragment", set(57, 1)(plain(nsAtomicHex)), FaultFragment},
		{"NS, later fragment", set(57, 8)(plain(nsAtomicHex)), FaultLaterFragment},
		{"NS, group source MAC", set(6, 0x33, 0x33)(plain(nsHex)), FaultMulticastSourceMAC},
		{"NS, broadcast source MAC", set(6, 255, 255, 255, 255, 255, 255)(plain(nsHex)), FaultMulticastSourceMAC},
		{"NS, zero source MAC", set(6, 0, 0, 0, 0, 0, 0)(plain(nsHex)), FaultZeroSourceMAC},
		{"NS to ::", edit(nsHex, to(unspecified)), FaultUnspecifiedDestination},

		{"NA", plain(naHex), FaultNone},
		{"NA without TLLA", edit(naHex, cutTo(24)), FaultNone},
		{"NA with an SLLA beside", edit(naHex, behind(slla...)), FaultNone},
		{"NA, S to multicast", edit(naHex, to(group)), FaultSolicitedMulticast},
		{"NA, unsolicited to multicast", edit(naHex, all(to(group), set(icmpOff+4, FlagOverride))), FaultNone},
		{"NA, multicast target", edit(naHex, set(icmpOff+8, 0xff)), FaultMulticastTarget},
		{"NA, hop limit", edit(naHex, set(21, 64)), FaultHopLimit},
		{"NA, code", edit(naHex, set(icmpOff+1, 1)), FaultCode},
		{"NA, short", edit(naHex, cutTo(16)), FaultShort},
		{"NA, option of length 0", edit(naHex, set(icmpOff+25, 0)), FaultOptionZeroLength},
		{"NA, TLLA of 16 octets", edit(naHex, all(behind(make([]byte, 8)...), set(icmpOff+25, 2))), FaultLinkLayerLength},
		{"NA, TLLA of 40 octets beyond the packet", edit(naHex, set(icmpOff+25, 5)), FaultOptionTruncated},
		{"NA, two TLLAs", edit(naHex, behind(tlla...)), FaultDuplicateLinkLayer},
		{"NA, checksum", set(icmpOff+2, 0, 0)(plain(naHex)), FaultChecksum},

		{"RS", plain(rsHex), FaultNone},
		{"RS from ::", edit(rsHex, all(from(unspecified), cutTo(8))), FaultNone},
		{"RS from :: with SLLA", edit(rsHex, from(unspecified)), FaultUnspecifiedWithLinkLayer},
		{"RS, short", edit(rsHex, cutTo(7)), FaultShort},
		{"RS, hop limit", edit(rsHex, set(21, 1)), FaultHopLimit},
		{"RS, code", edit(rsHex, set(icmpOff+1, 9)), FaultCode},
		{"RS, checksum", set(icmpOff+2, 0, 0)(plain(rsHex)), FaultChecksum},
		{"RS, option of length 0", edit(rsHex, set(icmpOff+9, 0)), FaultOptionZeroLength},
		{"RS, oversize SLLA", edit(rsHex, all(behind(make([]byte, 248)...), set(icmpOff+9, 32))), FaultLinkLayerLength},

		{"RA", plain(raHex), FaultNone},
		{"RA, global source", edit(raHex, from(global)), FaultNotLinkLocal},
		{"RA, short", edit(raHex, cutTo(15)), FaultShort},
		{"RA, hop limit", edit(raHex, set(21, 64)), FaultHopLimit},
		{"RA, option of length 0", edit(raHex, set(icmpOff+25, 0)), FaultOptionZeroLength},

		{"echo", plain(echoHex), FaultNone},
		{"echo, hop limit 1", edit(echoHex, set(21, 1)), FaultNone},
		{"echo, code", edit(echoHex, set(icmpOff+1, 1)), FaultCode},
		{"echo, short", edit(echoHex, cutTo(7)), FaultShort},
		{"echo, checksum", set(icmpOff+2, 0, 0)(plain(echoHex)), FaultChecksum},
		{"echo from ::", edit(echoHex, from(unspecified)), FaultUnspecifiedSource},
		{"echo, multicast source", edit(echoHex, from(group)), FaultMulticastSource},
		{"echo reply", plain(echoReplyHex), FaultNone},

		{"UDP", plain(udpHex), FaultNone},
		{"UDP, zero checksum", set(60, 0, 0)(plain(udpHex)), FaultZeroChecksum},
		{"UDP, wrong checksum", set(60, 0x12, 0x34)(plain(udpHex)), FaultChecksum},
		{"UDP, length 7", set(58, 0, 7)(plain(udpHex)), FaultUDPLength},
		{"UDP, length beyond", set(58, 0, 13)(plain(udpHex)), FaultUDPLength},
	}
	for _, tt := range tests {
		if got := verdict(tt.frame); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// Each gate refuses other messages, so a wrong route in a dispatcher cannot pass one view off as another.
func TestGatesRefuseOthers(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]string{"ns": nsHex, "na": naHex, "rs": rsHex, "ra": raHex, "echo": echoHex, "udp": udpHex} {
		var p Packet
		if f := Cut(frame(s), &p); f != FaultNone {
			t.Fatal(f)
		}
		got := passes(&p)
		if len(got) != 1 || got[0] != name {
			t.Errorf("%s passes the gates %v", name, got)
		}
	}
}

// A first fragment's checksum covers what is not here; an atomic fragment is whole, and only Neighbor Discovery refuses it.
func TestFragments(t *testing.T) {
	t.Parallel()
	fragment := func(s string, protocol, more byte) []byte {
		f := frame(s)
		f[20] = ProtocolFragment
		return setLen(slices.Concat(f[:HeadersLen], []byte{protocol, 0, 0, more, 0, 0, 0, 7}, f[HeadersLen:]))
	}
	tests := []struct {
		name  string
		frame []byte
		want  Fault
	}{
		{"echo, atomic", fragment(echoHex, 58, 0), FaultNone},
		{"echo, first", fragment(echoHex, 58, 1), FaultFragment},
		{"UDP, atomic", fragment(udpHex, 17, 0), FaultNone},
		{"UDP, first", fragment(udpHex, 17, 1), FaultFragment},
		{"RS, atomic", fragment(rsHex, 58, 0), FaultFragment},
		{"RA, atomic", fragment(raHex, 58, 0), FaultFragment},
		{"NA, atomic", fragment(naHex, 58, 0), FaultFragment},
	}
	for _, tt := range tests {
		if got := verdict(tt.frame); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// passes names the gates that let p through.
func passes(p *Packet) (names []string) {
	add := func(name string, f Fault) {
		if f == FaultNone {
			names = append(names, name)
		}
	}
	_, f := CheckNeighborSolicit(p)
	add("ns", f)
	_, f = CheckNeighborAdvert(p)
	add("na", f)
	_, f = CheckRouterSolicit(p)
	add("rs", f)
	_, f = CheckRouterAdvert(p)
	add("ra", f)
	_, f = CheckEchoRequest(p)
	add("echo", f)
	_, _, f = CheckUDP(p)
	add("udp", f)
	return names
}

func TestCheckUDPOffloaded(t *testing.T) {
	t.Parallel()
	f := frame(udpHex)
	pseudo := slices.Concat(f[22:54], []byte{0, 0, 0, 12, 0, 0, 0, 17})
	s := slowSum(pseudo)
	f[60], f[61] = byte(s>>8), byte(s)
	var p Packet
	if fault := Cut(f, &p); fault != FaultNone {
		t.Fatal(fault)
	}
	u, offloaded, fault := CheckUDP(&p)
	if fault != FaultNone || !offloaded {
		t.Fatalf("offloaded %v, fault %v", offloaded, fault)
	}
	if u.SourcePort() != 546 || u.DestinationPort() != 547 || len(u.Data()) != 4 {
		t.Errorf("ports %d, %d, %d octets", u.SourcePort(), u.DestinationPort(), len(u.Data()))
	}
}
