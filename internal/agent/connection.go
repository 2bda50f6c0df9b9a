package agent

import (
	"context"
	"errors"

	"damselfly/internal/openflow"
	"damselfly/pipeline"
)

// sink sends what the timers' owner makes through whatever connection there is.
type sink struct{ a *Agent }

var errNoConn = errors.New("no connection to the bridge")

// WriteReplies implements pipeline.Sink.
func (s sink) WriteReplies(r *pipeline.Replies) error {
	c := s.a.connection()
	if c == nil {
		return errNoConn
	}
	return c.WriteReplies(r)
}

func (a *Agent) connection() *openflow.Conn {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.conn
}

func (a *Agent) setConnection(c *openflow.Conn) {
	a.mu.Lock()
	a.conn = c
	a.mu.Unlock()
	a.changed()
}

// maintain keeps a connection for changes and dumps.
func (a *Agent) maintain(ctx context.Context, target string) error {
	reported := false
	dial := func(ctx context.Context) (*openflow.Conn, error) {
		return openflow.Dial(ctx, target, openflow.Options{Log: a.log})
	}
	use := func(ctx context.Context, c *openflow.Conn) error {
		reported = false
		a.log.Info("connected to the bridge", "target", target)
		a.setConnection(c)
		defer a.setConnection(nil)
		select {
		case <-c.Done():
			return c.Err()
		case <-ctx.Done():
			return nil
		}
	}
	return openflow.Maintain(ctx, dial, use, func(err error) {
		if !reported {
			reported = true
			a.log.Warn("no connection to the bridge, trying on", "error", err)
		}
	})
}
