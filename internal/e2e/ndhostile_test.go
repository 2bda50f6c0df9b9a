package e2e

import (
	"net/netip"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/handlers/reason"
	"damselfly/internal/lab"
	"damselfly/internal/wire"
	"damselfly/pipeline"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"
	"github.com/mdlayher/ndp"
)

// hostile is a frame that nobody may get anything of.
type hostile struct {
	name  string
	from  *fixtures.Party
	frame []byte
	// why it ends, if it is punted; else the role of the flow that drops it.
	why  pipeline.Reason
	role string
}

// TestHostileFrames sends what a guest may not: each frame ends in its reason or
// in a drop flow that is named for it, nobody receives anything, and another
// guest's gateway stays where it was.
func TestHostileFrames(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		p := newNDPlay(t, ndExt)
		victim := p.addLive(t)
		var frames []hostile
		frames = append(frames, p.hostileND(ndExt)...)
		frames = append(frames, p.hostileSolicitations()...)
		frames = append(frames, p.hostileAdvertisements()...)
		frames = append(frames, p.hostileLinkLayer()...)
		for _, h := range frames {
			t.Run(h.name, func(t *testing.T) {
				p.checkHostile(t, h)
				if out, err := victim.Run("ping", "-6", "-c", "1", "-W", "5", "fd00:b1::1"); err != nil {
					t.Fatalf("another guest has lost the gateway: %v\n%s", err, out)
				}
			})
		}
		p.checkVictim(t, victim)
	})
}

func (p *ndPlay) checkHostile(t *testing.T, h hostile) {
	t.Helper()
	seen := p.send(t, h.from, h.frame)
	wantReasons, wantDrops := map[string]int{}, map[string]int{}
	if h.role != "" {
		wantDrops[h.role] = 1
	} else {
		wantReasons[handlers.ReasonName(h.why)] = 1
	}
	if d := cmp.Diff(wantReasons, seen.Reasons); d != "" {
		t.Errorf("packet-ins by how they ended (-want +got):\n%s", d)
	}
	if d := cmp.Diff(wantDrops, dropRoles(seen.Roles)); d != "" {
		t.Errorf("drop flows (-want +got):\n%s", d)
	}
	if len(seen.Received) != 0 {
		t.Errorf("received, want nothing anywhere:\n%v", seen)
	}
}

// checkVictim wants one default route, the router's, and no address but on its prefix.
func (p *ndPlay) checkVictim(t *testing.T, victim *lab.Guest) {
	t.Helper()
	routes, err := victim.Routes()
	if err != nil {
		t.Fatal(err)
	}
	var gateways []netip.Addr
	for _, r := range routes {
		if r.Destination == "default" {
			gateways = append(gateways, r.Gateway)
		}
	}
	if len(gateways) != 1 || gateways[0] != p.Router.LinkLocal {
		t.Errorf("default routes: got %v, want one by %v", gateways, p.Router.LinkLocal)
	}
	addrs, err := victim.Addrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if a.Scope == "global" && !p.Prefix.Contains(a.Address) {
			t.Errorf("the guest has made itself %v", a.Address)
		}
	}
}

// hostileND are the cases of the table that neither datapath may let through.
func (p *ndPlay) hostileND(ndExt bool) (out []hostile) {
	for _, c := range fixtures.NDCases() {
		p.another()
		path := c.Plain
		if ndExt {
			path = c.Ext
		}
		spoofed := c.Reason == reason.ForgedMAC || c.Reason == reason.ForgedSource
		switch {
		case c.Outcome == fixtures.Drop && path == fixtures.Refuse && spoofed:
			out = append(out, hostile{name: c.Name, from: c.From(p.NDWorld), frame: c.Frame(p.NDWorld), role: "drop-spoofed"})
		case c.Outcome == fixtures.Drop && path == fixtures.Punt:
			out = append(out, hostile{name: c.Name, from: c.From(p.NDWorld), frame: c.Frame(p.NDWorld), why: c.Reason})
		}
	}
	return out
}

// hostileSolicitations are Router Solicitations that break RFC 4861 section
// 6.1.1, or whose sender lies.
func (p *ndPlay) hostileSolicitations() (out []hostile) {
	a := &p.Asker
	good := p.routerSolicit(a.LinkLocal, fixtures.LinkLayer(ndp.Source, a.MAC))
	punted := func(name string, why pipeline.Reason, change func(*fixtures.Message)) {
		out = append(out, hostile{name: "RS " + name, from: a, frame: good.With(change).Bytes(), why: why})
	}
	dropped := func(name, role string, change func(*fixtures.Message)) {
		out = append(out, hostile{name: "RS " + name, from: a, frame: good.With(change).Bytes(), role: role})
	}
	dropped("hop limit 254", "drop-nd-invalid", func(m *fixtures.Message) { m.HopLimit = 254 })
	dropped("code 1", "drop-nd-invalid", func(m *fixtures.Message) { m.Code = 1 })
	dropped("first fragment", "drop-nd-invalid", func(m *fixtures.Message) { behind(m, layers.IPProtocolIPv6Fragment, 58, 0, 0, 1, 0, 0, 0, 1) })
	punted("atomic fragment", reason.OfFault(wire.FaultFragment), func(m *fixtures.Message) { behind(m, layers.IPProtocolIPv6Fragment, 58, 0, 0, 0, 0, 0, 0, 1) })
	punted("checksum", reason.OfFault(wire.FaultChecksum), func(m *fixtures.Message) { m.BadChecksum = true })
	// To a switch, what ends within its first 8 octets has no ICMPv6 type.
	dropped("shorter than 8 octets", "drop-header-chain", func(m *fixtures.Message) { m.Body = m.Body[:2] })
	punted("option of length 0", reason.OfFault(wire.FaultOptionZeroLength), func(m *fixtures.Message) { m.Body[5] = 0 })
	punted("option beyond the packet", reason.OfFault(wire.FaultOptionTruncated), func(m *fixtures.Message) { m.Body[5] = 2 })
	punted("from :: with SLLA", reason.OfFault(wire.FaultUnspecifiedWithLinkLayer), func(m *fixtures.Message) { m.Source = netip.IPv6Unspecified() })
	punted("with another's SLLA", reason.ForgedLinkLayer, func(m *fixtures.Message) { copy(m.Body[6:], p.Neighbor.MAC[:]) })
	dropped("from another's MAC", "drop-spoofed", func(m *fixtures.Message) { m.From = p.Neighbor.MAC })
	dropped("from another's address", "drop-spoofed", func(m *fixtures.Message) { m.Source = p.Neighbor.LinkLocal })
	return out
}

// hostileAdvertisements are Router Advertisements and Redirects of guests (RFC
// 6105, RFC 7113), one of them of a guest that is a router elsewhere.
func (p *ndPlay) hostileAdvertisements() (out []hostile) {
	a, victim := &p.Asker, wire.MAC{2, 0, 0, 0, 0, 0x16}
	good := fixtures.ND(a.MAC, wire.AllNodesMAC, a.LinkLocal, wire.AllNodes, &ndp.RouterAdvertisement{
		CurrentHopLimit: 64, RouterLifetime: 30 * time.Minute, RouterSelectionPreference: ndp.High,
		Options: []ndp.Option{fixtures.LinkLayer(ndp.Source, a.MAC), &ndp.PrefixInformation{
			PrefixLength: 64, OnLink: true, AutonomousAddressConfiguration: true,
			ValidLifetime: time.Hour, PreferredLifetime: time.Hour, Prefix: netip.MustParseAddr("fd00:bad::"),
		}},
	})
	add := func(name, role string, change func(*fixtures.Message)) {
		out = append(out, hostile{name: "RA " + name, from: a, frame: good.With(change).Bytes(), role: role})
	}
	const guard = "drop-guest-ra"
	add("plain", guard, func(*fixtures.Message) {})
	add("behind Hop-by-Hop Options", guard, func(m *fixtures.Message) { behind(m, 0, 58, 0, 1, 4, 0, 0, 0, 0) })
	add("behind Destination Options", guard, func(m *fixtures.Message) { behind(m, 60, 58, 0, 1, 4, 0, 0, 0, 0) })
	add("behind two headers", guard, func(m *fixtures.Message) { behind(m, 0, 60, 0, 1, 4, 0, 0, 0, 0, 58, 0, 1, 4, 0, 0, 0, 0) })
	add("behind an unknown header", "drop-next-header", func(m *fixtures.Message) { behind(m, 253, 58, 0, 0, 0, 0, 0, 0, 0) })
	add("atomic fragment", guard, func(m *fixtures.Message) { behind(m, 44, 58, 0, 0, 0, 0, 0, 0, 1) })
	add("first fragment", guard, func(m *fixtures.Message) { behind(m, 44, 58, 0, 0, 1, 0, 0, 0, 1) })
	add("first fragment that ends in a header", "drop-header-chain", func(m *fixtures.Message) {
		behind(m, 44, 60, 0, 0, 1, 0, 0, 0, 1, 58, 30, 1, 4, 0, 0, 0, 0)
	})
	add("later fragment", "drop-header-chain", func(m *fixtures.Message) { behind(m, 44, 58, 0, 0, 8, 0, 0, 0, 1) })
	add("to a guest alone", guard, func(m *fixtures.Message) { m.To, m.Destination = victim, wire.LinkLocal(victim) })
	add("to a guest's MAC", guard, func(m *fixtures.Message) { m.To = victim })
	add("broadcast", guard, func(m *fixtures.Message) { m.To = wire.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} })
	add("as the gateway", "drop-spoofed", func(m *fixtures.Message) {
		m.Source = p.Router.LinkLocal
		copy(m.Body[14:], p.Router.MAC[:])
	})
	add("as the gateway, with its MAC", "drop-spoofed", func(m *fixtures.Message) {
		m.From, m.Source = p.Router.MAC, p.Router.LinkLocal
		copy(m.Body[14:], p.Router.MAC[:])
	})
	add("hop limit 64", guard, func(m *fixtures.Message) { m.HopLimit = 64 })
	add("checksum", guard, func(m *fixtures.Message) { m.BadChecksum = true })

	r := &p.RouterGuest
	other := good.With(func(m *fixtures.Message) {
		m.From, m.Source = r.MAC, r.LinkLocal
		copy(m.Body[14:], r.MAC[:])
	})
	redirect := fixtures.Message{From: p.Router.MAC, To: victim, Source: p.Router.LinkLocal, Destination: wire.LinkLocal(victim),
		HopLimit: 255, Type: wire.TypeRedirect, Body: make([]byte, 36)}
	return append(out,
		hostile{name: "RA of a guest that is a router", from: r, frame: other.Bytes(), why: reason.GuestRA},
		hostile{name: "Redirect as the gateway", from: a, frame: redirect.Bytes(), role: "drop-spoofed"},
		hostile{name: "Redirect with the gateway's address", from: a, frame: redirect.With(func(m *fixtures.Message) { m.From = a.MAC }).Bytes(), role: "drop-spoofed"},
	)
}

// hostileLinkLayer are tricks with the Ethernet header and IPv6's own.
func (p *ndPlay) hostileLinkLayer() []hostile {
	a := &p.Asker
	good := p.routerSolicit(a.LinkLocal, fixtures.LinkLayer(ndp.Source, a.MAC))
	plain := good.Bytes()
	tagged := func(tci byte) []byte {
		f := append(append([]byte(nil), plain[:12]...), 0x81, 0, 0, tci)
		return append(f, plain[12:]...)
	}
	with := func(offset int, octets ...byte) []byte {
		f := append([]byte(nil), plain...)
		copy(f[offset:], octets)
		return f
	}
	none := good.With(func(m *fixtures.Message) { m.From = wire.MAC{} })
	return []hostile{
		{name: "VLAN 1", from: a, frame: tagged(1), role: "drop-tagged"},
		{name: "VLAN 0", from: a, frame: tagged(0), role: "drop-tagged"},
		{name: "LLDP", from: a, frame: with(12, 0x88, 0xcc), role: "drop-ethertype"},
		{name: "802.3 length", from: a, frame: with(12, 0, 70), role: "drop-ethertype"},
		{name: "IP version 4", from: a, frame: with(14, 0x45), why: reason.OfFault(wire.FaultBadVersion)},
		{name: "payload length 0", from: a, frame: with(18, 0, 0), role: "drop-header-chain"},
		{name: "payload length beyond the frame", from: a, frame: with(18, 0xff, 0xff), role: "drop-header-chain"},
		{name: "header of 39 octets", from: a, frame: plain[:53], role: "drop-header-chain"},
		{name: "zero Ethernet source", from: a, frame: none.Bytes(), role: "drop-spoofed"},
	}
}

// behind puts extension headers before the message.
func behind(m *fixtures.Message, first layers.IPProtocol, chain ...byte) {
	m.First, m.Chain = first, chain
}
