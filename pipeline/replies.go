package pipeline

// Reply is one frame to send and where to.
type Reply struct {
	// Data is the whole Ethernet frame.
	Data []byte
	// Out is the switch port the frame leaves by, and Port the key of the port
	// there, 0 where nobody said. Through the switch: if Out is 0, the frame is
	// switched within Network by its destination as if a guest had sent it from
	// InPort, where the port with the key Port is, which it therefore never leaves
	// by.
	Out     uint32
	InPort  uint32
	Port    uint16
	Network uint16
	// VLAN is the tag that it leaves by Out with, 0 for none. Data is without it.
	VLAN uint16
}

// Replies is an arena that a Handler writes its answers into. It grows to what
// a batch needs and is used again for the next: once warm, nothing is allocated.
type Replies struct {
	list []Reply
	buf  []byte
}

// NewReplies returns an arena with room for octets of answers.
func NewReplies(octets int) *Replies {
	return &Replies{list: make([]Reply, 0, MaxBatch), buf: make([]byte, 0, octets)}
}

// Reset forgets all replies; their octets are used again.
func (r *Replies) Reset() {
	r.list = r.list[:0]
	r.buf = r.buf[:0]
}

// List returns the replies in the order they were made, valid until Reset.
func (r *Replies) List() []Reply { return r.list }

// Undo takes back every reply made since there were n of them.
func (r *Replies) Undo(n int) { r.list = r.list[:n] }

// Back returns zeroed room for a reply of size octets out of the port f came in by.
func (r *Replies) Back(f *Frame, size int) []byte {
	return r.add(Reply{Out: f.InPort, Port: f.Port, VLAN: f.VLAN}, size)
}

// Onward returns zeroed room for a frame of size octets that goes on through the
// switch to the other ports of f's network.
func (r *Replies) Onward(f *Frame, size int) []byte {
	return r.add(Reply{InPort: f.InPort, Port: f.Port, Network: f.Network}, size)
}

// Into returns zeroed room for a frame of size octets that the switch carries
// within a network, to every port its destination names.
func (r *Replies) Into(network uint16, size int) []byte {
	return r.add(Reply{Network: network}, size)
}

// To returns zeroed room for a frame of size octets out of one port, tagged with
// vlan if that is not 0.
func (r *Replies) To(port uint32, vlan uint16, size int) []byte {
	return r.add(Reply{Out: port, VLAN: vlan}, size)
}

// Pass adds a reply of another arena, whose octets stay there.
func (r *Replies) Pass(reply Reply) { r.list = append(r.list, reply) }

func (r *Replies) add(reply Reply, size int) []byte {
	if len(r.buf)+size > cap(r.buf) {
		// Replies made before keep the old array; only the room behind is new.
		r.buf = make([]byte, 0, max(2*cap(r.buf), size))
	}
	n := len(r.buf)
	r.buf = r.buf[:n+size]
	reply.Data = r.buf[n : n+size : n+size]
	clear(reply.Data)
	r.list = append(r.list, reply)
	return reply.Data
}
