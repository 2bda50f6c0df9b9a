package e2e

import (
	"net/netip"
	"testing"

	"damselfly/fixtures"
	"damselfly/internal/send"
	"damselfly/internal/stage"
	"damselfly/internal/wire"
)

// forged has the signing guest ask for the router in each wrong way: each ends under
// its own name, and the only answers are to the good questions before and behind.
func (g *secureGuest) forged(t *testing.T, d *stage.Daemon, router netip.Addr) {
	t.Helper()
	flip := func(at func(frame []byte) int) func([]byte) {
		return func(frame []byte) { frame[at(frame)] ^= 0x10 }
	}
	without := func(name string) func(*fixtures.SignedMessage) {
		return func(m *fixtures.SignedMessage) { m.Without = []string{name} }
	}
	cases := []struct {
		name   string
		change func(*fixtures.SignedMessage)
		tamper func(frame []byte)
		fault  send.Fault
	}{
		{"without CGA", without("cga"), nil, send.FaultNoCGA},
		{"without a timestamp", without("timestamp"), nil, send.FaultNoTimestamp},
		{"without a nonce", without("nonce"), nil, send.FaultNoNonce},
		{"an hour late", func(m *fixtures.SignedMessage) { m.At = 1e9 }, nil, send.FaultReplay},
		{"from an address that is not made of the key", func(m *fixtures.SignedMessage) { m.Source = wire.LinkLocal(g.mac) }, nil, send.FaultHash1},
		{"of another prefix", func(m *fixtures.SignedMessage) { m.Prefix = netip.MustParseAddr("fd00::1") }, nil, send.FaultPrefix},
		{"three collisions", func(m *fixtures.SignedMessage) { m.Collisions = 3 }, nil, send.FaultCollisionCount},
		{"a bit of the signature", nil, flip(func(f []byte) int { return len(f) - 10 }), send.FaultSignature},
		{"a bit of the link-layer address", nil, flip(func([]byte) int { return 78 + 7 }), send.FaultSignature},
	}
	before := len(received(g.seen, func(f []byte) bool { return len(f) > 54 && f[54] == wire.TypeNeighborAdvert }))
	for i, c := range cases {
		frame := g.solicit(t, router, byte(100+i), c.change)
		if c.tamper != nil {
			c.tamper(frame)
			wire.FinishICMPv6(frame)
		}
		key := "damselfly_frames_total{class=ns,reason=send-" + c.fault.String() + "}"
		n := metrics(t, d)[key]
		inject(t, g.Guest, frame)
		waitMetric(t, d, key, n+1)
	}
	inject(t, g.Guest, g.solicit(t, router, 200, nil))
	g.answer(t, wire.TypeNeighborAdvert, 200)
	if got := len(received(g.seen, func(f []byte) bool { return len(f) > 54 && f[54] == wire.TypeNeighborAdvert })); got != before+1 {
		t.Errorf("%d answers to %d forged questions", got-before-1, len(cases))
	}
}
