package pipeline

// MaxBatch is the most frames a Source returns at once.
const MaxBatch = 64

// Frame is one frame the switch handed over.
type Frame struct {
	// Data is the whole Ethernet frame; see the package comment for its owner.
	Data []byte
	// InPort is the switch's number of the port the frame came in by.
	InPort uint32
	// Port is the key of that port, Network the key of its network; 0 where the
	// switch did not say.
	Port    uint16
	Network uint16
	// VLAN is the tag that the frame came with and that what goes back by its
	// port has to carry, 0 for none. Data is without it.
	VLAN uint16
	// Class is the punt class the switch gave it; limits and counters go by it.
	// One that the counters do not have is taken as 0, no class.
	Class uint8
	// Note is what the switch says of it beside that; its meaning is the class's.
	Note uint32
}

// Reason is how a frame ended. The numbers below FirstReason are the pipeline's
// own; the Handler defines the others.
type Reason uint8

const (
	// Unset marks a frame the Handler forgot: a fault in the Handler.
	Unset Reason = iota
	// OverLimit frames were dropped unseen: their port and class sent more than
	// its limit.
	OverLimit
	// Panicked frames made the Handler panic; the frame is dropped, the rest of
	// its batch is served.
	Panicked
	// Deferred frames were handed on by the Handler; who decides them counts them
	// through Stats.Add, so that each still ends in one reason.
	Deferred
	// FirstReason is the first number free for the Handler.
	FirstReason
)

// Handler decides every frame of a batch: for batch[i] it sets reasons[i] and
// adds what it answers to r. It is called by one goroutine per worker.
type Handler func(batch []Frame, r *Replies, reasons []Reason)

// Source is where punted frames come from.
type Source interface {
	// ReadFrames waits until there is at least one frame, fills up to
	// len(batch) of them and returns their number. The frames are valid until
	// the next call. It returns io.EOF after Close.
	ReadFrames(batch []Frame) (int, error)
	// Close ends a pending ReadFrames, from another goroutine and without waiting.
	Close() error
}

// Sink is where replies go.
type Sink interface {
	// WriteReplies hands all replies to the switch, in order, before it
	// returns; r's octets are not used afterwards. An error means that some
	// may not have been sent.
	WriteReplies(r *Replies) error
}
