package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/agent"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// TestPortsByInterface: ports that only their Interface tells of, and which
// Interface is which port.
func TestPortsByInterface(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, onePrefix+oneRouter+`
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11"}
  - {name: by-id, network: blue, mac: "02:00:00:00:00:12"}
  - {name: wanted, network: blue, mac: "02:00:00:00:00:13"}
`)
		d := serve(t, s)
		vm1 := addGuest(t, s, quick("vm1", mac1))

		o := quick("tap-a", "02:00:00:00:00:21")
		o.NoIfaceID = true
		o.ExternalIDs = map[string]string{"damselfly-network": "blue", "attached-mac": "02:00:00:00:00:21"}
		alone := addGuest(t, s, o)
		waitAddr(t, alone, "fd00:b1::/64")
		ping(t, vm1, linkLocal(t, alone)+"%eth0")

		o = quick("tap-b", mac2)
		o.NoIfaceID = true
		o.ExternalIDs = map[string]string{"iface-id": "by-id"}
		byID := addGuest(t, s, o)
		waitAddr(t, byID, "fd00:b1::/64")
		ping(t, vm1, linkLocal(t, byID)+"%eth0")

		t.Run("two interfaces claim one port", func(t *testing.T) { rivals(t, s, d, vm1) })
		t.Run("removed and added again", func(t *testing.T) { comesBack(t, s, d, vm1, byID) })
		t.Run("keys outlive a restart", func(t *testing.T) {
			before, _ := statusOf(t, d)
			for _, name := range []string{"vm1", "by-id", "tap-a"} {
				if before[name] == 0 {
					t.Errorf("port %s has no key", name)
				}
			}
			if err := d.Stop(); err != nil {
				t.Fatal(err)
			}
			d = serve(t, s)
			after, _ := statusOf(t, d)
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("keys changed:\n%s", diff)
			}
		})
	})
}

// rivals has two Interfaces claim one port: neither is served until one of them
// gives up.
func rivals(t *testing.T, s *stage.Stage, d *stage.Daemon, vm1 *lab.Guest) {
	for _, name := range []string{"tap-c", "tap-d"} {
		o := quick(name, mac3)
		o.NoIfaceID, o.Down = true, true
		o.ExternalIDs = map[string]string{"iface-id": "wanted"}
		addGuest(t, s, o)
	}
	lab.WaitFor(t, patience, "the problem in the status", func() error {
		_, problems := statusOf(t, d)
		if !slices.ContainsFunc(problems, func(p string) bool {
			return strings.Contains(p, "wanted") && strings.Contains(p, "tap-c") && strings.Contains(p, "tap-d")
		}) {
			return fmt.Errorf("problems %q", problems)
		}
		return nil
	})
	waitLog(t, d, "claimed by the interfaces tap-c and tap-d")
	st, err := d.Status()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range st.Ports {
		if p.Name == "wanted" && p.OFPort != 0 {
			t.Errorf("one of the rivals is served: %+v", p)
		}
	}
	ping(t, vm1, "fe80::1%eth0")
	if _, err := s.Vsctl("del-port", "tap-d"); err != nil {
		t.Fatal(err)
	}
	waitLog(t, d, "served again", "wanted")
}

// comesBack takes a port off the bridge and puts it there again, by another
// number of the switch.
func comesBack(t *testing.T, s *stage.Stage, d *stage.Daemon, vm1, guest *lab.Guest) {
	ofport := func() (n uint32) {
		st, err := d.Status()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range st.Ports {
			if p.Name == "by-id" {
				n = p.OFPort
			}
		}
		return n
	}
	before := ofport()
	if _, err := s.Vsctl("del-port", guest.Name); err != nil {
		t.Fatal(err)
	}
	lab.WaitFor(t, patience, "the port's end", func() error {
		if n := ofport(); n != 0 {
			return fmt.Errorf("still %d", n)
		}
		return nil
	})
	if _, err := s.Vsctl("add-port", stage.Bridge, guest.Name, "--", "set", "Interface", guest.Name,
		"external_ids:iface-id=by-id", "ofport_request=99"); err != nil {
		t.Fatal(err)
	}
	lab.WaitFor(t, patience, "the port's return", func() error {
		if n := ofport(); n != 99 || before == 99 {
			return fmt.Errorf("number %d, was %d", n, before)
		}
		return nil
	})
	lab.WaitFor(t, patience, "service", func() error {
		_, err := guest.Run("ping", "-6", "-c", "1", "-W", "1", "fe80::1%eth0")
		return err
	})
	ping(t, guest, linkLocal(t, vm1)+"%eth0")
}

// TestLocalPort has the bridge's LOCAL port as a port: the guest is the lab's
// namespace itself, as a host's own interface would be.
func TestLocalPort(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, "")
		mac := localMAC(t, s)
		configure(t, s, onePrefix+oneRouter+bluePorts+fmt.Sprintf("  - {name: %s, network: blue, mac: %q}\n", stage.Bridge, mac))
		d := serve(t, s)
		vm1 := addGuest(t, s, quick("vm1", mac1))
		waitAddr(t, vm1, "fd00:b1::/64")
		localUp(t, s)
		var addr netip.Addr
		lab.WaitFor(t, patience, "LOCAL's address", func() error {
			out, err := s.Command("ip", "-6", "-o", "addr", "show", "dev", stage.Bridge, "scope", "global", "-tentative").Output()
			if err != nil {
				return err
			}
			for _, word := range strings.Fields(string(out)) {
				if p, err := netip.ParsePrefix(word); err == nil && netip.MustParsePrefix("fd00:b1::/64").Contains(p.Addr()) {
					addr = p.Addr()
					return nil
				}
			}
			return fmt.Errorf("addresses %q", out)
		})
		ping(t, vm1, addr.String())
		for _, target := range []string{"fd00:b1::1", waitAddr(t, vm1, "fd00:b1::/64").Address.String()} {
			if out, err := s.Command("ping", "-6", "-c", "1", "-W", "5", target).CombinedOutput(); err != nil {
				t.Errorf("LOCAL does not reach %s: %v\n%s", target, err, out)
			}
		}
		if st, err := d.Status(); err != nil || !slices.ContainsFunc(st.Ports, func(p agent.PortStatus) bool { return p.Name == stage.Bridge && p.OFPort == 0xfffffffe }) {
			t.Errorf("status: %+v %v", st.Ports, err)
		}
	})
}

// localMAC is the MAC of the bridge's own interface.
func localMAC(t *testing.T, s *stage.Stage) (mac string) {
	t.Helper()
	out, err := s.Vsctl("get", "Interface", stage.Bridge, "mac_in_use")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(strings.TrimSpace(out), `"`)
}

// localUp gives the bridge's own interface an IPv6 stack that autoconfigures.
func localUp(t *testing.T, s *stage.Stage) {
	t.Helper()
	err := s.Within(func() error {
		for key, value := range map[string]string{"disable_ipv6": "0", "accept_ra": "2", "autoconf": "1", "dad_transmits": "0"} {
			if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+stage.Bridge+"/"+key, []byte(value), 0); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := s.Command("ip", "link", "set", stage.Bridge, "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestGuestRouter: a port with router: true is answered for as a router, and on
// a network that Damselfly does not advertise its advertisements reach the
// others.
func TestGuestRouter(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, `
networks: [{name: own}]
ports:
  - {name: gw, network: own, mac: "02:00:00:00:00:13", router: true}
  - {name: vm1, network: own, mac: "02:00:00:00:00:11"}
  - {name: vm2, network: own, mac: "02:00:00:00:00:12"}
`)
		d := serve(t, s)
		gw, vm1, vm2 := addGuest(t, s, quick("gw", mac3)), addGuest(t, s, quick("vm1", mac1)), addGuest(t, s, quick("vm2", mac2))
		at1 := watch(t, vm1, nil)
		for _, g := range []*lab.Guest{vm1, vm2} {
			ping(t, gw, linkLocal(t, g)+"%eth0") // their ports are served
		}

		ra := routerAdvert(t, mac3, "fe80::ff:fe00:13", "fd00:9::")
		inject(t, gw, ra)
		arrives(t, at1, "the guest router's advertisement", like(ra))
		for _, g := range []*lab.Guest{vm1, vm2} {
			waitAddr(t, g, "fd00:9::/64")
			if lines := routeLines(t, g); !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "default via fe80::ff:fe00:13 ") }) {
				t.Errorf("%s: no default route through the guest router: %q", g.Name, lines)
			}
		}
		// The kernel of gw forwards nothing, so a flag R comes from Damselfly.
		if out, err := vm1.Run("ndisc6", "-1", "-r", "3", "-w", "2000", "fe80::ff:fe00:13", "eth0"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		target := netip.MustParseAddr("fe80::ff:fe00:13")
		na := arrives(t, at1, "the advertisement for the router", func(f []byte) bool {
			na := neighborAdvertOf(f)
			return na != nil && netip.MustParseAddr(na.TargetAddress.String()) == target
		})
		if flags := neighborAdvertOf(na.Data).Flags; flags != 0xe0 {
			t.Errorf("flags %#x, want R, S and O", flags)
		}

		// Another guest of the same network may not advertise.
		inject(t, vm2, routerAdvert(t, mac2, "fe80::ff:fe00:12", "fd00:bad::"))
		waitMetric(t, d, drops("drop-guest-ra"), 1)
		marker := datagram(t, mac2, broadcast, "after the forged one")
		inject(t, vm2, marker)
		arrives(t, at1, "the frame after", like(marker))
		if got := received(at1, func(f []byte) bool { return advertOf(f) != nil && strings.Contains(string(f), "\xfd\x00\x0b\xad") }); len(got) > 0 {
			t.Errorf("vm2's advertisement reached vm1: % x", got[0])
		}
	})
}
