package unixctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// maxRequest is the most octets of a call: a frame of 64 KiB in hex fits.
	maxRequest = 1 << 20
	// maxReply is the most octets of an answer. A line of dpctl/dump-conntrack
	// takes some 200.
	maxReply = 64 << 20
	// defaultLimit is how long a call may take whose context has no deadline.
	// ovs-vswitchd answers in its main loop, which a change of many flows keeps
	// busy for seconds.
	defaultLimit = 30 * time.Second
)

// Error is ovs-vswitchd's refusal of a call. The connection goes on.
type Error struct {
	// Method is the command that was called, such as "ofproto/trace".
	Method string
	// Text is ovs-vswitchd's own, without the line's end.
	Text string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("ovs-vswitchd refuses %s: %s", e.Method, e.Text)
}

// Conn is a connection to a control socket. Its methods may be called from
// several goroutines; calls are made one after the other.
type Conn struct {
	path string
	conn net.Conn

	mu     sync.Mutex
	room   io.LimitedReader // guarded by mu; what one answer may still take
	dec    *json.Decoder    // guarded by mu; reads room
	id     uint64           // guarded by mu; of the last request
	broken error            // guarded by mu; why no more calls can be made
}

// Dial connects to the socket at path (see Find). ctx bounds the connecting.
func Dial(ctx context.Context, path string) (*Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("nobody listens on %s: is ovs-vswitchd running? (%w)", path, err)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s may not be opened: run as root, or as the user of ovs-vswitchd (%w)", path, err)
	case err != nil:
		return nil, fmt.Errorf("connecting to ovs-vswitchd: %w", err)
	}
	conn := &Conn{path: path, conn: c, room: io.LimitedReader{R: c}}
	conn.dec = json.NewDecoder(&conn.room)
	return conn, nil
}

// Close ends the connection, and with it a call that is under way.
func (c *Conn) Close() error { return c.conn.Close() }

// request is a call as JSON-RPC 1.0 has it.
type request struct {
	Method string   `json:"method"`
	Params []string `json:"params"`
	ID     uint64   `json:"id"`
}

// answer is what comes back. Result and Error are texts or null.
type answer struct {
	Result *string `json:"result"`
	Error  *string `json:"error"`
	ID     *uint64 `json:"id"`
}

// Call runs one of ovs-vswitchd's commands and returns what it answers, which
// may be of several lines. An *Error is its refusal; after any other error the
// connection is of no use and closed. A context without a deadline has 30
// seconds.
func (c *Conn) Call(ctx context.Context, method string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, defaultLimit)
	defer cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return "", fmt.Errorf("%s: the connection to ovs-vswitchd ended before: connect anew (%w)", method, c.broken)
	}
	c.id++
	call, err := json.Marshal(request{method, append([]string{}, args...), c.id})
	if err != nil {
		return "", fmt.Errorf("%s: %w", method, err)
	}
	if len(call) > maxRequest {
		return "", fmt.Errorf("%s: the call takes %d octets, more than %d: shorten it", method, len(call), maxRequest)
	}
	reply, err := c.exchangeLocked(ctx, call)
	if err != nil {
		c.broken = err
		c.conn.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: ovs-vswitchd did not answer in time; its log may say what keeps it busy", ctx.Err())
		}
		return "", fmt.Errorf("%s on %s: %w", method, c.path, err)
	}
	if reply.Error != nil {
		return "", &Error{Method: method, Text: strings.TrimRight(*reply.Error, "\n")}
	}
	return *reply.Result, nil
}

// exchangeLocked sends a call and reads the answer to it: one result or one
// error. Whatever else comes means that both sides are out of step.
func (c *Conn) exchangeLocked(ctx context.Context, call []byte) (a answer, err error) {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) }) // fails only if closed
	defer stop()
	if _, err := c.conn.Write(call); err != nil {
		return a, fmt.Errorf("ovs-vswitchd has gone: %w", err)
	}
	c.room.N = maxReply
	if err := c.dec.Decode(&a); err != nil {
		switch {
		case c.room.N <= 0:
			return a, fmt.Errorf("the answer takes more than %d octets: ask for less at once", maxReply)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return a, err
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, net.ErrClosed):
			return a, fmt.Errorf("ovs-vswitchd has gone without an answer: %w", err)
		}
		return a, fmt.Errorf("no answer of ovs-vswitchd's: %w: another program listens there", err)
	}
	if a.ID == nil || *a.ID != c.id || (a.Result == nil) == (a.Error == nil) {
		return a, errors.New("no answer to what was asked: another program listens there")
	}
	return a, nil
}
