package e2e

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/internal/lab"
)

// from matches texts that begin so.
func from(prefix string) func(string) bool {
	return func(s string) bool { return strings.HasPrefix(s, prefix) }
}

// What dhcpcd calls the first address and the first prefix that it was given.
const (
	dhcpcdAddress = "new_dhcp6_ia_na1_ia_addr1"
	dhcpcdPrefix  = "new_dhcp6_ia_pd1_prefix1"
)

// TestDHCPcdLife takes dhcpcd, which asks for an address and a prefix at once,
// through a lease: it renews, rebinds after the server was away, is renumbered
// while it lives, and releases.
func TestDHCPcdLife(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, topologyOf(t, "life"))
		d := serve(t, s)
		o := quick("vm1", mac1)
		o.Offloads = ndExt
		vm1 := addGuest(t, s, o)
		linkReady(t, vm1)
		seen := dhcpv6At(t, vm1)
		client := newDHCPcd(t, vm1, "ia_na 1\nia_pd 2 lo/0")
		client.start(t)
		address := client.waits(t, dhcpcdAddress, from("fd00:d1::"))
		prefix := client.waits(t, dhcpcdPrefix, from("2001:db8:80"))
		client.told(t, "RENEW6", 0)

		if err := d.Kill(); err != nil {
			t.Fatal(err)
		}
		waitMessage(t, seen, typeRebind, of(seen, typeRebind))
		before := client.times("REBIND6")
		d = serve(t, s)
		client.told(t, "REBIND6", before)
		if a, p := client.env(t, dhcpcdAddress), client.env(t, dhcpcdPrefix); a != address || p != prefix {
			t.Errorf("rebound to %s and %s, not to %s and %s", a, p, address, prefix)
		}

		// What it is given now it need not renew soon: it releases nothing between a
		// Renew and its answer.
		longer := strings.NewReplacer("fd00:d1:", "fd00:d2:", "preferred: 4s, valid: 40s", "preferred: 400s, valid: 800s")
		configure(t, s, longer.Replace(topologyOf(t, "life")))
		client.waits(t, dhcpcdAddress, from("fd00:d2::"))
		lab.WaitFor(t, patience, "a Reply that gives "+address+" lifetimes of 0", func() error {
			if !withdrawn(seen, address) {
				return errNotYet
			}
			return nil
		})
		client.end(t, syscall.SIGALRM)
		lab.WaitFor(t, patience, "what was released to be gone", func() error {
			for _, l := range leasesOf(t, d) {
				if l.Kind == "prefix" || strings.HasPrefix(l.Prefix, "fd00:d2::") {
					return fmt.Errorf("%+v", l)
				}
			}
			return nil
		})
		waitMessage(t, seen, typeRelease, 0)
		keep(t, ndExt, "life/dhcpcd-life", seen)
	})
}

// withdrawn reports whether a Reply gave an address lifetimes of 0.
func withdrawn(c *lab.Capture, address string) bool {
	for _, f := range c.Frames() {
		if f.Sent || dhcpv6Type(f.Data) != typeReply {
			continue
		}
		m, err := dhcpv6.MessageFromBytes(f.Data[dhcpv6Start:])
		if err != nil {
			continue
		}
		for _, ia := range m.Options.IANA() {
			for _, a := range ia.Options.Addresses() {
				if a.IPv6Addr.Equal(net.ParseIP(address)) && a.ValidLifetime == 0 && a.PreferredLifetime == 0 {
					return true
				}
			}
		}
	}
	return false
}

// TestDHCPcdConfirm flaps the link under a running dhcpcd, which confirms its
// address. It cannot be made to decline one: the kernel deletes a duplicate of
// finite lifetime and dhcpcd 9.4.1 takes that for somebody's wish; dhclient does
// (TestDHCPv6Decline).
func TestDHCPcdConfirm(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		// Long enough that nothing is due for renewal before the client is done.
		s := newStage(t, ndExt, strings.ReplaceAll(topologyOf(t, "life"), "preferred: 4s, valid: 40s", "preferred: 400s, valid: 800s"))
		serve(t, s)
		vm1 := addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11"})
		linkReady(t, vm1)
		seen := dhcpv6At(t, vm1)
		client := newDHCPcd(t, vm1, "ia_na 1")
		client.start(t)
		address := client.waits(t, dhcpcdAddress, from("fd00:d1::"))

		solicits := of(seen, typeSolicit)
		if err := vm1.Down(); err != nil {
			t.Fatal(err)
		}
		if err := vm1.Up(); err != nil {
			t.Fatal(err)
		}
		waitMessage(t, seen, typeConfirm, 0)
		client.told(t, "REBOOT6", 0)
		if got := client.env(t, dhcpcdAddress); got != address || of(seen, typeSolicit) != solicits {
			t.Errorf("confirmed %s, not %s, with %d Solicits", got, address, of(seen, typeSolicit)-solicits)
		}
		client.end(t, syscall.SIGALRM)

		keep(t, ndExt, "life/dhcpcd-confirm", seen)
	})
}
