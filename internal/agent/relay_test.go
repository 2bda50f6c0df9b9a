package agent

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"

	"damselfly/internal/topology"
)

// TestRelayStops: the reading of answers outlives the context of reconciling,
// which ends first, and has ended when close returns.
func TestRelayStops(t *testing.T) {
	t.Parallel()
	a := &Agent{log: slog.New(slog.DiscardHandler)}
	a.relay.close() // without a socket
	server := netip.MustParseAddr("2001:db8::547")
	ctx, cancel := context.WithCancel(t.Context())
	a.relayFor(ctx, &topology.Snapshot{Networks: []*topology.Network{{Subnets: []topology.Subnet{{RelayTo: server}}}}})
	socket := a.relay.socket.Load()
	if socket == nil {
		t.Skipf("port 547 cannot be had: %v", a.state.told)
	}
	cancel()
	if !a.relay.asked(server) || a.relay.asked(netip.IPv6Loopback()) {
		t.Error("the wrong servers are asked")
	}
	if !socket.Forward(netip.IPv6Loopback(), []byte{0}) {
		t.Error("nothing can be forwarded while stopping")
	}
	a.relay.close()
	if socket.Forward(netip.IPv6Loopback(), []byte{0}) {
		t.Error("the socket is still open")
	}
}
