package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// stateful is a network whose addresses come by DHCPv6, and one that delegates.
const stateful = `
networks:
  - name: blue
    mtu: 1442
    router_advertisement: {interval: 30s, min_interval: 10s}
    subnets:
      - {prefix: "fd00:d1::/64", mode: dhcpv6-stateful, dns: ["2001:db8::53"], search: [example.test],
         pools: ["fd00:d1::1:0-fd00:d1::1:ffff"], rapid_commit: true, preferred: 300s, valid: 600s}
    delegation:
      - {pool: "2001:db8:8000::/40", length: 56, preferred: 300s, valid: 600s}
routers: [{name: r1, networks: [blue]}]
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11", addresses: ["fd00:d1::11"]}
  - {name: vm2, network: blue, mac: "02:00:00:00:00:12"}
  - {name: vm3, network: blue, mac: "02:00:00:00:00:13"}
`

// dhclient is a script for ISC dhclient that does as its own does, and leaves
// what it was told beside it.
const dhclientScript = `#!/bin/sh
env | grep -E '^(reason|new_|old_|cur_)' >> "%s"
case "$reason" in
BOUND6|RENEW6|REBIND6)
  [ -n "$new_ip6_address" ] && ip -6 addr replace "$new_ip6_address/${new_ip6_prefixlen:-128}" dev "$interface" \
    valid_lft "${new_max_life:-forever}" preferred_lft "${new_preferred_life:-forever}" ;;
RELEASE6|EXPIRE6|STOP6)
  [ -n "$old_ip6_address" ] && ip -6 addr del "$old_ip6_address/${old_ip6_prefixlen:-128}" dev "$interface" ;;
esac
exit 0
`

// needs skips a test without a program, and fails it where CI must run it.
func needs(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing: .ci/setup installs it", program)
		}
		t.Skipf("%s is missing: run .ci/setup", program)
	}
}

// isc is an ISC dhclient of a guest.
type isc struct {
	heard
	guest               *lab.Guest
	script, leases, pid string
}

func newISC(t *testing.T, g *lab.Guest) *isc {
	t.Helper()
	needs(t, "dhclient")
	dir := t.TempDir()
	c := &isc{guest: g, heard: heard{filepath.Join(dir, "said")}, script: filepath.Join(dir, "script"),
		leases: filepath.Join(dir, "leases"), pid: filepath.Join(dir, "pid")}
	if err := os.WriteFile(c.script, fmt.Appendf(nil, dhclientScript, c.said), 0o700); err != nil {
		t.Fatal(err)
	}
	return c
}

// run starts dhclient, which returns once it has what it asked for and goes on in
// the background; with -r or -x it ends that.
func (c *isc) run(t *testing.T, flags ...string) string {
	t.Helper()
	args := append([]string{"-6", "-v", "-sf", c.script, "-lf", c.leases, "-pf", c.pid}, flags...)
	cmd := c.guest.Command("timeout", append([]string{"20", "dhclient"}, append(args, "eth0")...)...)
	cmd.WaitDelay = 10 * time.Second // what goes on in the background keeps nobody
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("dhclient %v: %v\n%s", flags, err, out)
	}
	return string(out)
}

// linkReady waits for the guest's link-local address, without which no client
// speaks.
func linkReady(t *testing.T, g *lab.Guest) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := g.WaitAddr(ctx, netip.MustParsePrefix("fe80::/64")); err != nil {
		t.Fatal(err)
	}
}

// TestDHCPv6Clients takes real clients through the exchanges of RFC 9915: a
// fixed address, a pool address, a delegated prefix, options alone, release.
func TestDHCPv6Clients(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, stateful)
		d := serve(t, s)
		vm1 := addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11"})
		vm2 := addGuest(t, s, lab.GuestOptions{Name: "vm2", MAC: "02:00:00:00:00:12", Offloads: true})
		vm3 := addGuest(t, s, lab.GuestOptions{Name: "vm3", MAC: "02:00:00:00:00:13"})
		for _, g := range []*lab.Guest{vm1, vm2, vm3} {
			linkReady(t, g)
		}
		first, second, third := dhcpv6At(t, vm1), dhcpv6At(t, vm2), dhcpv6At(t, vm3)

		fixed := newISC(t, vm1)
		fixed.run(t, "-1")
		if got := fixed.env(t, "new_ip6_address"); got != "fd00:d1::11" {
			t.Errorf("vm1 got %q, not its fixed address", got)
		}
		if got := fixed.env(t, "new_dhcp6_name_servers"); got != "2001:db8::53" {
			t.Errorf("vm1 was told DNS servers %q", got)
		}
		if got := fixed.env(t, "new_dhcp6_domain_search"); got != "example.test." {
			t.Errorf("vm1 was told the search list %q", got)
		}

		pool := newISC(t, vm2)
		pool.run(t, "-1")
		address, err := netip.ParseAddr(pool.env(t, "new_ip6_address"))
		if err != nil || !netip.MustParsePrefix("fd00:d1::1:0/112").Contains(address) {
			t.Errorf("vm2 got %v, %v: not from the pool", address, err)
		}

		delegate := newISC(t, vm3)
		delegate.run(t, "-1", "-P")
		prefix, err := netip.ParsePrefix(delegate.env(t, "new_ip6_prefix"))
		if err != nil || prefix.Bits() != 56 || !netip.MustParsePrefix("2001:db8:8000::/40").Contains(prefix.Addr()) {
			t.Errorf("vm3 was delegated %v, %v", prefix, err)
		}
		reachDelegated(t, vm1, vm3, prefix)

		fixed.run(t, "-x")
		information := newISC(t, vm1)
		information.run(t, "-1", "-S")
		if got := information.env(t, "new_dhcp6_name_servers"); got != "2001:db8::53" {
			t.Errorf("asked for options alone, vm1 was told DNS servers %q", got)
		}

		pool.run(t, "-r")
		lab.WaitFor(t, patience, "the released lease to be gone", func() error {
			for _, l := range leasesOf(t, d) {
				if l.Port == "vm2" {
					return fmt.Errorf("vm2 still holds %s", l.Prefix)
				}
			}
			return nil
		})
		judge(t, "dhclient-fixed", heardBy(t, first))
		judge(t, "dhclient-stateless", heardBy(t, first))
		judge(t, "dhclient-offload", heardBy(t, second))
		judge(t, "dhclient-prefix", heardBy(t, third))
	})
}

// reachDelegated puts a host behind a requesting router, on the prefix it was delegated,
// and reaches it from another guest.
func reachDelegated(t *testing.T, from, router *lab.Guest, prefix netip.Prefix) {
	t.Helper()
	gateway := prefix.Addr().Next()
	inside := gateway.Next().String()
	lan := router.Namespace + "-lan"
	must := func(out []byte, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	must(exec.Command("ip", "netns", "add", lan).CombinedOutput())
	t.Cleanup(func() { must(exec.Command("ip", "netns", "del", lan).CombinedOutput()) })
	for _, args := range [][]string{
		{"sysctl", "-qw", "net.ipv6.conf.all.forwarding=1"},
		{"ip", "link", "add", "lan", "type", "veth", "peer", "name", "eth0", "netns", lan},
		{"ip", "link", "set", "lan", "up"},
		{"ip", "-6", "addr", "add", gateway.String() + "/64", "dev", "lan", "nodad"},
		{"ip", "-6", "route", "replace", "default", "via", "fe80::1", "dev", "eth0"},
	} {
		must(router.Command(args[0], args[1:]...).CombinedOutput())
	}
	for _, args := range [][]string{
		{"ip", "link", "set", "eth0", "up"},
		{"ip", "-6", "addr", "add", inside + "/64", "dev", "eth0", "nodad"},
		{"ip", "-6", "route", "add", "default", "via", gateway.String()},
	} {
		must(exec.Command("ip", append([]string{"netns", "exec", lan}, args...)...).CombinedOutput())
	}
	lab.WaitFor(t, patience, from.Name+" to reach a host on the delegated prefix", func() error {
		_, err := from.Run("ping", "-6", "-c", "1", "-W", "1", inside)
		return err
	})
}

// held is one lease as the API lists it.
type held struct {
	Kind, State, Port, Prefix, DUID string
	IAID                            uint32
}

func leasesOf(t *testing.T, d *stage.Daemon) []held {
	t.Helper()
	var list []held
	if err := d.Get("/leases", &list); err != nil {
		t.Fatal(err)
	}
	return list
}
