package handlers_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// TestMetadataNeighbor: Damselfly alone is at the metadata service's addresses.
func TestMetadataNeighbor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(in *topology.Input) { in.Spec.Networks[0].Metadata = &topology.MetadataSpec{} })
	mac := w.Snapshot.Network(blueKey).Metadata.MAC
	for _, a := range topology.MetadataAddresses[:2] {
		group := wire.SolicitedNode(a)
		ns := &ndp.NeighborSolicitation{TargetAddress: a, Options: []ndp.Option{fixtures.LinkLayer(ndp.Source, w.Asker.MAC)}}
		na := &ndp.NeighborAdvertisement{Override: true, TargetAddress: a, Options: []ndp.Option{fixtures.LinkLayer(ndp.Target, w.Asker.MAC)}}
		for _, c := range []struct {
			name   string
			from   *fixtures.Party
			frame  fixtures.Message
			reason string
			answer *fixtures.Advert
		}{
			{"asked", &w.Asker, fixtures.ND(w.Asker.MAC, wire.MulticastMAC(group), w.Asker.LinkLocal, group, ns), "answered",
				&fixtures.Advert{SourceMAC: mac, DestinationMAC: w.Asker.MAC, Source: a, Destination: w.Asker.LinkLocal, Target: a, Solicited: true, Override: true, LinkLayer: mac}},
			{"verified", &w.Asker, fixtures.ND(w.Asker.MAC, mac, w.Asker.LinkLocal, a, ns), "answered",
				&fixtures.Advert{SourceMAC: mac, DestinationMAC: w.Asker.MAC, Source: a, Destination: w.Asker.LinkLocal, Target: a, Solicited: true, Override: true, LinkLayer: mac}},
			{"probed for", &w.Asker, fixtures.ND(w.Asker.MAC, wire.MulticastMAC(group), netip.IPv6Unspecified(), group, &ndp.NeighborSolicitation{TargetAddress: a}), "dad-defended",
				&fixtures.Advert{SourceMAC: mac, DestinationMAC: wire.AllNodesMAC, Source: a, Destination: wire.AllNodes, Target: a, Override: true, LinkLayer: mac}},
			{"claimed", &w.Asker, fixtures.ND(w.Asker.MAC, wire.AllNodesMAC, w.Asker.LinkLocal, wire.AllNodes, na), "forged-target", nil},
			{"claimed by it", &w.Asker, fixtures.ND(w.Asker.MAC, wire.AllNodesMAC, a, wire.AllNodes, na), "forged-source", nil},
			{"claimed behind a port with unknown", &w.Bridge, fixtures.ND(w.Asker.MAC, wire.AllNodesMAC, netip.MustParseAddr("fe80::77"), wire.AllNodes, na), "forged-target", nil},
			{"spoken for behind a port with unknown", &w.Bridge, fixtures.ND(w.Asker.MAC, wire.MulticastMAC(group), a, wire.SolicitedNode(w.Asker.LinkLocal), &ndp.NeighborSolicitation{TargetAddress: w.Asker.LinkLocal}), "forged-source", nil},
		} {
			why, replies := w.dispatch(c.from, c.frame.Bytes())
			if got := handlers.ReasonName(why); got != c.reason {
				t.Errorf("%s %s: %s, want %s", a, c.name, got, c.reason)
			}
			switch {
			case c.answer == nil && len(replies) != 0, c.answer != nil && len(replies) != 1:
				t.Errorf("%s %s: %d replies", a, c.name, len(replies))
			case c.answer != nil:
				if err := fixtures.CheckReply(replies[0].Data, c.answer.Is); err != nil {
					t.Errorf("%s %s: %v", a, c.name, err)
				}
			}
		}
	}
}

// TestMetadataUplink: nothing of the service passes an uplink.
func TestMetadataUplink(t *testing.T) {
	t.Parallel()
	v := newResolver(t, false, func(s *topology.Spec) { s.Networks[1].Metadata = &topology.MetadataSpec{} })
	a := topology.MetadataAddresses[0]
	group, from := wire.SolicitedNode(a), netip.MustParseAddr("fe80::99")
	for name, frame := range map[string]fixtures.Message{
		"asked":      fixtures.ND(upstreamMAC, wire.MulticastMAC(group), from, group, &ndp.NeighborSolicitation{TargetAddress: a, Options: []ndp.Option{fixtures.LinkLayer(ndp.Source, upstreamMAC)}}),
		"probed for": fixtures.ND(upstreamMAC, wire.MulticastMAC(group), netip.IPv6Unspecified(), group, &ndp.NeighborSolicitation{TargetAddress: a}),
	} {
		if diff := cmp.Diff([]string{"uplink-metadata"}, v.punted(2, punt.NS, frame.Bytes())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	claim := fixtures.ND(upstreamMAC, wire.AllNodesMAC, from, wire.AllNodes, &ndp.NeighborAdvertisement{
		Override: true, TargetAddress: a, Options: []ndp.Option{fixtures.LinkLayer(ndp.Target, upstreamMAC)}})
	if diff := cmp.Diff([]string{"forged-target"}, v.punted(2, punt.NA, claim.Bytes())); diff != "" {
		t.Errorf("claimed (-want +got):\n%s", diff)
	}
}
