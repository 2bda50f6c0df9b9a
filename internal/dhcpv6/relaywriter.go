package dhcpv6

import (
	"encoding/binary"
	"net/netip"

	"damselfly/internal/wire"
)

// OpenRelayReplies begins the Relay-replies that take an answer back the way r
// came, the outermost first, each up to its Relay Message option; the answer
// follows and Finish closes them. Hop count and addresses are those of the
// Relay-forward (RFC 9915 section 19.3). Interface-ID, Remote-ID and the
// relay's source port are repeated as they came, and what the relay asked to
// have back (RFC 8357 section 5.2, RFC 4994 section 5). Without relays it
// writes nothing.
func (w *Writer) OpenRelayReplies(r *Request) {
	for i := range r.Relays() {
		h := &r.relays[i]
		if b := w.take(RelayLen); b != nil {
			copy(b, h.Relay[:RelayLen])
			b[0] = uint8(RelayReply)
		}
		w.echo(h)
		w.openOption(OptionRelayMessage, 0)
	}
}

// echo repeats the options of a relay that are to come back.
func (w *Writer) echo(h *Hop) {
	var wanted ORO
	if opt := h.Relay.Options().Find(OptionEchoRequest); opt != nil {
		wanted = ORO(opt.Body())
	}
	for o := h.Relay.Options(); len(o) > 0; {
		opt, rest, f := o.Next()
		if f != FaultNone {
			return
		}
		switch code := opt.Code(); code {
		case OptionRelayMessage, OptionEchoRequest:
		case OptionInterfaceID, OptionRemoteID, OptionRelayPort:
			w.Raw(opt)
		default:
			if wanted.Contains(code) {
				w.Raw(opt)
			}
		}
		o = rest
	}
}

// BeginRelayForward writes the fixed part of a Relay-forward. link names the
// client's link, :: if the Interface-ID does; peer is whom the message came
// from (RFC 9915 section 19.1). Its options follow, the message itself as
// Option(OptionRelayMessage, message).
func (w *Writer) BeginRelayForward(hops uint8, link, peer netip.Addr) {
	w.start = w.n
	b := w.take(RelayLen)
	if b == nil {
		return
	}
	b[0], b[relayHops] = uint8(RelayForward), hops
	l, p := link.As16(), peer.As16()
	copy(b[relayLink:], l[:])
	copy(b[relayPeer:], p[:])
}

// ClientLinkLayer writes the option by which a relay tells the client's MAC (RFC 6939 section 4).
func (w *Writer) ClientLinkLayer(m wire.MAC) {
	if b := w.option(OptionClientLinkLayer, clientLinkLayerLen); b != nil {
		binary.BigEndian.PutUint16(b, hardwareEthernet)
		copy(b[linkLayerMin:], m[:])
	}
}

// RemoteID writes a Remote-ID of a vendor (RFC 4649 section 3).
func (w *Writer) RemoteID(enterprise uint32, id []byte) {
	if b := w.option(OptionRemoteID, remoteIDMin+len(id)); b != nil {
		binary.BigEndian.PutUint32(b, enterprise)
		copy(b[remoteIDMin:], id)
	}
}
