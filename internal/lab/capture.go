package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/mdlayher/packet"
	"golang.org/x/sys/unix"
)

const (
	captureBuffer = 8 << 20 // octets a capture's socket may hold while nobody reads
	captureLength = 65536   // octets of a frame that are kept: all, also with segmentation offload
)

// Frame is one captured frame.
type Frame struct {
	Time time.Time // when the kernel saw it
	Sent bool      // by the interface's own side, else received
	Data []byte    // from the destination MAC on, VLAN tag included
}

// Capture records the frames at an interface, both directions.
type Capture struct {
	conn *packet.Conn
	raw  syscall.RawConn
	keep func(frame []byte) bool
	file *os.File       // nil where none was asked for
	pcap *pcapgo.Writer // writes file
	done chan struct{}  // closed when the reader has ended
	stop func() error   // what Stop does, once

	mu      sync.Mutex
	frames  []Frame       // guarded by mu
	changed chan struct{} // guarded by mu; closed and replaced when frames grow
	err     error         // guarded by mu; what ended the reader
}

// Capture starts recording, at the guest's eth0, the frames for which keep
// returns true, all with a nil keep, in memory and, unless path is empty, in a
// pcap file. The link may still be down. The caller must Stop it.
func (g *Guest) Capture(path string, keep func(frame []byte) bool) (*Capture, error) {
	return capture(g.Namespace, "eth0", path, keep)
}

// Capture does the same at an interface of the lab's namespace: a bridge's
// LOCAL port or the lab's end of a guest's link, which is named as the port.
func (l *Lab) Capture(device, path string, keep func(frame []byte) bool) (*Capture, error) {
	return capture(l.Namespace, device, path, keep)
}

func capture(namespace, device, path string, keep func(frame []byte) bool) (*Capture, error) {
	conn, err := listen(namespace, device, unix.ETH_P_ALL)
	if err != nil {
		return nil, err
	}
	c := &Capture{conn: conn, keep: keep, done: make(chan struct{}), changed: make(chan struct{})}
	if err := c.open(path); err != nil {
		return nil, errors.Join(fmt.Errorf("capturing at %s: %w", device, err), conn.Close())
	}
	c.stop = sync.OnceValue(c.end)
	go c.read()
	return c, nil
}

// listen opens a packet socket; protocol 0 receives nothing.
func listen(namespace, device string, protocol int) (*packet.Conn, error) {
	var conn *packet.Conn
	err := within(namespace, func() error {
		ifi, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		conn, err = packet.Listen(ifi, packet.Raw, protocol, nil)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("packet socket on %s in %s: %w", device, namespace, err)
	}
	return conn, nil
}

func (c *Capture) open(path string) error {
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return err
	}
	c.raw = raw
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = errors.Join(
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, captureBuffer),
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
			unix.SetsockoptInt(int(fd), unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
		)
	})
	if err := errors.Join(err, failed); err != nil || path == "" {
		return err
	}
	if c.file, err = os.Create(path); err != nil {
		return err
	}
	c.pcap = pcapgo.NewWriterNanos(c.file)
	return c.pcap.WriteFileHeader(captureLength, layers.LinkTypeEthernet)
}

// read takes frames until the deadline that Stop sets, and then those that
// the socket still holds.
func (c *Capture) read() {
	defer close(c.done)
	buf, control := make([]byte, captureLength), make([]byte, 256)
	one := func(fd uintptr) (more bool) {
		n, cn, _, from, err := unix.Recvmsg(int(fd), buf, control, unix.MSG_DONTWAIT)
		switch {
		case err == nil:
			c.take(buf[:n], control[:cn], from)
			return true
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN):
			// A link that goes down reports that once and comes back.
			return true
		case errors.Is(err, unix.EAGAIN):
			return false
		default:
			c.fail(fmt.Errorf("reading a packet socket: %w", err))
			return true
		}
	}
	for c.raw.Read(one) == nil && c.failure() == nil {
	}
	_ = c.raw.Control(func(fd uintptr) { // A closed socket holds nothing more.
		for c.failure() == nil && one(fd) {
		}
	})
}

// take records one frame.
func (c *Capture) take(data, control []byte, from unix.Sockaddr) {
	f := Frame{Time: time.Now(), Data: data}
	if ll, ok := from.(*unix.SockaddrLinklayer); ok {
		f.Sent = ll.Pkttype == unix.PACKET_OUTGOING
	}
	f.applyControl(control)
	if c.keep != nil && !c.keep(f.Data) {
		return
	}
	f.Data = append([]byte(nil), f.Data...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pcap != nil {
		info := gopacket.CaptureInfo{Timestamp: f.Time, CaptureLength: len(f.Data), Length: len(f.Data)}
		if err := c.pcap.WritePacket(info, f.Data); err != nil && c.err == nil {
			c.err = fmt.Errorf("writing %s: %w", c.file.Name(), err)
		}
	}
	c.frames = append(c.frames, f)
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *Capture) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

func (c *Capture) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Frames are the frames so far; their data must not be changed.
func (c *Capture) Frames() []Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Frame(nil), c.frames...)
}

// Await waits for a frame, past or to come, for which match returns true, and
// gives the first.
func (c *Capture) Await(ctx context.Context, match func(frame []byte) bool) (Frame, error) {
	for seen := 0; ; {
		c.mu.Lock()
		fresh, changed, err := c.frames[seen:len(c.frames):len(c.frames)], c.changed, c.err
		c.mu.Unlock()
		for _, f := range fresh {
			if match(f.Data) {
				return f, nil
			}
		}
		seen += len(fresh)
		if err != nil {
			return Frame{}, err
		}
		select {
		case <-changed:
		case <-c.done:
			return Frame{}, fmt.Errorf("the capture has stopped; none of its %d frames is the one awaited", seen)
		case <-ctx.Done():
			return Frame{}, fmt.Errorf("%w; none of %d frames is the one awaited", context.Cause(ctx), seen)
		}
	}
}

// Stop ends the capture, once everything that has arrived is recorded. An
// error tells that the record is not whole: frames lost for lack of room, or a
// file that could not be written. Frames may still be called, and Stop again.
func (c *Capture) Stop() error { return c.stop() }

func (c *Capture) end() error {
	errs := []error{c.conn.SetReadDeadline(time.Unix(1, 0))}
	<-c.done
	if stats, err := c.conn.Stats(); err != nil {
		errs = append(errs, err)
	} else if stats.Drops > 0 {
		errs = append(errs, fmt.Errorf("the capture lost %d frames", stats.Drops))
	}
	errs = append(errs, c.conn.Close(), c.failure())
	if c.file != nil {
		errs = append(errs, c.file.Close())
	}
	return errors.Join(errs...)
}

// Inject sends a frame, from the destination MAC on, out of the guest's eth0,
// past its own stack.
func (g *Guest) Inject(frame []byte) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.injector == nil {
		conn, err := listen(g.Namespace, "eth0", 0)
		if err != nil {
			return err
		}
		g.injector = conn
	}
	if len(frame) < 14 {
		return fmt.Errorf("a frame of %d octets has no Ethernet header", len(frame))
	}
	if _, err := g.injector.WriteTo(frame, &packet.Addr{HardwareAddr: net.HardwareAddr(frame[:6])}); err != nil {
		return fmt.Errorf("injecting at guest %s: %w", g.Name, err)
	}
	return nil
}
