package multicast

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"damselfly/internal/topology"
)

// BenchmarkChange is what a join or leave costs where many groups are listened to already, on a
// network whose router listens elsewhere on behalf of it.
func BenchmarkChange(b *testing.B) {
	for _, many := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprint(many), func(b *testing.B) {
			w := newProxy()
			w.spec.MaxGroups = new(int)
			*w.spec.MaxGroups = topology.UnlimitedGroups
			w.serve()
			group := func(i int) netip.Addr {
				return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x1e, 14: byte(i >> 8), 15: byte(i)})
			}
			say := func(port string, group netip.Addr, join bool) {
				c := Change{Type: toIn, Group: group}
				if join {
					c.Type = toEx
				}
				w.Report(w.now, "red", port, c, false)
				w.Tick(w.now)
				w.Events()
				w.Show()
			}
			for i := range many {
				say("v", group(i), true)
			}
			w.pass(10 * time.Second) // what is repeated
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				say("w", group(many), i%2 == 0)
			}
		})
	}
}
