package topology

import (
	"strings"
	"testing"

	"damselfly/internal/wire"
)

// trunkInput has vm1 with two sub-ports, on its own network and on another.
func trunkInput() Input {
	return Input{
		Spec: &Spec{
			Networks: []NetworkSpec{{Name: "blue"}, {Name: "red"}},
			Ports: []PortSpec{
				{Name: "sub1", Network: "red", MAC: wire.MAC{2, 5: 0x11}, Parent: "vm1", VLAN: 100},
				{Name: "sub2", Network: "blue", Unknown: true, Parent: "vm1", VLAN: 4094},
				{Name: "vm1", Network: "blue", MAC: wire.MAC{2, 5: 0x11}},
				{Name: "vm2", Network: "blue", MAC: wire.MAC{2, 5: 0x12}},
			},
		},
		Keys: Keys{Networks: map[string]uint16{"blue": 1, "red": 2}, Ports: map[string]uint16{"sub1": 1, "sub2": 2, "vm1": 3, "vm2": 4}},
		Bindings: []Binding{
			{Interface: "tap1", ID: "vm1", OFPort: 7, MAC: wire.MAC{2, 5: 0x77}}, {Interface: "vm2", OFPort: 8},
		},
	}
}

// TestSubPorts: a sub-port is where its parent's Interface is, and nothing else of
// that is its.
func TestSubPorts(t *testing.T) {
	t.Parallel()
	var b Builder
	in := trunkInput()
	place := func() (list []Port) {
		t.Helper()
		s, problems := b.Build(in)
		if s == nil || len(problems) > 0 {
			t.Fatal(problems)
		}
		for _, p := range s.Ports {
			list = append(list, Port{Name: p.Name, OFPort: p.OFPort, VLAN: p.VLAN, Parent: p.Parent, Trunk: p.Trunk, MAC: p.MAC})
		}
		return list
	}
	want := func(of uint32, vlan2 uint16) []Port {
		return []Port{
			{Name: "sub1", OFPort: of, VLAN: 100, Parent: "vm1", MAC: wire.MAC{2, 5: 0x11}},
			{Name: "sub2", OFPort: of, VLAN: vlan2, Parent: "vm1"},
			{Name: "vm1", OFPort: of, Trunk: true, MAC: wire.MAC{2, 5: 0x11}},
			{Name: "vm2", OFPort: 8, MAC: wire.MAC{2, 5: 0x12}},
		}
	}
	same := func(what string, want, got []Port) {
		t.Helper()
		for i := range want {
			if !want[i].placed(&got[i]) {
				t.Errorf("%s: got %+v, want %+v", what, got[i], want[i])
			}
		}
	}
	same("bound", want(7, 4094), place())
	in.Bindings[0].OFPort = 9
	same("moved", want(9, 4094), place())
	spec := *in.Spec
	spec.Ports = append([]PortSpec(nil), spec.Ports...)
	spec.Ports[1].VLAN = 5
	in.Spec = &spec
	same("another VLAN", want(9, 5), place())
	in.Bindings = in.Bindings[1:]
	same("gone", want(0, 5), place())
}

func (p *Port) placed(q *Port) bool {
	return p.Name == q.Name && p.OFPort == q.OFPort && p.VLAN == q.VLAN && p.Parent == q.Parent && p.Trunk == q.Trunk && p.MAC == q.MAC
}

// TestSubPortClaimed: an Interface that claims a sub-port is named, and the
// sub-port stays where it is.
func TestSubPortClaimed(t *testing.T) {
	t.Parallel()
	var b Builder
	in := trunkInput()
	in.Bindings = append(in.Bindings, Binding{Interface: "tap9", ID: "sub1", OFPort: 9})
	s, problems := b.Build(in)
	if len(problems) != 1 || problems[0].Object != "interface tap9" || !strings.Contains(problems[0].Message, "VLAN 100 of port vm1") {
		t.Errorf("problems %v", problems)
	}
	if p := s.PortNamed("sub1"); p.OFPort != 7 {
		t.Errorf("sub1 is at %d", p.OFPort)
	}
}
