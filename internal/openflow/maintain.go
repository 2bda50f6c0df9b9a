package openflow

import (
	"context"
	"time"
)

// How a lost connection is sought again. A restarted ovs-vswitchd forwards
// nothing until its flows are back, so the first seconds are spent asking often.
const (
	eagerDelay = 5 * time.Millisecond
	eagerTime  = 5 * time.Second
	maxDelay   = time.Second
)

// backoff says how long to wait before the next try.
type backoff struct {
	since time.Time // of the first try
	delay time.Duration
}

// next returns the delay before the next try, counted from now.
func (b *backoff) next(now time.Time) time.Duration {
	if b.since.IsZero() {
		b.since, b.delay = now, eagerDelay
	}
	if now.Sub(b.since) >= eagerTime {
		b.delay = min(2*b.delay, maxDelay)
	}
	return b.delay
}

// pause waits before the next try; false means that ctx ended.
func (b *backoff) pause(ctx context.Context) bool {
	t := time.NewTimer(b.next(time.Now()))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Maintain keeps a connection: it dials, calls use with the connection, closes
// it when use returns, and begins anew until ctx ends, whose error it returns.
// use should return when the Conn's Done is closed. Between tries it waits 5 ms;
// after 5 s without a connection that lasts, up to 1 s. report, if set, is told
// of every failed try and of what use returned.
func Maintain(ctx context.Context, dial func(ctx context.Context) (*Conn, error), use func(ctx context.Context, c *Conn) error, report func(error)) error {
	var wait backoff
	for ctx.Err() == nil {
		c, err := dial(ctx)
		if err == nil {
			began := time.Now()
			err = use(ctx, c)
			c.Close()
			if time.Since(began) >= eagerTime {
				wait = backoff{}
			}
		}
		if ctx.Err() != nil {
			break
		}
		if err != nil && report != nil {
			report(err)
		}
		if !wait.pause(ctx) {
			break
		}
	}
	return ctx.Err()
}
