package e2e

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"damselfly/fixtures"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
	"damselfly/internal/wire"
)

// mrdTopology asks so seldom that after the first Queries only advertisements tell of
// the router.
const mrdTopology = `
networks:
  - name: blue
    multicast: {snooping: true, querier: true%s, query_interval: 600s, robustness: 1}
    subnets: [{prefix: "fd00:b1::/64"}]
routers: [{name: r1, networks: [blue]}]
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11"}
  - {name: nest, network: blue, unknown: true}
`

// TestMulticastRouterDiscovery: the snooping of a Linux bridge behind a port learns from
// our advertisement that a router is there; a termination is sent when it is none
// any more, which Linux ignores.
func TestMulticastRouterDiscovery(t *testing.T) {
	t.Parallel()
	s := newStage(t, false, fmt.Sprintf(mrdTopology, ", router_discovery: true"))
	d := serve(t, s)
	vm1 := addGuest(t, s, quick("vm1", "02:00:00:00:00:11"))
	said := map[byte]*lab.Capture{}
	for _, typ := range []byte{wire.TypeMLDQuery, wire.TypeMRDAdvert, wire.TypeMRDTermination} {
		c, err := vm1.Capture("", func(frame []byte) bool {
			var p wire.Packet
			return wire.Cut(frame, &p) == wire.FaultNone && p.Protocol == wire.ProtocolICMPv6 && p.ICMPv6().Type() == typ
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Stop() })
		said[typ] = c
	}
	// The bridge comes when the Queries and the first three advertisements (RFC 4286
	// section 3.1.4) are over: it knows of no router, and the next comes in 16 seconds.
	nest := addGuest(t, s, lab.GuestOptions{Name: "nest", Down: true, Sysctls: map[string]string{"net.ipv6.conf.eth0.disable_ipv6": "1"}})
	asked, err := nest.Capture("", func(frame []byte) bool { return len(frame) > 62 && frame[62] == wire.TypeMLDQuery })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = asked.Stop() })
	waitMetric(t, d, `damselfly_multicast_messages_total{kind=queries}`, 2) // all, and who came
	waitMetric(t, d, `damselfly_multicast_messages_total{kind=advertisements}`, 3)
	if err := nest.Up(); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"ip link add br0 type bridge mcast_snooping 1", "ip link set eth0 master br0", "ip link set br0 up"} {
		words := strings.Fields(line)
		if _, err := nest.Run(words[0], words[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	routers := func() string {
		out, err := nest.Run("bridge", "-d", "mdb", "show")
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if out := routers(); strings.Contains(out, "router ports") {
		t.Fatalf("a router is known before: %s", out)
	}
	booted(t, bluePrefix, vm1)
	queries := len(asked.Frames())
	if err := vm1.Inject(fixtures.ListenerFrame("solicitation", "guest")); err != nil {
		t.Fatal(err)
	}
	lab.WaitFor(t, patience, "the Linux bridge knows its router port", func() error {
		if out := routers(); !strings.Contains(out, "router ports on br0: eth0") {
			return errors.New(out)
		}
		return nil
	})
	if n := len(asked.Frames()); n != queries {
		t.Errorf("%d queries meanwhile: it may be by these", n-queries)
	}
	if len(said[wire.TypeMRDAdvert].Frames()) == 0 {
		t.Error("no advertisement was heard")
	}
	if err := s.Configure(fmt.Sprintf(mrdTopology, "")); err != nil {
		t.Fatal(err)
	}
	if err := d.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	var frames [][]byte
	lab.WaitFor(t, patience, "the termination", func() error {
		for _, f := range said[wire.TypeMRDTermination].Frames() {
			frames = append(frames, f.Data)
		}
		if len(frames) == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	frames = append(frames, endedLater(t, s, d, said[wire.TypeMRDAdvert], said[wire.TypeMRDTermination])...)
	for _, typ := range []byte{wire.TypeMLDQuery, wire.TypeMRDAdvert} {
		for _, f := range said[typ].Frames() {
			frames = append(frames, f.Data)
		}
	}
	fixtures.CheckDissected(t, frames)
	t.Logf("%d frames dissected; the Linux bridge says %s", len(frames), strings.TrimSpace(routers()))
}

// endedLater: a router that advertised itself, and left the configuration while nobody ran,
// is told the end of when somebody does; and only once.
func endedLater(t *testing.T, s *stage.Stage, d *stage.Daemon, adverts, terminations *lab.Capture) (frames [][]byte) {
	t.Helper()
	configure := func(discovery string) {
		t.Helper()
		if err := s.Configure(fmt.Sprintf(mrdTopology, discovery)); err != nil {
			t.Fatal(err)
		}
	}
	awaited := func(what string, c *lab.Capture, n int) {
		t.Helper()
		lab.WaitFor(t, patience, what, func() error {
			if got := len(c.Frames()); got <= n {
				return fmt.Errorf("%d", got)
			}
			return nil
		})
	}
	n := len(adverts.Frames())
	configure(", router_discovery: true")
	if err := d.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	awaited("an advertisement", adverts, n)
	if err := d.Kill(); err != nil {
		t.Fatal(err)
	}
	n = len(terminations.Frames())
	configure("")
	d = serve(t, s)
	awaited("the termination of an earlier life", terminations, n)
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	told := len(terminations.Frames())
	d = serve(t, s)
	waitMetric(t, d, "damselfly_multicast_messages_total{kind=queries}", 1) // the first thing that it says
	if again := len(terminations.Frames()); again != told {
		t.Errorf("%d terminations more after another restart", again-told)
	}
	for _, f := range terminations.Frames()[n:] {
		frames = append(frames, f.Data)
	}
	return frames
}
