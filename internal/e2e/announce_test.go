package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"

	"damselfly/internal/lab"
)

// movable has a port vm1 whose MAC is its Interface's, two neighbours, one of
// them filtered, and a filtered port whose address will be another's.
const movable = `
networks:
  - {name: blue, mtu: 1442, subnets: [{prefix: "fd00:b1::/64", mode: slaac}]}
routers: [{name: r1, networks: [blue]}]
ports:
  - {name: vm1, network: blue, addresses: ["fd00:b1::50"]}
  - {name: vm2, network: blue, mac: "02:00:00:00:00:12"}
  - {name: vm3, network: blue, mac: "02:00:00:00:00:13", security_groups: [default]}
  - {name: vm4, network: blue, mac: "02:00:00:00:00:14", security_groups: [default], addresses: ["fd00:b1::60"]}
  - {name: vm5, network: blue, mac: "02:00:00:00:00:15"}
`

// announced keeps announcements: advertisements to all nodes that nobody asked for.
func announced(frame []byte) bool {
	na := neighborAdvertOf(frame)
	return na != nil && frame[0] == 0x33 && na.Flags&0x40 == 0
}

// cached waits until a guest's neighbour cache has a MAC for an address.
func cached(t *testing.T, g *lab.Guest, address, mac string) {
	t.Helper()
	lab.WaitFor(t, patience, fmt.Sprintf("%s to find %s at %s", g.Name, address, mac), func() error {
		neighbors, err := g.Neighbors()
		if err != nil {
			return err
		}
		for _, n := range neighbors {
			if n.Address.String() == address && n.MAC == mac {
				return nil
			}
		}
		return fmt.Errorf("%v", neighbors)
	})
}

// datagramFrom sends a datagram from an address of a guest's and wants an answer.
func datagramFrom(t *testing.T, g *lab.Guest, from string, to netip.Addr) {
	t.Helper()
	var conn *net.UDPConn
	err := g.Within(func() (err error) {
		conn, err = net.DialUDP("udp6", &net.UDPAddr{IP: net.ParseIP(from)}, &net.UDPAddr{IP: to.AsSlice(), Port: 5000})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := exchange(conn, "hello", patience); err != nil || got != "5" {
		t.Fatalf("from %s: %q %v", from, got, err)
	}
}

// TestAnnounce plugs a port in elsewhere, where a machine with another MAC is
// that says nothing of itself: its neighbours are told.
func TestAnnounce(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		const was, is, address = "02:00:00:00:00:a1", "02:00:00:00:00:a2", "fd00:b1::50"
		s := newStage(t, ndExt, movable)
		d := serve(t, s)
		at := func(name, mac string) *lab.Guest {
			o := quick(name, mac)
			o.NoIfaceID, o.ExternalIDs = true, map[string]string{"attached-mac": mac}
			o.Addresses = []netip.Prefix{netip.MustParsePrefix(address + "/64")}
			return addGuest(t, s, o)
		}
		tapA, tapB := at("tap-a", was), at("tap-b", is)
		vm2, vm3, vm4, vm5 := addGuest(t, s, quick("vm2", mac2)), addGuest(t, s, quick("vm3", mac3)), addGuest(t, s, quick("vm4", mac4)), addGuest(t, s, quick("vm5", mac5))
		plug := func(name string) {
			t.Helper()
			if _, err := s.Vsctl("set", "Interface", name, "external_ids:iface-id=vm1"); err != nil {
				t.Fatal(err)
			}
		}
		plug("tap-a")
		booted(t, bluePrefix, tapA, vm2, vm3, vm4, vm5)
		for _, g := range []*lab.Guest{vm2, vm3} {
			ping(t, g, address)
			cached(t, g, address, was)
		}
		if n := metrics(t, d)["damselfly_neighbor_announcements_total"]; n != 0 {
			t.Errorf("%v announcements although nothing moved", n)
		}
		heard := watch(t, vm2, announced)
		if _, err := s.Vsctl("remove", "Interface", "tap-a", "external_ids", "iface-id"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		plug("tap-b")
		for _, g := range []*lab.Guest{vm2, vm3} {
			cached(t, g, address, is)
		}
		t.Logf("the neighbours' caches followed within %v", time.Since(began).Round(time.Millisecond))
		for _, g := range []*lab.Guest{vm2, vm3} {
			ping(t, g, address)
		}
		waitMetric(t, d, "damselfly_neighbor_announcements_total", 3)
		first := arrives(t, heard, "the announcement", announced)
		m, err := ndp.ParseMessage(first.Data[54:])
		if err != nil {
			t.Fatal(err)
		}
		want := &ndp.NeighborAdvertisement{Override: true, TargetAddress: netip.MustParseAddr(address),
			Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: tapB.MAC}}}
		if diff := cmp.Diff(ndp.Message(want), m, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("the announcement (-want +got):\n%s", diff)
		}
		for _, f := range heard.Frames() {
			if target := neighborAdvertOf(f.Data).TargetAddress.String(); target != address {
				t.Errorf("%s was announced", target)
			}
		}

		t.Run("connections of the old place", func(t *testing.T) {
			const moves = "fd00:b1::60"
			if _, err := vm4.Run("ip", "-6", "addr", "add", moves+"/64", "dev", "eth0", "nodad"); err != nil {
				t.Fatal(err)
			}
			udpServer(t, vm5, 5000)
			to := waitAddr(t, vm5, "fd00:b1::/64").Address
			// The address made of the MAC stays where it is. It is used first, so that
			// time alone would end its connection before the other.
			for _, from := range []string{waitAddr(t, vm4, "fd00:b1::ff:fe00:14/128").Address.String(), moves} {
				datagramFrom(t, vm4, from, to)
				if out, err := vm4.Run("ping", "-6", "-c", "1", "-W", "5", "-I", from, to.String()); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			}
			tracked := func(a string) *regexp.Regexp { return regexp.MustCompile(`udp,orig=\(src=` + a + `,`) }
			entries, err := s.Appctl("dpctl/dump-conntrack")
			if err != nil || !tracked(moves).MatchString(entries) || !tracked("fd00:b1::ff:fe00:14").MatchString(entries) {
				t.Fatalf("not tracked: %v\n%s", err, entries)
			}
			ping(t, vm2, "fd00:b1::ff:fe00:15")
			next := strings.Replace(movable, `, addresses: ["fd00:b1::60"]`, "", 1)
			next = strings.Replace(next, `mac: "02:00:00:00:00:15"`, `mac: "02:00:00:00:00:15", addresses: ["fd00:b1::60"]`, 1)
			configure(t, s, next)
			lab.WaitFor(t, patience, "the end of the address's connections", func() error {
				entries, err := s.Appctl("dpctl/dump-conntrack")
				if err == nil && !tracked("fd00:b1::ff:fe00:14").MatchString(entries) {
					t.Fatalf("the other's ended:\n%s", entries)
				}
				if err != nil || tracked(moves).MatchString(entries) {
					return fmt.Errorf("%v\n%s", err, entries)
				}
				return nil
			})
		})
	})
}
