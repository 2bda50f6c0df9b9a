package openflow

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damselfly/pipeline"
)

// soon is longer than anything here may take.
const soon = 10 * time.Second

// await returns what comes over c.
func await[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(soon):
		t.Fatalf("%s: nothing after %v", what, soon)
	}
	return v
}

// TestCloseAgainstDeafSwitch closes a lane whose write a switch that does not
// read holds up.
func TestCloseAgainstDeafSwitch(t *testing.T) {
	t.Parallel()
	lane, far := pair(t)
	replies := pipeline.NewReplies(1 << 20)
	for range pipeline.MaxBatch {
		replies.To(6, 0, 16<<10)
	}
	written, read := make(chan error, 1), make(chan error, 1)
	go func() {
		for {
			if err := lane.WriteReplies(replies); err != nil {
				written <- err
				return
			}
		}
	}()
	go func() {
		_, err := lane.ReadFrames(make([]frame, 1))
		read <- err
	}()
	// A batch is larger than the room of a socket: once its first octet is here,
	// the write waits for the rest to be read.
	if _, err := io.ReadFull(far, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- lane.Close() }()
	if err := await(t, "Close", closed); err != nil {
		t.Error(err)
	}
	if err := await(t, "the read", read); err != io.EOF {
		t.Errorf("ReadFrames ends with %v", err)
	}
	if err := await(t, "the write", written); !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, errNoConnection) {
		t.Errorf("WriteReplies ends with %v", err)
	}
	if lane.Connected() {
		t.Error("a lane at its end counts as connected")
	}
}

// closeSignal tells when Close has returned.
type closeSignal struct {
	*Lane
	closed chan struct{}
}

func (c closeSignal) Close() error {
	defer close(c.closed)
	return c.Lane.Close()
}

// TestCloseKeepsReplies stops a pipeline while its handler holds a batch: the
// replies reach the switch, which is asked whether they did before the socket
// closes.
func TestCloseKeepsReplies(t *testing.T) {
	t.Parallel()
	outs, gone := make(chan []byte, 8), make(chan struct{})
	dial := fakeSwitch(bareHello(), func(s *stream, m Message) {
		answer(s, m)
		switch {
		case m.Type() == TypePacketOut:
			outs <- append([]byte(nil), m...)
		case m.Type() == TypeBarrier && m.XID() == xidSetup:
			s.nc.Write(packetInMessage(testFrame(1)))
		case m.Type() == TypeBarrier:
			close(gone)
		}
	})
	lane := NewLane(dial, 0, nil)
	if lane.Connected() {
		t.Error("a lane that never dialled counts as connected")
	}
	source := closeSignal{lane, make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	stats := pipeline.NewStats(1, 16, int(pipeline.FirstReason)+1)
	go func() {
		ended <- pipeline.Run(ctx, pipeline.Config{
			Lanes: []pipeline.Lane{{Source: source, Sink: lane}}, Stats: stats,
			Handler: func(batch []frame, r *pipeline.Replies, reasons []pipeline.Reason) {
				if !lane.Connected() {
					t.Error("a lane with a frame does not count as connected")
				}
				cancel()
				<-source.closed
				copy(r.Back(&batch[0], 64), testFrame(2))
				reasons[0] = pipeline.FirstReason
			},
		})
	}()
	if err := await(t, "Run", ended); err != nil {
		t.Error(err)
	}
	out := await(t, "the reply", outs)
	if diff := cmp.Diff(testFrame(2), out[len(out)-64:]); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
	await(t, "the barrier behind it", gone)
	if got := lane.Stats().Replies; got != 1 {
		t.Errorf("%d replies counted", got)
	}
	if lane.Connected() {
		t.Error("a lane at its end counts as connected")
	}
}

// TestCloseBeforeRead: a lane closed before it connects never dials.
func TestCloseBeforeRead(t *testing.T) {
	t.Parallel()
	lane := NewLane(func(context.Context) (net.Conn, error) { return nil, errors.New("dialled") }, 0, nil)
	lane.Close()
	if _, err := lane.ReadFrames(make([]frame, 1)); err != io.EOF {
		t.Errorf("ReadFrames returns %v", err)
	}
}
