package openflow

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/digitalocean/go-openvswitch/ovs"

	"damselfly/flows"
)

// inWords renders a flow with go-openvswitch's types, the text oracle of the
// wire encoding. What the library has no type for is a said.
func inWords(f *flows.Flow) (string, error) {
	out := ovs.Flow{Priority: int(f.Priority), Table: int(f.Table), Cookie: uint64(f.Cookie)}
	for _, m := range f.Match {
		out.Matches = append(out.Matches, matchInWords(f, m))
	}
	for _, a := range f.Actions {
		out.Actions = append(out.Actions, actionInWords(a))
	}
	if len(f.Actions) == 0 {
		out.Actions = []ovs.Action{ovs.Drop()}
	}
	text, err := out.MarshalText()
	return string(text), err
}

// said is a Match or an Action that is its own text.
type said string

func (s said) MarshalText() ([]byte, error) { return []byte(s), nil }
func (s said) GoString() string             { return string(s) }

func matchInWords(f *flows.Flow, m flows.FieldMatch) ovs.Match {
	size := m.Field.Info().Size
	v, mask := m.Value.Uint(min(size, 8)), m.Mask.Uint(min(size, 8))
	switch m.Field {
	case flows.InPort:
		if uint32(v) == flows.Local {
			return said("in_port=LOCAL")
		}
		return ovs.InPortMatch(int(v))
	case flows.Metadata:
		return ovs.MetadataWithMask(v, mask)
	case flows.EthDst:
		return ovs.DataLinkDestination(inWordsMasked(m))
	case flows.EthSrc:
		return ovs.DataLinkSource(inWordsMasked(m))
	case flows.EthType:
		return ovs.DataLinkType(uint16(v))
	case flows.VLANVID:
		switch {
		case v == 0:
			return ovs.DataLinkVLAN(ovs.VLANNone)
		case m.Exact():
			return ovs.DataLinkVLAN(int(v & 0xfff))
		}
		return ovs.VLANTCI(uint16(v), uint16(mask))
	case flows.IPProto:
		return ovs.NetworkProtocol(uint8(v))
	case flows.IPDSCP:
		return ovs.NetworkTOS(int(v << 2))
	case flows.IPECN:
		return ovs.NetworkECN(int(v))
	case flows.IPTTL:
		return ovs.NetworkTTL(int(v))
	case flows.IPFrag:
		if !m.Exact() {
			return ovs.IPFrag(ovs.IPFragFlagYes)
		}
		return ovs.IPFrag(map[uint64]ovs.IPFragFlag{0: ovs.IPFragFlagNo, 1: ovs.IPFragFlagFirst, 3: ovs.IPFragFlagLater}[v])
	case flows.IPv6Label:
		return ovs.IPv6Label(uint32(v), uint32(mask&0xfffff))
	}
	return upperInWords(f, m, v, mask)
}

// upperInWords is matchInWords from the addresses up.
func upperInWords(f *flows.Flow, m flows.FieldMatch, v, mask uint64) ovs.Match {
	text := inWordsMasked(m)
	cidr := !strings.Contains(text, "/") || !strings.Contains(text[strings.Index(text, "/"):], ":")
	switch m.Field {
	case flows.IPv6Src:
		if cidr {
			return ovs.IPv6Source(text)
		}
	case flows.IPv6Dst:
		if cidr {
			return ovs.IPv6Destination(text)
		}
	case flows.NDTarget:
		if cidr {
			return ovs.NeighborDiscoveryTarget(text)
		}
	case flows.TCPSrc:
		return ovs.TransportSourceMaskedPort(uint16(v), uint16(mask))
	case flows.TCPDst:
		return ovs.TransportDestinationMaskedPort(uint16(v), uint16(mask))
	case flows.UDPSrc:
		return ovs.UDPSourcePort(uint16(v))
	case flows.UDPDst:
		return ovs.UDPDestinationPort(uint16(v))
	case flows.ICMPv6Type:
		return ovs.ICMP6Type(uint8(v))
	case flows.ICMPv6Code:
		return ovs.ICMP6Code(uint8(v))
	case flows.NDSLL:
		if m.Exact() {
			return ovs.NeighborDiscoverySourceLinkLayer(m.Value[:6])
		}
	case flows.NDTLL:
		if m.Exact() {
			return ovs.NeighborDiscoveryTargetLinkLayer(m.Value[:6])
		}
	}
	return ovs.FieldMatch(m.Field.String(), text)
}

// inWordsMasked renders value and mask of a field.
func inWordsMasked(m flows.FieldMatch) string {
	size := m.Field.Info().Size
	one := func(v flows.Value) string {
		switch {
		case size == 16:
			return netip.AddrFrom16(v).String()
		case m.Field == flows.IPv4Src || m.Field == flows.IPv4Dst || m.Field == flows.ARPSPA || m.Field == flows.ARPTPA:
			return netip.AddrFrom4([4]byte(v[:4])).String()
		case size == 6:
			return net.HardwareAddr(v[:6]).String()
		}
		return fmt.Sprintf("%#x", v.Uint(size))
	}
	if m.Exact() {
		return one(m.Value)
	}
	if size == 16 {
		if ones, bits := net.IPMask(m.Mask[:]).Size(); bits != 0 {
			return fmt.Sprintf("%s/%d", one(m.Value), ones)
		}
	}
	return one(m.Value) + "/" + one(m.Mask)
}

func actionInWords(a flows.Action) ovs.Action {
	switch a := a.(type) {
	case flows.Output:
		switch a.Port {
		case flows.ToInPort:
			return ovs.InPort()
		case flows.Local:
			return ovs.Local()
		}
		return ovs.Output(int(a.Port))
	case flows.Resubmit:
		return ovs.Resubmit(0, int(a.Table))
	case flows.ToGroup:
		return said(fmt.Sprintf("group:%d", a.ID))
	case flows.ThroughMeter:
		return said(fmt.Sprintf("meter:%d", a.ID))
	case flows.Punt:
		text := fmt.Sprintf("controller(max_len=65535,id=%d", a.ID)
		if a.Userdata != "" {
			text += ",userdata=" + strings.ReplaceAll(fmt.Sprintf("% x", a.Userdata), " ", ".")
		}
		return said(text + ")")
	case flows.SetField:
		return ovs.SetField(inWordsMasked(flows.FieldMatch(a)), a.Field.String())
	case flows.Move:
		return ovs.Move(a.Src.String()+"[]", a.Dst.String()+"[]")
	case flows.DecTTL:
		return ovs.DecTTL()
	case flows.PushVLAN:
		return said("push_vlan:0x8100")
	case flows.PopVLAN:
		return said("pop_vlan")
	case flows.Track:
		words := []string{fmt.Sprintf("zone=%s[0..15]", a.Zone)}
		if a.Commit {
			words = append(words, "commit")
		}
		if a.Table != 0 {
			words = append(words, fmt.Sprintf("table=%d", a.Table))
		}
		if a.Marks {
			words = append(words, fmt.Sprintf("exec(set_field:%d->ct_mark)", a.Mark))
		}
		return ovs.ConnectionTracking(strings.Join(words, ","))
	case flows.Untrack:
		return said("ct_clear")
	case flows.LongerThan:
		return said(fmt.Sprintf("check_pkt_larger(%d)->%s[%d]", a.Octets, a.Reg, a.Bit))
	}
	panic(fmt.Sprintf("no words for %T", a))
}
