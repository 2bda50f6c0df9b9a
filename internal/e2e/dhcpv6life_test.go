package e2e

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// dhcpv6At records the DHCPv6 that a guest sends and receives.
func dhcpv6At(t *testing.T, g *lab.Guest) *lab.Capture {
	t.Helper()
	return watch(t, g, func(frame []byte) bool { return dhcpv6Type(frame) != 0 })
}

// dhcpv6Start is where the message is in a frame without extension headers.
const dhcpv6Start = 14 + 40 + 8

// dhcpv6Type is the type of the DHCPv6 message in a frame, 0 for other frames.
func dhcpv6Type(frame []byte) byte {
	if len(frame) < dhcpv6Start+4 || frame[12] != 0x86 || frame[13] != 0xdd || frame[20] != 17 {
		return 0
	}
	if to := int(frame[56])<<8 | int(frame[57]); to != 546 && to != 547 {
		return 0
	}
	return frame[dhcpv6Start]
}

// of counts the messages of a type in a capture.
func of(c *lab.Capture, typ byte) (n int) {
	for _, f := range c.Frames() {
		if dhcpv6Type(f.Data) == typ {
			n++
		}
	}
	return n
}

var errNotYet = errors.New("not yet")

// Types of RFC 9915 section 7.3.
const (
	typeSolicit, typeRequest, typeConfirm, typeRenew, typeRebind = 1, 3, 4, 5, 6
	typeReply, typeRelease, typeDecline, typeReconfigure         = 7, 8, 9, 10
)

// waitMessage waits for one more message of a type than before.
func waitMessage(t *testing.T, c *lab.Capture, typ byte, before int) {
	t.Helper()
	lab.WaitFor(t, patience, fmt.Sprintf("a message of type %d", typ), func() error {
		if of(c, typ) <= before {
			return errNotYet
		}
		return nil
	})
}

// TestDHCPv6Life takes dhclient through the later parts of a lease: it renews,
// rebinds after the server was away, confirms after a link flap, and begins
// again when its network was renumbered meanwhile.
func TestDHCPv6Life(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, topologyOf(t, "life"))
		d := serve(t, s)
		vm1 := addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11", Offloads: ndExt})
		linkReady(t, vm1)
		seen := dhcpv6At(t, vm1)
		client := newISC(t, vm1)
		client.run(t, "-1")
		address := client.env(t, "new_ip6_address")
		if a, err := netip.ParseAddr(address); err != nil || !netip.MustParsePrefix("fd00:d1::4/126").Contains(a) {
			t.Fatalf("it got %q", address)
		}
		client.told(t, "RENEW6", 0)

		if err := d.Kill(); err != nil {
			t.Fatal(err)
		}
		waitMessage(t, seen, typeRenew, of(seen, typeRenew))
		before := client.times("REBIND6")
		d = serve(t, s)
		client.told(t, "REBIND6", before)
		waitMessage(t, seen, typeRebind, 0)
		if got := client.env(t, "new_ip6_address"); got != address {
			t.Errorf("rebound to %s, not to %s", got, address)
		}

		flap(t, client)
		solicits := of(seen, typeSolicit)
		client.run(t, "-1")
		waitMessage(t, seen, typeConfirm, 0)
		if n := of(seen, typeSolicit) - solicits; n != 0 {
			t.Errorf("%d Solicits after the link was down", n)
		}
		if got := client.env(t, "new_ip6_address"); got != address {
			t.Errorf("confirmed %s, not %s", got, address)
		}

		flap(t, client)
		configure(t, s, strings.ReplaceAll(topologyOf(t, "life"), "fd00:d1:", "fd00:d2:"))
		waitPrefix(t, d, "fd00:d2::/64")
		confirms := of(seen, typeConfirm)
		client.run(t, "-1")
		if of(seen, typeConfirm) == confirms || of(seen, typeSolicit) == solicits {
			t.Error("no Confirm, or no Solicit after it, on the renumbered network")
		}
		lab.WaitFor(t, patience, "an address of the new prefix", func() error {
			if got := client.env(t, "new_ip6_address"); !strings.HasPrefix(got, "fd00:d2::") {
				return fmt.Errorf("it has %s", got)
			}
			return nil
		})
		client.run(t, "-x")
		if status := confirmed(t, seen); status != iana.StatusNotOnLink {
			t.Errorf("the last Confirm was answered with %v", status)
		}
		keep(t, ndExt, "life/dhclient-life", seen)
	})
}

// confirmed is the status that answered the last Confirm.
func confirmed(t *testing.T, c *lab.Capture) (status iana.StatusCode) {
	t.Helper()
	asked := dhcpv6.TransactionID{}
	for _, f := range c.Frames() {
		switch typ := dhcpv6Type(f.Data); {
		case typ != typeConfirm && typ != typeReply:
			continue
		case typ == typeConfirm:
			asked = dhcpv6.TransactionID(f.Data[dhcpv6Start+1:])
			continue
		}
		m, err := dhcpv6.MessageFromBytes(f.Data[dhcpv6Start:])
		if err != nil {
			t.Fatal(err)
		}
		if s := m.Options.Status(); m.TransactionID == asked && s != nil {
			status = s.StatusCode
		}
	}
	return status
}

// flap ends a client without a Release, as a crash does, and takes the link down
// and up.
func flap(t *testing.T, c *isc) {
	t.Helper()
	c.run(t, "-x")
	if err := c.guest.Down(); err != nil {
		t.Fatal(err)
	}
	if err := c.guest.Up(); err != nil {
		t.Fatal(err)
	}
	linkReady(t, c.guest)
}

// waitPrefix waits until a network is served with one prefix.
func waitPrefix(t *testing.T, d *stage.Daemon, prefix string) {
	t.Helper()
	lab.WaitFor(t, patience, prefix+" to be served", func() error {
		st, err := d.Status()
		if err != nil {
			return err
		}
		for _, n := range st.Networks {
			for _, p := range n.Prefixes {
				if p.String() == prefix {
					return nil
				}
			}
		}
		return errors.New("not yet")
	})
}

// dadScript does as dhclient-script(8) says: it waits for the end of Duplicate
// Address Detection and exits 3 where that failed.
const dadScript = `#!/bin/sh
env | grep -E '^(reason|new_|old_|cur_)' >> "%s"
case "$reason" in
BOUND6)
  ip -6 addr replace "$new_ip6_address/128" dev "$interface"
  while ip -6 addr show dev "$interface" to "$new_ip6_address" tentative | grep -v dadfailed | grep -q inet6; do sleep 0.05; done
  if ip -6 addr show dev "$interface" to "$new_ip6_address" dadfailed | grep -q inet6; then
    ip -6 addr del "$new_ip6_address/128" dev "$interface"
    exit 3
  fi ;;
esac
exit 0
`

// TestDHCPv6Decline plants a duplicate of the address a client will be given:
// its Duplicate Address Detection fails, it declines, the address is put in
// quarantine and it gets the other one.
func TestDHCPv6Decline(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, topologyOf(t, "life"))
		d := serve(t, s)
		vm1 := addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11"})
		vm2 := addGuest(t, s, lab.GuestOptions{Name: "vm2", MAC: "02:00:00:00:00:12"})
		linkReady(t, vm1)
		linkReady(t, vm2)
		seen := dhcpv6At(t, vm1)

		client := newISC(t, vm1)
		client.run(t, "-1")
		address := client.env(t, "new_ip6_address")
		client.run(t, "-r")
		if out, err := vm2.Run("ip", "-6", "addr", "add", address+"/128", "dev", "eth0", "nodad"); err != nil {
			t.Fatal(err, out)
		}
		if err := os.WriteFile(client.script, fmt.Appendf(nil, dadScript, client.said), 0o700); err != nil {
			t.Fatal(err)
		}
		client.run(t)
		waitMessage(t, seen, typeDecline, 0)
		lab.WaitFor(t, patience, "the duplicate in quarantine and another address given", func() error {
			state := map[string]string{}
			for _, l := range leasesOf(t, d) {
				state[l.Prefix] = l.State
			}
			if state[address] != "declined" || len(state) != 2 {
				return fmt.Errorf("leases: %v", state)
			}
			return nil
		})
		client.run(t, "-x")
		keep(t, ndExt, "life/dhclient-decline", seen)
	})
}
