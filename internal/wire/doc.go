// Package wire views and builds the frames Damselfly answers: Ethernet II, IPv6,
// ICMPv6, Neighbor Discovery and UDP. It knows bytes and the rules a single
// frame can be judged by, nothing of networks, ports or policy.
//
// The way through it:
//
//	Cut            one frame -> Packet: views and facts, or the Fault that ended it (cut.go, chain.go)
//	Check...       the one validity gate per message, giving a typed view or a Fault (gate.go, neighbor.go, router.go, echo.go, udp.go)
//	NeighborSolicit, RouterSolicit, ...   views: named []byte with getters at fixed offsets
//	Options        the iterator over Neighbor Discovery options (options.go)
//	Put...         builders of whole frames into the caller's buffer (build.go)
//	Sum            ones' complement sums: whole, partial, incremental (checksum.go)
//	MAC, addresses link-layer and multicast address arithmetic (mac.go, address.go)
//
// A view borrows the frame: it is valid as long as the frame's buffer is, it
// must not be written through unless the holder owns that buffer, and its
// getters may panic on bytes that did not come through the gate named on its
// type. Behind the gate nothing here panics, reads outside the frame or allocates.
package wire
