package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// besideIPv4 has a network with Damselfly's IPv6 and, behind a port where any MAC
// may be, what gives it IPv4.
const besideIPv4 = `
networks:
  - {name: blue, mtu: 1442, subnets: [{prefix: "fd00:b1::/64", mode: slaac}]}
routers: [{name: r1, networks: [blue]}]
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11"}
  - {name: vm2, network: blue, mac: "02:00:00:00:00:12", security_groups: [default]}
  - {name: gw, network: blue, unknown: true}
`

// dhclient4Script takes an IPv4 lease as dhclient's own script does.
const dhclient4Script = `#!/bin/sh
case "$reason" in
BOUND|RENEW|REBIND|REBOOT)
  ip -4 addr replace "$new_ip_address/24" dev "$interface"
  ip -4 route replace default via "$new_routers" dev "$interface" ;;
esac
exit 0
`

// gateway4 makes what is behind gw: a bridge, on it a host that is a DHCPv4 server
// and an IPv4 router, and the outside behind that. None of their MACs is in the
// configuration.
func gateway4(t *testing.T, s *stage.Stage, gw *lab.Guest) *lab.Guest {
	t.Helper()
	namespace := func(name string) *lab.Guest {
		g := &lab.Guest{Name: name, Namespace: s.Namespace + "-" + name}
		if out, err := exec.Command("ip", "netns", "add", g.Namespace).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Cleanup(func() {
			if out, err := exec.Command("ip", "netns", "del", g.Namespace).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
		return g
	}
	router, outside := namespace("router4"), namespace("outside")
	for _, step := range []struct {
		at   *lab.Guest
		line string
	}{
		{gw, "ip link add br0 type bridge"},
		{gw, "ip link set eth0 master br0"},
		{gw, "ip link add behind type veth peer name eth0 netns " + router.Namespace},
		{gw, "ethtool -K behind tx off"},
		{gw, "ip link set behind master br0"},
		{gw, "ip link set behind up"},
		{gw, "ip link set br0 up"},
		{router, "ip link add eth1 type veth peer name eth0 netns " + outside.Namespace},
		{router, "ethtool -K eth0 tx off"},
		{router, "ip addr add 10.0.0.1/24 dev eth0"},
		{router, "ip addr add 198.51.100.1/24 dev eth1"},
		{router, "sysctl -qw net.ipv4.ip_forward=1"},
		{router, "ip link set eth0 up"},
		{router, "ip link set eth1 up"},
		{outside, "ip addr add 198.51.100.2/24 dev eth0"},
		{outside, "ip link set eth0 up"},
		{outside, "ip route add default via 198.51.100.1"},
	} {
		words := strings.Fields(step.line)
		if _, err := step.at.Run(words[0], words[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	return router
}

// dnsmasq4 runs dnsmasq as a DHCPv4 server on a host's eth0.
func dnsmasq4(t *testing.T, g *lab.Guest) {
	t.Helper()
	dir := t.TempDir()
	said, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd := g.Command("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=eth0", "--bind-interfaces", "--user=root",
		"--dhcp-range=10.0.0.100,10.0.0.199,255.255.255.0,1h", "--dhcp-option=option:router,10.0.0.1", "--dhcp-authoritative", "--no-ping",
		"--dhcp-leasefile="+filepath.Join(dir, "leases"), "--pid-file=", "--log-dhcp", "--log-facility=-")
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = said, said, time.Second
	startLoad(t, cmd)
	t.Cleanup(func() {
		if text, _ := os.ReadFile(said.Name()); t.Failed() {
			t.Logf("dnsmasq said:\n%s", text)
		}
	})
}

// TestIPv4Beside: a network's IPv4 works beside its IPv6, with its gateway and its
// DHCPv4 server behind a port with unknown.
func TestIPv4Beside(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		needs(t, "dnsmasq")
		needs(t, "dhclient")
		s := newStage(t, ndExt, besideIPv4)
		serve(t, s)
		vm1, vm2, gw := addGuest(t, s, quick("vm1", mac1)), addGuest(t, s, quick("vm2", mac2)), addGuest(t, s, quick("gw", "02:00:00:00:00:f1"))
		dnsmasq4(t, gateway4(t, s, gw))
		booted(t, bluePrefix, vm1, vm2)
		var leased []string
		for _, g := range []*lab.Guest{vm1, vm2} {
			dir := t.TempDir()
			script := filepath.Join(dir, "script")
			if err := os.WriteFile(script, []byte(dhclient4Script), 0o700); err != nil {
				t.Fatal(err)
			}
			cmd := g.Command("timeout", "25", "dhclient", "-4", "-v", "-1", "-sf", script,
				"-lf", filepath.Join(dir, "leases"), "-pf", filepath.Join(dir, "pid"), "eth0")
			cmd.WaitDelay = 10 * time.Second // what goes on in the background keeps nobody
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", g.Name, err, out)
			}
			listing, err := g.Run("ip", "-4", "-o", "addr", "show", "dev", "eth0")
			if err != nil {
				t.Fatal(err)
			}
			fields := strings.Fields(listing)
			prefix, err := netip.ParsePrefix(fields[3])
			if err != nil || !netip.MustParsePrefix("10.0.0.0/24").Contains(prefix.Addr()) {
				t.Fatalf("%s has %q", g.Name, listing)
			}
			leased = append(leased, prefix.Addr().String())
			for _, to := range []string{"10.0.0.1", "198.51.100.2"} {
				if out, err := g.Run("ping", "-4", "-c", "1", "-W", "5", to); err != nil {
					t.Errorf("%s does not reach %s: %v\n%s", g.Name, to, err, out)
				}
			}
			ping(t, g, "fe80::1%eth0")
		}
		if out, err := vm2.Run("ping", "-4", "-c", "1", "-W", "5", leased[0]); err != nil {
			t.Errorf("vm2 does not reach vm1 at %s: %v\n%s", leased[0], err, out)
		}
		if len(leased) == 2 && leased[0] == leased[1] {
			t.Error(fmt.Sprint("both have ", leased[0]))
		}
	})
}
