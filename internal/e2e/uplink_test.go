package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"damselfly/internal/agent"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
	"damselfly/internal/wire"
)

const uplinkTopology = `
networks:
  - name: blue
    subnets: [{prefix: "fd00:b1::/64"}]
  - name: ext
    uplink: {interface: up0, accept_ra: true}
    router_advertisement: {interval: 4s, min_interval: 3s}
    subnets: [{prefix: "2001:db8:1::/64", gateway: "2001:db8:1::2"}]
  - {name: nest, subnets: [{prefix: "fd00:5e::/64"}]}
routers:
  - name: r1
    networks: [blue, nest, {name: ext, link_local: "fe80::a", mac: "02:00:00:00:0a:01"}]
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11"}
  - {name: vm2, network: ext, mac: "02:00:00:00:00:12"}
  - {name: vm3, network: nest, unknown: true}
`

// uplinkPlay is a guest on an inside network, one on the network of an uplink, a
// Linux router behind the uplink and a host behind that.
type uplinkPlay struct {
	d                   *stage.Daemon
	s                   *stage.Stage
	vm1, vm2, up, far   *lab.Guest
	atGuest, atUpstream *lab.Capture
	linkLocal           netip.Addr // the Linux router's
	radvd               func()
}

const farHost = "2001:db8:99::2"

// newUplinkPlay sets all up and waits until the router is learned.
func newUplinkPlay(t *testing.T, ndExt bool) *uplinkPlay {
	p := &uplinkPlay{s: newStage(t, ndExt, uplinkTopology)}
	p.d = serve(t, p.s)
	p.up = addGuest(t, p.s, lab.GuestOptions{Name: "up0", MAC: "02:00:00:00:0b:01", NoIfaceID: true,
		Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8:1::ff/64")}})
	p.far = addGuest(t, p.s, lab.GuestOptions{Name: "far", NoIfaceID: true, Down: true})
	p.vm1 = addGuest(t, p.s, lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11"})
	p.vm2 = addGuest(t, p.s, lab.GuestOptions{Name: "vm2", MAC: "02:00:00:00:00:12"})
	p.atGuest, p.atUpstream = captureAll(t, p.vm2), captureAll(t, p.up)
	putBehind(t, p.up, p.far)
	lines(t, p.up, "ip -6 route add fd00:b1::/64 via fe80::a dev eth0")
	booted(t, netip.MustParsePrefix("fd00:b1::/64"), p.vm1)
	booted(t, netip.MustParsePrefix("2001:db8:1::/64"), p.vm2)
	p.linkLocal = netip.MustParseAddr("fe80::ff:fe00:b01")
	p.radvd = startRadvd(t, p.up)
	lab.WaitFor(t, patience, "the router is learned", func() error { return p.neighbor(p.linkLocal.String(), "reachable") })
	return p
}

// putBehind makes a guest a router and puts the far host behind it.
func putBehind(t *testing.T, up, far *lab.Guest) {
	t.Helper()
	if err := up.Sysctl("net.ipv6.conf.all.forwarding", "1"); err != nil {
		t.Fatal(err)
	}
	lines(t, up, "ip link add down0 type veth peer name far0 netns "+far.Namespace,
		"ip addr add 2001:db8:99::1/64 dev down0 nodad", "ip link set down0 up")
	lines(t, far, "ip addr add "+farHost+"/64 dev far0 nodad", "ip link set far0 up", "ip -6 route add default via 2001:db8:99::1")
}

// captureAll captures the Router Advertisements that reach a guest.
func captureAll(t *testing.T, g *lab.Guest) *lab.Capture {
	t.Helper()
	c, err := g.Capture("", func(frame []byte) bool {
		var p wire.Packet
		return wire.Cut(frame, &p) == wire.FaultNone && p.Protocol == wire.ProtocolICMPv6 && p.ICMPv6().Type() == wire.TypeRouterAdvert
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Stop() })
	return c
}

// startRadvd has a guest advertise itself as a router; stop ends that without a word.
func startRadvd(t *testing.T, up *lab.Guest) (stop func()) {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "radvd.conf")
	text := "interface eth0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 60; };\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := up.Command("radvd", "-n", "-m", "stderr", "-u", "root", "-C", conf, "-p", conf+".pid")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() {
		if !ended {
			ended = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	return stop
}

// neighbor is nil if a neighbour is in a state.
func (p *uplinkPlay) neighbor(address string, states ...string) error {
	var st agent.Status
	if err := p.d.Get("/status", &st); err != nil {
		return err
	}
	for _, n := range st.Neighbors {
		if n.Address.String() == address && slices.Contains(states, n.State) {
			return nil
		}
	}
	return fmt.Errorf("%s is not %v: %+v", address, states, st.Neighbors)
}

// pings is nil if the host behind the router answers vm1.
func (p *uplinkPlay) pings() error {
	_, err := p.vm1.Run("ping", "-c", "1", "-W", "1", farHost)
	return err
}

// fetch has vm1 read from the far host over TCP.
func (p *uplinkPlay) fetch() error {
	var l net.Listener
	err := p.far.Within(func() (err error) {
		l, err = net.Listen("tcp", "["+farHost+"]:8080")
		return err
	})
	if err != nil {
		return err
	}
	defer l.Close()
	want := strings.Repeat("damselfly", 1<<15)
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.WriteString(c, want)
			_ = c.Close()
		}
	}()
	return p.vm1.Within(func() error {
		c, err := net.DialTimeout("tcp", "["+farHost+"]:8080", patience)
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		got, err := io.ReadAll(c)
		if err == nil && string(got) != want {
			err = fmt.Errorf("%d of %d octets", len(got), len(want))
		}
		return err
	})
}

// TestUplink has guests speak with what is behind a Linux router of the physical
// network, which is learned from its advertisements, moves and vanishes.
func TestUplink(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		p := newUplinkPlay(t, ndExt)
		t.Run("beyond the router", func(t *testing.T) {
			lab.WaitFor(t, patience, "ping", p.pings)
			if err := p.fetch(); err != nil {
				t.Error(err)
			}
		})
		t.Run("a host of the link", func(t *testing.T) {
			if out, err := p.vm1.Run("ping", "-c", "2", "-i", "0.2", "-W", "2", "2001:db8:1::ff"); err != nil || !strings.Contains(out, " 0% packet loss") {
				t.Error(out, err)
			}
			if err := p.neighbor("2001:db8:1::ff", "reachable"); err != nil {
				t.Error(err)
			}
		})
		t.Run("behind an unknown port", p.testNested)
		t.Run("nobody there", p.testNobody)
		t.Run("no advertisement passes", p.testAdvertisements)
		t.Run("another MAC", p.testMoved)
		t.Run("vanishes", p.testVanished)
	})
}

// testNested: a host behind a port with unknown hosts is found as one of the
// physical network is, and nobody beside it is.
func (p *uplinkPlay) testNested(t *testing.T) {
	vm3 := addGuest(t, p.s, lab.GuestOptions{Name: "vm3"})
	at := booted(t, netip.MustParsePrefix("fd00:5e::/64"), vm3)[0].String()
	if out, err := p.vm1.Run("ping", "-c", "3", "-i", "0.2", "-W", "2", at); err != nil || !strings.Contains(out, " 0% packet loss") {
		t.Error(out, err)
	}
	if err := p.neighbor(at, "reachable", "stale"); err != nil {
		t.Error(err)
	}
	if out, _ := p.vm1.Run("ping", "-c", "1", "-W", "8", "fd00:5e::dead"); !strings.Contains(out, "Address unreachable") {
		t.Error(out)
	}
	out, err := p.s.Command(p.s.Binary, "status", "neighbors", "-c", p.s.ConfigPath).CombinedOutput()
	if err != nil || !strings.Contains(string(out), at) || !strings.Contains(string(out), p.linkLocal.String()) {
		t.Errorf("%s\n%v", out, err)
	}
	t.Logf("\n%s", out)
}

// testNobody: address unreachable after three solicitations, one second apart
// (RFC 4861 sections 7.2.2 and 10).
func (p *uplinkPlay) testNobody(t *testing.T) {
	began := time.Now()
	out, _ := p.vm1.Run("ping", "-c", "1", "-W", "8", "2001:db8:1::dead")
	if took := time.Since(began); !strings.Contains(out, "Address unreachable") || took < 3*time.Second {
		t.Errorf("after %s:\n%s", took, out)
	}
	if err := p.neighbor("2001:db8:1::dead", "incomplete"); err == nil {
		t.Error("who did not answer is still asked for")
	}
	m := metrics(t, p.d)
	for key, want := range map[string]float64{
		"damselfly_routes{origin=connected,router=r1,type=unicast}": 3, "damselfly_routes{origin=learned,router=r1,type=unicast}": 1,
		"damselfly_routes_unresolved{router=r1}": 0, "damselfly_neighbors{network=ext,state=incomplete}": 0,
		"damselfly_default_routers{network=ext,there=yes}": 1, "damselfly_default_routers{network=ext,there=no}": 0,
	} {
		if got, there := m[key]; got != want || !there {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	known := 0.0 // who was heard of some time ago is stale
	for _, state := range []string{"reachable", "stale", "delay", "probe"} {
		known += m["damselfly_neighbors{network=ext,state="+state+"}"]
	}
	if known < 2 || m["damselfly_neighbor_events_total{event=unreachable}"] < 1 {
		t.Errorf("%v neighbours are known", known)
	}
}

// testAdvertisements: the router's advertisements end at the uplink, and
// Damselfly's for its guests do.
func (p *uplinkPlay) testAdvertisements(t *testing.T) {
	sources := func(c *lab.Capture) (list []string) {
		for _, f := range c.Frames() {
			var q wire.Packet
			if wire.Cut(f.Data, &q) == wire.FaultNone {
				list = append(list, q.IPv6.Source().String())
			}
		}
		return list
	}
	lab.WaitFor(t, patience, "guests hear the router here", func() error {
		if !slices.Contains(sources(p.atGuest), "fe80::a") {
			return errors.New("not yet")
		}
		return nil
	})
	if list := sources(p.atGuest); slices.Contains(list, p.linkLocal.String()) {
		t.Errorf("a guest heard advertisements of %v", list)
	}
	if list := sources(p.atUpstream); slices.Contains(list, "fe80::a") {
		t.Errorf("behind the uplink there were advertisements of %v", list)
	}
}

// testMoved: the router's MAC changes, and nobody says so.
func (p *uplinkPlay) testMoved(t *testing.T) {
	p.radvd()
	for _, line := range []string{"ip link set eth0 down", "ip link set eth0 address 02:00:00:00:0b:02 addrgenmode none", "ip link set eth0 up",
		"ip addr add " + p.linkLocal.String() + "/64 dev eth0 nodad", "ip addr add 2001:db8:1::ff/64 dev eth0 nodad", "ip -6 route add fd00:b1::/64 via fe80::a dev eth0"} {
		words := strings.Fields(line)
		if _, err := p.up.Run(words[0], words[1:]...); err != nil && !strings.Contains(err.Error(), "File exists") {
			t.Fatal(err)
		}
	}
	began := time.Now()
	lab.WaitFor(t, patience, "the router is followed", p.pings)
	t.Logf("followed after %s", time.Since(began).Round(100*time.Millisecond))
}

// testVanished: the router is gone, and senders are told.
func (p *uplinkPlay) testVanished(t *testing.T) {
	if err := p.up.Down(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	lab.WaitFor(t, patience, "the router is missed", func() error { return p.neighbor(p.linkLocal.String(), "incomplete") })
	t.Logf("missed after %s", time.Since(began).Round(100*time.Millisecond))
	out, _ := p.vm1.Run("ping", "-c", "1", "-W", "8", farHost)
	if !strings.Contains(out, "Address unreachable") {
		t.Error(out)
	}
}
