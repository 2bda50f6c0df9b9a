package agent

import (
	"context"
	"net/netip"
	"sync/atomic"

	"damselfly/handlers/dhcpv6"
	"damselfly/internal/relay6"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// uplink is the socket towards external DHCPv6 servers, opened when the first
// subnet says `relay_to`.
type uplink struct {
	socket  atomic.Pointer[relay6.Relay]
	servers atomic.Pointer[map[netip.Addr]bool]
	// stop ends the reading of answers and waits for it; nil while there is no
	// socket. It is the reconciling goroutine's.
	stop func()
}

// Forward implements dhcpv6.Uplink.
func (u *uplink) Forward(server netip.Addr, message []byte) bool {
	s := u.socket.Load()
	return s != nil && s.Forward(server, message)
}

// asked reports whether an address is that of a server that is asked.
func (u *uplink) asked(a netip.Addr) bool {
	servers := u.servers.Load()
	return servers != nil && (*servers)[a.Unmap()]
}

// close ends the reading of answers.
func (u *uplink) close() {
	if u.stop != nil {
		u.stop()
	}
}

// relayFor makes the relay serve what a snapshot says.
func (a *Agent) relayFor(ctx context.Context, snap *topology.Snapshot) {
	servers := map[netip.Addr]bool{}
	for _, n := range snap.Networks {
		for i := range n.Subnets {
			if to := n.Subnets[i].RelayTo; to.IsValid() {
				servers[to] = true
			}
		}
	}
	a.relay.servers.Store(&servers)
	if len(servers) == 0 || a.relay.socket.Load() != nil {
		return
	}
	socket, err := relay6.Listen(netip.AddrPortFrom(netip.IPv6Unspecified(), relay6.Port), a.relay.asked)
	if err != nil {
		a.state.once(a.log, "relay", err.Error())
		return
	}
	a.state.once(a.log, "relay", "")
	a.relay.socket.Store(socket)
	// What the slow lane still forwards while stopping is to be answered too.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := socket.Run(running, a.returned); err != nil {
			a.log.Error("answers of external DHCPv6 servers are not heard any more; restart to have that back", "error", err)
		}
	}()
	a.relay.stop = func() { cancel(); <-ended }
}

// returned takes an external server's answer to its guest.
func (a *Agent) returned(data []byte) {
	snap := a.snapshot.Load()
	if snap == nil {
		return
	}
	r := pipeline.NewReplies(2048)
	if why := dhcpv6.Return(snap, data, r); len(r.List()) == 0 {
		a.log.Debug("an answer of an external DHCPv6 server went nowhere", "reason", why)
		return
	}
	if err := a.sink.WriteReplies(r); err != nil {
		a.log.Debug("an answer of an external DHCPv6 server was not sent", "error", err)
	}
}
