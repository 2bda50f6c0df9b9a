package flows

import (
	"fmt"
	"strings"
)

// Action is one step of a flow's or a bucket's action list. The types below are
// all there are; each is comparable, so two lists are compared with ==.
type Action interface {
	// String renders the action as ovs-ofctl writes it.
	String() string
	action()
}

// Output sends the frame out of a port. Open vSwitch silently leaves out the
// port a frame came in by, which is how floods spare their sender; Port ==
// ToInPort is how a frame goes back on purpose.
type Output struct{ Port uint32 }

// Reserved OpenFlow port numbers (OpenFlow 1.5 section 7.2.1).
const (
	// ToInPort is the port the frame came in by.
	ToInPort uint32 = 0xfffffff8
	// Controller as an ingress port marks a packet-out without one.
	Controller uint32 = 0xfffffffd
	// Local is the bridge's own port.
	Local uint32 = 0xfffffffe
	// NoPort is a bucket's watch port that watches nothing.
	NoPort uint32 = 0xffffffff
)

// Resubmit looks the frame up in another table; the action list goes on after
// what that table did.
type Resubmit struct{ Table uint8 }

// ToGroup hands the frame to a group.
type ToGroup struct{ ID uint32 }

// ThroughMeter passes the frame through a meter, which may drop it.
type ThroughMeter struct{ ID uint32 }

// Punt sends the whole frame to the controller connection with this id
// (Nicira's controller2 action). Userdata is opaque octets held in a string so
// that the action stays comparable.
type Punt struct {
	ID       uint16
	Userdata string
}

// SetField writes the bits of a field that Mask selects.
type SetField struct {
	Field Field
	Value Value
	Mask  Value
}

// DecTTL takes one from the hop limit. Open vSwitch hands a packet whose limit
// is used up to a controller, so a flow drops those above (OpenFlow 1.5 section
// 7.2.6.6).
type DecTTL struct{}

// Move copies one whole field into another of the same size.
type Move struct{ Src, Dst Field }

// MoveBits copies Bits bits of a field, from bit SrcBit on, to another from its
// bit DstBit on; bits count from the least significant one.
type MoveBits struct {
	Src    Field
	SrcBit uint8
	Dst    Field
	DstBit uint8
	Bits   uint8
}

// LongerThan writes to bit Bit of register Reg whether the frame is longer than
// Octets, Ethernet header included (Nicira's check_pkt_larger action).
type LongerThan struct {
	Octets uint16
	Reg    Field
	Bit    uint8
}

// PushVLAN puts a VLAN tag in front of the frame's own content (EtherType 0x8100);
// what VLAN it is of, a SetField of VLANVID says behind it.
type PushVLAN struct{}

// PopVLAN takes the outermost VLAN tag off.
type PopVLAN struct{}

// Track passes the packet through connection tracking in the zone that the low
// 16 bits of register Zone name (Nicira's ct action). With a Table a copy goes
// on there, knowing its connection, and what follows the action is for the
// packet as it was; fragments go on once they are all there. With Commit a
// connection that begins is remembered, and with Marks as well CTMark set to Mark
// for all its packets to come.
type Track struct {
	Zone   Field
	Table  uint8 // 0 for none
	Commit bool
	Marks  bool
	Mark   uint32
}

// Untrack takes from the packet what connection tracking told of it (Nicira's
// ct_clear action): it is untracked again.
type Untrack struct{}

func (Output) action()       {}
func (Resubmit) action()     {}
func (ToGroup) action()      {}
func (ThroughMeter) action() {}
func (Punt) action()         {}
func (SetField) action()     {}
func (DecTTL) action()       {}
func (Move) action()         {}
func (MoveBits) action()     {}
func (LongerThan) action()   {}
func (Track) action()        {}
func (Untrack) action()      {}
func (PushVLAN) action()     {}
func (PopVLAN) action()      {}

// Load returns the action that writes all of f.
func Load(f Field, v Value) SetField { return SetField{f, v, ones(f.Info().Size)} }

// LoadBits returns the action that writes the bits of register f in mask.
func LoadBits(f Field, v, mask uint32) SetField { return SetField{f, U32(v), U32(mask)} }

// String implements Action.
func (a Output) String() string {
	switch a.Port {
	case ToInPort:
		return "IN_PORT"
	case Local:
		return "LOCAL"
	}
	return fmt.Sprintf("output:%d", a.Port)
}

// String implements Action.
func (a Resubmit) String() string { return fmt.Sprintf("resubmit(,%d)", a.Table) }

// String implements Action.
func (a ToGroup) String() string { return fmt.Sprintf("group:%d", a.ID) }

// String implements Action.
func (a ThroughMeter) String() string { return fmt.Sprintf("meter:%d", a.ID) }

// String implements Action.
func (a Punt) String() string {
	data := make([]string, len(a.Userdata))
	for i := range len(a.Userdata) {
		data[i] = fmt.Sprintf("%02x", a.Userdata[i])
	}
	return fmt.Sprintf("controller(id=%d,userdata=%s)", a.ID, strings.Join(data, "."))
}

// String implements Action.
func (a SetField) String() string {
	m := FieldMatch(a)
	v := a.Field.text(a.Value)
	if bits, prefix := maskBits(a.Mask); prefix && a.Field.Info().Size == 16 && bits < 128 {
		v += fmt.Sprintf("/%d", bits)
	} else if !m.Exact() {
		v += "/" + a.Field.text(a.Mask)
	}
	return fmt.Sprintf("set_field:%s->%s", v, setName(a.Field))
}

// String implements Action.
func (DecTTL) String() string { return "dec_ttl" }

// String implements Action.
func (a Move) String() string {
	return fmt.Sprintf("move:%s->%s", nxmName(a.Src), nxmName(a.Dst))
}

// String implements Action.
func (a MoveBits) String() string {
	bits := func(f Field, first uint8) string {
		return fmt.Sprintf("%s[%d..%d]", strings.TrimSuffix(nxmName(f), "[]"), first, first+a.Bits-1)
	}
	return fmt.Sprintf("move:%s->%s", bits(a.Src, a.SrcBit), bits(a.Dst, a.DstBit))
}

// String implements Action.
func (a LongerThan) String() string {
	return fmt.Sprintf("check_pkt_larger(%d)->%s[%d]", a.Octets, strings.ToUpper("nxm_nx_"+a.Reg.String()), a.Bit)
}

// String implements Action.
func (PushVLAN) String() string { return "push_vlan:0x8100" }

// String implements Action.
func (PopVLAN) String() string { return "pop_vlan" }

// String implements Action.
func (a Track) String() string {
	s := "ct("
	if a.Commit {
		s += "commit,"
	}
	if a.Table != 0 {
		s += fmt.Sprintf("table=%d,", a.Table)
	}
	s += fmt.Sprintf("zone=%s[0..15]", strings.ToUpper("nxm_nx_"+a.Zone.String()))
	if a.Marks {
		s += fmt.Sprintf(",exec(%s)", Load(CTMark, U32(a.Mark)))
	}
	return s + ")"
}

// String implements Action.
func (Untrack) String() string { return "ct_clear" }

// setName returns the name ovs-ofctl prints for a field it sets.
func setName(f Field) string {
	switch f {
	case EthDst:
		return "eth_dst"
	case EthSrc:
		return "eth_src"
	case IPv4Src:
		return "ip_src"
	case IPv4Dst:
		return "ip_dst"
	}
	return f.String()
}

// nxmName returns the whole field as ovs-ofctl prints it in a move.
func nxmName(f Field) string {
	switch f {
	case EthDst:
		return "NXM_OF_ETH_DST[]"
	case EthSrc:
		return "NXM_OF_ETH_SRC[]"
	case VLANTCI:
		return "NXM_OF_VLAN_TCI[]"
	case IPTTL:
		return "NXM_NX_IP_TTL[]"
	case TCPSrc, TCPDst, UDPSrc, UDPDst, ARPSPA, ARPTPA:
		return "NXM_OF_" + strings.ToUpper(f.String()) + "[]"
	case NDReserved, NDOptionsType:
		return "ERICOXM_OF_ICMPV6_" + strings.ToUpper(f.String()) + "[]"
	}
	return "NXM_NX_" + strings.ToUpper(f.String()) + "[]"
}

// portText returns the name of a reserved port or the number.
func portText(p uint32) string {
	switch p {
	case ToInPort:
		return "IN_PORT"
	case Local:
		return "LOCAL"
	case Controller:
		return "CONTROLLER"
	}
	return fmt.Sprint(p)
}

// actionsText renders an action list; an empty one drops.
func actionsText(actions []Action) string {
	if len(actions) == 0 {
		return "drop"
	}
	s := make([]string, len(actions))
	for i, a := range actions {
		s[i] = a.String()
	}
	return strings.Join(s, ",")
}
