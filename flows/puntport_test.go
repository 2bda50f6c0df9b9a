package flows

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// fromPuntPort reports whether a flow of table 0 is of what comes from the punt
// port.
func (c *compilation) fromPuntPort(f *Flow) bool {
	in, ok := f.Match.Get(InPort)
	return c.env.PuntPort && f.Table == TableClassify && ok && in.Value == U32(c.env.PulsePort)
}

// lintPuntPort: to the punt port goes only what the punt table sends there, whole,
// of a class that says by itself what it is, with a tag of its port alone, that comes
// off again; keys that have no tag go by packet-ins before. What comes from there is
// taken for a reply with its tag and for nothing without one, and goes nowhere but
// out of a port or, as of the port that the tag names, into the switch table.
func lintPuntPort(c *compilation) (faults []string) {
	out := Output{c.env.PulsePort}
	want := []Action{
		PushVLAN{}, MoveBits{Src: regPort, Dst: VLANTCI, Bits: 12}, MoveBits{Src: regPort, SrcBit: 12, Dst: VLANTCI, DstBit: 13, Bits: 2},
		out, PopVLAN{},
	}
	packetIns, tagged, rest := 0, 0, 0
	for i := range c.flows {
		f := &c.flows[i]
		from := c.fromPuntPort(f)
		class, _ := f.Match.Get(regClass)
		switch toPort := c.env.PulsePort != 0 && slices.Contains(f.Actions, Action(out)); {
		case toPort && (f.Table != TablePunt || !c.env.PuntPort || !slices.Equal(f.Actions, want) || !punt.Class(class.Value.Uint(4)).ByPort()):
			faults = append(faults, "sends to the punt port what must not go there: "+f.String())
		case f.Table == TablePunt && f.Priority > puntByTag && len(f.Match) == 1 && f.Match[0].Mask == U32(0xfff):
			packetIns++
		case from && len(f.Actions) == 0:
			rest++
		case from && f.Actions[len(f.Actions)-1] == Action(Resubmit{TableSent}) && f.Actions[len(f.Actions)-2] == Action(PopVLAN{}):
			tagged++
		case from:
			faults = append(faults, "takes from the punt port what is no reply: "+f.String())
		case f.Table != TableSent:
		case len(f.Actions) == 1 && f.Actions[0] != Action(Resubmit{TableOutput}),
			len(f.Actions) > 1 && (f.Actions[len(f.Actions)-1] != Action(Resubmit{TableSwitch}) || c.sentAs(f) == nil):
			faults = append(faults, "carries a reply elsewhere: "+f.String())
		}
	}
	if c.env.PuntPort != (packetIns == 2 && tagged == 1 && rest == 1) {
		faults = append(faults, fmt.Sprintf("%d flows for keys without a tag, %d for replies, %d for the rest", packetIns, tagged, rest))
	}
	return faults
}

// sentAs is the port that a flow sends on as, nil if it does not say so in every
// part.
func (c *compilation) sentAs(f *Flow) *topology.Port {
	key, ok := f.Match.Get(regOut)
	p := c.snapshot.Port(uint16(key.Value.Uint(4) &^ 0x4000))
	if !ok || p == nil || !key.Exact() || key.Value.Uint(4) != 0x4000|uint64(p.Key) {
		return nil
	}
	for _, a := range []Action{Load(InPort16, U16(uint16(p.OFPort))), Load(regPort, U32(uint32(p.Key))), Load(Metadata, U64(uint64(p.Network.Key)))} {
		if !slices.Contains(f.Actions, a) {
			return nil
		}
	}
	return p
}

// TestPuntPort has frames handed over by port 99 and taken back from there. Of
// vm1 to vm5 the keys are 1 to 5; vm1 is the trunk of vm3 (VLAN 100), vm4 (4094)
// and vm5 (1).
func TestPuntPort(t *testing.T) {
	t.Parallel()
	guest4 := mac(0x14)
	sent := func(tci uint16, p packet) packet {
		return p.set(InPort, U32(99)).set(VLANVID, U16(0x1000|tci&0xfff)).set(VLANTCI, U16(0x1000|tci))
	}
	answer := icmp6(99, routerMAC, guest1, "fd00:b1::1", "fd00:b1::ff:fe00:11", 136)
	flood := icmp6(99, guest4, wire.MAC{0x33, 0x33, 0xff, 0, 0, 0x99}, "fd00:b1::ff:fe00:14", "ff02::1:ff00:99", 135)
	ask := icmp6(1, guest4, wire.MAC{0x33, 0x33, 0xff, 0, 0, 0x99}, "fd00:b1::ff:fe00:14", "ff02::1:ff00:99", 135).
		set(NDTarget, at("fd00:b1::99")).set(NDSLL, MAC(guest4)).set(VLANVID, U16(0x1000|4094)).set(VLANTCI, U16(0x1000|4094))
	for name, tt := range map[string]struct {
		in   packet
		dead bool
		want string
	}{
		"handed over with the key of a sub-port":    {sized(ask, octetsOption), false, "punt ns lane 0 tag 0x1004"},
		"not while Damselfly is away":               {sized(ask, octetsOption), true, "answer tag 0x0, out 2 tag 0x0, answer tag 0x1064"},
		"a reply to a port":                         {sent(2, answer), false, "out 2 tag 0x0"},
		"a reply to a sub-port":                     {sent(4, answer), false, "out 1 tag 0x1ffe"},
		"a reply to nobody":                         {sent(77, answer), false, "drop-unbound"},
		"a reply to a key of another priority":      {sent(1<<13|2, answer), false, "drop-unbound"},
		"sent on for a sub-port, to all but itself": {sent(punt.TagThrough|4, flood), false, "answer tag 0x0, out 2 tag 0x0, answer tag 0x1064"},
		"sent on for nobody":                        {sent(punt.TagThrough|77, flood), false, "drop-punt-port"},
		"without a tag":                             {answer.set(InPort, U32(99)), false, "drop-punt-port"},
		"a tag that a guest has put on":             {sent(2, answer).set(InPort, U32(2)), false, "drop-tagged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fakeSwitch{Set: Compile(build(trunkSpec(), nil), envs["port"])}
			if tt.dead {
				s.dead = map[uint32]bool{99: true}
			}
			s.run(tt.in)
			var got []string
			at := 0
			for _, what := range s.trace {
				if strings.HasPrefix(what, "out ") || strings.HasPrefix(what, "punt ") || what == "answer" {
					what += fmt.Sprintf(" tag %#x", s.left[at].fields[VLANTCI].Uint(2))
					at++
				}
				got = append(got, what)
			}
			if got := strings.Join(got, ", "); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
