package wire

import (
	"bytes"
	"slices"
	"testing"
)

// chainFrame puts headers between the IPv6 header and the scapy NS's message;
// first is the next header of the first.
func chainFrame(first byte, headers ...[]byte) []byte {
	f := frame(nsHex)
	f[20] = first
	chain := slices.Concat(headers...)
	return setLen(slices.Concat(f[:HeadersLen], chain, f[HeadersLen:]))
}

func TestCutChains(t *testing.T) {
	t.Parallel()
	dest := func(next byte) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} }
	auth := []byte{58, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	tests := []struct {
		name       string
		frame      []byte
		want       Fault
		extensions uint8
		fragment   Fragmentation
		protocol   uint8
	}{
		{"none", frame(nsHex), FaultNone, 0, Whole, 58},
		{"hop-by-hop, destination", frame(nsChainHex), FaultNone, 2, Whole, 58},
		{"routing type 4", chainFrame(43, []byte{58, 0, 4, 0, 0, 0, 0, 0}), FaultNone, 1, Whole, 58},
		{"authentication of 24 octets", chainFrame(51, auth), FaultNone, 1, Whole, 58},
		{"mobility", chainFrame(135, dest(58)), FaultNone, 1, Whole, 58},
		{"atomic fragment", frame(nsAtomicHex), FaultNone, 1, AtomicFragment, 58},
		{"fragment header, reserved octet set", chainFrame(44, []byte{58, 0xff, 0, 0, 0, 0, 0, 7}), FaultNone, 1, AtomicFragment, 58},
		{"first fragment", chainFrame(44, []byte{58, 0, 0, 1, 0, 0, 0, 7}), FaultNone, 1, FirstFragment, 58},
		{"first, then atomic", chainFrame(44, []byte{44, 0, 0, 1, 0, 0, 0, 7}, []byte{58, 0, 0, 0, 0, 0, 0, 7}), FaultNone, 2, FirstFragment, 58},
		{"later fragment", chainFrame(44, []byte{58, 0, 0, 8, 0, 0, 0, 7}), FaultLaterFragment, 1, LaterFragment, 58},
		{"hop-by-hop second", chainFrame(60, dest(0), dest(58)), FaultHopByHopNotFirst, 1, Whole, 0},
		{"eight", chainFrame(60, dest(60), dest(60), dest(60), dest(60), dest(60), dest(60), dest(60), dest(58)), FaultNone, 8, Whole, 58},
		{"nine", chainFrame(60, dest(60), dest(60), dest(60), dest(60), dest(60), dest(60), dest(60), dest(60), dest(58)), FaultChainTooLong, 8, Whole, 0},
		{"option header beyond the packet", chainFrame(60, []byte{58, 200, 1, 4, 0, 0, 0, 0}), FaultChainTruncated, 0, Whole, 0},
		{"first fragment cut in destination options", chainFrame(44, []byte{60, 0, 0, 1, 0, 0, 0, 7}, []byte{58, 30, 1, 4, 0, 0, 0, 0}), FaultChainTruncated, 1, FirstFragment, 0},
		{"first fragment without upper layer", setLen(chainFrame(44, []byte{60, 0, 0, 1, 0, 0, 0, 7}, dest(58))[:70]), FaultChainTruncated, 2, FirstFragment, 0},
		{"authentication cut", setLen(chainFrame(51, auth)[:HeadersLen+20]), FaultChainTruncated, 0, Whole, 0},
		{"no next header", chainFrame(60, dest(59)), FaultNoUpperLayer, 1, Whole, 59},
		{"unknown 253", chainFrame(253, dest(58)), FaultUnknownNextHeader, 0, Whole, 253},
		{"IPv6 in IPv6", chainFrame(41), FaultUnknownNextHeader, 0, Whole, 41},
		{"ESP is an upper layer", chainFrame(50, dest(58)), FaultNone, 0, Whole, 50},
		{"TCP", chainFrame(6), FaultNone, 0, Whole, 6},
		{"SCTP", chainFrame(132), FaultNone, 0, Whole, 132},
		{"GRE", chainFrame(47), FaultNone, 0, Whole, 47},
		{"VRRP", chainFrame(112), FaultNone, 0, Whole, 112},
		{"VRRP of seven octets", setLen(chainFrame(112)[:HeadersLen+7]), FaultChainTruncated, 0, Whole, 0},
		{"TCP of 19 octets", setLen(chainFrame(6)[:HeadersLen+19]), FaultChainTruncated, 0, Whole, 0},
		{"SCTP of 11 octets", setLen(chainFrame(132)[:HeadersLen+11]), FaultChainTruncated, 0, Whole, 0},
		{"ICMPv6 of three octets", setLen(frame(nsHex)[:HeadersLen+3]), FaultChainTruncated, 0, Whole, 0},
		{"UDP of seven octets", setLen(frame(udpHex)[:HeadersLen+7]), FaultChainTruncated, 0, Whole, 0},
	}
	for _, tt := range tests {
		var p Packet
		got := Cut(tt.frame, &p)
		if got != tt.want || p.Extensions != tt.extensions || p.Fragment != tt.fragment || p.Protocol != tt.protocol {
			t.Errorf("%s: %v, %d headers, fragment %d, protocol %d; want %v, %d, %d, %d", tt.name,
				got, p.Extensions, p.Fragment, p.Protocol, tt.want, tt.extensions, tt.fragment, tt.protocol)
		}
		if got == FaultNone && &p.Payload[len(p.Payload)-1] != &tt.frame[len(tt.frame)-1] {
			t.Errorf("%s: payload of %d octets does not end with the packet", tt.name, len(p.Payload))
		}
		// What every chain to ICMPv6 here leads to is scapy's solicitation.
		if got == FaultNone && p.Protocol == ProtocolICMPv6 && !bytes.Equal(p.Payload, frame(nsHex)[HeadersLen:]) {
			t.Errorf("%s: payload %x is not the message behind the chain", tt.name, p.Payload)
		}
	}
}

func TestCutFrames(t *testing.T) {
	t.Parallel()
	ns := func(change func([]byte) []byte) []byte { return change(frame(nsHex)) }
	tests := []struct {
		name  string
		frame []byte
		want  Fault
	}{
		{"empty", nil, FaultTruncated},
		{"13 octets", frame(nsHex)[:13], FaultTruncated},
		{"39 octets of IPv6", frame(nsHex)[:53], FaultTruncated},
		{"priority tag", frame(taggedHex), FaultTagged},
		{"service tag", ns(set(12, 0x88, 0xa8)), FaultTagged},
		{"legacy outer tag", ns(set(12, 0x91, 0x00)), FaultTagged},
		{"SNAP", ns(set(12, 0x00, 0x48)), FaultNotEthernetII},
		{"length 1500", ns(set(12, 0x05, 0xdc)), FaultNotEthernetII},
		{"MPLS", ns(set(12, 0x88, 0x47)), FaultNotIPv6},
		{"ARP", ns(set(12, 0x08, 0x06)), FaultNotIPv6},
		{"version 5", ns(set(14, 0x50)), FaultBadVersion},
		{"version 4", ns(set(14, 0x45)), FaultBadVersion},
		{"payload length 0", ns(set(18, 0, 0)), FaultZeroPayloadLength},
		{"payload length one more than there is", ns(set(18, 0, 33)), FaultBadLength},
		{"payload length 65535", ns(set(18, 255, 255)), FaultBadLength},
	}
	for _, tt := range tests {
		var p Packet
		if got := Cut(tt.frame, &p); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// Every truncation of a good frame is a fault of its lengths, and never a panic.
func TestCutEveryTruncation(t *testing.T) {
	t.Parallel()
	for _, s := range []string{nsHex, nsChainHex, nsAtomicHex, raHex, udpHex} {
		whole := frame(s)
		for n := range whole {
			f := slices.Clip(whole[:n])
			var p Packet
			if got := Cut(f, &p); got != FaultTruncated && got != FaultBadLength && got != FaultZeroPayloadLength {
				t.Fatalf("%d of %d octets: %v", n, len(whole), got)
			}
			if n <= HeadersLen {
				continue
			}
			// The same with a payload length that does not lie.
			if got := verdict(setLen(slices.Clone(f))); got == FaultNone {
				t.Fatalf("%d of %d octets pass", n, len(whole))
			}
		}
	}
}

// A view of a packet never shows the padding behind it.
func TestCutHidesPadding(t *testing.T) {
	t.Parallel()
	f := append(frame(nsHex), 1, 2, 3, 4)
	var p Packet
	if got := Cut(f, &p); got != FaultNone {
		t.Fatal(got)
	}
	if len(p.IPv6) != 72 || cap(p.IPv6) != 72 || len(p.Payload) != 32 || cap(p.Payload) != 32 {
		t.Errorf("IPv6 %d/%d, payload %d/%d octets, want 72 and 32", len(p.IPv6), cap(p.IPv6), len(p.Payload), cap(p.Payload))
	}
}
