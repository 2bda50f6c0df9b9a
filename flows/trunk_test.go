package flows

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/wire"
)

// TestTrunk has vm1 (port 1 of the switch, untagged) as the trunk of vm3 (VLAN
// 100) and vm4 (4094) on its network, and of vm5 (1) on another, where vm6 is (6).
// vm2 is at port 2. What leaves is told with its tag.
func TestTrunk(t *testing.T) {
	t.Parallel()
	inVLAN := func(p packet, vid uint16) packet { return p.set(VLANVID, U16(0x1000|vid)) }
	broadcast := wire.MAC{255, 255, 255, 255, 255, 255}
	guest4 := mac(0x14)
	arp := func(in uint32, src, dst wire.MAC) packet { return frame(in, src, dst, 0x0806).set(ARPSHA, MAC(src)) }
	tests := []struct {
		name string
		in   packet
		want []string
	}{
		{"untagged is the trunk's own", arp(1, guest1, guest2), []string{"out 2"}},
		{"a sub-port's, to a port of its own", inVLAN(arp(1, guest4, guest2), 4094), []string{"out 2"}},
		{"to a sub-port", arp(2, guest2, guest4), []string{"out 1 vlan 4094"}},
		{"from the trunk to its sub-port", arp(1, guest1, guest4), []string{"answer vlan 4094"}},
		{"from a sub-port to its trunk", inVLAN(arp(1, guest4, guest1), 4094), []string{"answer"}},
		{"from a sub-port to a sub-port", inVLAN(arp(1, guest4, guest3), 4094), []string{"answer vlan 100"}},
		{"from a sub-port to itself", inVLAN(arp(1, guest4, guest4), 4094), nil},
		{"a sub-port's broadcast spares itself alone", inVLAN(arp(1, guest4, broadcast), 4094), []string{"answer", "answer vlan 100", "out 2"}},
		{"a trunk's broadcast", arp(1, guest1, broadcast), []string{"answer vlan 100", "answer vlan 4094", "out 2"}},
		{"a broadcast to all", arp(2, guest2, broadcast), []string{"out 1", "out 1 vlan 100", "out 1 vlan 4094"}},
		{"a broadcast of another network", arp(6, mac(0x16), broadcast), []string{"out 1 vlan 1"}},
		{"any MAC of an unknown sub-port", inVLAN(frame(1, mac(0x99), mac(0x16), 0x0800), 1), []string{"out 6"}},
		{"to any MAC behind it", frame(6, mac(0x16), mac(0x98), 0x0800), []string{"out 1 vlan 1"}},
		{"a VLAN that is no sub-port", inVLAN(arp(1, guest1, guest2), 5), []string{"drop-tagged"}},
		{"a priority tag", inVLAN(arp(1, guest1, guest2), 0), []string{"drop-tagged"}},
		{"a sub-port's VLAN at a port without any", inVLAN(arp(2, guest2, guest1), 100), []string{"drop-tagged"}},
		{"the trunk's MAC in a VLAN", inVLAN(arp(1, guest1, guest2), 4094), []string{"drop-spoofed"}},
		{"a sub-port's MAC untagged", arp(1, guest4, guest2), []string{"drop-spoofed"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := fakeSwitch{Set: Compile(build(trunkSpec(), nil), envs["ndext"])}
			s.run(tt.in)
			var got []string
			at := 0
			for _, what := range s.trace {
				if what == "answer" || len(what) > 3 && what[:3] == "out" {
					if vid := s.left[at].fields[VLANVID].Uint(2); vid != 0 {
						what += fmt.Sprintf(" vlan %d", vid&0xfff)
					}
					at++
				}
				got = append(got, what)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestTrunkAnswers has answers by flow go back with the asker's tag.
func TestTrunkAnswers(t *testing.T) {
	t.Parallel()
	guest4 := mac(0x14)
	group := wire.MAC{0x33, 0x33, 0xff, 0, 0, 0x12}
	ask := func(src wire.MAC, from string) packet {
		return sized(icmp6(1, src, group, from, "ff02::1:ff00:12", 135).set(NDTarget, at("fd00:b1::ff:fe00:12")).set(NDSLL, MAC(src)), octetsOption)
	}
	ping := icmp6(1, guest4, routerMAC, "fd00:b1::ff:fe00:14", "fd00:b1::1", 128)
	for name, tt := range map[string]struct {
		in   packet
		want Value
	}{
		"a sub-port's solicitation": {ask(guest4, "fe80::ff:fe00:14").set(VLANVID, U16(0x1000|4094)), U16(0x1000 | 4094)},
		"the trunk's solicitation":  {ask(guest1, "fe80::ff:fe00:11"), Value{}},
		"a sub-port's echo":         {ping.set(VLANVID, U16(0x1000|4094)), U16(0x1000 | 4094)},
	} {
		s := fakeSwitch{Set: Compile(build(trunkSpec(), nil), envs["ndext"])}
		if got := s.run(tt.in); got != "answer" || s.left[0].fields[VLANVID] != tt.want {
			t.Errorf("%s: %s, %v", name, got, s.left)
		}
	}
}

// lintTags: a frame leaves with the one tag of its sub-port or with none, and
// none of its other copies has that tag: what is put on comes off in the same
// list. Tags of guests come off under a match of them alone.
func lintTags(c *compilation) (faults []string) {
	for _, f := range c.flows {
		for i, a := range f.Actions {
			switch a.(type) {
			case PushVLAN:
				rest := f.Actions[i+1:]
				if c.env.PuntPort && f.Table == TablePunt {
					continue // lintPuntPort's
				}
				if len(rest) < 3 || rest[0].(SetField).Field != VLANVID || rest[2] != Action(PopVLAN{}) {
					faults = append(faults, "does not take the tag off that it puts on: "+f.String())
				}
			case PopVLAN:
				if c.fromPuntPort(&f) {
					continue // lintPuntPort's
				}
				tag, ok := f.Match.Get(VLANVID)
				if f.Table == TableClassify && !(i == 0 && ok && tag.Exact()) || f.Table != TableClassify && !slices.Contains(f.Actions[:i], Action(PushVLAN{})) {
					faults = append(faults, "takes a tag off that need not be there: "+f.String())
				}
			}
		}
	}
	return faults
}
