package openflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosed ends requests on a Conn that was closed.
var ErrClosed = errors.New("openflow: connection closed")

// Options are what a Conn needs beside its socket; the zero value will do.
type Options struct {
	// Log takes what is worth telling about the connection; nil is silent.
	Log *slog.Logger
	// Events, if set, is called for each Event, one at a time and in order, by a
	// goroutine of its own. While it is slow, up to eventRoom events wait; then
	// they are thrown away and a Missed takes their place.
	Events func(Event)
	// Idle is after how long without a message the bridge is asked for a sign of
	// life, and how long it may take to give one; 0 is 5 s.
	Idle time.Duration
}

const defaultIdle = 5 * time.Second

// Conn is a connection to a bridge for requests: changes, dumps, events. It
// takes no packet-ins; a Lane does. Its methods may be called from several
// goroutines.
//
// Three goroutines serve it: one reads and hands replies to their requests, one
// answers echoes and watches over silence, one calls Options.Events. The first
// never writes and never waits for a consumer, so Open vSwitch, which stops
// listening to a controller that lets 100 replies lie, cannot end in a deadlock
// with us.
type Conn struct {
	nc       net.Conn
	log      *slog.Logger
	idle     time.Duration
	features Features

	writing chan struct{} // holds one token; who takes it may use wbuf and write
	wbuf    []byte

	done   chan struct{} // closed when the connection is over
	wg     sync.WaitGroup
	heard  atomic.Bool // a message came since the last look
	events *eventQueue
	side   sideQueue
	bundle atomic.Uint32 // the last bundle id taken

	mu    sync.Mutex
	xid   uint32  // the last one taken; guarded by mu
	calls []*call // in flight; guarded by mu
	err   error   // why the connection is over; guarded by mu
}

// Open opens the OpenFlow connection on the socket that dial gives.
func Open(ctx context.Context, dial Dialer, o Options) (*Conn, error) {
	nc, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	p := purpose{}
	if o.Events != nil {
		p.portStatus, p.flowRemoved = asyncPortStatus, asyncFlowRemoved
	}
	s, f, err := shake(ctx, nc, p)
	if err != nil {
		return nil, err
	}
	c := &Conn{
		nc: nc, log: o.Log, idle: o.Idle, features: f, xid: firstOwnID,
		writing: make(chan struct{}, 1), done: make(chan struct{}),
		side: sideQueue{wake: make(chan struct{}, 1)},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.idle <= 0 {
		c.idle = defaultIdle
	}
	c.writing <- struct{}{}
	if o.Events != nil {
		c.events = &eventQueue{wake: make(chan struct{}, 1)}
		go c.events.deliver(c.done, o.Events)
	}
	c.wg.Go(func() { c.readLoop(s) })
	c.wg.Go(c.sideLoop)
	return c, nil
}

// Features returns what the bridge said of itself when the connection opened.
func (c *Conn) Features() Features { return c.features }

// Done is closed when the connection is over; Err then says why.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection is over, nil while it is not.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection and everything that waits on it. A call of
// Options.Events may still be running when it returns.
func (c *Conn) Close() error {
	c.fail(ErrClosed)
	c.wg.Wait()
	return nil
}

// fail ends the connection; the first reason stays.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	close(c.done)
	c.nc.Close()
}

func (c *Conn) readLoop(s *stream) {
	for {
		m, err := s.read()
		if err != nil {
			c.fail(fmt.Errorf("openflow: the bridge went away: %w", err))
			return
		}
		c.heard.Store(true)
		c.dispatch(m)
	}
}

// dispatch hands a message to whom it concerns, without waiting.
func (c *Conn) dispatch(m Message) {
	switch m.Type() {
	case TypeEchoRequest:
		c.side.add(m)
	case TypePortStatus, TypeFlowRemoved:
		if e, ok := DecodeEvent(m); ok && c.events != nil {
			c.events.add(e)
		}
	case TypeError:
		if !c.refused(m) {
			c.log.Debug("openflow: error for a message nobody waits for", "error", DecodeError(m).Name)
		}
	default:
		c.answered(m)
	}
}

// abandonTime is how long a write may go on after its context has ended.
const abandonTime = time.Second

// write sends what build appends, as one. A context that ends while Open
// vSwitch does not read costs the connection: a message may have been cut.
func (c *Conn) write(ctx context.Context, build func(b []byte) ([]byte, error)) error {
	select {
	case <-c.writing:
	case <-c.done:
		return c.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { c.writing <- struct{}{} }()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	b, err := build(c.wbuf[:0])
	if err != nil {
		return err
	}
	if c.wbuf = b; cap(b) > keepWriteBuffer {
		c.wbuf = nil
	}
	written := make(chan struct{})
	watch := context.AfterFunc(ctx, func() {
		select {
		case <-written:
		case <-time.After(abandonTime):
			c.fail(fmt.Errorf("openflow: given up in the middle of a message: %w", ctx.Err()))
		}
	})
	if err = c.nc.SetWriteDeadline(time.Now().Add(handshakeTimeout)); err == nil {
		_, err = c.nc.Write(b)
	}
	close(written)
	watch()
	if err != nil {
		c.fail(fmt.Errorf("openflow: write to the bridge: %w", err))
		return c.Err()
	}
	return nil
}

// keepWriteBuffer is the largest write buffer kept for the next time, in
// octets: the changes of a large network, not a first load.
const keepWriteBuffer = 1 << 20
