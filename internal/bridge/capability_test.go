package bridge

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"damselfly/internal/lab"
	"damselfly/internal/openflow"
)

// TestProbe asks a bridge what it can do, with ND extensions and without, and
// leaves nothing on it.
func TestProbe(t *testing.T) {
	t.Parallel()
	l := lab.Start(t)
	if err := l.AddBridge("br", "fail_mode=secure"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var c *openflow.Conn
	dialed := l.Within(func() (err error) {
		c, err = openflow.Dial(ctx, l.Mgmt("br"), openflow.Options{})
		return err
	})
	if dialed != nil {
		t.Fatal(dialed)
	}
	defer c.Close()
	for _, on := range []bool{true, false, true} {
		if err := l.SetNDExt(on); err != nil {
			t.Fatal(err)
		}
		caps, err := Probe(ctx, c)
		if err != nil || caps.NDExt != on {
			t.Errorf("nd_ext %v: probed %+v, %v", on, caps, err)
		}
	}
	out, err := l.Ofctl("dump-flows", l.Mgmt("br"))
	if err != nil || strings.Contains(out, "actions=") {
		t.Errorf("the probe left flows behind: %v\n%s", err, out)
	}
}

// TestNoMeters probes a bridge that says as Open vSwitch does when its datapath
// has no meters that it holds none at most.
func TestNoMeters(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	go withoutMeters(far)
	c, err := openflow.Open(t.Context(), func(context.Context) (net.Conn, error) { return near, nil }, openflow.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := Probe(t.Context(), c); !errors.Is(err, ErrNoMeters) {
		t.Errorf("probed a datapath without meters: %v", err)
	}
}

// withoutMeters is the switch of TestNoMeters, until its connection ends.
func withoutMeters(nc net.Conn) {
	defer nc.Close()
	reply := func(xid []byte, typ byte, body ...byte) {
		b := append([]byte{openflow.Version, typ, 0, byte(8 + len(body))}, xid...)
		nc.Write(append(b, body...))
	}
	in := bufio.NewReader(nc) // a pipe's write ends when all of it is read
	for header := make([]byte, 8); ; {
		if _, err := io.ReadFull(in, header); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint16(header[2:])-8)
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		switch xid := header[4:]; header[1] {
		case 0: // HELLO
			reply(xid, 0)
		case 5: // FEATURES_REQUEST
			reply(xid, 6, make([]byte, 24)...)
		case 18: // MULTIPART_REQUEST: METER_FEATURES, all of it zero
			reply(xid, 19, append([]byte{0, 11, 0, 0, 0, 0, 0, 0}, make([]byte, 16)...)...)
		case 20: // BARRIER_REQUEST
			reply(xid, 21)
		}
	}
}
