package secure

import (
	"net/netip"
	"time"

	"damselfly/internal/send"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// Ask writes a Neighbor Solicitation for a target in the name of n's router into the
// room that into makes, signed where the network's router signs: who takes only what
// is signed would not answer another.
func (s *Shared) Ask(n *topology.Network, h *wire.Headers, target netip.Addr, now time.Time, into func(size int) []byte) {
	if s == nil || !n.Signs() || n.Router == nil || h.Source != n.Router.LinkLocal {
		wire.PutNeighborSolicit(into(wire.NeighborSolicitFrameLen), h, target)
		return
	}
	id, nonce := n.Send.Identity, s.Questions.Nonce(now, target)
	b := into(wire.NeighborSolicitFrameLen + id.Overhead(len(nonce)))
	wire.PutNeighborSolicit(b, h, target)
	_ = id.Sign(b, wire.NeighborSolicitFrameLen, now, nonce) // else it is not answered
}

// Holds reports whether somebody signs for an address of n, for whom nobody else can
// answer.
func (s *Shared) Holds(n *topology.Network, a netip.Addr) bool {
	if s == nil || n.Send == nil {
		return false
	}
	_, ok := s.Peers.Port(send.Peer{Network: n.Name, Addr: a})
	return ok
}
