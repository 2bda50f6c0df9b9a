package e2e

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
	"damselfly/internal/wire"
)

// crossroads is a router with two guests that are routers, each with a way to
// 2001:db8:7::/48, and two networks that are VLANs of one interface.
const crossroads = `
networks:
  - {name: blue, subnets: [{prefix: "fd00:b1::/64"}]}
  - {name: red, subnets: [{prefix: "fd00:ed::/64"}]}
  - {name: ten, uplink: {interface: up0, vlan: 10}, subnets: [{prefix: "2001:db8:10::/64"}]}
  - {name: twenty, uplink: {interface: up0, vlan: 20, accept_ra: true}, subnets: [{prefix: "2001:db8:20::/64"}]}
routers:
  - name: r1
    networks:
      - blue
      - red
      - {name: ten, link_local: "fe80::a", mac: "02:00:00:00:0a:0a"}
      - {name: twenty, link_local: "fe80::a", mac: "02:00:00:00:0a:14"}
    routes:
      - {destination: "2001:db8:7::/48", nexthop: ["fe80::ff:fe00:12", "fe80::ff:fe00:13"], network: red}
      - {destination: "2001:db8:8::/48", nexthop: ["2001:db8:10::ff", "2001:db8:20::ff"]}
      - {destination: "2001:db8:b::/48", type: blackhole}
      - {destination: "2001:db8:c::/48", type: reject}
ports:
  - {name: vm1, network: blue, port_security: false, mac: "02:00:00:00:00:11"}
  - {name: vm2, network: red, mac: "02:00:00:00:00:12", allowed_address_pairs: [{address: "2001:db8:7::/48"}]}
  - {name: vm3, network: red, mac: "02:00:00:00:00:13", allowed_address_pairs: [{address: "2001:db8:7::/48"}]}
`

// crossing is the guests of crossroads and two Linux routers behind the interface,
// one on each VLAN.
type crossing struct {
	*stage.Stage
	daemon        *stage.Daemon
	vm1, vm2, vm3 *lab.Guest
	up            map[string]*lab.Guest
}

func newCrossing(t *testing.T, ndExt bool) *crossing {
	c := &crossing{Stage: newStage(t, ndExt, crossroads)}
	c.daemon = serve(t, c.Stage)
	c.vm1, c.vm2, c.vm3 = addGuest(t, c.Stage, quick("vm1", mac1)), addGuest(t, c.Stage, quick("vm2", mac2)), addGuest(t, c.Stage, quick("vm3", mac3))
	switchBehind(t, c.Stage, "up0")
	c.up = map[string]*lab.Guest{"10": inVLAN(t, c.Stage, "up10", 10, "02:00:00:00:0b:10"), "20": inVLAN(t, c.Stage, "up20", 20, "02:00:00:00:0b:20")}
	booted(t, netip.MustParsePrefix("fd00:b1::/64"), c.vm1)
	booted(t, netip.MustParsePrefix("fd00:ed::/64"), c.vm2, c.vm3)
	for _, g := range []*lab.Guest{c.vm2, c.vm3} {
		lines(t, g, "ip addr add 2001:db8:7::1/128 dev lo")
	}
	for vlan, g := range c.up {
		lines(t, g, "ip addr add 2001:db8:8::1/128 dev lo", "ip addr add 2001:db8:"+vlan+"::ff/64 dev eth0 nodad", "ip -6 route add default via fe80::a dev eth0")
	}
	return c
}

// lines runs commands in a guest.
func lines(t *testing.T, g *lab.Guest, list ...string) {
	t.Helper()
	for _, line := range list {
		words := strings.Fields(line)
		if out, err := g.Run(words[0], words[1:]...); err != nil {
			t.Fatal(line, out, err)
		}
	}
}

// TestPaths has several next hops share what a guest sends, come and go, and
// networks that are VLANs of one interface.
func TestPaths(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		c := newCrossing(t, ndExt)
		t.Run("shared by guests", c.shared)
		t.Run("VLANs of an uplink", c.vlans)
		t.Run("explained", c.explained)
		t.Run("a guest that goes", c.goes)
		t.Run("planned", c.planned)
	})
}

// spread sends from many ports and returns how many arrived at each of two guests.
func (c *crossing) spread(t *testing.T, to string, at ...*lab.Guest) (counts []int) {
	t.Helper()
	var captures []*lab.Capture
	for _, g := range at {
		captures = append(captures, watch(t, g, func(frame []byte) bool { return holding("which way")(frame) && frame[20] == wire.ProtocolUDP }))
	}
	const flows = 64
	for range flows {
		conn, err := dial(t, c.vm1, "udp6", netip.MustParseAddr(to), 9, patience)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte("which way")); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	lab.WaitFor(t, patience, "all datagrams", func() error {
		counts = nil
		sum := 0
		for _, k := range captures {
			n := len(k.Frames())
			counts, sum = append(counts, n), sum+n
		}
		if sum < flows {
			return fmt.Errorf("%v", counts)
		}
		return nil
	})
	for _, k := range captures {
		_ = k.Stop()
	}
	return counts
}

func (c *crossing) shared(t *testing.T) {
	ping(t, c.vm1, "2001:db8:7::1")
	if n := c.spread(t, "2001:db8:7::1", c.vm2, c.vm3); n[0] == 0 || n[1] == 0 {
		t.Errorf("one next hop gets all: %v", n)
	}
	o := command(t, c.Stage, "status", "routes", "-c", c.ConfigPath)
	for _, want := range []string{"fe80::ff:fe00:12  vm2", "fe80::ff:fe00:13  vm3"} {
		if !strings.Contains(o.out, want) {
			t.Errorf("no %q in\n%s", want, o.out)
		}
	}
}

// vlans: each network is its VLAN, a router behind both is found on each, and what
// comes by one leaves by the other through the router here.
func (c *crossing) vlans(t *testing.T) {
	for _, to := range []string{"2001:db8:10::ff", "2001:db8:20::ff", "2001:db8:8::1"} {
		lab.WaitFor(t, patience, to+" answers", func() error {
			_, err := c.vm1.Run("ping", "-6", "-c", "1", "-W", "1", to)
			return err
		})
	}
	k, err := c.Capture("up0", "", holding("by the router"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Stop() })
	conn, err := dial(t, c.vm1, "udp6", netip.MustParseAddr("2001:db8:20::ff"), 9, patience)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("by the router")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	frame, err := k.Await(ctx, func([]byte) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if tag := hex.EncodeToString(frame.Data[12:16]); tag != "81000014" {
		t.Errorf("it came as %s, want VLAN 20", tag)
	}
	// Back to where it came from, by another VLAN of the same interface.
	ping(t, c.up["10"], "2001:db8:20::ff")
	if n := c.spread(t, "2001:db8:8::1", c.up["10"], c.up["20"]); n[0] == 0 || n[1] == 0 {
		t.Errorf("one next hop gets all: %v", n)
	}
}

// goes takes one of two next hops away: the other gets all, and again a part when
// it is back.
func (c *crossing) goes(t *testing.T) {
	if err := c.vm2.Down(); err != nil {
		t.Fatal(err)
	}
	lab.WaitFor(t, patience, "the one that is left gets all", func() error {
		out, err := c.vm1.Run("ping", "-6", "-c", "5", "-i", "0.05", "-W", "1", "2001:db8:7::1")
		if err != nil || !strings.Contains(out, " 0% packet loss") {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	if n := c.spread(t, "2001:db8:7::1", c.vm3); n[0] < 64 {
		t.Errorf("%v", n)
	}
	if err := c.vm2.Up(); err != nil {
		t.Fatal(err)
	}
}
