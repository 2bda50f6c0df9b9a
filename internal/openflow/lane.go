package openflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"damselfly/internal/punt"
	"damselfly/pipeline"
)

// Lane takes punted frames in and sends replies out over a connection with a
// controller id of its own: pipeline.Source and pipeline.Sink of one worker. It
// connects in ReadFrames, and again whenever the connection is lost.
//
// ReadFrames is for one goroutine; all else may be called by others. There is
// one lock per batch of replies and none per frame.
type Lane struct {
	dial Dialer
	id   uint16
	log  *slog.Logger
	idle time.Duration

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	// link is the connection, nil while there is none. All but the reader use
	// only its socket.
	link  atomic.Pointer[stream]
	s     *stream // the reader's link; nil before it connects
	quiet bool    // nothing came since the read deadline was set; the reader's
	asked bool    // an echo request is out; the reader's
	ready chan struct{}
	once  sync.Once
	stats laneCounters

	mu  sync.Mutex // held while writing, at most writeTimeout
	out []byte     // guarded by mu
}

// LaneStats counts what a Lane did.
type LaneStats struct {
	// Frames came in; Strange of them were punted by flows of another layout.
	Frames, Strange uint64
	// Replies were written; Refused is what Open vSwitch sent back as errors.
	Replies, Refused uint64
	// Connections is how often it connected.
	Connections uint64
}

type laneCounters struct{ frames, strange, replies, refused, connections atomic.Uint64 }

// NewLane returns lane n, n < punt.Lanes, on the sockets that dial gives. It
// does not connect yet. log may be nil.
func NewLane(dial Dialer, n int, log *slog.Logger) *Lane {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Lane{
		dial: dial, id: punt.ControllerID + uint16(n), log: log, idle: defaultIdle,
		ctx: ctx, cancel: cancel, ready: make(chan struct{}),
	}
}

// Ready is closed once the Lane has connected for the first time.
func (l *Lane) Ready() <-chan struct{} { return l.ready }

// Stats returns the counters so far.
func (l *Lane) Stats() LaneStats {
	return LaneStats{
		Frames: l.stats.frames.Load(), Strange: l.stats.strange.Load(),
		Replies: l.stats.replies.Load(), Refused: l.stats.refused.Load(),
		Connections: l.stats.connections.Load(),
	}
}

// Connected reports whether the Lane has a connection now.
func (l *Lane) Connected() bool { return l.link.Load() != nil }

// How long a write to a switch that does not read may take: while it serves,
// and once the Lane was closed.
const (
	writeTimeout = 10 * time.Second
	closeTimeout = time.Second
)

// Close implements pipeline.Source: it ends the read and waits for nothing.
// Replies can be written until ReadFrames has returned io.EOF; it closes the
// socket.
func (l *Lane) Close() error {
	l.cancel()
	s := l.link.Load()
	if s == nil {
		return nil
	}
	// A connection that goes away at this moment refuses them, and is over as well.
	_ = s.nc.SetReadDeadline(time.Unix(1, 0))
	_ = s.nc.SetWriteDeadline(time.Now().Add(closeTimeout))
	return nil
}

// drop closes a connection; whoever reads or writes there sees it.
func (l *Lane) drop(s *stream) {
	l.link.CompareAndSwap(s, nil)
	s.nc.Close()
}

// hangUp ends the connection of a closed Lane once the switch has done what it
// was sent. Open vSwitch gives up a connection that it cannot write to together
// with what it has not read there yet, so closing at once could cost the last
// replies.
func (l *Lane) hangUp() {
	s := l.s
	l.s = nil
	defer l.drop(s)
	if s.nc.SetReadDeadline(time.Now().Add(closeTimeout)) != nil {
		return
	}
	if l.send(func(b []byte) ([]byte, error) { return AppendHeader(b, TypeBarrier, 0), nil }) != nil {
		return
	}
	for {
		m, err := s.read()
		if err != nil || m.Type() == TypeBarrierReply {
			return
		}
		if m.Type() == TypeError {
			l.stats.refused.Add(1)
		}
	}
}

// ReadFrames implements pipeline.Source. A lost connection keeps the caller
// waiting for the next. With io.EOF the connection ends: the worker that calls
// has written the replies to all it read.
func (l *Lane) ReadFrames(batch []pipeline.Frame) (int, error) {
	for {
		if l.s == nil && !l.connect() {
			return 0, io.EOF
		}
		n, err := l.cut(batch)
		if n > 0 {
			return n, nil
		}
		if err == nil {
			err = l.fill()
		}
		if err == nil {
			continue
		}
		if l.ctx.Err() != nil {
			l.hangUp()
			return 0, io.EOF
		}
		l.log.Warn("openflow: lane lost its connection", "controller", l.id, "error", err)
		l.drop(l.s)
		l.s = nil
	}
}

// cut fills batch from what has arrived.
func (l *Lane) cut(batch []pipeline.Frame) (n int, err error) {
	var p PacketIn
	strange := uint64(0)
	for n < len(batch) {
		m, err := l.s.next()
		if m == nil {
			if n == 0 {
				return 0, err
			}
			break // an error comes again with the next call
		}
		if !p.Decode(m) {
			if err := l.other(m); err != nil && n == 0 {
				return 0, err
			}
			continue
		}
		batch[n] = pipeline.Frame{Data: p.Frame, InPort: p.InPort}
		if !p.place(&batch[n]) {
			strange++
		}
		n++
	}
	if n > 0 {
		l.stats.frames.Add(uint64(n))
	}
	if strange > 0 {
		l.stats.strange.Add(strange)
	}
	return n, nil
}

// place sets the port, network and class of a frame from its registers; false
// means that it was punted by flows of another layout, or by none of ours.
func (p *PacketIn) place(f *pipeline.Frame) bool {
	port, class := p.Regs[punt.RegPort], p.Regs[punt.RegClass]
	if len(p.Userdata) == 0 || p.Userdata[0] != punt.Version ||
		port == 0 || port > punt.MaxKey || p.Metadata > punt.MaxKey || class >= uint32(punt.Classes) {
		return false
	}
	f.Port, f.Network, f.Class, f.Note = uint16(port), uint16(p.Metadata), uint8(class), 0
	switch punt.Class(class) {
	case punt.Log:
		f.Note = p.Regs[punt.RegRule]
	case punt.Error, punt.Unknown:
		f.Note = punt.Note(p.Regs[punt.RegTrouble], p.Regs[punt.RegFloating])
	}
	return true
}

// other deals with what is no packet-in.
func (l *Lane) other(m Message) error {
	switch m.Type() {
	case TypeEchoRequest:
		return l.send(func(b []byte) ([]byte, error) { return appendEchoReply(b, m), nil })
	case TypeError:
		l.stats.refused.Add(1)
	}
	return nil
}

// fill waits for octets, and for a sign of life if none come.
func (l *Lane) fill() error {
	for {
		err := l.s.fill()
		if err == nil {
			l.quiet, l.asked = false, false
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || l.ctx.Err() != nil {
			return err
		}
		if l.asked {
			return fmt.Errorf("openflow: the bridge has been silent for %v and did not answer an echo", 2*l.idle)
		}
		// The deadline is set anew only when it has passed, which keeps the
		// timer out of a busy lane's way: what has come since is in quiet.
		if l.quiet {
			l.asked = true
			err := l.send(func(b []byte) ([]byte, error) { return AppendHeader(b, TypeEchoRequest, 0), nil })
			if err != nil {
				return err
			}
		}
		l.quiet = true
		if err := l.s.nc.SetReadDeadline(time.Now().Add(l.idle)); err != nil {
			return err
		}
		if l.ctx.Err() != nil { // Close came in between, and its deadline is gone
			return l.ctx.Err()
		}
	}
}

// connect connects, trying until it works; false means that the Lane was closed.
func (l *Lane) connect() bool {
	var wait backoff
	for reported := false; l.ctx.Err() == nil; {
		err := l.try()
		if err == nil {
			return true
		}
		if !reported && l.ctx.Err() == nil {
			reported = true
			l.log.Warn("openflow: lane cannot connect, trying on", "controller", l.id, "error", err)
		}
		if !wait.pause(l.ctx) {
			break
		}
	}
	return false
}

func (l *Lane) try() error {
	nc, err := l.dial(l.ctx)
	if err != nil {
		return err
	}
	s, _, err := shake(l.ctx, nc, purpose{controllerID: l.id, packetIn: asyncPacketIn})
	if err != nil {
		return err
	}
	if err := nc.SetReadDeadline(time.Now().Add(l.idle)); err != nil {
		nc.Close()
		return fmt.Errorf("openflow: %w", err)
	}
	l.link.Store(s)
	if l.ctx.Err() != nil { // Close came before there was a read to end
		l.drop(s)
		return l.ctx.Err()
	}
	l.s, l.quiet, l.asked = s, false, false
	l.stats.connections.Add(1)
	l.once.Do(func() { close(l.ready) })
	return nil
}

// errNoConnection is what WriteReplies returns while the bridge is away.
var errNoConnection = errors.New("openflow: no connection to the bridge")

// WriteReplies implements pipeline.Sink: all replies leave in one write.
func (l *Lane) WriteReplies(r *pipeline.Replies) error {
	if len(r.List()) == 0 {
		return nil
	}
	err := l.send(func(b []byte) ([]byte, error) { return appendReplies(b, r) })
	if err == nil {
		l.stats.replies.Add(uint64(len(r.List())))
	}
	return err
}

// send writes what build appends.
func (l *Lane) send(build func(b []byte) ([]byte, error)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.link.Load()
	if s == nil {
		return errNoConnection
	}
	b, err := build(l.out[:0])
	if err != nil {
		return err
	}
	l.out = b[:0]
	if err := l.write(s.nc, b); err != nil {
		l.drop(s) // part of a message may be out; the reader sees it and connects again
		return fmt.Errorf("openflow: write replies: %w", err)
	}
	return nil
}

// write writes b in the time that there is.
func (l *Lane) write(nc net.Conn, b []byte) error {
	if err := nc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	if l.ctx.Err() != nil { // Close may have set its deadline before
		if err := nc.SetWriteDeadline(time.Now().Add(closeTimeout)); err != nil {
			return err
		}
	}
	_, err := nc.Write(b)
	return err
}

// appendReplies appends the packet-outs of all replies.
func appendReplies(b []byte, r *pipeline.Replies) ([]byte, error) {
	list := r.List()
	for i := range list {
		if len(list[i].Data) > maxReply {
			return nil, fmt.Errorf("openflow: a reply of %d octets is longer than the %d a packet-out carries", len(list[i].Data), maxReply)
		}
		b = appendReply(b, &list[i])
	}
	return b, nil
}
