package e2e

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// bluePorts is what all configurations of these tests have beside networks and
// routers.
const bluePorts = `
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11"}
  - {name: vm2, network: blue, mac: "02:00:00:00:00:12"}
`

const (
	onePrefix   = "networks: [{name: blue, subnets: [{prefix: \"fd00:b1::/64\"}]}]\n"
	twoPrefixes = "networks: [{name: blue, subnets: [{prefix: \"fd00:b1::/64\"}, {prefix: \"fd00:b2::/64\"}]}]\n"
	oneRouter   = "routers: [{name: r1, networks: [blue]}]"
)

func configure(t *testing.T, s *stage.Stage, topology string) {
	t.Helper()
	if err := s.Configure(topology); err != nil {
		t.Fatal(err)
	}
}

// TestReload takes changed configurations over while guests are served.
func TestReload(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, onePrefix+oneRouter+bluePorts)
		d := serve(t, s)
		vm1 := addGuest(t, s, quick("vm1", mac1))
		waitAddr(t, vm1, "fd00:b1::/64")

		t.Run("a wrong file changes nothing", func(t *testing.T) { wrongFile(t, s, d, vm1) })

		configure(t, s, strings.Replace(twoPrefixes, "[{name: blue", "[{name: red, subnets: [{prefix: \"fd00:4ed::/64\"}]}, {name: blue", 1)+oneRouter+bluePorts+
			`  - {name: vm3, network: blue, mac: "02:00:00:00:00:13"}
  - {name: red1, network: red, mac: "02:00:00:00:00:11"}
`)
		second := waitAddr(t, vm1, "fd00:b2::/64")
		if st, err := d.Status(); err != nil || st.ConfigError != "" {
			t.Errorf("the error stays: %q %v", st.ConfigError, err)
		}
		vm3, red1 := addGuest(t, s, quick("vm3", mac3)), addGuest(t, s, quick("red1", mac1))
		waitAddr(t, vm3, "fd00:b1::/64")
		waitAddr(t, red1, "fd00:4ed::/64")
		ping(t, vm3, second.Address.String())
		ping(t, vm3, "fe80::1%eth0")

		reloads := strings.Count(d.Log(), "configuration reloaded")
		if err := d.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		lab.WaitFor(t, patience, "the reload by SIGHUP", func() error {
			if got := strings.Count(d.Log(), "configuration reloaded"); got != reloads+1 {
				return fmt.Errorf("%d reloads, want %d", got, reloads+1)
			}
			return nil
		})
	})
}

func wrongFile(t *testing.T, s *stage.Stage, d *stage.Daemon, vm1 *lab.Guest) {
	before, _ := statusOf(t, d)
	configure(t, s, "networks: [{name: blue, subnets: [{prefix: \"fd00:b1::1/64\"}]}]\nrouters: [{name: r1, networks: [grey]}]\n")
	place := filepath.Base(s.ConfigPath) + ":5:"
	waitLog(t, d, "the old one stays in force", place)
	st, err := d.Status()
	if err != nil || !strings.Contains(st.ConfigError, place) || !strings.Contains(st.ConfigError, "grey") {
		t.Errorf("status has %q %v, want every mistake with its place", st.ConfigError, err)
	}
	if after, _ := statusOf(t, d); len(after) != len(before) {
		t.Errorf("ports became %v, were %v", after, before)
	}
	ping(t, vm1, "fe80::1%eth0")
	if out, err := vm1.Run("rdisc6", "-1", "-r", "3", "-w", "2000", "eth0"); err != nil || !strings.Contains(out, "fd00:b1::/64") {
		t.Errorf("rdisc6: %v\n%s", err, out)
	}
}

// TestWithdraw takes a prefix and then the router away; guests learn of it, and
// of the prefix also from a Damselfly that was killed and started anew.
func TestWithdraw(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, twoPrefixes+oneRouter+bluePorts)
		d := serve(t, s)
		vm1 := addGuest(t, s, quick("vm1", mac1))
		waitAddr(t, vm1, "fd00:b1::/64")
		waitAddr(t, vm1, "fd00:b2::/64")
		at := watch(t, vm1, func(f []byte) bool { return advertOf(f) != nil })

		configure(t, s, onePrefix+oneRouter+bluePorts)
		waitDeprecated(t, vm1)
		if a := waitAddr(t, vm1, "fd00:b1::/64"); a.Deprecated || a.Preferred == 0 {
			t.Errorf("the prefix that stays is deprecated too: %+v", a)
		}
		if err := d.Kill(); err != nil {
			t.Fatal(err)
		}
		serve(t, s)
		out, err := vm1.Run("rdisc6", "-1", "-r", "3", "-w", "2000", "eth0")
		if err != nil {
			t.Fatal(err)
		}
		gone := regexp.MustCompile(`(?s)Prefix +: fd00:b2::/64.*?Pref\. time +: +(\w+)`).FindStringSubmatch(out)
		if len(gone) == 0 || gone[1] != "0" {
			t.Errorf("after kill -9 and a restart the prefix that is gone is not deprecated:\n%s", out)
		}

		if !slices.ContainsFunc(routeLines(t, vm1), isDefault) {
			t.Fatal("no default route to withdraw")
		}
		configure(t, s, onePrefix+bluePorts)
		arrives(t, at, "a Router Advertisement of lifetime 0", func(f []byte) bool { return advertOf(f).RouterLifetime == 0 })
		lab.WaitFor(t, patience, "the default route's end", func() error {
			if lines := routeLines(t, vm1); slices.ContainsFunc(lines, isDefault) {
				return fmt.Errorf("routes %q", lines)
			}
			return nil
		})
	})
}

func isDefault(route string) bool { return strings.HasPrefix(route, "default ") }

// waitDeprecated waits until a guest has its address on fd00:b2::/64 and no
// longer prefers it.
func waitDeprecated(t *testing.T, g *lab.Guest) {
	t.Helper()
	prefix := netip.MustParsePrefix("fd00:b2::/64")
	lab.WaitFor(t, patience, "the prefix's deprecation", func() error {
		addrs, err := g.Addrs()
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if prefix.Contains(a.Address) && a.Deprecated && a.Preferred == 0 && a.Valid > 0 {
				return nil
			}
		}
		return fmt.Errorf("addresses %+v", addrs)
	})
}

// TestStopSaysNothing: guests keep their router while Damselfly is stopped.
func TestStopSaysNothing(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, blue)
		d := serve(t, s)
		vm1, vm2 := addGuest(t, s, quick("vm1", mac1)), addGuest(t, s, quick("vm2", mac2))
		at := watch(t, vm1, nil)
		waitAddr(t, vm1, "fd00:b1::/64")
		if err := d.Stop(); err != nil {
			t.Fatalf("SIGTERM: %v\n%s", err, d.Log())
		}
		waitLog(t, d, "stopped")
		// What Damselfly had sent by its end is in the switch before this.
		marker := datagram(t, mac2, broadcast, "after the stop")
		inject(t, vm2, marker)
		arrives(t, at, "the frame after the stop", like(marker))
		for _, f := range at.Frames() {
			if ra := advertOf(f.Data); ra != nil && ra.RouterLifetime == 0 {
				t.Error("a Router Advertisement of lifetime 0 was sent")
			}
		}
		if !slices.ContainsFunc(routeLines(t, vm1), isDefault) {
			t.Error("vm1 lost its default route")
		}
	})
}
