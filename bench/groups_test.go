package bench

import (
	"fmt"
	"net/netip"
	"testing"

	"damselfly/flows"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// BenchmarkGroupFlows compiles a security group of many members and rules, each
// rule for members of the group itself, and prints how many flows that takes:
// the sum, not the product.
func BenchmarkGroupFlows(b *testing.B) {
	for _, size := range [][2]int{{10, 10}, {1000, 10}, {10, 50}, {1000, 50}} {
		b.Run(fmt.Sprintf("members=%d/rules=%d", size[0], size[1]), func(b *testing.B) {
			in := crowd(size[0], size[1])
			bare := in
			bare.Spec = &topology.Spec{Networks: in.Spec.Networks}
			for _, p := range in.Spec.Ports {
				p.SecurityGroups = nil
				bare.Spec.Ports = append(bare.Spec.Ports, p)
			}
			env := flows.Env{NDExt: true, PulsePort: 60000, FirstGroup: 0xdf000000}
			s, _ := new(topology.Builder).Build(in)
			without, _ := new(topology.Builder).Build(bare)
			n := 0
			for b.Loop() {
				n = len(flows.Compile(s, env).Flows)
			}
			b.ReportMetric(float64(n), "flows")
			b.ReportMetric(float64(n-len(flows.Compile(without, env).Flows)), "flows-for-groups")
		})
	}
}

// crowd is an Input of one group.
func crowd(members, rules int) topology.Input {
	spec := &topology.Spec{Networks: []topology.NetworkSpec{{Name: "blue", Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:b1::/64")}}}}}
	g := topology.SecurityGroupSpec{Name: "crowd"}
	for i := range rules {
		port := uint16(1000 + i)
		g.Rules = append(g.Rules, topology.RuleSpec{Family: topology.IPv6, Protocol: topology.ProtocolTCP, RemoteGroup: "crowd",
			Ports: &topology.PortRange{First: port, Last: port}})
	}
	spec.Groups = []topology.SecurityGroupSpec{g}
	in := topology.Input{Spec: spec, Keys: topology.Keys{Networks: map[string]uint16{"blue": 1}, Ports: map[string]uint16{}}}
	for i := range members {
		name := fmt.Sprint("vm", i)
		spec.Ports = append(spec.Ports, topology.PortSpec{Name: name, Network: "blue", MAC: wire.MAC{2, 0, 0, 0, byte(i >> 8), byte(i)}, SecurityGroups: []string{"crowd"}})
		in.Keys.Ports[name] = uint16(i + 1)
		in.Bindings = append(in.Bindings, topology.Binding{Interface: name, OFPort: uint32(i + 1)})
	}
	return in
}
