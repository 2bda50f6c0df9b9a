package flows

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

// TestRouteTwin sends packets to addresses around all that a router knows, and
// wants the flows to do what topology.Router.To says.
func TestRouteTwin(t *testing.T) {
	t.Parallel()
	s := named["routed"]()
	sw := &fakeSwitch{Set: Compile(s, envs["plain"])}
	r := s.Routers[0]
	var around []netip.Addr
	for _, route := range r.Table() {
		around = append(around, route.Prefix.Addr())
	}
	for _, n := range r.Networks {
		around = append(around, n.Router.All()...)
		for _, p := range n.Ports {
			around = append(around, p.Addresses...)
			for _, pair := range p.Pairs {
				around = append(around, pair.Prefix.Addr())
			}
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		to := around[i%len(around)]
		if i >= len(around) {
			octets := to.As16()
			octets[random.IntN(16)] ^= 1 << random.IntN(8)
			to = netip.AddrFrom16(octets)
		}
		in := sized(ip6(2, guest2, gateway(1), "fd00:b1::ff:fe00:12", to.String(), 17).set(IPTTL, U8(64)), 100)
		sw.trouble = 0
		trace := sw.run(in)
		want := r.To(to)
		if to == r.Networks[0].Router.LinkLocal { // on the sender's own link alone it is the router
			want = topology.Way{Trouble: punt.Local}
		}
		got := topology.Way{Trouble: sw.trouble, Silent: trace == "drop-scope" || trace == "drop-blackhole"}
		want = topology.Way{Trouble: want.Trouble, Silent: want.Silent}
		if want.Trouble == punt.Unreachable && got.Trouble == punt.Unresolved {
			got.Trouble = want.Trouble // whoever is known and away, by an address that guests make
		}
		if got != want {
			t.Fatalf("to %s: %s, which is %+v, want %+v", to, trace, got, want)
		}
	}
}
