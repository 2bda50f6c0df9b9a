package openflow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// Listener takes the connections of bridges that are configured with a
// controller target (`ovs-vsctl set-controller BRIDGE tcp:127.0.0.1:6653`). A
// bridge opens one connection for each target: a Conn and each Lane need a
// target, and so a Listener, of their own.
type Listener struct {
	ln deadlineListener
}

type deadlineListener interface {
	net.Listener
	SetDeadline(time.Time) error
}

// Listen listens at a target as Dial takes it. The file of a Unix socket that
// nobody listens at any more is replaced.
func Listen(target string) (*Listener, error) {
	network, addr, err := splitTarget(target)
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen(network, addr)
	if network == "unix" && errors.Is(err, syscall.EADDRINUSE) {
		if nc, dialErr := net.Dial(network, addr); dialErr == nil {
			nc.Close()
		} else if errors.Is(dialErr, syscall.ECONNREFUSED) && syscall.Unlink(addr) == nil {
			ln, err = net.Listen(network, addr)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("openflow: listen at %s: %w", target, err)
	}
	return &Listener{ln.(deadlineListener)}, nil
}

// Addr returns where the Listener listens.
func (l *Listener) Addr() net.Addr { return l.ln.Addr() }

// Close stops listening; connections taken stay.
func (l *Listener) Close() error { return l.ln.Close() }

// Accept is a Dialer: it waits for a bridge to connect. One goroutine at a time
// may wait.
func (l *Listener) Accept(ctx context.Context) (net.Conn, error) {
	if err := l.ln.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("openflow: wait for a bridge: %w", err)
	}
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		// On a closed listener this fails, and the wait is over already.
		_ = l.ln.SetDeadline(time.Unix(1, 0))
	})
	nc, err := l.ln.Accept()
	if !stop() {
		<-woken // or it would cut the next wait short
	}
	if err == nil {
		return nc, nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return nil, fmt.Errorf("openflow: wait for a bridge: %w", err)
}
