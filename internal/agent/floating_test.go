package agent

import (
	"net/netip"
	"testing"

	"damselfly/internal/conntrack"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// TestFloated: connections end that went by what floats elsewhere now, and no
// others.
func TestFloated(t *testing.T) {
	t.Parallel()
	prefix, addr := netip.MustParsePrefix, netip.MustParseAddr
	var b topology.Builder
	build := func(floating ...topology.FloatingSpec) *topology.Snapshot {
		s, problems := b.Build(topology.Input{
			Spec: &topology.Spec{
				Networks: []topology.NetworkSpec{
					{Name: "blue", Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:b1::/64")}}},
					{Name: "red", Subnets: []topology.SubnetSpec{{Prefix: prefix("fd00:ed::/64")}}},
					{Name: "ext", Subnets: []topology.SubnetSpec{{Prefix: prefix("2001:db8:1::/64")}}}},
				Routers: []topology.RouterSpec{{Name: "r1", Networks: []topology.PresenceSpec{{Network: "blue"}, {Network: "red"}, {Network: "ext"}}}},
				Ports: []topology.PortSpec{
					{Name: "vm1", Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0, 0x11}, SecurityGroups: []string{"default"}},
					{Name: "vm2", Network: "red", MAC: wire.MAC{2, 0, 0, 0, 0, 0x12}, SecurityGroups: []string{"default"}}},
				Floating: floating,
			},
			Bindings: []topology.Binding{{Interface: "vm1", OFPort: 1}, {Interface: "vm2", OFPort: 2}},
			Keys:     topology.Keys{Networks: map[string]uint16{"blue": 1, "red": 2, "ext": 3}, Ports: map[string]uint16{"vm1": 1, "vm2": 2}},
		})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return s
	}
	at := func(port, fixed string) topology.FloatingSpec {
		return topology.FloatingSpec{Form: topology.NATForm, Address: addr("2001:db8:1::20"), Network: "ext", Port: port, Fixed: prefix(fixed + "/128")}
	}
	c := connections{judged: build(at("vm1", "fd00:b1::ff:fe00:11"))}
	if got := c.floated(c.judged); len(got) > 0 {
		t.Errorf("nothing moved: %v", got)
	}
	ways := c.floated(build(at("vm2", "fd00:ed::ff:fe00:12")))
	if len(ways) != 1 || len(ways[1]) != 1 {
		t.Fatalf("ways to ports by their keys: %v", ways)
	}
	for _, tt := range []struct {
		source, destination string
		ends                bool
	}{
		{"2001:db8:99::9", "fd00:b1::ff:fe00:11", true}, // there is no route, so it came from where one was
		{"2001:db8:1::99", "fd00:b1::ff:fe00:11", true},
		{"fd00:b1::ff:fe00:11", "2001:db8:1::99", true},
		{"fd00:b1::ff:fe00:11", "2001:db8:1::20", true},
		{"fd00:b1::ff:fe00:11", "fd00:ed::ff:fe00:12", false},
		{"fd00:ed::ff:fe00:12", "fd00:b1::ff:fe00:11", false},
		{"fd00:b1::77", "2001:db8:1::99", false},
	} {
		if got := ways[1][0].carried(conntrack.Tuple{Source: addr(tt.source), Destination: addr(tt.destination)}); got != tt.ends {
			t.Errorf("%s to %s ends: %t, want %t", tt.source, tt.destination, got, tt.ends)
		}
	}
}
