package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"damselfly/fixtures"
	"damselfly/internal/lab"
	"damselfly/internal/wire"
)

// proxyTopology is a router that carries multicast between two inside networks and one
// with an uplink.
const proxyTopology = `
networks:
  - {name: blue, subnets: [{prefix: "fd00:b1::/64"}], multicast: {snooping: true, querier: true, query_interval: 2s, response_interval: 200ms}}
  - {name: red, subnets: [{prefix: "fd00:ed::/64"}], multicast: {snooping: true, querier: true, query_interval: 2s, response_interval: 200ms}}
  - {name: ext, subnets: [{prefix: "2001:db8:1::/64", gateway: "2001:db8:1::2"}], uplink: {interface: up0}, multicast: {snooping: true}}
routers:
  - name: r1
    networks: [blue, red, {name: ext, link_local: "fe80::a", mac: "02:00:00:00:0a:01"}]
    multicast: {upstream: ext}
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11"}
  - {name: vm2, network: red, mac: "02:00:00:00:00:12"}
`

// TestMulticastProxy: a stream of one network reaches who listens on another, with one
// hop less, and upstream the router listens on behalf of both.
func TestMulticastProxy(t *testing.T) {
	t.Parallel()
	s := newStage(t, false, proxyTopology)
	serve(t, s)
	up := addGuest(t, s, lab.GuestOptions{Name: "up0", MAC: "02:00:00:00:0b:01", NoIfaceID: true,
		Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8:1::ff/64")}})
	vm1, vm2 := addGuest(t, s, quick("vm1", "02:00:00:00:00:11")), addGuest(t, s, quick("vm2", "02:00:00:00:00:12"))
	booted(t, bluePrefix, vm1)
	booted(t, netip.MustParsePrefix("fd00:ed::/64"), vm2)
	waitAddr(t, up, "2001:db8:1::ff/128")
	capture := func(g *lab.Guest, keep func([]byte) bool) *lab.Capture {
		c, err := g.Capture("", keep)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Stop() })
		return c
	}
	// received waits for a stream, and holds how it arrived.
	received := func(what string, from *lab.Guest, c *lab.Capture, hops uint8, mac string) {
		t.Helper()
		lab.WaitFor(t, patience, what, func() error {
			stream(t, from, groupProxied, 1)
			for _, f := range c.Frames() {
				if f.Sent {
					continue
				}
				ip := wire.IPv6(f.Data[wire.EthernetLen:])
				if got := wire.Ethernet(f.Data).Source().String(); ip.HopLimit() != hops || mac != "" && got != mac {
					return fmt.Errorf("hop limit %d from %s", ip.HopLimit(), got)
				}
				return nil
			}
			return errors.New("nothing yet")
		})
	}
	at2, atUp := capture(vm2, streamed), capture(up, streamed)
	reports := capture(up, func(frame []byte) bool {
		return len(frame) >= 90 && frame[62] == wire.TypeMLDv2Report && frame[11] == 1 && frame[10] == 0xa
	})
	listenTo(t, vm2, groupProxied)
	received("from network to network", vm1, at2, 7, "")
	// A router upstream asks, gets all, and is told who listens.
	if err := up.Inject(fixtures.ListenerFrame("query behind the uplink", "uplink")); err != nil {
		t.Fatal(err)
	}
	var frames [][]byte
	lab.WaitFor(t, patience, "the router listens upstream", func() error {
		for _, f := range reports.Frames() {
			if !f.Sent && netip.AddrFrom16([16]byte(f.Data[62+8+4:62+8+20])).String() == groupProxied {
				frames = append(frames, f.Data)
				return nil
			}
		}
		return errors.New("not yet")
	})
	dissected(t, 1, frames)
	received("upstream", vm1, atUp, 7, "02:00:00:00:0a:01")
	before := len(at2.Frames())
	lab.WaitFor(t, patience, "from upstream", func() error {
		stream(t, up, groupProxied, 1)
		if len(at2.Frames()) == before {
			return errors.New("nothing yet")
		}
		return nil
	})
	// Who listened is gone without a word: upstream that is told, and again, as what holds by then.
	if err := vm2.Down(); err != nil {
		t.Fatal(err)
	}
	lab.WaitFor(t, patience, "nobody listens upstream any more", func() error {
		var told []byte
		for _, f := range reports.Frames() {
			if r := f.Data[62+8:]; !f.Sent && netip.AddrFrom16([16]byte(r[4:20])).String() == groupProxied {
				told = append(told, r[0])
			}
		}
		if !bytes.HasSuffix(told, []byte{byte(wire.ChangeToInclude), byte(wire.ChangeToInclude)}) {
			return fmt.Errorf("records of types %v", told)
		}
		return nil
	})
}

const groupProxied = "ff1e::77"
