package e2e

import (
	"fmt"
	"net/netip"
	"testing"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// blue is one network with a router, and two guests of fixed MACs.
const blue = `
networks:
  - name: blue
    mtu: 1442
    subnets: [{prefix: "fd00:b1::/64", mode: slaac}]
routers: [{name: r1, networks: [blue]}]
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11"}
  - {name: vm2, network: blue, mac: "02:00:00:00:00:12"}
`

var bluePrefix = netip.MustParsePrefix("fd00:b1::/64")

// ping fails the test unless from reaches an address twice.
func ping(t *testing.T, from *lab.Guest, address string, flags ...string) {
	t.Helper()
	// The first may come before the flows of a port that was just plugged in, or
	// before a guest's kernel takes what is sent to an address it just got. Then
	// one by one: of several, ping waits for the last only twice as long as the
	// others took, which a busy machine may exceed.
	once := func(wait string) error {
		out, err := from.Run("ping", append([]string{"-6", "-c", "1", "-W", wait, address}, flags...)...)
		if err != nil {
			return fmt.Errorf("%s does not reach %s: %w\n%s", from.Name, address, err, out)
		}
		return nil
	}
	lab.WaitFor(t, patience, "a first answer", func() error { return once("1") })
	if err := once("5"); err != nil {
		t.Fatal(err)
	}
}

// TestGuestsGetAddresses boots guests of every kind that Linux makes: each gets
// an address on the prefix and reaches the router and its neighbour.
func TestGuestsGetAddresses(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		getAddresses(t, newStage(t, ndExt, blue+twoMore), func(*stage.Daemon) {})
	})
}

// twoMore are two more guests of blue.
const twoMore = `
  - {name: vm3, network: blue, mac: "02:00:00:00:00:13"}
  - {name: vm4, network: blue, mac: "02:00:00:00:00:14"}
`

// getAddresses boots the guests once the daemon is ready.
func getAddresses(t *testing.T, s *stage.Stage, ready func(*stage.Daemon)) {
	ready(serve(t, s))
	guests := []*lab.Guest{
		addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11"}),
		addGuest(t, s, lab.GuestOptions{Name: "vm2", MAC: "02:00:00:00:00:12", AddrGen: lab.StablePrivacy}),
		addGuest(t, s, lab.GuestOptions{Name: "vm3", MAC: "02:00:00:00:00:13", PrivacyExtensions: true, AddrGen: lab.StablePrivacy}),
		addGuest(t, s, lab.GuestOptions{Name: "vm4", MAC: "02:00:00:00:00:14", OptimisticDAD: true, Offloads: true}),
	}
	addrs := booted(t, bluePrefix, guests...)
	for i, g := range guests {
		ping(t, g, "fe80::1%eth0")
		ping(t, g, "fd00:b1::1")
		neighbour := addrs[(i+1)%len(guests)].String()
		ping(t, g, neighbour)
		ping(t, g, neighbour, "-s", "3000") // in fragments
	}
}
