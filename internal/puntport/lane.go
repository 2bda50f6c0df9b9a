package puntport

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"damselfly/internal/pulse"
	"damselfly/internal/punt"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Lane is the pipeline.Source of what comes by the punt port. It reads from the
// tap it was given last, and waits for one while there is none.
//
// ReadFrames is for one goroutine; all else may be called by others.
type Lane struct {
	log    *slog.Logger
	next   chan *pulse.Tap // holds one at most
	closed chan struct{}
	port   atomic.Pointer[port]
	used   atomic.Bool
	ended  atomic.Bool

	reader *pulse.Reader // the reader's; nil while there is none
	raw    [pipeline.MaxBatch][]byte

	frames, strange, replies, refused atomic.Uint64
}

// port is a tap at work.
type port struct{ tap *pulse.Tap }

// Stats counts what a Lane and its Sinks did.
type Stats struct {
	// Frames came in; Strange beside them had no tag of a port.
	Frames, Strange uint64
	// Replies were sent by the port; Refused it did not take.
	Replies, Refused uint64
}

// NewLane returns a Lane without a tap.
func NewLane(log *slog.Logger) *Lane {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Lane{log: log, next: make(chan *pulse.Tap, 1), closed: make(chan struct{})}
}

// Stats returns the counters so far.
func (l *Lane) Stats() Stats {
	return Stats{Frames: l.frames.Load(), Strange: l.strange.Load(), Replies: l.replies.Load(), Refused: l.refused.Load()}
}

// Attach has the Lane read from a tap; the one before must be over.
func (l *Lane) Attach(tap *pulse.Tap) {
	l.port.Store(&port{tap})
	select {
	case <-l.next: // one that was over before it was looked at
	default:
	}
	l.next <- tap
	if l.ended.Load() { // Close came in between
		l.linger(tap)
	}
}

// Use says whether the switch takes replies by the port. Until it does, and
// after, a Sink sends them another way.
func (l *Lane) Use(on bool) { l.used.Store(on) }

// Used reports whether it does.
func (l *Lane) Used() bool { return l.used.Load() }

// lingering is how long a closed Lane waits for a frame that is on its way.
const lingering = 20 * time.Millisecond

// Close implements pipeline.Source. What the switch has handed over is still
// read: lower the tap before, and nothing more comes.
func (l *Lane) Close() error {
	if l.ended.Swap(true) {
		return nil
	}
	close(l.closed)
	if p := l.port.Load(); p != nil {
		l.linger(p.tap)
	}
	return nil
}

func (l *Lane) linger(tap *pulse.Tap) {
	_ = tap.Linger(lingering) // one that is over ends its reader by itself
}

// ReadFrames implements pipeline.Source.
func (l *Lane) ReadFrames(batch []pipeline.Frame) (int, error) {
	for {
		if l.reader == nil {
			select {
			case tap := <-l.next:
				l.reader = tap.NewReader()
			default:
				select {
				case <-l.closed:
					return 0, io.EOF
				case tap := <-l.next:
					l.reader = tap.NewReader()
				}
			}
		}
		n, err := l.reader.Read(l.raw[:min(len(batch), len(l.raw))])
		if n = l.cut(batch, l.raw[:n]); n > 0 {
			return n, nil
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			return 0, io.EOF
		default:
			l.reader = nil // its holder knows, and attaches another
		}
	}
}

// tagLen is the length of a VLAN tag (IEEE 802.1Q section 9.5); it stands behind
// the two MACs.
const (
	tagLen = 4
	tagAt  = 2 * 6
)

// cut fills batch from what was read, which has its tags taken off in place.
func (l *Lane) cut(batch []pipeline.Frame, raw [][]byte) (n int) {
	for _, f := range raw {
		key := uint16(0)
		if len(f) >= wire.EthernetLen+tagLen && binary.BigEndian.Uint16(f[tagAt:]) == wire.EtherTypeVLAN {
			key = punt.OfTag(binary.BigEndian.Uint16(f[tagAt+2:]))
		}
		if key == 0 {
			l.strange.Add(1)
			continue
		}
		copy(f[tagLen:tagLen+tagAt], f[:tagAt])
		f = f[tagLen:]
		batch[n] = pipeline.Frame{Data: f, Port: key, Class: uint8(classOf(f))}
		n++
	}
	if n > 0 {
		l.frames.Add(uint64(n))
	}
	return n
}
