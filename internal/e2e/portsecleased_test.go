package e2e

import (
	"errors"
	"testing"

	"damselfly/internal/lab"
)

// TestLeasedAddress: what DHCPv6 leases to a guest it may send from at once, also
// after a restart of Damselfly, nobody else may, and it itself no more once it
// gave it back. A plan takes all that for granted.
func TestLeasedAddress(t *testing.T) {
	needs(t, "dhclient")
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, stateful)
		d := serve(t, s)
		vm1, vm2 := addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: mac1}), addGuest(t, s, lab.GuestOptions{Name: "vm2", MAC: mac2})
		linkReady(t, vm1)
		linkReady(t, vm2)
		client := newISC(t, vm2)
		client.run(t, "-1")
		address := client.env(t, "new_ip6_address")
		must(t, vm1, "ip", "-6", "addr", "replace", "fd00:d1::11/64", "dev", "eth0", "nodad")
		waitAddr(t, vm2, address+"/128")
		ping(t, vm2, "fd00:d1::11", "-I", address)
		ping(t, vm1, address)

		plan := func(when string) {
			t.Helper()
			if _, changes := planned(t, command(t, s, "plan", "-c", s.ConfigPath, "--ovsdb", s.OVSDB)); changes != "0 0 0" {
				t.Errorf("a plan %s would change %s", when, changes)
			}
		}
		plan("while it runs")
		if err := d.Stop(); err != nil {
			t.Fatal(err)
		}
		plan("while it is stopped")
		ping(t, vm2, "fd00:d1::11", "-I", address)
		d = serve(t, s)
		ping(t, vm2, "fd00:d1::11", "-I", address)

		at1 := watch(t, vm1, holding("must not arrive"))
		before := metrics(t, d)[drops("drop-spoofed")]
		inject(t, vm1, udp6(t, mac1, mac2, address, "fe80::ff:fe00:12", "from another's lease"))
		waitMetric(t, d, drops("drop-spoofed"), before+1)
		client.run(t, "-r")
		lab.WaitFor(t, patience, "the address to be nobody's", func() error {
			before := metrics(t, d)[drops("drop-spoofed")]
			inject(t, vm2, udp6(t, mac2, "33:33:00:00:00:01", address, "ff02::1", "from a lease that was given back"))
			if metrics(t, d)[drops("drop-spoofed")] == before {
				return errors.New("it still passes, or is not counted yet")
			}
			return nil
		})
		inject(t, vm2, udp6(t, mac2, mac1, address, "fd00:d1::11", "must not arrive"),
			udp6(t, mac2, mac1, "fe80::ff:fe00:12", "fe80::ff:fe00:11", "must not arrive before"))
		arrives(t, at1, "what is vm2's", holding("must not arrive before"))
		if got := received(at1, holding("must not arrive")); len(got) != 1 {
			t.Errorf("vm1 received %d frames, want the last alone", len(got))
		}
	})
}
