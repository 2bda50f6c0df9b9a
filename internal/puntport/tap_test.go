package puntport

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"damselfly/internal/lab"
	"damselfly/internal/pulse"
	"damselfly/pipeline"
)

// peer is what the switch is to a tap: a packet socket on the device.
type peer struct{ fd int }

func newPeer(t *testing.T, device string) *peer {
	t.Helper()
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL&0xff<<8
	request, err := unix.NewIfreq(device)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	err = errors.Join(
		unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 20}),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: int(request.Uint32())}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return &peer{fd}
}

func (p *peer) send(t *testing.T, frame []byte) {
	if _, err := unix.Write(p.fd, frame); err != nil {
		t.Fatal(err)
	}
}

// TestTap moves frames through a real tap: nothing is allocated for one, a tap that
// is over leaves the Lane waiting for the next, and a closed Lane reads what is there.
func TestTap(t *testing.T) {
	l := lab.Start(t)
	err := l.Within(func() error {
		first, err := pulse.Open("dfp-test")
		if err != nil {
			return err
		}
		lane := NewLane(nil)
		lane.Attach(first)
		lane.Use(true)
		sink := lane.NewSink(&kept{})
		ask := tagged(upper(58, append([]byte{135}, make([]byte, 31)...), 0), 0x8100, 7)
		batch := make([]pipeline.Frame, pipeline.MaxBatch)
		r := pipeline.NewReplies(4096)
		far := newPeer(t, "dfp-test")
		room := make([]byte, 2048)
		turn := func() {
			far.send(t, ask)
			n, err := lane.ReadFrames(batch)
			if err != nil || n != 1 || batch[0].Port != 7 {
				t.Fatalf("%d frames: %+v: %v", n, batch[0], err)
			}
			r.Reset()
			copy(r.Back(&pipeline.Frame{InPort: 1, Port: 7}, len(batch[0].Data)), batch[0].Data)
			if err := sink.WriteReplies(r); err != nil {
				t.Fatal(err)
			}
			// The kernel takes the tag off for a packet socket.
			if n, err := unix.Read(far.fd, room); err != nil || !bytes.Equal(room[:n], batch[0].Data) {
				t.Fatalf("%d octets came back: %v", n, err)
			}
		}
		// A lane that is closed reads no longer: a frame that is lost keeps nobody.
		late := time.AfterFunc(20*time.Second, func() { _ = lane.Close() })
		turn()
		if n := testing.AllocsPerRun(200, turn); n > 0 {
			t.Errorf("%v allocations a frame", n)
		}
		late.Stop()

		if err := first.Close(); err != nil {
			return err
		}
		read := make(chan error, 1)
		go func() {
			n, err := lane.ReadFrames(batch)
			if err == nil && n == 0 {
				err = errors.New("no frame")
			}
			read <- err
		}()
		second, err := pulse.Open("dfp-test")
		if err != nil {
			return err
		}
		lane.Attach(second)
		// The kernel sees to a carrier that is back when it finds the time, and
		// drops frames until then.
		for again, late := time.NewTicker(time.Millisecond), time.After(20*time.Second); ; {
			far.send(t, ask)
			select {
			case err = <-read:
			case <-again.C:
				continue
			case <-late:
				err = errors.New("nothing in 20 s")
			}
			again.Stop()
			break
		}
		if err != nil {
			t.Fatalf("with the next tap: %v", err)
		}
		if err := second.Lower(); err != nil {
			t.Errorf("lowering the carrier: %v", err)
		}
		if err := lane.Close(); err != nil {
			return err
		}
		for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
			if _, err := lane.ReadFrames(batch); errors.Is(err, io.EOF) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("a closed Lane goes on reading")
			}
		}
		// Replies that are late leave by the tap while it is open, and then the other way.
		other := &kept{}
		sink = lane.NewSink(other)
		if err := sink.WriteReplies(r); err != nil || len(other.list) != 0 {
			t.Errorf("before the end: %v, %d went another way", err, len(other.list))
		}
		if err := second.Close(); err != nil {
			return err
		}
		if err := sink.WriteReplies(r); err != nil || len(other.list) != 1 {
			t.Errorf("behind the end: %v, %d went another way", err, len(other.list))
		}
		return pulse.Remove("dfp-test")
	})
	if err != nil {
		t.Fatal(err)
	}
}
