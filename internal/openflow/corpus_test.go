package openflow

import (
	"net/netip"

	"damselfly/flows"
	"damselfly/internal/punt"
	"damselfly/internal/wire"
)

var (
	macA  = wire.MAC{2, 0, 0, 0, 0, 0x11}
	macB  = wire.MAC{2, 0, 0, 0, 0, 0x22}
	addrA = netip.MustParseAddr("fd00:b1::11")
	addrB = netip.MustParseAddr("fd00:b1::22")
)

// corpusGroups are groups of every type, buckets with and without what is optional.
func corpusGroups() []flows.Group {
	return []flows.Group{
		{ID: 1, Type: flows.All},
		{ID: 2, Type: flows.All, Buckets: []flows.Bucket{
			{ID: 7, WatchPort: flows.NoPort, WatchGroup: flows.NoGroup, Actions: []flows.Action{flows.LoadBits(flows.Reg2, 7, 0xffffffff), flows.Resubmit{Table: 70}}},
			{ID: 9, WatchPort: flows.NoPort, WatchGroup: flows.NoGroup, Actions: []flows.Action{flows.Output{Port: 3}}},
		}},
		{ID: 3, Type: flows.Select, Buckets: []flows.Bucket{
			{ID: 0, WatchPort: flows.NoPort, WatchGroup: flows.NoGroup, Weight: 1, Actions: []flows.Action{flows.Resubmit{Table: 21}}},
			{ID: 1, WatchPort: flows.NoPort, WatchGroup: flows.NoGroup, Weight: 5, Actions: []flows.Action{flows.Resubmit{Table: 26}}},
		}},
		{ID: 4, Type: flows.FastFailover, Buckets: []flows.Bucket{
			{ID: 1, WatchPort: 4, WatchGroup: flows.NoGroup, Actions: []flows.Action{flows.Resubmit{Table: 30}}},
			{ID: 2, WatchPort: 3, WatchGroup: flows.NoGroup, Actions: []flows.Action{flows.Resubmit{Table: 31}}},
			{ID: 3, WatchPort: flows.NoPort, WatchGroup: 2, Actions: []flows.Action{flows.ToGroup{ID: 2}}},
		}},
		{ID: 5, Type: flows.Indirect, Buckets: []flows.Bucket{{ID: 0, WatchPort: flows.NoPort, WatchGroup: flows.NoGroup, Actions: []flows.Action{flows.Output{Port: flows.ToInPort}}}}},
	}
}

func corpusMeters() []flows.Meter {
	return []flows.Meter{{ID: 1, Rate: 200, Burst: 400}, {ID: 255, Rate: 1, Burst: 1}, {ID: 200000, Rate: 100000, Burst: 65000}}
}

// corpusFlows uses every field and every action, exact and masked where both are
// possible.
func corpusFlows() []flows.Flow {
	ns := flows.Match{}.ND(135)
	na := flows.Match{}.ND(136)
	v6 := flows.Match{}.IPv6()
	v4 := flows.Match{}.With(flows.EthType, flows.U16(0x0800))
	tcp, udp := flows.Match{}.Proto(6), flows.Match{}.Proto(17)
	any := netip.MustParsePrefix("ff02::/16")
	matches := []flows.Match{
		nil,
		flows.Match{}.With(flows.InPort, flows.U32(7)),
		flows.Match{}.With(flows.InPort, flows.U32(flows.Local)),
		flows.Match{}.On(9),
		flows.Match{}.WithMask(flows.Metadata, flows.U64(1<<63|5), flows.U64(1<<63|0xff)),
		flows.Match{}.From(12).On(3),
		flows.Match{}.WithMask(flows.Reg3, flows.U32(5), flows.U32(0xf)),
		flows.Match{}.With(flows.Reg2, flows.U32(0)).With(flows.Reg15, flows.U32(0xdeadbeef)).WithMask(flows.Reg14, flows.U32(0x100), flows.U32(0x100)),
		flows.Match{}.EthDst(macA).EthSrc(macB),
		flows.Match{}.WithMask(flows.EthDst, flows.MAC(wire.MAC{1}), flows.MAC(wire.MAC{1})),
		flows.Match{}.With(flows.EthType, flows.U16(0x0806)),
		flows.Match{}.With(flows.EthType, flows.U16(0x0800)),
		flows.Match{}.With(flows.EthType, flows.U16(0x88cc)),
		flows.Match{}.With(flows.VLANVID, flows.U16(0)),
		flows.Match{}.With(flows.VLANVID, flows.U16(0x1000|100)),
		flows.Match{}.WithMask(flows.VLANVID, flows.U16(0x1000), flows.U16(0x1000)),
		v6, v6.Src(addrA).Dst(addrB), v6.DstIn(any), v6.SrcIn(netip.MustParsePrefix("fd00:b1::/64")),
		v6.WithMask(flows.IPv6Dst, flows.Value{15: 1}, flows.Value{0: 0xff, 15: 0xff}),
		v6.With(flows.IPProto, flows.U8(0)), v6.With(flows.IPProto, flows.U8(59)),
		v6.With(flows.IPDSCP, flows.U8(46)), v6.With(flows.IPECN, flows.U8(1)), v6.With(flows.IPTTL, flows.U8(255)),
		v6.With(flows.IPv6Label, flows.U32(0x12345)), v6.WithMask(flows.IPv6Label, flows.U32(0x5), flows.U32(0xff)),
		v6.With(flows.IPFrag, flows.U8(0)), v6.With(flows.IPFrag, flows.U8(3)), v6.With(flows.IPFrag, flows.U8(1)),
		v6.WithMask(flows.IPFrag, flows.U8(1), flows.U8(1)),
		tcp.WithMask(flows.TCPFlags, flows.U16(2), flows.U16(0x12)), tcp.With(flows.TCPDst, flows.U16(80)).WithMask(flows.TCPFlags, flows.U16(0), flows.U16(2)),
		tcp.With(flows.TCPSrc, flows.U16(80)), tcp.WithMask(flows.TCPDst, flows.U16(0x1000), flows.U16(0xf000)),
		udp.With(flows.UDPSrc, flows.U16(546)).With(flows.UDPDst, flows.U16(547)),
		flows.Match{}.ICMPv6(128), flows.Match{}.ICMPv6(133).With(flows.ICMPv6Code, flows.U8(0)),
		v6.State(0x20, 0x10).With(flows.CTProto, flows.U8(6)).WithMask(flows.CTDstPort, flows.U16(80), flows.U16(0xfff0)),
		v6.State(0x21, 0x1e).With(flows.CTProto, flows.U8(58)).With(flows.CTSrcPort, flows.U16(128)).With(flows.CTDstPort, flows.U16(0)),
		flows.Match{}.State(0, 0x20), flows.Match{}.State(0x30, 0).With(flows.CTMark, flows.U32(5)),
		v4.With(flows.IPv4Src, flows.Addr(netip.MustParseAddr("10.0.0.1"))).WithMask(flows.IPv4Dst, flows.Addr(netip.MustParseAddr("10.0.0.0")), flows.Value{0xff}),
		v4.With(flows.IPProto, flows.U8(1)).With(flows.ICMPv4Type, flows.U8(8)).With(flows.ICMPv4Code, flows.U8(0)),
		v4.With(flows.IPProto, flows.U8(6)).With(flows.TCPDst, flows.U16(22)),
		v6.With(flows.IPProto, flows.U8(132)).WithMask(flows.SCTPDst, flows.U16(80), flows.U16(0xfff0)),
		flows.Match{}.With(flows.EthType, flows.U16(0x0806)).With(flows.ARPOp, flows.U16(1)).With(flows.ARPSPA, flows.U32(0x0a000001)).
			With(flows.ARPTPA, flows.U32(0x0a000002)).With(flows.ARPSHA, flows.MAC(macA)).With(flows.ARPTHA, flows.MAC(macA)),
		ns.With(flows.NDTarget, flows.Addr(addrA)), ns.With(flows.NDSLL, flows.MAC(macA)).From(4).On(2),
		ns.WithMask(flows.NDTarget, flows.Addr(netip.MustParseAddr("fd00:b1::")), flows.Value{0xff, 0xff, 0xff, 0xff}),
		na.With(flows.NDTLL, flows.MAC(macA)), ns.WithMask(flows.NDSLL, flows.MAC(wire.MAC{}), flows.MAC(wire.MAC{1})),
		ns.With(flows.NDReserved, flows.U32(0)), na.With(flows.NDReserved, flows.U32(0xe0000000)),
		ns.With(flows.NDOptionsType, flows.U8(1)), na.With(flows.NDOptionsType, flows.U8(2)),
	}
	var out []flows.Flow
	for i, m := range matches {
		out = append(out, flows.Flow{Table: 40, Priority: uint16(100 + i), Cookie: flows.Cookie(flows.Owner | uint64(i)), Match: m})
	}
	for i, a := range corpusActions() {
		f := flows.Flow{Table: 41, Priority: uint16(100 + i), Cookie: flows.Cookie(flows.Owner | 1<<40 | uint64(i)), Actions: []flows.Action{a}}
		switch s := a.(type) {
		case flows.DecTTL, flows.Track:
			f.Match = flows.Match{}.IPv6()
		case flows.PopVLAN:
			f.Match = tagged
		case flows.SetField:
			f.Match = prerequisite(s.Field)
		case flows.Move:
			if f.Match = prerequisite(s.Src); f.Match == nil {
				f.Match = prerequisite(s.Dst)
			}
		}
		out = append(out, f)
	}
	return append(out, flows.Flow{Table: 42, Priority: 65535, Cookie: ^flows.Cookie(0), Match: ns, Actions: corpusAnswer()})
}

// tagged matches every tagged frame.
var tagged = flows.Match{}.WithMask(flows.VLANVID, flows.U16(0x1000), flows.U16(0x1000))

// prerequisite is the match under which a field exists.
func prerequisite(f flows.Field) flows.Match {
	switch f {
	case flows.IPv6Src, flows.IPv6Dst, flows.IPv6Label, flows.IPTTL, flows.IPDSCP, flows.IPECN:
		return flows.Match{}.IPv6()
	case flows.ICMPv6Type, flows.ICMPv6Code:
		return flows.Match{}.Proto(58)
	case flows.NDTarget, flows.NDSLL, flows.NDReserved, flows.NDOptionsType:
		return flows.Match{}.ND(135)
	case flows.NDTLL:
		return flows.Match{}.ND(136)
	case flows.UDPSrc:
		return flows.Match{}.Proto(17)
	case flows.VLANVID:
		return tagged
	}
	return nil
}

func corpusActions() []flows.Action {
	return []flows.Action{
		flows.Output{Port: 3}, flows.Output{Port: flows.ToInPort}, flows.Output{Port: flows.Local},
		flows.Resubmit{Table: 50}, flows.ToGroup{ID: 2}, flows.ThroughMeter{ID: 255},
		flows.Punt{ID: punt.ControllerID}, flows.Punt{ID: punt.ControllerID + 3, Userdata: "\x01\x02\xff"},
		flows.Punt{ID: 1, Userdata: "\x01234567890123456789"},
		flows.Load(flows.Metadata, flows.U64(77)), flows.Load(flows.Reg0, flows.U32(7)), flows.LoadBits(flows.Reg3, 4, 4),
		flows.LoadBits(flows.Reg15, 0, 0xffff0000),
		flows.Load(flows.EthDst, flows.MAC(macA)), flows.Load(flows.EthSrc, flows.MAC(macB)),
		flows.SetField{Field: flows.EthDst, Value: flows.MAC(wire.MAC{5: 0x11}), Mask: flows.MAC(wire.MAC{5: 0xff})},
		flows.Load(flows.IPv6Src, flows.Addr(addrA)), flows.Load(flows.IPv6Dst, flows.Addr(addrB)),
		flows.SetField{Field: flows.IPv6Dst, Value: flows.Value{0xff, 2}, Mask: flows.Value{0xff, 0xff}},
		flows.Load(flows.IPv6Label, flows.U32(0)), flows.Load(flows.IPTTL, flows.U8(255)),
		flows.Load(flows.IPDSCP, flows.U8(0)), flows.Load(flows.IPECN, flows.U8(0)),
		flows.Load(flows.ICMPv6Type, flows.U8(136)), flows.Load(flows.ICMPv6Code, flows.U8(0)),
		flows.Load(flows.NDTarget, flows.Addr(addrA)), flows.Load(flows.NDSLL, flows.MAC(macA)), flows.Load(flows.NDTLL, flows.MAC(macA)),
		flows.Load(flows.NDReserved, flows.U32(0xe0000000)), flows.Load(flows.NDOptionsType, flows.U8(2)),
		flows.Load(flows.UDPSrc, flows.U16(547)),
		flows.Move{Src: flows.EthSrc, Dst: flows.EthDst}, flows.Move{Src: flows.IPv6Src, Dst: flows.IPv6Dst},
		flows.Move{Src: flows.NDTarget, Dst: flows.IPv6Src},
		flows.Move{Src: flows.Reg0, Dst: flows.Reg2}, flows.Move{Src: flows.Reg4, Dst: flows.NDReserved},
		flows.Move{Src: flows.UDPSrc, Dst: flows.UDPDst}, flows.Move{Src: flows.NDOptionsType, Dst: flows.IPTTL},
		flows.Move{Src: flows.NDSLL, Dst: flows.EthDst},
		flows.LongerThan{Octets: 86, Reg: flows.Reg3, Bit: 8}, flows.LongerThan{Octets: 1514, Reg: flows.Reg15, Bit: 31},
		flows.DecTTL{}, flows.PushVLAN{}, flows.PopVLAN{}, flows.Load(flows.VLANVID, flows.U16(0x1000|100)),
		flows.Track{Zone: flows.Reg0, Table: 41}, flows.Track{Zone: flows.Reg2, Commit: true}, flows.Track{Zone: flows.Reg15, Table: 65, Commit: true},
		flows.Track{Zone: flows.Reg0, Commit: true, Marks: true, Mark: 1}, flows.Track{Zone: flows.Reg2, Commit: true, Marks: true},
		flows.Untrack{},
	}
}

// corpusAnswer is a list like that of a flow that answers a Neighbor Solicitation.
func corpusAnswer() []flows.Action {
	return []flows.Action{
		flows.ThroughMeter{ID: 1}, flows.Move{Src: flows.EthSrc, Dst: flows.EthDst}, flows.Load(flows.EthSrc, flows.MAC(macA)),
		flows.Move{Src: flows.IPv6Src, Dst: flows.IPv6Dst}, flows.Load(flows.IPv6Src, flows.Addr(addrA)),
		flows.LongerThan{Octets: 86, Reg: flows.Reg3, Bit: 9}, flows.Load(flows.ICMPv6Type, flows.U8(136)),
		flows.ToGroup{ID: 3}, flows.Resubmit{Table: 24}, flows.Output{Port: flows.ToInPort},
		flows.Punt{ID: punt.ControllerID + 1, Userdata: "\x01"},
	}
}
