package openflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// call is a request in flight, or several that are awaited together: xids first
// to end are its own, and the reply to, or refusal of, last completes it.
// Except for its channel all of it is guarded by Conn.mu until done is closed.
type call struct {
	first, last, end uint32
	parts            []Message // replies to last, copied
	errs             []*Error
	more             int // refusals beyond maxErrors
	done             chan struct{}
	complete         bool
}

// maxErrors is how many refusals one call keeps.
const maxErrors = 16

// begin reserves n xids in a row and waits for the last of them.
func (c *Conn) begin(n int) (*call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	if c.xid > ^uint32(0)-uint32(n) {
		c.xid = firstOwnID
	}
	k := &call{first: c.xid + 1, done: make(chan struct{})}
	c.xid += uint32(n)
	k.last, k.end = c.xid, c.xid
	c.calls = append(c.calls, k)
	return k, nil
}

// rearm makes the call wait for another of its xids.
func (c *Conn) rearm(k *call, last uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k.last, k.complete, k.done = last, false, make(chan struct{})
}

// end forgets the call: what still comes for it is nobody's.
func (c *Conn) end(k *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = slices.DeleteFunc(c.calls, func(o *call) bool { return o == k })
}

// find returns the call that xid belongs to. Few are in flight at any time.
func (c *Conn) find(xid uint32) *call {
	for _, k := range c.calls {
		if xid-k.first <= k.end-k.first {
			return k
		}
	}
	return nil
}

// answered hands a reply to its call.
func (c *Conn) answered(m Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.find(m.XID())
	if k == nil || m.XID() != k.last || k.complete {
		return
	}
	k.parts = append(k.parts, slices.Clone(m))
	if m.Type() == TypeMultipartReply && len(m) >= multipartLen && get16(m[10:])&1 != 0 {
		return
	}
	k.finish()
}

// refused hands an error to its call.
func (c *Conn) refused(m Message) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.find(m.XID())
	if k == nil {
		return false
	}
	if len(k.errs) < maxErrors {
		k.errs = append(k.errs, DecodeError(m))
	} else {
		k.more++
	}
	if m.XID() == k.last && !k.complete {
		k.finish()
	}
	return true
}

func (k *call) finish() {
	k.complete = true
	close(k.done)
}

// wait waits for the call to complete.
func (c *Conn) wait(ctx context.Context, k *call) error {
	select {
	case <-k.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return c.Err()
	}
}

// failure joins the refusals of a completed call; name says what a request was,
// by its place in the call.
func (c *Conn) failure(k *call, name func(i int) string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(k.errs) == 0 {
		return nil
	}
	errs := make([]error, 0, len(k.errs)+1)
	for _, e := range k.errs {
		e.Request = name(int(e.XID - k.first))
		errs = append(errs, e)
	}
	if k.more > 0 {
		errs = append(errs, fmt.Errorf("openflow: and %d more", k.more))
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// Do sends the message that build appends with the given xid and returns the
// reply. It is for messages that have one; what names the request in an Error.
func (c *Conn) Do(ctx context.Context, what string, build func(b []byte, xid uint32) []byte) (Message, error) {
	parts, err := c.ask(ctx, what, build)
	if err != nil {
		return nil, err
	}
	return parts[0], nil
}

func (c *Conn) ask(ctx context.Context, what string, build func(b []byte, xid uint32) []byte) ([]Message, error) {
	k, err := c.begin(1)
	if err != nil {
		return nil, err
	}
	defer c.end(k)
	err = c.write(ctx, func(b []byte) ([]byte, error) { return build(b, k.first), nil })
	if err != nil {
		return nil, err
	}
	if err := c.wait(ctx, k); err != nil {
		return nil, err
	}
	return k.parts, c.failure(k, func(int) string { return what })
}

// batch sends n messages without replies of their own and a barrier behind
// them, and returns the refusals; name says what message i is.
func (c *Conn) batch(ctx context.Context, n int, build func(b []byte, i int, xid uint32) []byte, name func(i int) string) error {
	if n == 0 {
		return nil
	}
	k, err := c.begin(n + 1)
	if err != nil {
		return err
	}
	defer c.end(k)
	err = c.write(ctx, func(b []byte) ([]byte, error) {
		for i := range n {
			b = build(b, i, k.first+uint32(i))
		}
		return AppendHeader(b, TypeBarrier, k.last), nil
	})
	if err != nil {
		return err
	}
	if err := c.wait(ctx, k); err != nil {
		return err
	}
	return c.failure(k, name)
}
