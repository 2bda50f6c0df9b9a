package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/internal/lab"
	"damselfly/internal/wire"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
)

// runInverseCases has a guest ask all that scapy wrote of Inverse Neighbor Discovery
// on a real bridge: it alone gets scapy's answers, and nobody anything else.
// Wireshark, too, has nothing to say against them.
func runInverseCases(t *testing.T, p *ndPlay) {
	var answers [][]byte
	wanted := 0
	for _, c := range fixtures.InverseCases() {
		seen := p.send(t, &p.Asker, c.Frame)
		end, err := endOf(seen)
		if ok := end == c.Reason; err != nil || ok == c.Refused {
			t.Errorf("%s: ended as %s, %v; want %s (by a flow: %v)", c.Name, end, err, c.Reason, c.Refused)
		}
		want := map[string][][]byte{}
		if c.Answer != nil {
			wanted++
			want[p.Asker.Port] = [][]byte{c.Answer}
			answers = append(answers, seen.Received[p.Asker.Port]...)
		}
		if d := cmp.Diff(want, seen.Received); d != "" {
			t.Errorf("%s: received (-want +got):\n%s", c.Name, d)
		}
	}
	dissected(t, wanted, answers)
}

// endOf is the one way a frame ended: a reason of Damselfly's, or the role of a flow
// that drops it.
func endOf(seen ndSeen) (string, error) {
	drops := dropRoles(seen.Roles)
	delete(drops, "drop-uplink") // of Router Advertisements that nobody asked for
	switch {
	case len(seen.Reasons) == 1 && len(drops) == 0:
		for why, n := range seen.Reasons {
			if n == 1 {
				return why, nil
			}
		}
	case len(seen.Reasons) == 0 && len(drops) == 1 && drops["drop-default"] == 0:
		for role := range drops {
			return role, nil
		}
	}
	return "", fmt.Errorf("reasons %v, flows %v", seen.Reasons, drops)
}

// dissected has tshark read frames: it finds nothing worth a warning in them, and
// there are as many as are wanted.
func dissected(t *testing.T, wanted int, frames [][]byte) {
	t.Helper()
	if len(frames) != wanted {
		t.Errorf("%d replies, want %d", len(frames), wanted)
	}
	fixtures.CheckDissected(t, frames)
}

// TestInverseBudget: a port lists who is there as often as its limit allows, whatever
// it asks, and takes nothing of another's.
func TestInverseBudget(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, `
networks: [{name: blue, inverse_nd: true, subnets: [{prefix: "fd00:b1::/64"}]}]
routers: [{name: r1, networks: [blue]}]
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11"}
  - {name: vm2, network: blue, mac: "02:00:00:00:00:12"}
`)
		d := serve(t, s)
		p := newPlay(fixtures.NewNDWorld().Router, bluePrefix)
		p.stage, p.daemon = s, d
		silent := map[string]string{"net.ipv6.conf.eth0.disable_ipv6": "1"}
		vm1 := addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: mac1, Sysctls: silent})
		vm2 := addGuest(t, s, lab.GuestOptions{Name: "vm2", MAC: mac2, Sysctls: silent})
		at1, at2 := watch(t, vm1, nil), watch(t, vm2, nil)
		p.guests["vm1"], p.guests["vm2"] = vm1, vm2
		p.settle(t)
		isAnswer := func(f []byte) bool { return len(f) > 54 && f[54] == wire.TypeInverseAdvert }
		begin := time.Now()
		for range 200 {
			inject(t, vm1, fixtures.InverseCases()[0].Frame)
		}
		// Each of them was dropped or answered, but for those that are still on their way.
		waitMetric(t, d, "damselfly_meter_dropped_total{class=inverse,port=vm1}", 150)
		n, most := len(received(at1, isAnswer)), 10+5*time.Since(begin).Seconds()+1
		if n < 1 || float64(n) > most {
			t.Errorf("%d answers to 200 questions, want at most %.0f", n, most)
		}
		m1, _ := wire.ParseMAC(mac1)
		m2, _ := wire.ParseMAC(mac2)
		inject(t, vm2, icmp6Frame(t, mac2, mac1, "fe80::ff:fe00:12", "ff02::1", wire.TypeInverseSolicit,
			gopacket.Payload(slices.Concat(make([]byte, 4), []byte{1, 1}, m2[:], []byte{2, 1}, m1[:]))))
		arrives(t, at2, "the other's answer", isAnswer)
	})
}
