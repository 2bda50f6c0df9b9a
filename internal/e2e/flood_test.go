package e2e

import (
	octets "encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// megaflowLimit is what a flood may make the datapath hold. 50,000 random
// targets a second made 77,285 where nothing stood before the match on them.
const megaflowLimit = 3000

// TestFlood: one guest floods the switch with questions for random targets from
// random sources; another loses nothing.
func TestFlood(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, blue)
		d := serve(t, s)
		attacker, victim := addGuest(t, s, quick("vm1", mac1)), addGuest(t, s, lab.GuestOptions{Name: "vm2", MAC: mac2})
		waitAddr(t, attacker, "fd00:b1::/64")
		waitAddr(t, victim, "fd00:b1::/64")
		ping(t, victim, "fe80::1%eth0")

		sent := make(chan int, 1)
		stop := make(chan struct{})
		go func() { sent <- flood(attacker, solicitation(t), stop) }()
		began := time.Now()
		most := victimAtWork(t, s, victim)
		close(stop)
		n := <-sent
		t.Logf("%d solicitations in %v, at most %d megaflows", n, time.Since(began).Round(time.Millisecond), most)
		if most >= megaflowLimit {
			t.Errorf("%d megaflows, want fewer than %d", most, megaflowLimit)
		}
		if n < 5000 {
			t.Errorf("%d frames are no flood", n)
		}
		m := metrics(t, d)
		dropped := m["damselfly_meter_dropped_total{class=ns,port=vm1}"]
		t.Logf("meter dropped %v of vm1's, punted frames %v", dropped, m["damselfly_lane_frames_total{lane=port}"])
		if dropped < float64(n)/2 {
			t.Errorf("the meter of vm1 counts %v of %d frames", dropped, n)
		}
		for key, value := range m {
			if strings.HasPrefix(key, "damselfly_meter_dropped_total") && strings.Contains(key, "vm2") && value > 0 {
				t.Errorf("%s is %v: the flood cost the victim", key, value)
			}
		}
	})
}

// victimAtWork does, for two seconds and more, what needs Damselfly: asks for
// the router and for neighbours, pings the router, gets itself addresses. It
// returns the most megaflows there were.
func victimAtWork(t *testing.T, s *stage.Stage, victim *lab.Guest) (most int) {
	t.Helper()
	answered := 0
	for i := range 8 {
		if out, err := victim.Run("ndisc6", "-1", "-r", "3", "-w", "2000", "fe80::1", "eth0"); err != nil {
			t.Errorf("ndisc6 %d: %v\n%s", i, err, out)
		}
		if out, err := victim.Run("ndisc6", "-1", "-r", "3", "-w", "2000", "fe80::ff:fe00:11", "eth0"); err != nil {
			t.Errorf("ndisc6 for the attacker %d: %v\n%s", i, err, out)
		}
		out, _ := victim.Run("ping", "-6", "-c", "10", "-i", "0.02", "-W", "10", "fe80::1%eth0")
		m := pingCount.FindStringSubmatch(out)
		if m == nil {
			t.Fatalf("ping %d:\n%s", i, out)
		}
		n, _ := strconv.Atoi(m[1])
		answered += n
		most = max(most, megaflows(t, s))
	}
	// Where the machine has no time for ovs-vswitchd, that loses a few frames
	// of everybody.
	t.Logf("%d of 80 pings answered", answered)
	if answered < 76 {
		t.Errorf("%d of 80 pings answered", answered)
	}
	// Duplicate Address Detection: the attacker's address is refused, a free
	// one is not.
	for _, c := range []struct {
		address string
		failed  bool
	}{{"fe80::ff:fe00:11", true}, {"fe80::cafe", false}} {
		if _, err := victim.Run("ip", "addr", "add", c.address+"/64", "dev", "eth0"); err != nil {
			t.Fatal(err)
		}
		want := netip.MustParseAddr(c.address)
		lab.WaitFor(t, patience, "Duplicate Address Detection of "+c.address, func() error {
			addrs, err := victim.Addrs()
			if err != nil {
				return err
			}
			for _, a := range addrs {
				if a.Address == want && a.DADFailed == c.failed && (c.failed || !a.Tentative) {
					return nil
				}
			}
			return fmt.Errorf("addresses %+v", addrs)
		})
	}
	return max(most, megaflows(t, s))
}

var pingCount = regexp.MustCompile(`(\d+) received`)

var flowCount = regexp.MustCompile(`flows: (\d+)`)

// megaflows counts the datapath's flows.
func megaflows(t *testing.T, s *stage.Stage) int {
	t.Helper()
	out, err := s.Appctl("dpctl/show")
	if err != nil {
		t.Fatal(err)
	}
	m := flowCount.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no count of flows in %q", out)
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// solicitation asks from fe80:: for the end of the prefix, with its option.
func solicitation(t *testing.T) []byte {
	return icmp6Frame(t, mac1, "33:33:ff:00:00:01", "fe80::", "ff02::1:ff00:1", layers.ICMPv6TypeNeighborSolicitation,
		&layers.ICMPv6NeighborSolicitation{TargetAddress: netip.MustParseAddr("fd00:b1::ffff:ffff:ffff:ffff").AsSlice(),
			Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: hardware(t, mac1)}}})
}

// flood sends solicitations of random source and target until stop closes, and
// returns how many: up to 5,000 a second, 25 times the limit and as much as
// leaves ovs-vswitchd some time beside the other tests. Source and target
// complement each other, so that the checksum of the first stays right.
func flood(g *lab.Guest, frame []byte, stop chan struct{}) (n int) {
	const source, target = 14 + 8, 14 + 40 + 8
	random := rand.New(rand.NewPCG(1, 2))
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-stop:
			return n
		case <-pace.C:
		}
		for range 50 {
			value := random.Uint64()
			octets.BigEndian.PutUint64(frame[source+8:], value)
			octets.BigEndian.PutUint64(frame[target+8:], ^value)
			if g.Inject(frame) != nil {
				return n
			}
			n++
		}
	}
}
