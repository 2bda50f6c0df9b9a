package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/internal/lab"
	"damselfly/internal/wire"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"
)

// TestRouter asks the router of a network everything a guest may ask it.
func TestRouter(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		p := newNDPlay(t, ndExt)
		t.Run("solicitations", p.testSolicitations)
		t.Run("echo", p.testEcho)
		t.Run("tools", p.testTools)
	})
}

// routerSolicit is the Asker's Router Solicitation.
func (p *ndPlay) routerSolicit(src netip.Addr, options ...ndp.Option) fixtures.Message {
	return fixtures.ND(p.Asker.MAC, wire.AllRoutersMAC, src, wire.AllRouters, &ndp.RouterSolicitation{Options: options})
}

func (p *ndPlay) testSolicitations(t *testing.T) {
	a, slla := &p.Asker, fixtures.LinkLayer(ndp.Source, p.Asker.MAC)
	unicast := p.routerSolicit(a.LinkLocal, slla)
	unicast.To, unicast.Destination = p.Router.MAC, p.Router.LinkLocal
	for _, tt := range []struct {
		name    string
		message fixtures.Message
		to      wire.MAC
		dst     netip.Addr
	}{
		{"with SLLA", p.routerSolicit(a.LinkLocal, slla), a.MAC, a.LinkLocal},
		{"without SLLA", p.routerSolicit(a.LinkLocal), a.MAC, a.LinkLocal},
		{"from a global address", p.routerSolicit(a.Global, slla), a.MAC, a.Global},
		{"from an address nobody configured", p.routerSolicit(p.Private, slla), a.MAC, p.Private},
		{"to the router's address", unicast, a.MAC, a.LinkLocal},
		{"from ::", p.routerSolicit(netip.IPv6Unspecified()), wire.AllNodesMAC, wire.AllNodes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			frame := tt.message.Bytes()
			seen := p.send(t, a, frame)
			if tt.to == wire.AllNodesMAC {
				// Unsolicited ones go to all ports, the answer to one.
				if got, others := len(seen.Multicast[a.Port]), len(seen.Multicast[p.Neighbor.Port]); got != others+1 {
					t.Fatalf("advertisements to all nodes: %d at %s and %d at %s, want one more", got, a.Port, others, p.Neighbor.Port)
				}
				seen.Received = map[string][][]byte{a.Port: seen.Multicast[a.Port][:1]}
			}
			if d := cmp.Diff(map[string]int{"answered": 1}, seen.Reasons); d != "" {
				t.Errorf("packet-ins (-want +got):\n%s", d)
			}
			answer := onlyAnswer(t, a, seen)
			if answer == nil {
				return
			}
			if err := fixtures.CheckReply(answer, fixtures.Type(134, 0), fixtures.HopLimit(255),
				fixtures.MACs(p.Router.MAC, tt.to), fixtures.Addresses(p.Router.LinkLocal, tt.dst), p.isAdvertisement); err != nil {
				t.Error(err)
			}
			p.checkInProcess(t, a, frame, answer)
		})
	}
}

// isAdvertisement checks all that the network's Router Advertisement says.
func (p *ndPlay) isAdvertisement(r *fixtures.Reply) error {
	want := &ndp.RouterAdvertisement{
		CurrentHopLimit: 64, RouterLifetime: 30 * time.Minute,
		Options: []ndp.Option{
			fixtures.LinkLayer(ndp.Source, p.Router.MAC),
			ndp.NewMTU(1442),
			&ndp.PrefixInformation{PrefixLength: 64, OnLink: true, AutonomousAddressConfiguration: true,
				ValidLifetime: 24 * time.Hour, PreferredLifetime: 4 * time.Hour, Prefix: p.Prefix.Addr()},
		},
	}
	if d := cmp.Diff(want, r.Message, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		return fmt.Errorf("advertisement (-want +got):\n%s", d)
	}
	return nil
}

func (p *ndPlay) testEcho(t *testing.T) {
	a := &p.Asker
	for _, tt := range []struct {
		name     string
		to       wire.MAC
		src, dst netip.Addr
		from     netip.Addr // the reply's source
		flow     bool
	}{
		{"link-local", p.Router.MAC, a.LinkLocal, p.Router.LinkLocal, p.Router.LinkLocal, true},
		{"global", p.Router.MAC, a.Global, p.Router.Global, p.Router.Global, true},
		{"all nodes", wire.AllNodesMAC, a.LinkLocal, wire.AllNodes, p.Router.LinkLocal, false},
		{"all nodes from a global address", wire.AllNodesMAC, a.Global, wire.AllNodes, p.Router.Global, false},
		{"all routers", wire.AllRoutersMAC, a.LinkLocal, wire.AllRouters, p.Router.LinkLocal, false},
		{"all routers from a global address", wire.AllRoutersMAC, a.Global, wire.AllRouters, p.Router.Global, false},
	} {
		for _, size := range []int{0, 57, 1394} {
			t.Run(fmt.Sprintf("%s, %d octets", tt.name, size), func(t *testing.T) {
				body := append([]byte("id\x00\x07"), bytes.Repeat([]byte{0x5a}, size)...)
				frame := fixtures.Message{From: a.MAC, To: tt.to, Source: tt.src, Destination: tt.dst,
					HopLimit: 37, Type: wire.TypeEchoRequest, Body: body}.Bytes()
				seen := p.send(t, a, frame)
				if tt.dst == wire.AllNodes { // the neighbours' stacks answer for themselves
					for _, g := range []string{p.Neighbor.Port, p.RouterGuest.Port, p.Bridge.Port} {
						if got := seen.Received[g]; len(got) != 1 || !bytes.Equal(got[0], frame) {
							t.Errorf("%s received %x, want the request", g, got)
						}
						delete(seen.Received, g)
					}
				}
				wantFlows, wantReasons := 0, map[string]int{"answered": 1}
				if tt.flow {
					wantFlows, wantReasons = 1, map[string]int{}
				}
				if d := cmp.Diff(wantReasons, seen.Reasons); d != "" || seen.Roles["echo-answer"] != wantFlows {
					t.Errorf("flows %v, want %d packets of echo-answer; packet-ins (-want +got):\n%s", seen.Roles, wantFlows, d)
				}
				answer := onlyAnswer(t, a, seen)
				if answer == nil {
					return
				}
				if err := fixtures.CheckReply(answer, fixtures.Type(129, 0), fixtures.HopLimit(64),
					fixtures.MACs(p.Router.MAC, a.MAC), fixtures.Addresses(tt.from, tt.src)); err != nil {
					t.Error(err)
				}
				if !bytes.Equal(answer[58:], body) {
					t.Errorf("identifier, number and data: got %x, want %x", answer[58:], body)
				}
				p.checkInProcess(t, a, frame, answer)
			})
		}
	}
}

// testTools lets ndisc6 and rdisc6 ask from a guest with a stack.
func (p *ndPlay) testTools(t *testing.T) {
	g := p.addLive(t)
	out, err := g.Run("rdisc6", "-1", "eth0")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"Hop limit                 :           64", "Stateful address conf.    :           No",
		"Router lifetime           :         1800", "Prefix                   : fd00:b1::/64",
		"Valid time              :        86400", "Pref. time              :        14400",
		"MTU                      :         1442", "from fe80::1",
		"Source link-layer address: " + strings.ToUpper(p.Router.MAC.String()),
	} {
		if !strings.Contains(out, want) {
			t.Errorf("rdisc6 does not say %q:\n%s", want, out)
		}
	}
	for _, ask := range []struct {
		target netip.Addr
		mac    wire.MAC
	}{
		{p.Router.LinkLocal, p.Router.MAC}, {p.Router.Global, p.Router.MAC},
		{p.Neighbor.Global, p.Neighbor.MAC}, {p.RouterGuest.LinkLocal, p.RouterGuest.MAC},
	} {
		out, err := g.Run("ndisc6", "-1", ask.target.String(), "eth0")
		if err != nil || !strings.Contains(out, strings.ToUpper(ask.mac.String())) {
			t.Errorf("ndisc6 %s: %v, want %s:\n%s", ask.target, err, ask.mac, out)
		}
	}
}

// addLive gives livePort a guest with a stack and waits for its address.
func (p *ndPlay) addLive(t *testing.T) *lab.Guest {
	t.Helper()
	g := addGuest(t, p.stage, lab.GuestOptions{Name: livePort, MAC: "02:00:00:00:00:16"})
	p.guests[livePort] = g
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := g.WaitAddr(ctx, p.Prefix); err != nil {
		t.Fatal(err)
	}
	p.capture(t, livePort)
	p.settle(t)
	p.count = p.read(t)
	return g
}
