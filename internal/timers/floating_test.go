package timers_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// TestAnnounceFloating: an address that floats is announced when it comes, since
// somebody else may have had it, and when it stands for another guest, in the
// router's name, three times a second apart (RFC 4861 section 7.2.6).
func TestAnnounceFloating(t *testing.T) {
	announcing(t, func(t *testing.T, m *moving, e *ears) {
		spec := func(floating ...topology.FloatingSpec) {
			m.in.Spec = &topology.Spec{
				Networks: []topology.NetworkSpec{{Name: "blue", Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:b1::/64")}}},
					{Name: "ext", Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("2001:db8:1::/64")}}}},
				Routers:  []topology.RouterSpec{{Name: "r1", Networks: []topology.PresenceSpec{{Network: "blue"}, {Network: "ext", MAC: wire.MAC{2, 0, 0, 0, 0xa, 1}}}}},
				Ports:    m.in.Spec.Ports,
				Floating: floating,
			}
			m.in.Keys.Networks = map[string]uint16{"blue": 9, "ext": 8}
			m.now()
			time.Sleep(10 * time.Second)
		}
		const address, router = "2001:db8:1::10", "02:00:00:00:0a:01"
		to := func(port string) topology.FloatingSpec {
			return topology.FloatingSpec{Address: netip.MustParseAddr(address), Network: "ext", Port: port}
		}
		three := func(at time.Duration) (list []told) {
			for i := range time.Duration(3) {
				list = append(list, told{at + i*time.Second, address, router, true, "0@0/8"})
			}
			return list
		}
		onlyFloating := func(list []told) (out []told) {
			for _, a := range list {
				if a.from == "0@0/8" {
					out = append(out, a)
				}
			}
			return out
		}
		spec()
		if got := onlyFloating(e.heard()); len(got) > 0 {
			t.Errorf("without anything that floats: %v", got)
		}
		spec(to("vm1"))
		if diff := cmp.Diff(three(10*time.Second), onlyFloating(e.heard()), cmp.AllowUnexported(told{})); diff != "" {
			t.Errorf("it came (-want +got):\n%s", diff)
		}
		spec(to("vm2"))
		if diff := cmp.Diff(three(20*time.Second), onlyFloating(e.heard()), cmp.AllowUnexported(told{})); diff != "" {
			t.Errorf("it moved (-want +got):\n%s", diff)
		}
		spec(to("vm2"), topology.FloatingSpec{Form: topology.NPTv6Form, Network: "ext", Prefix: netip.MustParsePrefix("2001:db8:f::/48"), Fixed: netip.MustParsePrefix("fd00:b1::/48")})
		if got := onlyFloating(e.heard()); len(got) > 0 {
			t.Errorf("a prefix came: %v", got)
		}
	})
}
