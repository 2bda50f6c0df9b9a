package flows

import (
	"fmt"
	"strings"

	"damselfly/internal/punt"
)

// packet is a frame as its header fields; a field that is not there reads as
// zero, as Open vSwitch reads it.
type packet struct {
	fields [Fields]Value
	octets uint16
}

func (p packet) set(f Field, v Value) packet {
	p.fields[f] = v
	return p
}

// fakeSwitch runs frames through a Set one rule at a time: the slow, obvious
// twin of a switch.
type fakeSwitch struct {
	*Set
	// dead are the ports whose carrier is down.
	dead map[uint32]bool
	// trace is what happened, in order: `out PORT`, `answer`, `punt CLASS lane N`,
	// or the name of the role that dropped.
	trace []string
	// left are the frames that left, in the order of the trace's outs and answers.
	left []packet
	// trouble is that of the last frame that was handed over.
	trouble punt.Trouble
	// states is what conntrack of a zone says of any packet; a connection that begins where there is none.
	states map[uint32]uint32
	// depth guards against a loop.
	depth int
	// tables are the flows of the Set by table, sorted out when they are first asked.
	tables map[uint8][]*Flow
}

// run sends one frame in and returns the trace, words joined by commas.
func (s *fakeSwitch) run(p packet) string {
	s.trace, s.left, s.depth = nil, nil, 0
	s.table(TableClassify, &p)
	return strings.Join(s.trace, ", ")
}

func (s *fakeSwitch) note(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf(format, args...))
}

// table looks the frame up: the highest priority that matches.
func (s *fakeSwitch) table(t uint8, p *packet) {
	if s.depth++; s.depth > 4096 {
		panic("a loop, or more resubmits than Open vSwitch allows")
	}
	var best *Flow
	if s.tables == nil {
		s.tables = map[uint8][]*Flow{}
		for _, f := range s.Flows {
			s.tables[f.Table] = append(s.tables[f.Table], f)
		}
	}
	for _, f := range s.tables[t] {
		if f.Match.covers(p) && (best == nil || f.Priority > best.Priority) {
			best = f
		}
	}
	switch {
	case best == nil:
		s.note("miss in table %d", t)
	case t == TableDropped:
		s.note("%s", Role(p.fields[regDrop].Uint(4)))
	case len(best.Actions) == 0:
		s.note("%s", best.Cookie.Role())
	default:
		s.actions(best.Actions, p)
	}
}

// covers reports whether a frame has what m asks for.
func (m Match) covers(p *packet) bool {
	for _, e := range m {
		for i, b := range p.fields[e.Field] {
			if b&e.Mask[i] != e.Value[i] {
				return false
			}
		}
	}
	return true
}

func (s *fakeSwitch) actions(actions []Action, p *packet) {
	for _, a := range actions {
		switch a := a.(type) {
		case Output:
			s.output(a.Port, p)
		case Resubmit:
			s.table(a.Table, p)
		case ToGroup:
			s.group(s.Groups[a.ID], *p)
		case Punt:
			s.trouble = punt.Trouble(p.fields[regTrouble].Uint(4))
			class := punt.Class(p.fields[regClass].Uint(4))
			s.note("punt %s lane %d", class, a.ID-punt.ControllerID)
		case SetField:
			v := &p.fields[a.Field]
			for i := range v {
				v[i] = v[i]&^a.Mask[i] | a.Value[i]&a.Mask[i]
			}
			switch a.Field {
			case InPort16:
				p.fields[InPort] = U32(uint32(a.Value.Uint(2)))
			case VLANVID:
				p.fields[VLANTCI] = a.Value
			}
		case DecTTL:
			ttl := &p.fields[IPTTL][0]
			if *ttl <= 1 {
				s.note("hop limit used up")
				return
			}
			*ttl--
		case PushVLAN:
			p.fields[VLANVID], p.fields[VLANTCI] = U16(vlanPresent), U16(vlanPresent)
		case PopVLAN:
			p.fields[VLANVID], p.fields[VLANTCI] = Value{}, Value{}
		case Move:
			p.fields[a.Dst] = p.fields[a.Src]
		case MoveBits:
			s.moveBits(a, p)
		case LongerThan:
			reg := uint32(p.fields[a.Reg].Uint(4)) &^ (1 << a.Bit)
			if p.octets > a.Octets {
				reg |= 1 << a.Bit
			}
			p.fields[a.Reg] = U32(reg)
		case Track:
			s.track(a, *p)
		case Untrack:
			for _, f := range []Field{CTState, CTMark, CTProto, CTSrcPort, CTDstPort} {
				p.fields[f] = Value{}
			}
		case ThroughMeter:
		}
	}
}

// moveBits copies bits; what of a tag it writes is also in the tag's other field.
func (s *fakeSwitch) moveBits(a MoveBits, p *packet) {
	from, to := a.Src.Info().Size, a.Dst.Info().Size
	mask := uint64(1)<<a.Bits - 1
	v := p.fields[a.Src].Uint(from) >> a.SrcBit & mask
	v = p.fields[a.Dst].Uint(to)&^(mask<<a.DstBit) | v<<a.DstBit
	if to == 2 {
		p.fields[a.Dst] = U16(uint16(v))
	} else {
		p.fields[a.Dst] = U32(uint32(v))
	}
	if a.Dst == VLANTCI {
		p.fields[VLANVID] = U16(vlanPresent | uint16(v)&0xfff)
	}
}

// group runs a group's buckets, each on a copy.
func (s *fakeSwitch) group(g *Group, p packet) {
	for _, b := range g.Buckets {
		if g.Type == FastFailover && s.dead[b.WatchPort] {
			continue
		}
		frame := p
		s.actions(b.Actions, &frame)
		if g.Type != All {
			return
		}
	}
}

// output leaves out the port the frame came in by, as Open vSwitch does.
func (s *fakeSwitch) output(port uint32, p *packet) {
	in := uint32(p.fields[InPort].Uint(4))
	// The punt port of every env; a tag is a guest's only where it came in with it.
	key := p.fields[regPort].Uint(4)
	switch {
	case port == in:
		return
	case port == envs["port"].PulsePort:
		s.note("punt %s lane %d", punt.Class(p.fields[regClass].Uint(4)), key&punt.LaneMask)
		s.left = append(s.left, *p)
		return
	}
	switch port {
	case ToInPort:
		s.note("answer")
	default:
		s.note("out %s", portText(port))
	}
	s.left = append(s.left, *p)
}

// track goes on with a copy that knows its connection.
func (s *fakeSwitch) track(a Track, p packet) {
	zone := uint32(p.fields[a.Zone].Uint(4)) & 0xffff
	if a.Commit {
		s.note("commit %d", zone)
	}
	if a.Table == 0 {
		return
	}
	state, ok := s.states[zone]
	if !ok {
		state = ctNew
	}
	p.fields[CTState] = U32(state | ctTrk)
	proto := p.fields[IPProto]
	p.fields[CTProto] = proto
	p.fields[CTSrcPort], p.fields[CTDstPort] = p.fields[TCPSrc], p.fields[TCPDst]
	switch proto[0] {
	case protoUDP:
		p.fields[CTSrcPort], p.fields[CTDstPort] = p.fields[UDPSrc], p.fields[UDPDst]
	case protoSCTP:
		p.fields[CTSrcPort], p.fields[CTDstPort] = p.fields[SCTPSrc], p.fields[SCTPDst]
	case protoICMP:
		p.fields[CTSrcPort], p.fields[CTDstPort] = U16(uint16(p.fields[ICMPv4Type][0])), U16(uint16(p.fields[ICMPv4Code][0]))
	case protoICMPv6:
		p.fields[CTSrcPort], p.fields[CTDstPort] = U16(uint16(p.fields[ICMPv6Type][0])), U16(uint16(p.fields[ICMPv6Code][0]))
	}
	s.table(a.Table, &p)
}
