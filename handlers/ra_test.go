package handlers_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/handlers/ra"
	"damselfly/handlers/reason"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"
)

var unspecified = netip.IPv6Unspecified()

// solicitation is a guest's Router Solicitation, with SLLA if it has a source.
func solicitation(p *fixtures.Party, src netip.Addr) fixtures.Message {
	rs := &ndp.RouterSolicitation{}
	if src != unspecified {
		rs.Options = []ndp.Option{fixtures.LinkLayer(ndp.Source, p.MAC)}
	}
	return fixtures.ND(p.MAC, wire.AllRoutersMAC, src, wire.AllRouters, rs)
}

// advertisement is a guest's Router Advertisement.
func advertisement(p *fixtures.Party) fixtures.Message {
	return fixtures.ND(p.MAC, wire.AllNodesMAC, p.LinkLocal, wire.AllNodes, &ndp.RouterAdvertisement{
		CurrentHopLimit: 64, RouterLifetime: 1800 * time.Second,
		Options: []ndp.Option{fixtures.LinkLayer(ndp.Source, p.MAC)},
	})
}

// isAdvert checks a Router Advertisement of w's router, its prefixes and their lifetimes in seconds.
func (w world) isAdvert(to wire.MAC, dst netip.Addr, prefixes ...string) []fixtures.Check {
	return []fixtures.Check{
		fixtures.Type(134, 0), fixtures.HopLimit(255),
		fixtures.MACs(w.Router.MAC, to), fixtures.Addresses(w.Router.LinkLocal, dst),
		func(r *fixtures.Reply) error {
			var got []string
			for _, o := range r.Message.(*ndp.RouterAdvertisement).Options {
				if p, ok := o.(*ndp.PrefixInformation); ok {
					got = append(got, fmt.Sprintf("%v/%d preferred %v valid %v", p.Prefix, p.PrefixLength, p.PreferredLifetime, p.ValidLifetime))
				}
			}
			if d := cmp.Diff(prefixes, got); d != "" {
				return fmt.Errorf("prefixes (-want +got):\n%s", d)
			}
			return nil
		},
	}
}

const bluePrefix = "fd00:b1::/64 preferred 4h0m0s valid 24h0m0s"

func TestRouterSolicitation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	guestRouted := newWorld(t, noRouter)
	a := &w.Asker
	good := solicitation(a, a.LinkLocal)
	tests := []struct {
		name    string
		world   world
		message fixtures.Message
		want    pipeline.Reason
		to      wire.MAC
		dst     netip.Addr
	}{
		{"with a source", w, good, reason.Answered, a.MAC, a.LinkLocal},
		{"with a source that nobody configured", w, solicitation(a, w.Private), reason.Answered, a.MAC, w.Private},
		{"without SLLA", w, good.With(func(m *fixtures.Message) { m.Body = m.Body[:4] }), reason.Answered, a.MAC, a.LinkLocal},
		{"from ::", w, solicitation(a, unspecified), reason.Answered, wire.AllNodesMAC, wire.AllNodes},
		{"unicast to the router", w, good.With(func(m *fixtures.Message) {
			m.To, m.Destination = w.Router.MAC, w.Router.LinkLocal
		}), reason.Answered, a.MAC, a.LinkLocal},
		{"unicast to a guest", w, good.With(func(m *fixtures.Message) {
			m.To, m.Destination = w.Neighbor.MAC, w.Neighbor.LinkLocal
		}), reason.Misdirected, wire.MAC{}, netip.Addr{}},
		{"where a guest may be the router", guestRouted, good, reason.Relayed, wire.MAC{}, netip.Addr{}},
		{"hop limit", w, good.With(func(m *fixtures.Message) { m.HopLimit = 64 }), reason.OfFault(wire.FaultHopLimit), wire.MAC{}, netip.Addr{}},
		{"checksum", w, good.With(func(m *fixtures.Message) { m.BadChecksum = true }), reason.OfFault(wire.FaultChecksum), wire.MAC{}, netip.Addr{}},
		{"code", w, good.With(func(m *fixtures.Message) { m.Code = 1 }), reason.OfFault(wire.FaultCode), wire.MAC{}, netip.Addr{}},
		{"length", w, good.With(func(m *fixtures.Message) { m.Body = m.Body[:2] }), reason.OfFault(wire.FaultShort), wire.MAC{}, netip.Addr{}},
		{"option of length 0", w, good.With(func(m *fixtures.Message) { m.Body[5] = 0 }), reason.OfFault(wire.FaultOptionZeroLength), wire.MAC{}, netip.Addr{}},
		{":: with SLLA", w, good.With(func(m *fixtures.Message) { m.Source = unspecified }), reason.OfFault(wire.FaultUnspecifiedWithLinkLayer), wire.MAC{}, netip.Addr{}},
		{"another's SLLA", w, good.With(func(m *fixtures.Message) { m.Body[11] ^= 1 }), reason.ForgedLinkLayer, wire.MAC{}, netip.Addr{}},
		{"another's MAC", w, good.With(func(m *fixtures.Message) { m.From = w.Neighbor.MAC }), reason.ForgedMAC, wire.MAC{}, netip.Addr{}},
		{"another's address", w, good.With(func(m *fixtures.Message) { m.Source = w.Neighbor.Global }), reason.ForgedSource, wire.MAC{}, netip.Addr{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			data := tt.message.Bytes()
			why, replies := tt.world.dispatch(a, data)
			checkReason(t, why, tt.want, replies)
			f := tt.world.frame(a, data)
			for _, r := range replies {
				if why == reason.Relayed {
					checkPlace(t, r, pipeline.Reply{InPort: f.InPort, Network: blueKey})
					continue
				}
				checkPlace(t, r, pipeline.Reply{Out: f.InPort})
				if err := fixtures.CheckReply(r.Data, tt.world.isAdvert(tt.to, tt.dst, bluePrefix)...); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// checkReason compares reasons, and that a reply was made just where the reason says so.
func checkReason(t *testing.T, got, want pipeline.Reason, replies []pipeline.Reply) {
	t.Helper()
	if got != want {
		t.Errorf("reason: got %s, want %s", handlers.ReasonName(got), handlers.ReasonName(want))
	}
	if (len(replies) > 0) != reason.Replies(want) {
		t.Errorf("got %d replies with reason %s", len(replies), handlers.ReasonName(want))
	}
}

// TestCountdown asks at several times for a network that gave up a prefix.
func TestCountdown(t *testing.T) {
	t.Parallel()
	until := now.Add(90*time.Minute + 900*time.Millisecond)
	w := newWorld(t, func(in *topology.Input) {
		in.Deprecated = map[string][]topology.Deprecated{"blue": {{
			Prefix: netip.MustParsePrefix("fd00:dead::/64"), OnLink: true, Autonomous: true, ValidUntil: until,
		}}}
	})
	compiled := bytes.Clone(w.blue().Adverts[0].Body)
	for _, tt := range []struct {
		at   time.Time
		left string
	}{
		{now, "1h30m0s"},
		{until.Add(-time.Second), "1s"},
		{until.Add(-time.Millisecond), "0s"},
		{until, "0s"},
		{until.Add(time.Hour), "0s"},
		{until.Add(-65536 * time.Second), "18h12m16s"},
		{until.AddDate(-200, 0, 0), "1193046h28m14s"},
	} {
		r := pipeline.NewReplies(0)
		ra.Unsolicited(w.blue(), tt.at, r)
		if len(r.List()) != 1 {
			t.Fatalf("got %d advertisements, want 1", len(r.List()))
		}
		checkPlace(t, r.List()[0], pipeline.Reply{Network: blueKey})
		want := w.isAdvert(wire.AllNodesMAC, wire.AllNodes, bluePrefix, "fd00:dead::/64 preferred 0s valid "+tt.left)
		if err := fixtures.CheckReply(r.List()[0].Data, want...); err != nil {
			t.Errorf("at %v: %v", tt.at, err)
		}
	}
	if !bytes.Equal(compiled, w.blue().Adverts[0].Body) {
		t.Error("the compiled body was written to")
	}
}

// TestCountdownReplaces patches lifetimes that the compiled body has values for.
func TestCountdownReplaces(t *testing.T) {
	t.Parallel()
	prefix := &ndp.PrefixInformation{Prefix: netip.MustParseAddr("2001:db8::"), PrefixLength: 64,
		PreferredLifetime: 0x12345 * time.Second, ValidLifetime: 0xfedcba * time.Second}
	body, err := ndp.MarshalMessage(&ndp.RouterAdvertisement{Options: []ndp.Option{prefix}})
	if err != nil {
		t.Fatal(err)
	}
	// The option begins behind the 16 octets of RFC 4861 section 4.2; section
	// 4.6.2 has its lifetimes at 4 and 8.
	a := topology.Advert{Body: body, Sum: wire.SumBody(body), Countdowns: []topology.Countdown{
		{Offset: 16 + 4, Until: now.Add(70000 * time.Second)},
		{Offset: 16 + 8, Until: now.Add(3 * time.Second)},
	}}
	w := newWorld(t, nil)
	r := pipeline.NewReplies(0)
	ra.Multicast(blueKey, w.Router.MAC, w.Router.LinkLocal, []topology.Advert{a}, now, r)
	want := w.isAdvert(wire.AllNodesMAC, wire.AllNodes, "2001:db8::/64 preferred 3s valid 19h26m40s")
	if err := fixtures.CheckReply(r.List()[0].Data, want...); err != nil {
		t.Error(err)
	}
}

// TestSplitAdverts has more prefixes than one advertisement of the link holds.
func TestSplitAdverts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(in *topology.Input) {
		in.Spec.Networks[0].MTU = 1280
		for i := range 60 {
			prefix := netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 1: 1, 7: byte(i)}), 64)
			in.Spec.Networks[0].Subnets = append(in.Spec.Networks[0].Subnets, topology.SubnetSpec{Prefix: prefix})
		}
	})
	why, replies := w.dispatch(&w.Asker, solicitation(&w.Asker, w.Asker.LinkLocal).Bytes())
	if why != reason.Answered || len(replies) != 2 {
		t.Fatalf("got %s with %d replies, want answered with 2", handlers.ReasonName(why), len(replies))
	}
	total := 0
	for _, r := range replies {
		if len(r.Data) > 1280+wire.EthernetLen {
			t.Errorf("a frame of %d octets does not fit the link", len(r.Data))
		}
		err := fixtures.CheckReply(r.Data, fixtures.Type(134, 0), fixtures.MACs(w.Router.MAC, w.Asker.MAC), func(r *fixtures.Reply) error {
			for _, o := range r.Message.(*ndp.RouterAdvertisement).Options {
				if _, ok := o.(*ndp.PrefixInformation); ok {
					total++
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if total != 61 {
		t.Errorf("prefixes in all frames: got %d, want 61", total)
	}
}

// TestMulticastFinal sends what ends the advertising of a network.
func TestMulticastFinal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	r := pipeline.NewReplies(0)
	n := w.blue()
	ra.Multicast(n.Key, n.Router.MAC, n.Router.LinkLocal, topology.FinalAdvert(n), now, r)
	if len(r.List()) != 1 {
		t.Fatalf("got %d advertisements, want 1", len(r.List()))
	}
	checks := append(w.isAdvert(wire.AllNodesMAC, wire.AllNodes, "fd00:b1::/64 preferred 0s valid 2h0m0s"),
		func(r *fixtures.Reply) error {
			if l := r.Message.(*ndp.RouterAdvertisement).RouterLifetime; l != 0 {
				return fmt.Errorf("router lifetime: got %v, want 0", l)
			}
			return nil
		})
	if err := fixtures.CheckReply(r.List()[0].Data, checks...); err != nil {
		t.Error(err)
	}

	r.Reset()
	silent := newWorld(t, noRouter)
	ra.Unsolicited(silent.blue(), now, r)
	if len(r.List()) != 0 {
		t.Errorf("a network that is not advertised: got %d advertisements", len(r.List()))
	}
}

func TestGuestAdvertisement(t *testing.T) {
	t.Parallel()
	ours, theirs := newWorld(t, nil), newWorld(t, noRouter)
	guest := &theirs.RouterGuest
	tests := []struct {
		name    string
		world   world
		from    *fixtures.Party
		message fixtures.Message
		want    pipeline.Reason
	}{
		{"of a plain guest", theirs, &theirs.Asker, advertisement(&theirs.Asker), reason.GuestRA},
		{"of a router guest on our network", ours, &ours.RouterGuest, advertisement(&ours.RouterGuest), reason.GuestRA},
		{"of a plain guest, malformed", ours, &ours.Asker,
			advertisement(&ours.Asker).With(func(m *fixtures.Message) { m.HopLimit = 64 }), reason.GuestRA},
		{"of a router guest", theirs, guest, advertisement(guest), reason.Relayed},
		{"hop limit", theirs, guest, advertisement(guest).With(func(m *fixtures.Message) { m.HopLimit = 64 }), reason.OfFault(wire.FaultHopLimit)},
		{"global source", theirs, guest, advertisement(guest).With(func(m *fixtures.Message) { m.Source = guest.Global }), reason.OfFault(wire.FaultNotLinkLocal)},
		{"another's SLLA", theirs, guest, advertisement(guest).With(func(m *fixtures.Message) { m.Body[len(m.Body)-1] ^= 1 }), reason.ForgedLinkLayer},
		{"another's source", theirs, guest, advertisement(guest).With(func(m *fixtures.Message) { m.Source = theirs.Neighbor.LinkLocal }), reason.ForgedSource},
		{"Redirect", ours, &ours.RouterGuest, fixtures.Message{From: guest.MAC, To: ours.Asker.MAC, Source: guest.LinkLocal,
			Destination: ours.Asker.LinkLocal, HopLimit: 255, Type: 137, Body: make([]byte, 36)}, reason.GuestRedirect},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			data := tt.message.Bytes()
			why, replies := tt.world.dispatch(tt.from, data)
			checkReason(t, why, tt.want, replies)
			for _, r := range replies {
				checkPlace(t, r, pipeline.Reply{InPort: tt.world.frame(tt.from, data).InPort, Network: blueKey})
				if !bytes.Equal(r.Data, data) {
					t.Errorf("relayed frame:\n got %x\nwant %x", r.Data, data)
				}
			}
		})
	}
}
