package flows

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"damselfly/internal/wire"
)

// Field names one match field of OpenFlow or one of Nicira's extensions.
type Field uint8

// The fields that Damselfly's flows use, ordered so that a field always stands
// behind its prerequisites (OpenFlow 1.5 section 7.2.3.6): writing a match in
// this order is what Open vSwitch accepts.
const (
	InPort Field = iota
	// InPort16 is InPort as an action may write it: the low 16 bits.
	InPort16
	Metadata
	Reg0
	Reg1
	Reg2
	Reg3
	Reg4
	Reg5
	Reg6
	Reg7
	Reg8
	Reg9
	Reg10
	Reg11
	Reg12
	Reg13
	Reg14
	Reg15
	EthDst
	EthSrc
	EthType
	VLANVID
	VLANTCI
	CTState
	CTMark
	CTProto
	CTSrcPort
	CTDstPort
	ARPOp
	ARPSPA
	ARPTPA
	ARPSHA
	ARPTHA
	IPProto
	IPDSCP
	IPECN
	IPTTL
	IPFrag
	IPv4Src
	IPv4Dst
	IPv6Src
	IPv6Dst
	IPv6Label
	TCPSrc
	TCPDst
	TCPFlags
	UDPSrc
	UDPDst
	SCTPSrc
	SCTPDst
	ICMPv4Type
	ICMPv4Code
	ICMPv6Type
	ICMPv6Code
	NDTarget
	NDSLL
	NDTLL
	NDReserved
	NDOptionsType
	// Fields is the number of fields.
	Fields
)

// FieldInfo is what encoders need to know of a Field.
type FieldInfo struct {
	Name   string // as ovs-ofctl writes it
	Header uint32 // OXM or NXM header without mask
	Size   int    // octets of the value
}

var fieldInfo = [Fields]FieldInfo{
	InPort:        {"in_port", 0x80000004, 4},
	InPort16:      {"in_port", 0x00000002, 2},
	Metadata:      {"metadata", 0x80000408, 8},
	Reg0:          {"reg0", 0x00010004, 4},
	Reg1:          {"reg1", 0x00010204, 4},
	Reg2:          {"reg2", 0x00010404, 4},
	Reg3:          {"reg3", 0x00010604, 4},
	Reg4:          {"reg4", 0x00010804, 4},
	Reg5:          {"reg5", 0x00010a04, 4},
	Reg6:          {"reg6", 0x00010c04, 4},
	Reg7:          {"reg7", 0x00010e04, 4},
	Reg8:          {"reg8", 0x00011004, 4},
	Reg9:          {"reg9", 0x00011204, 4},
	Reg10:         {"reg10", 0x00011404, 4},
	Reg11:         {"reg11", 0x00011604, 4},
	Reg12:         {"reg12", 0x00011804, 4},
	Reg13:         {"reg13", 0x00011a04, 4},
	Reg14:         {"reg14", 0x00011c04, 4},
	Reg15:         {"reg15", 0x00011e04, 4},
	CTState:       {"ct_state", 0x0001d204, 4},
	CTMark:        {"ct_mark", 0x0001d604, 4},
	CTProto:       {"ct_nw_proto", 0x0001ee01, 1},
	CTSrcPort:     {"ct_tp_src", 0x0001f802, 2},
	CTDstPort:     {"ct_tp_dst", 0x0001fa02, 2},
	EthDst:        {"dl_dst", 0x80000606, 6},
	EthSrc:        {"dl_src", 0x80000806, 6},
	EthType:       {"dl_type", 0x80000a02, 2},
	VLANVID:       {"vlan_vid", 0x80000c02, 2},
	VLANTCI:       {"vlan_tci", 0x00000802, 2},
	ARPOp:         {"arp_op", 0x80002a02, 2},
	ARPSPA:        {"arp_spa", 0x80002c04, 4},
	ARPTPA:        {"arp_tpa", 0x80002e04, 4},
	ARPSHA:        {"arp_sha", 0x80003006, 6},
	ARPTHA:        {"arp_tha", 0x80003206, 6},
	IPProto:       {"nw_proto", 0x80001401, 1},
	IPDSCP:        {"ip_dscp", 0x80001001, 1},
	IPECN:         {"nw_ecn", 0x80001201, 1},
	IPTTL:         {"nw_ttl", 0x00013a01, 1},
	IPFrag:        {"nw_frag", 0x00013401, 1},
	IPv4Src:       {"nw_src", 0x80001604, 4},
	IPv4Dst:       {"nw_dst", 0x80001804, 4},
	IPv6Src:       {"ipv6_src", 0x80003410, 16},
	IPv6Dst:       {"ipv6_dst", 0x80003610, 16},
	IPv6Label:     {"ipv6_label", 0x80003804, 4},
	TCPSrc:        {"tcp_src", 0x80001a02, 2},
	TCPDst:        {"tcp_dst", 0x80001c02, 2},
	TCPFlags:      {"tcp_flags", 0x80005402, 2},
	UDPSrc:        {"udp_src", 0x80001e02, 2},
	UDPDst:        {"udp_dst", 0x80002002, 2},
	SCTPSrc:       {"sctp_src", 0x80002202, 2},
	SCTPDst:       {"sctp_dst", 0x80002402, 2},
	ICMPv4Type:    {"icmp_type", 0x80002601, 1},
	ICMPv4Code:    {"icmp_code", 0x80002801, 1},
	ICMPv6Type:    {"icmpv6_type", 0x80003a01, 1},
	ICMPv6Code:    {"icmpv6_code", 0x80003c01, 1},
	NDTarget:      {"nd_target", 0x80003e10, 16},
	NDSLL:         {"nd_sll", 0x80004006, 6},
	NDTLL:         {"nd_tll", 0x80004206, 6},
	NDReserved:    {"nd_reserved", 0x10000204, 4},
	NDOptionsType: {"nd_options_type", 0x10000401, 1},
}

// Info returns the name, header and size of f.
func (f Field) Info() FieldInfo { return fieldInfo[f] }

// String returns the field's name as ovs-ofctl writes it.
func (f Field) String() string { return fieldInfo[f].Name }

// Value is the value or mask of a field: its octets in network order at the
// start, zeros behind.
type Value [16]byte

// U8 returns a one-octet value.
func U8(v uint8) Value { return Value{v} }

// U16 returns a two-octet value.
func U16(v uint16) (x Value) {
	binary.BigEndian.PutUint16(x[:], v)
	return x
}

// U32 returns a four-octet value.
func U32(v uint32) (x Value) {
	binary.BigEndian.PutUint32(x[:], v)
	return x
}

// U64 returns an eight-octet value.
func U64(v uint64) (x Value) {
	binary.BigEndian.PutUint64(x[:], v)
	return x
}

// Addr returns the value of an address of either family.
func Addr(a netip.Addr) (x Value) {
	copy(x[:], a.AsSlice())
	return x
}

// MAC returns the value of a link-layer address.
func MAC(m wire.MAC) (x Value) {
	copy(x[:], m[:])
	return x
}

// ones returns the mask that covers all n octets of a value.
func ones(n int) (x Value) {
	for i := range n {
		x[i] = 0xff
	}
	return x
}

// prefixMask returns the mask of the first bits of a 16-octet value.
func prefixMask(bits int) (x Value) {
	for i := range bits {
		x[i/8] |= 0x80 >> (i % 8)
	}
	return x
}

// Uint returns the n octets of v as an unsigned number, n <= 8.
func (v Value) Uint(n int) (u uint64) {
	for _, b := range v[:n] {
		u = u<<8 | uint64(b)
	}
	return u
}

// firstReserved16 is the first port number with a meaning of its own among those
// of 16 bits; the low half is that of the number of 32 bits (OpenFlow 1.1 section
// 4.5, nicira-ext.h).
const firstReserved16 = 0xff00

// text renders v as a value of field f in ovs-ofctl's manner.
func (f Field) text(v Value) string {
	switch f {
	case IPv6Src, IPv6Dst, NDTarget:
		return netip.AddrFrom16(v).String()
	case IPv4Src, IPv4Dst, ARPSPA, ARPTPA:
		return netip.AddrFrom4([4]byte(v[:4])).String()
	case EthDst, EthSrc, ARPSHA, ARPTHA, NDSLL, NDTLL:
		return wire.MAC(v[:6]).String()
	case VLANVID, CTProto, CTSrcPort, CTDstPort, ARPOp, ICMPv4Type, ICMPv4Code, SCTPSrc, SCTPDst,
		IPProto, IPTTL, ICMPv6Type, ICMPv6Code, TCPSrc, TCPDst, UDPSrc, UDPDst, NDOptionsType, NDReserved, IPDSCP, IPECN:
		return fmt.Sprint(v.Uint(fieldInfo[f].Size))
	case InPort:
		return portText(uint32(v.Uint(4)))
	case InPort16:
		port := uint32(v.Uint(2))
		if port >= firstReserved16 {
			port |= 0xffff0000
		}
		return portText(port)
	default:
		return hex(v.Uint(fieldInfo[f].Size))
	}
}

// hex is u as C's %#x prints it: zero has no prefix.
func hex(u uint64) string {
	if u == 0 {
		return "0"
	}
	return fmt.Sprintf("%#x", u)
}
