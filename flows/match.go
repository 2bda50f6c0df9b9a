package flows

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"damselfly/internal/wire"
)

// FieldMatch is one field of a Match: the value and the bits of it that count.
type FieldMatch struct {
	Field Field
	Value Value
	Mask  Value
}

// Exact reports whether every bit of the field counts.
func (m FieldMatch) Exact() bool { return m.Mask == ones(m.Field.Info().Size) }

// Match is the fields a flow matches, in the order of Field, each at most once.
// The zero Match matches every frame. A Match is never changed once it is part
// of a Flow: the methods return a new one.
type Match []FieldMatch

// With returns m with an exact match on f.
func (m Match) With(f Field, v Value) Match {
	return m.WithMask(f, v, ones(f.Info().Size))
}

// WithMask returns m with a match on the bits of f that mask selects.
func (m Match) WithMask(f Field, v, mask Value) Match {
	for i := range v {
		v[i] &= mask[i]
	}
	out := append(without(m, f), FieldMatch{f, v, mask})
	slices.SortFunc(out, func(a, b FieldMatch) int { return cmp.Compare(a.Field, b.Field) })
	return out
}

// Get returns the match on f.
func (m Match) Get(f Field) (fm FieldMatch, ok bool) {
	for _, e := range m {
		if e.Field == f {
			return e, true
		}
	}
	return FieldMatch{}, false
}

// Equal reports whether m and o match the same frames in the same words.
func (m Match) Equal(o Match) bool { return slices.Equal(m, o) }

// Shorthands for the matches that flows are made of.

// From matches the ingress port's key in its register.
func (m Match) From(port uint16) Match { return m.With(regPort, U32(uint32(port))) }

// On matches the network's key.
func (m Match) On(network uint16) Match { return m.With(Metadata, U64(uint64(network))) }

// IPv6 matches IPv6 packets.
func (m Match) IPv6() Match { return m.With(EthType, U16(ethTypeIPv6)) }

// Proto matches IPv6 packets of one upper-layer protocol.
func (m Match) Proto(p uint8) Match { return m.IPv6().With(IPProto, U8(p)) }

// ICMPv6 matches ICMPv6 messages of one type, whatever their code.
func (m Match) ICMPv6(typ uint8) Match {
	return m.Proto(protoICMPv6).With(ICMPv6Type, U8(typ))
}

// ND matches Neighbor Discovery messages of one type that every receiver must
// accept as far as a flow can tell: code 0 and hop limit 255 (RFC 4861 section
// 7.1.1), not fragmented (RFC 6980 section 5). The code stands in every such
// match for another reason too: without it Open vSwitch leaves the ND fields
// out of the megaflow (CVE-2023-5366).
func (m Match) ND(typ uint8) Match {
	return m.ICMPv6(typ).With(ICMPv6Code, U8(0)).With(IPTTL, U8(255)).With(IPFrag, U8(fragNo))
}

// Src matches the IPv6 source.
func (m Match) Src(a netip.Addr) Match { return m.With(IPv6Src, Addr(a)) }

// Dst matches the IPv6 destination.
func (m Match) Dst(a netip.Addr) Match { return m.With(IPv6Dst, Addr(a)) }

// SrcIn matches IPv6 sources within a prefix.
func (m Match) SrcIn(p netip.Prefix) Match {
	return m.WithMask(IPv6Src, Addr(p.Addr()), prefixMask(p.Bits()))
}

// DstIn matches IPv6 destinations within a prefix.
func (m Match) DstIn(p netip.Prefix) Match {
	return m.WithMask(IPv6Dst, Addr(p.Addr()), prefixMask(p.Bits()))
}

// Src4In matches the IPv4 source within a prefix.
func (m Match) Src4In(p netip.Prefix) Match {
	return m.With(EthType, U16(ethTypeIPv4)).WithMask(IPv4Src, Addr(p.Addr()), prefixMask(p.Bits()))
}

// EthDst matches the Ethernet destination.
func (m Match) EthDst(a wire.MAC) Match { return m.With(EthDst, MAC(a)) }

// EthSrc matches the Ethernet source.
func (m Match) EthSrc(a wire.MAC) Match { return m.With(EthSrc, MAC(a)) }

// Numbers that matches and actions share.
const (
	ethTypeIPv4 = 0x0800
	ethTypeARP  = 0x0806
	ethTypeIPv6 = 0x86dd

	// vlanPresent is the bit of a VID that says there is a tag (OpenFlow 1.5
	// section 7.2.3.8).
	vlanPresent = 0x1000

	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132

	// Values of the fragment field (nicira-ext.h, nx_ip_frag).
	fragNo    = 0
	fragAny   = 1
	fragFirst = 1
	fragLater = 3
)

// String renders m as ovs-ofctl writes a match; the empty match is "".
func (m Match) String() string {
	var parts []string
	skip := map[Field]bool{}
	if proto := m.protocol(); proto != "" {
		parts = append(parts, proto)
		skip[EthType] = true
		if proto != "ip" && proto != "ipv6" && proto != "arp" {
			skip[IPProto] = true
		}
	}
	for _, e := range m {
		if !skip[e.Field] {
			parts = append(parts, e.text())
		}
	}
	return strings.Join(parts, ",")
}

// protocol returns ovs-ofctl's word for the Ethernet type and protocol of m.
func (m Match) protocol() string {
	et, ok := m.Get(EthType)
	if !ok {
		return ""
	}
	ip, hasProto := m.Get(IPProto)
	switch et.Value.Uint(2) {
	case ethTypeARP:
		return "arp"
	case ethTypeIPv4:
		if hasProto {
			switch ip.Value[0] {
			case protoICMP:
				return "icmp"
			case protoTCP:
				return "tcp"
			case protoUDP:
				return "udp"
			}
		}
		return "ip"
	case ethTypeIPv6:
		if hasProto {
			switch ip.Value[0] {
			case 6:
				return "tcp6"
			case 17:
				return "udp6"
			case protoICMPv6:
				return "icmp6"
			case 132:
				return "sctp6"
			}
		}
		return "ipv6"
	}
	return ""
}

func (e FieldMatch) text() string {
	size := e.Field.Info().Size
	switch {
	case e.Field == VLANVID && e.Exact() && e.Value == (Value{}):
		return "vlan_tci=0x0000/0x1fff"
	case e.Field == VLANVID && e.Value == U16(vlanPresent) && e.Mask == U16(vlanPresent):
		return "vlan_tci=0x1000/0x1000"
	case e.Field == VLANVID && e.Exact() && e.Value.Uint(2)&vlanPresent != 0:
		return fmt.Sprintf("dl_vlan=%d", e.Value.Uint(2)&^vlanPresent)
	case e.Field == CTState:
		return "ct_state=" + ctStateText(uint32(e.Value.Uint(4)), uint32(e.Mask.Uint(4)))
	case e.Field == TCPFlags:
		return "tcp_flags=" + bitsText(tcpFlagNames, uint32(e.Value.Uint(2)), uint32(e.Mask.Uint(2)))
	case e.Field == UDPSrc || e.Field == TCPSrc || e.Field == SCTPSrc:
		return "tp_src=" + e.number()
	case e.Field == UDPDst || e.Field == TCPDst || e.Field == SCTPDst:
		return "tp_dst=" + e.number()
	case (e.Field == CTSrcPort || e.Field == CTDstPort) && !e.Exact():
		return e.Field.String() + "=" + e.number()
	case e.Field == IPFrag:
		return "nw_frag=" + fragName(e.Value[0], e.Mask[0])
	case e.Field == ICMPv6Type:
		return "icmp_type=" + e.Field.text(e.Value)
	case e.Field == ICMPv6Code:
		return "icmp_code=" + e.Field.text(e.Value)
	case e.Exact():
		return e.Field.String() + "=" + e.Field.text(e.Value)
	case size == 16, e.Field == IPv4Src, e.Field == IPv4Dst, e.Field == ARPSPA, e.Field == ARPTPA:
		if bits, ok := maskBits(e.Mask); ok {
			return fmt.Sprintf("%s=%s/%d", e.Field, e.Field.text(e.Value), bits)
		}
		return fmt.Sprintf("%s=%s/%s", e.Field, e.Field.text(e.Value), e.Field.text(e.Mask))
	default:
		return fmt.Sprintf("%s=%s/%s", e.Field, e.Field.text(e.Value), e.Field.text(e.Mask))
	}
}

// number renders a port's value, with its mask in hexadecimal if it has one.
func (e FieldMatch) number() string {
	if e.Exact() {
		return fmt.Sprint(e.Value.Uint(2))
	}
	return fmt.Sprintf("%#x/%#x", e.Value.Uint(2), e.Mask.Uint(2))
}

// maskBits returns the length of a prefix mask.
func maskBits(mask Value) (bits int, ok bool) {
	for bits < 128 && mask[bits/8]&(0x80>>(bits%8)) != 0 {
		bits++
	}
	return bits, mask == prefixMask(bits)
}

// fragName returns ovs-ofctl's word for a match on the fragment field.
func fragName(v, mask uint8) string {
	switch {
	case mask == fragAny && v == fragAny:
		return "yes"
	case v == fragNo:
		return "no"
	case v == fragLater:
		return "later"
	case mask == fragAny|2 || mask == 0xff:
		return "first"
	}
	return fmt.Sprintf("%#x/%#x", v, mask)
}
