package openflow

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"damselfly/flows"
	"damselfly/internal/punt"
	"damselfly/pipeline"
)

type frame = pipeline.Frame

// packetInMessage is a packet-in as Open vSwitch 3.1 sends it on OpenFlow 1.5:
// table 30, port key 4, class 1, network 9, ingress port 6.
func packetInMessage(data []byte) Message {
	b := appendNicira(nil, nxPacketIn2, 0)
	b = appendProp(b, pinPacket, data...)
	b = appendProp(b, 3, flows.TablePunt)
	b = appendProp(b, 4, 0, 0, 0, 0, 0xdf, 0x1e, 0, 0, 0, 0, 0, 1) // cookie
	b = appendProp(b, 5, 1)                                        // reason
	meta := put32(put32(nil, oxmInPort), 6)
	meta = put64(put64(put32(meta, 0x80010110), 4<<32|1), 0xffffffffffffffff)
	meta = put64(put32(meta, oxmMetadata), 9)
	b = appendProp(b, pinMetadata, meta...)
	b = appendProp(b, pinUserdata, punt.Version)
	return finish(b, 0)
}

// appendProp appends a property (OpenFlow 1.5 section 7.2.1.1): its length does
// not count the padding behind.
func appendProp(b []byte, typ uint16, payload ...byte) []byte {
	start := len(b)
	b = put16(b, typ)
	b = put16(b, uint16(4+len(payload)))
	b = append(b, payload...)
	return pad8(b, start)
}

// fakeSwitch answers a handshake on one end of a pipe; what comes later goes to
// handle.
func fakeSwitch(hello []byte, handle func(s *stream, m Message)) Dialer {
	return func(context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			s := newStream(far)
			if _, err := s.read(); err != nil {
				return
			}
			if _, err := far.Write(hello); err != nil {
				return
			}
			for {
				m, err := s.read()
				if err != nil {
					return
				}
				handle(s, m)
			}
		}()
		return near, nil
	}
}

// bareHello is what Open vSwitch sends: no bitmap.
func bareHello() []byte { return AppendHeader(nil, TypeHello, 1) }

// answer answers what a handshake and requests without body wait for.
func answer(s *stream, m Message) {
	switch m.Type() {
	case TypeFeaturesRequest:
		s.nc.Write(finish(append(AppendHeader(nil, TypeFeaturesReply, m.XID()), make([]byte, 24)...), 0))
	case TypeBarrier:
		s.nc.Write(AppendHeader(nil, TypeBarrierReply, m.XID()))
	}
}

func TestHandshakeRefusals(t *testing.T) {
	t.Parallel()
	refuse := func(s *stream, m Message) {
		if sub, ok := m.nicira(); ok && sub == nxSetPacketInFormat {
			s.nc.Write(finish(put32(AppendHeader(nil, TypeError, m.XID()), 1<<16|3), 0))
		}
		answer(s, m)
	}
	old := AppendHeader(nil, TypeHello, 1)
	old[0] = 1
	bitmap := finish(put32(put32(AppendHeader(nil, TypeHello, 1), 1<<16|8), 1<<4|1<<5), 0)
	failed := finish(append(put32(AppendHeader(nil, TypeError, 1), 0), "no common version"...), 0)
	tests := map[string]struct {
		hello  []byte
		handle func(*stream, Message)
		want   []string
	}{
		"only 1.0":       {old, answer, []string{"it speaks OpenFlow 1.0:", "protocols OpenFlow15"}},
		"bitmap":         {bitmap, answer, []string{"it speaks OpenFlow 1.3, 1.4:"}},
		"refuses":        {failed, answer, []string{"does not speak OpenFlow 1.5"}},
		"no extensions":  {bareHello(), refuse, []string{"OFPBRC_BAD_VENDOR", "NXT_PACKET_IN2", "Open vSwitch 2.12"}},
		"another server": {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n" + strings.Repeat(" ", maxMessage)), answer, []string{"is the target an OpenFlow socket?"}},
	}
	for name, tt := range tests {
		_, err := Open(t.Context(), fakeSwitch(tt.hello, tt.handle), Options{})
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", name, err, want)
			}
		}
	}
}

func TestSilentSwitch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var echoes atomic.Int32
		var deaf atomic.Bool
		c, err := Open(t.Context(), fakeSwitch(bareHello(), func(s *stream, m Message) {
			if m.Type() == TypeEchoRequest && !deaf.Load() {
				echoes.Add(1)
				s.nc.Write(appendEchoReply(nil, m))
			}
			answer(s, m)
		}), Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
		if c.Err() != nil || echoes.Load() < 5 {
			t.Errorf("after a quiet minute: %d echoes, %v", echoes.Load(), c.Err())
		}
		deaf.Store(true)
		began := time.Now()
		<-c.Done()
		if d := time.Since(began); d > 3*defaultIdle || !strings.Contains(c.Err().Error(), "silent") {
			t.Errorf("a dead switch was noticed after %v: %v", d, c.Err())
		}
	})
}

// TestSilentLane is TestSilentSwitch for a lane, which connects anew.
func TestSilentLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var deaf atomic.Bool
		lane := NewLane(fakeSwitch(bareHello(), func(s *stream, m Message) {
			if m.Type() == TypeEchoRequest && !deaf.Load() {
				s.nc.Write(appendEchoReply(nil, m))
			}
			answer(s, m)
		}), 0, nil)
		ended := make(chan error)
		go func() {
			_, err := lane.ReadFrames(make([]frame, 1))
			ended <- err
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := lane.Stats().Connections; n != 1 {
			t.Errorf("%d connections in a quiet minute", n)
		}
		deaf.Store(true)
		time.Sleep(4 * defaultIdle)
		synctest.Wait()
		if n := lane.Stats().Connections; n != 2 {
			t.Errorf("%d connections after the switch died", n)
		}
		lane.Close()
		if err := <-ended; err != io.EOF {
			t.Errorf("ReadFrames ends with %v", err)
		}
	})
}

// TestEchoAnswered has the switch ask; it also cuts its messages into pieces.
func TestEchoAnswered(t *testing.T) {
	t.Parallel()
	got := make(chan []byte, 1)
	c, err := Open(t.Context(), fakeSwitch(bareHello(), func(s *stream, m Message) {
		answer(s, m)
		switch m.Type() {
		case TypeBarrier:
			ask := finish(append(AppendHeader(nil, TypeEchoRequest, 77), "ping"...), 0)
			for i := range ask {
				s.nc.Write(ask[i : i+1])
			}
		case TypeEchoReply:
			select {
			case got <- append([]byte(nil), m...):
			default:
			}
		}
	}), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := finish(append(AppendHeader(nil, TypeEchoReply, 77), "ping"...), 0)
	if diff := cmp.Diff(want, <-got); diff != "" {
		t.Errorf("echo (-want +got):\n%s", diff)
	}
}

// TestSlowEvents blocks the consumer: requests go on, and it is told what it missed.
func TestSlowEvents(t *testing.T) {
	t.Parallel()
	status := finish(append(append(AppendHeader(nil, TypePortStatus, 0), make([]byte, 8+4)...), append([]byte{0, 40}, make([]byte, 34)...)...), 0)
	flood := 0
	release, events := make(chan struct{}), make(chan Event, 4*eventRoom)
	c, err := Open(t.Context(), fakeSwitch(bareHello(), func(s *stream, m Message) {
		if m.Type() == TypeBarrier {
			if flood++; flood == 2 {
				for range 3 * eventRoom {
					s.nc.Write(status)
				}
			}
		}
		answer(s, m)
	}), Options{Events: func(e Event) { <-release; events <- e }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Barrier(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(release)
	for e := range events {
		if m, ok := e.(Missed); ok {
			if m.Count == 0 || m.Count%eventRoom != 0 {
				t.Errorf("missed %d", m.Count)
			}
			return
		}
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	c, err := Open(t.Context(), fakeSwitch(bareHello(), answer), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := c.Echo(ctx); !errors.Is(err, context.DeadlineExceeded) { // the fake answers none
		t.Errorf("echo without an answer: %v", err)
	}
	if err := c.Barrier(t.Context()); err != nil {
		t.Errorf("the connection did not outlive a cancelled request: %v", err)
	}
	c.Close()
	if err := c.Barrier(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("barrier after Close: %v", err)
	}
}

func TestMaintain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var tries []time.Duration
		began := time.Now()
		up := 0
		err := Maintain(ctx, func(ctx context.Context) (*Conn, error) {
			tries = append(tries, time.Since(began))
			if len(tries)%1010 != 0 {
				return nil, os.ErrNotExist
			}
			return Open(ctx, fakeSwitch(bareHello(), answer), Options{})
		}, func(ctx context.Context, c *Conn) error {
			if up++; up == 2 {
				cancel()
				return nil
			}
			time.Sleep(time.Minute)
			began = time.Now()
			return nil
		}, nil)
		if !errors.Is(err, context.Canceled) || up != 2 {
			t.Errorf("ended with %v after %d connections", err, up)
		}
		if tries[1] != 5*time.Millisecond || tries[999] > 5*time.Second {
			t.Errorf("tries 1 and 999 after %v and %v", tries[1], tries[999])
		}
		if d := tries[1009] - tries[1008]; d > time.Second || tries[1009] < 6*time.Second {
			t.Errorf("late tries are %v apart, the last after %v", d, tries[1009])
		}
		if tries[1011]-tries[1010] != 5*time.Millisecond {
			t.Errorf("after a minute's connection the next tries are %v apart", tries[1011]-tries[1010])
		}
	})
}

// pair is a lane on one end of a socket pair; the other end is the switch's.
func pair(tb testing.TB) (lane *Lane, far net.Conn) {
	tb.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		tb.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		if ends[i], err = net.FileConn(f); err != nil {
			tb.Fatal(err)
		}
		f.Close()
		tb.Cleanup(func() { ends[i].Close() })
	}
	lane = NewLane(nil, 0, nil)
	lane.s = newStream(ends[0])
	lane.link.Store(lane.s)
	return lane, ends[1]
}

func TestLaneAllocatesNothing(t *testing.T) {
	lane, far := pair(t)
	var in []byte
	for range pipeline.MaxBatch {
		in = append(in, packetInMessage(testFrame(1))...)
	}
	batch := make([]frame, pipeline.MaxBatch)
	replies := pipeline.NewReplies(1 << 14)
	sink := make([]byte, 1<<16)
	round := func() {
		if _, err := far.Write(in); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < pipeline.MaxBatch; {
			n, err := lane.ReadFrames(batch)
			if err != nil {
				t.Fatal(err)
			}
			got += n
			replies.Reset()
			for i := range batch[:n] {
				replies.Back(&batch[i], 86)
				replies.Onward(&batch[i], 86)
			}
			if err := lane.WriteReplies(replies); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := far.Read(sink); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations for %d frames and their replies", n, pipeline.MaxBatch)
	}
	want := frame{Data: testFrame(1), InPort: 6, Port: 4, Network: 9, Class: uint8(punt.NS)}
	if diff := cmp.Diff(want, batch[0]); diff != "" {
		t.Errorf("frame (-want +got):\n%s", diff)
	}
}

func TestEncodingAllocatesNothing(t *testing.T) {
	flow := flows.Flow{Table: 23, Match: flows.Match{}.ND(135).With(flows.NDTarget, flows.Addr(addrA)), Actions: corpusAnswer()}
	group := corpusGroups()[2]
	var b []byte
	if n := testing.AllocsPerRun(100, func() {
		b = AppendFlowMod(b[:0], 1, FlowMod{Command: FlowAdd, Flow: &flow})
		b = AppendGroupMod(b, 2, GroupMod{Command: GroupAdd, Group: &group})
		b = AppendMeterMod(b, 3, MeterAdd, flows.Meter{ID: 1})
		b = appendAnyPacketOut(b, 4, 1, flow.Actions, nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestListener(t *testing.T) {
	t.Parallel()
	path := "unix:" + t.TempDir() + "/sock"
	first, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second listener: %v", err)
	}
	first.ln.(*net.UnixListener).SetUnlinkOnClose(false) // as after kill -9
	first.Close()
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := l.Accept(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody comes: %v", err)
	}
	go func() {
		if nc, err := Target(path)(t.Context()); err == nil {
			s := newStream(nc)
			nc.Write(bareHello())
			for {
				m, err := s.read()
				if err != nil {
					return
				}
				answer(s, m)
			}
		}
	}()
	c, err := Open(t.Context(), l.Accept, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Barrier(t.Context()); err != nil {
		t.Error(err)
	}
}
