package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"damselfly/internal/agent"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// rotating guests take a new temporary address every few seconds (RFC 8981).
var rotating = map[string]string{
	"net.ipv6.conf.eth0.temp_prefered_lft":         "14",
	"net.ipv6.conf.eth0.temp_valid_lft":            "40",
	"net.ipv6.conf.eth0.max_desync_factor":         "0",
	"net.ipv6.conf.eth0.router_solicitation_delay": "0",
}

// temporary is the address a guest prefers now.
func temporary(g *lab.Guest) (netip.Addr, error) {
	addrs, err := g.Addrs()
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		if a.Temporary && !a.Deprecated && !a.Tentative {
			return a.Address, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("%s has no temporary address that it prefers: %+v", g.Name, addrs)
}

// TestPrivacyRotation: a guest whose every address is of its own making keeps
// reaching its neighbour while it goes from one to the next and while Damselfly
// is stopped, killed and started. Both happen just after a change of address,
// seconds before the next: a probe that falls into an outage is learned of by
// the first packets, which are lost.
func TestPrivacyRotation(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, blue)
		d := serve(t, s)
		vm1 := addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: mac1, AddrGen: lab.StablePrivacy, PrivacyExtensions: true, Sysctls: rotating})
		vm2 := addGuest(t, s, lab.GuestOptions{Name: "vm2", MAC: mac2, AddrGen: lab.StablePrivacy})
		target := booted(t, bluePrefix, vm1, vm2)[1].String()
		used, pings := map[netip.Addr]bool{}, 0
		next := func() {
			t.Helper()
			lab.WaitFor(t, patience, "another temporary address", func() error {
				ping(t, vm1, target)
				pings += 2
				a, err := temporary(vm1)
				if err == nil && used[a] {
					err = errors.New("the same one still")
				}
				used[a] = true
				return err
			})
		}
		next()
		next()
		if err := d.Stop(); err != nil {
			t.Fatal(err)
		}
		ping(t, vm1, target)
		watch := startMonitor(t, s)
		d = serve(t, s)
		ping(t, vm1, target)
		if events := watch(); events != "" {
			t.Errorf("the restart changed flows:\n%s", events)
		}
		next()
		if err := d.Kill(); err != nil {
			t.Fatal(err)
		}
		ping(t, vm1, target)
		d = serve(t, s)
		ping(t, vm1, target)
		next()
		t.Logf("%d pings answered from %d temporary addresses", pings+8, len(used))
		current, err := temporary(vm1)
		if err != nil {
			t.Fatal(err)
		}
		if p := portOf(t, d, "vm1"); !slices.Contains(p.Learned, current) || len(p.Learned) < 3 {
			t.Errorf("status: learned %v, without %s", p.Learned, current)
		}
		if _, changes := planned(t, command(t, s, "plan", "-c", s.ConfigPath, "--ovsdb", s.OVSDB)); changes != "0 0 0" {
			t.Errorf("a plan of what is there has changes: %s", changes)
		}
		if n := metrics(t, d)["damselfly_learned_addresses{port=vm1}"]; n < 3 {
			t.Errorf("metrics: %v learned addresses", n)
		}
	})
}

// portOf is a port in the daemon's status.
func portOf(t *testing.T, d *stage.Daemon, name string) agent.PortStatus {
	t.Helper()
	st, err := d.Status()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range st.Ports {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no port %s in %+v", name, st.Ports)
	return agent.PortStatus{}
}

const shared = "fd00:b1::d:ad"

// take has a guest take an address and reports whether its kernel found it to be
// another's.
func take(t *testing.T, g *lab.Guest, address string) (duplicate bool) {
	t.Helper()
	if _, err := g.Run("ip", "-6", "addr", "replace", address+"/64", "dev", "eth0"); err != nil {
		t.Fatal(err)
	}
	lab.WaitFor(t, patience, g.Name+"'s duplicate address detection", func() error {
		addrs, err := g.Addrs()
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if a.Address != netip.MustParseAddr(address) {
				continue
			}
			if duplicate = a.DADFailed; a.Tentative && !a.DADFailed {
				return errors.New("tentative")
			}
			return nil
		}
		return errors.New("it is not there")
	})
	return duplicate
}

// giveUp has a guest drop an address without a word.
func giveUp(t *testing.T, g *lab.Guest, address string) {
	t.Helper()
	if _, err := g.Run("ip", "-6", "addr", "del", address+"/64", "dev", "eth0"); err != nil {
		t.Fatal(err)
	}
}

// TestAddressConflict has two guests want one address that nobody configured:
// one gets it, the other's kernel is told, and the log names both. When the
// holder is silent or away, the other gets it.
func TestAddressConflict(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, blue)
		d := serve(t, s)
		atOnce := map[string]string{"net.ipv6.conf.eth0.router_solicitation_delay": "0"}
		vm1 := addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: mac1, Sysctls: atOnce})
		vm2 := addGuest(t, s, lab.GuestOptions{Name: "vm2", MAC: mac2, Sysctls: atOnce})
		booted(t, bluePrefix, vm1, vm2)

		var duplicate [2]bool
		var both sync.WaitGroup
		for i, g := range []*lab.Guest{vm1, vm2} {
			both.Go(func() { duplicate[i] = take(t, g, shared) })
		}
		both.Wait()
		if duplicate[0] == duplicate[1] {
			t.Fatalf("duplicates: %v, want one", duplicate)
		}
		waitLog(t, d, "two ports want one address", "address="+shared, "vm1", "vm2")
		holder, other := vm1, vm2
		if duplicate[0] {
			holder, other = vm2, vm1
		}
		giveUp(t, other, shared)

		// Long after, the holder is asked whether it is still there. It is.
		quiet(t)
		if !take(t, other, shared) {
			t.Error("a holder that answers lost its address")
		}
		giveUp(t, other, shared)
		waitMetric(t, d, "damselfly_port_frames_total{port="+holder.Name+",reason=still-there}", 1)
		ping(t, other, shared)

		giveUp(t, holder, shared)
		quiet(t)
		if take(t, other, shared) {
			t.Error("an address that its holder gave up is still defended")
		}
		waitLog(t, d, "an address moved", "address="+shared, "port="+other.Name, "former="+holder.Name)
		ping(t, holder, shared)

		if err := other.Remove(); err != nil {
			t.Fatal(err)
		}
		lab.WaitFor(t, patience, other.Name+"'s port to go", func() error {
			if p := portOf(t, d, other.Name); p.OFPort != 0 {
				return fmt.Errorf("it is port %d", p.OFPort)
			}
			return nil
		})
		if take(t, holder, shared) {
			t.Error("the address of a guest that is away is still defended")
		}
		lab.WaitFor(t, patience, "the address at its new holder", func() error {
			if p := portOf(t, d, holder.Name); !slices.Contains(p.Learned, netip.MustParseAddr(shared)) {
				return fmt.Errorf("learned %v", p.Learned)
			}
			return nil
		})
	})
}

// TestAddressConflictWithoutRouter: where no router's address is there to ask
// from, a holder is asked all the same.
func TestAddressConflictWithoutRouter(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, `
networks: [{name: own}]
ports:
  - {name: vm1, network: own, mac: "02:00:00:00:00:11"}
  - {name: vm2, network: own, mac: "02:00:00:00:00:12"}
`)
		d := serve(t, s)
		vm1, vm2 := addGuest(t, s, quick("vm1", mac1)), addGuest(t, s, quick("vm2", mac2))
		ping(t, vm1, linkLocal(t, vm2)+"%eth0")
		for _, g := range []*lab.Guest{vm1, vm2} {
			if err := g.Sysctl("net.ipv6.conf.eth0.dad_transmits", "1"); err != nil {
				t.Fatal(err)
			}
		}
		if take(t, vm1, shared) {
			t.Fatal("vm1 did not get it")
		}
		quiet(t)
		if !take(t, vm2, shared) {
			t.Error("a holder that answers lost its address")
		}
		waitMetric(t, d, "damselfly_port_frames_total{port=vm1,reason=still-there}", 1)
	})
}

// quiet lets a sign of life become old (binding.Fresh).
func quiet(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(3500 * time.Millisecond):
	case <-t.Context().Done():
	}
}

// TestTooManyAddresses: a guest that takes more addresses than its port may hold
// has those it took first, and nobody else notices.
func TestTooManyAddresses(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, strings.Replace(blue, `mac: "02:00:00:00:00:11"`, `mac: "02:00:00:00:00:11", limits: {addresses: 3}`, 1))
		d := serve(t, s)
		vm1 := addGuest(t, s, quick("vm1", mac1))
		vm2 := addGuest(t, s, quick("vm2", mac2))
		booted(t, bluePrefix, vm1, vm2)
		for i := range 6 {
			a := fmt.Sprintf("fd00:b1::100:%x", i)
			if _, err := vm1.Run("ip", "-6", "addr", "add", a+"/64", "dev", "eth0", "nodad"); err != nil {
				t.Fatal(err)
			}
			if i < 3 {
				// No probe told of it: its packets do.
				lab.WaitFor(t, patience, a+" to be learned", func() error {
					_, err := vm1.Run("ping", "-6", "-c", "1", "-W", "1", "-I", a, "fd00:b1::1")
					return err
				})
				continue
			}
			if out, err := vm1.Run("ping", "-6", "-c", "1", "-W", "1", "-I", a, "fd00:b1::1"); err == nil {
				t.Errorf("%s is used beyond the limit:\n%s", a, out)
			}
		}
		waitMetric(t, d, "damselfly_port_frames_total{port=vm1,reason=too-many-addresses}", 1)
		p := portOf(t, d, "vm1")
		if len(p.Learned) != 3 || p.MaxLearned != 3 {
			t.Errorf("learned %v of %d, want 3 of 3", p.Learned, p.MaxLearned)
		}
		for i := range 3 {
			ping(t, vm2, fmt.Sprintf("fd00:b1::100:%x", i))
		}
		ping(t, vm1, "fd00:b1::1", "-I", "fd00:b1::ff:fe00:11")
		if take(t, vm2, "fd00:b1::200:1") {
			t.Error("vm2 did not get an address")
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if _, err := vm2.WaitAddr(ctx, netip.MustParsePrefix("fd00:b1::200:1/128")); err != nil {
			t.Error(err)
		}
	})
}
