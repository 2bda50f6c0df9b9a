package explain

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"damselfly/flows"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// Switch answers the commands of ovs-vswitchd: a *unixctl.Conn.
type Switch interface {
	// Call runs one of them and returns what it prints.
	Call(ctx context.Context, command string, args ...string) (string, error)
}

// nothing is an action without an effect: no flow looks at the register behind it.
const nothing = "set_field:0->reg15"

// mostTraces bounds how often a trace is taken up again: our tables need four for
// each copy of the frame.
const mostTraces = 64

// trace asks the switch for the way of a frame that comes in by a port.
//
// A trace of a frame carries its actions out, but for outputs: Damselfly would
// get it, and answer; connections would begin. So the frame itself is only shown
// to actions that do nothing, for the switch to read its headers, and what is
// traced are these. (An empty list of actions will not do: Open vSwitch takes it
// for none, and looks the flows up.)
//
// A sub-port's frame comes in with its tag, which the first table takes off:
// where a trace is taken up again, it is without.
func trace(ctx context.Context, p *topology.Port, frame []byte, x index, o *Options, groups map[uint32]*flows.Group) (*way, error) {
	sw, bridge := o.Switch, o.Bridge
	in := "in_port=" + strconv.FormatUint(uint64(p.OFPort), 10)
	if p.OFPort == flows.Local {
		in = "in_port=LOCAL"
	}
	headers, err := shown(ctx, sw, bridge, in, frame)
	if err != nil {
		return nil, err
	}
	first := headers
	if p.VLAN != 0 {
		if first, err = shown(ctx, sw, bridge, in, tag(frame, p.VLAN)); err != nil {
			return nil, err
		}
	}
	w := &way{}
	r := &reader{way: w, index: x, groups: groups, octets: len(frame), puntPort: o.Env.PulsePort, registers: registers{}, addresses: addresses{}}
	text, err := sw.Call(ctx, "ofproto/trace", bridge, first)
	if err != nil {
		return nil, err
	}
	for range mostTraces {
		next := r.read(text)
		if next == nil {
			if len(r.tracked) == 0 {
				return w, nil
			}
			next, r.tracked = &r.tracked[0], r.tracked[1:]
		}
		r.registers, r.addresses, r.scopes, r.forked = next.registers, next.addresses, nil, false
		from := headers
		if next.tracked {
			from += "," + connection(headers)
		}
		if text, err = sw.Call(ctx, "ofproto/trace-packet-out", bridge, from, next.actions()); err != nil {
			return nil, err
		}
	}
	w.notes = append(w.notes, fmt.Sprintf("the trace was given up after %d times: what is said here is not all", mostTraces))
	return w, nil
}

// shown asks the switch what it reads of a frame.
func shown(ctx context.Context, sw Switch, bridge, in string, frame []byte) (headers string, err error) {
	text, err := sw.Call(ctx, "ofproto/trace-packet-out", bridge, in, hex.EncodeToString(frame), nothing)
	if err != nil {
		return "", err
	}
	return headersOf(text, frame)
}

// headersOf is what the switch read of a frame, in words that it understands.
func headersOf(text string, frame []byte) (string, error) {
	line, _, _ := strings.Cut(text, "\n")
	headers, ok := strings.CutPrefix(line, "Flow: ")
	if !ok {
		return "", fmt.Errorf("the switch does not say what it reads of the frame: %q", line)
	}
	fields := strings.Split(headers, ",")
	protocol := fields[0]
	fields = slices.DeleteFunc(fields, func(f string) bool { return unread.MatchString(f) })
	for i, f := range fields {
		fields[i] = renamed(protocol, f)
	}
	// Of IGMP it writes ports that nothing can match.
	fields = slices.DeleteFunc(fields, func(f string) bool { return strings.HasPrefix(f, "tp_") })
	// What Open vSwitch's own extensions see of Neighbor Discovery is not in it.
	if strings.Contains(headers, ",nd_target=") {
		other := "nd_tll=" // the option that a solicitation has no field for
		if strings.Contains(headers, ",icmp_type=136,") {
			other = "nd_sll="
		}
		fields = slices.DeleteFunc(fields, func(f string) bool { return strings.HasPrefix(f, other) })
		if icmp := message(frame); len(icmp) >= 8 {
			fields = append(fields, fmt.Sprintf("nd_reserved=%#x", binary.BigEndian.Uint32(icmp[4:])))
			if typ := linkLayerOption(icmp); typ != 0 {
				fields = append(fields, fmt.Sprintf("nd_options_type=%d", typ))
			}
		}
	}
	return strings.Join(fields, ","), nil
}

// connection is what connection tracking would know of a frame with these headers
// that is the first of its connection.
func connection(headers string) string {
	fields := strings.Split(headers, ",")
	out := []string{"ct_state=trk|new"}
	number := map[string]int{"tcp": 6, "tcp6": 6, "udp": 17, "udp6": 17, "sctp": 132, "sctp6": 132, "icmp": 1, "icmp6": 58}[fields[0]]
	if number == 0 {
		return out[0]
	}
	out = append(out, fmt.Sprintf("ct_nw_proto=%d", number))
	for _, f := range fields {
		switch name, value, _ := strings.Cut(f, "="); name {
		case "nw_src", "nw_dst", "ipv6_src", "ipv6_dst":
			out = append(out, "ct_"+f)
		case "icmp_type", "icmpv6_type", "tcp_src", "udp_src", "sctp_src":
			out = append(out, "ct_tp_src="+value)
		case "icmp_code", "icmpv6_code", "tcp_dst", "udp_dst", "sctp_dst":
			out = append(out, "ct_tp_dst="+value)
		}
	}
	return strings.Join(out, ",")
}

// unread is a field of a second VLAN tag, which a switch writes and does not read.
var unread = regexp.MustCompile(`^(vlan_tci|dl_vlan|dl_vlan_pcp)[0-9]=`)

// renamed gives a field the name that is read with a protocol: a switch writes
// them as of TCP and ICMP for IPv4.
func renamed(protocol, field string) string {
	for _, prefix := range []string{"tp_", "icmp_"} {
		rest, ok := strings.CutPrefix(field, prefix)
		if !ok {
			continue
		}
		switch protocol {
		case "tcp", "tcp6", "udp", "udp6", "sctp", "sctp6":
			return strings.TrimSuffix(protocol, "6") + "_" + rest
		case "icmp6":
			return "icmpv6_" + rest
		}
	}
	return field
}

// message returns the ICMPv6 message of a frame, nil if there is none.
func message(frame []byte) []byte {
	var p wire.Packet
	if wire.Cut(frame, &p) == wire.FaultNone && p.Protocol == wire.ProtocolICMPv6 {
		return p.Payload
	}
	// What no handler would read any further a switch does.
	if l := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy).Layer(layers.LayerTypeICMPv6); l != nil {
		return slices.Concat(l.LayerContents(), l.LayerPayload())
	}
	return nil
}

// linkLayerOption is the type of the first link-layer address option of a
// Neighbor Solicitation or Advertisement that is whole, 0 if there is none.
func linkLayerOption(icmp []byte) uint8 {
	for rest := icmp[min(24, len(icmp)):]; len(rest) >= 8; {
		n := 8 * int(rest[1])
		if n == 0 || n > len(rest) {
			return 0
		}
		if n == 8 && (rest[0] == wire.OptionSourceLinkLayer || rest[0] == wire.OptionTargetLinkLayer) {
			return rest[0]
		}
		rest = rest[n:]
	}
	return 0
}

// actions are those that bring a frame to where a trace is to go on.
func (r *resume) actions() string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(r.addresses)) {
		out = append(out, fmt.Sprintf("set_field:%s->%s", r.addresses[name], name))
	}
	for _, name := range slices.Sorted(maps.Keys(r.registers)) {
		out = append(out, fmt.Sprintf("set_field:%#x->%s", r.registers[name], name))
	}
	return strings.Join(append(out, fmt.Sprintf("resubmit(,%d)", r.table)), ",")
}
