package flows

import (
	"testing"

	"damselfly/internal/topology"
)

// BenchmarkRouted prints how many flows a router has for 10, 100 and 1,000
// networks, and what one changed route among 10,000 costs: the time to find out what
// is to be sent, and how much that is.
func BenchmarkRouted(b *testing.B) {
	none := len(Compile(build(&topology.Spec{}, nil), envs["plain"]).Flows)
	for _, n := range []int{10, 100, 1000} {
		flows := len(Compile(build(wideSpec(n, 0), nil), envs["plain"]).Flows)
		b.Logf("%4d networks on a router: %d flows, %.2f for each with its guest", n, flows, float64(flows-none)/float64(n))
	}
	for name, change := range map[string]func(*topology.StaticRouteSpec){
		"another-network": func(r *topology.StaticRouteSpec) { r.Network = "net0001" },
		"another-prefix": func(r *topology.StaticRouteSpec) {
			r.Destination = wideSpec(2, 10001).Routers[0].Routes[10000].Destination
		},
		"a-blackhole": func(r *topology.StaticRouteSpec) {
			*r = topology.StaticRouteSpec{Destination: r.Destination, Type: topology.Blackhole}
		},
	} {
		b.Run("changed="+name, func(b *testing.B) {
			var builder topology.Builder
			c := NewCompiler(envs["plain"])
			update := func(spec *topology.Spec) *Pieces {
				s, problems := builder.Build(input(spec, nil))
				if len(problems) > 0 {
					b.Fatal(problems)
				}
				return c.Update(s)
			}
			specs := []*topology.Spec{wideSpec(2, 10000), wideSpec(2, 10000)}
			change(&specs[1].Routers[0].Routes[5000])
			have, mods, i := update(specs[0]), 0, 0
			for b.Loop() {
				i++
				next := update(specs[i%2])
				d := DiffPieces(have, next)
				have, mods = next, mods+d.FlowMods()
			}
			each := float64(mods) / float64(i)
			b.ReportMetric(each, "flow-mods")
			verdict := "met"
			if each > 4 {
				verdict = "missed"
			}
			b.Logf("one of 10,000 routes changed: %.1f flow-mods, at most 4 wanted: %s", each, verdict)
		})
	}
}
