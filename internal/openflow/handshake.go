package openflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// handshakeTimeout bounds the exchange that opens a connection. Open vSwitch
// answers within microseconds unless it is busy with a large change.
const handshakeTimeout = 10 * time.Second

// ErrVersion says that the bridge does not speak OpenFlow 1.5. Waiting does not
// help.
var ErrVersion = errors.New("the bridge does not speak OpenFlow 1.5")

// purpose is what a connection is for.
type purpose struct {
	controllerID                      uint16 // 0: takes no packet-ins
	packetIn, portStatus, flowRemoved uint32 // masks of appendSetAsync
}

// steps of the handshake by their xid.
const (
	xidHello = iota + 1
	xidFeatures
	xidFormat
	xidAsync
	xidController
	xidSetup   // the barrier behind all of them
	firstOwnID // the first xid free for requests
)

var stepNames = map[uint32]string{
	xidHello: "the greeting", xidFeatures: "the question for its features",
	xidFormat: "the packet-in format NXT_PACKET_IN2", xidAsync: "the choice of asynchronous messages",
	xidController: "the controller id",
}

// shake opens the OpenFlow connection on nc and sets it up for its purpose. On
// an error nc is closed.
func shake(ctx context.Context, nc net.Conn, p purpose) (s *stream, f Features, err error) {
	s = newStream(nc)
	if err := nc.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		nc.Close()
		return nil, f, fmt.Errorf("openflow: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	f, err = exchange(s, p)
	if !stop() {
		err = ctx.Err()
	}
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	if err != nil {
		nc.Close()
		return nil, f, err
	}
	return s, f, nil
}

func exchange(s *stream, p purpose) (f Features, err error) {
	if _, err := s.nc.Write(appendHello(nil, xidHello)); err != nil {
		return f, fmt.Errorf("openflow: greet the bridge: %w", err)
	}
	m, err := s.read()
	switch {
	case errors.Is(err, io.EOF):
		return f, errors.New("openflow: the bridge closed the connection before a greeting; is the target an OpenFlow socket?")
	case err != nil:
		return f, fmt.Errorf("openflow: wait for the bridge's greeting: %w", err)
	case m.Type() == TypeError:
		return f, versionError(0)
	case m.Type() != TypeHello:
		return f, fmt.Errorf("openflow: the first message is of type %d, not a greeting; is the target an OpenFlow socket?", m.Type())
	}
	if offered := helloVersions(m); offered&(1<<Version) == 0 {
		return f, versionError(offered)
	}
	if _, err := s.nc.Write(setupMessages(p)); err != nil {
		return f, fmt.Errorf("openflow: set the connection up: %w", err)
	}
	return awaitSetup(s)
}

func setupMessages(p purpose) []byte {
	b := AppendHeader(nil, TypeFeaturesRequest, xidFeatures)
	b = appendSetPacketInFormat(b, xidFormat)
	b = appendSetAsync(b, xidAsync, p.packetIn, p.portStatus, p.flowRemoved)
	if p.controllerID != 0 {
		b = appendSetControllerID(b, xidController, p.controllerID)
	}
	return AppendHeader(b, TypeBarrier, xidSetup)
}

// awaitSetup reads up to the reply to the barrier.
func awaitSetup(s *stream) (f Features, err error) {
	for {
		m, err := s.read()
		if err != nil {
			return f, fmt.Errorf("openflow: wait for the bridge to set the connection up: %w", err)
		}
		switch m.Type() {
		case TypeFeaturesReply:
			if f, err = decodeFeatures(m.Body()); err != nil {
				return f, err
			}
		case TypeEchoRequest:
			if _, err := s.nc.Write(appendEchoReply(nil, m)); err != nil {
				return f, fmt.Errorf("openflow: answer an echo: %w", err)
			}
		case TypeError:
			e := DecodeError(m)
			if e.Request = stepNames[m.XID()]; e.Type == 1 && (e.Code == 3 || e.Code == 4) {
				return f, fmt.Errorf("%w; a switch that does not know Nicira's extensions cannot be used: Open vSwitch 2.12 or newer is needed", e)
			}
			if e.Type == 0 {
				return f, versionError(0)
			}
			return f, e
		case TypeBarrierReply:
			if m.XID() == xidSetup {
				return f, nil
			}
		}
	}
}

func versionError(offered uint32) error {
	speaks := "only versions it did not name"
	if names := versionNames(offered); len(names) > 0 {
		speaks = "OpenFlow " + strings.Join(names, ", ")
	}
	return fmt.Errorf("openflow: %w, it speaks %s: allow it with `ovs-vsctl add bridge BRIDGE protocols OpenFlow15`, "+
		"and use Open vSwitch 2.12 or newer", ErrVersion, speaks)
}

// appendEchoReply appends the answer to an echo request: the same octets.
func appendEchoReply(b []byte, request Message) []byte {
	start := len(b)
	b = AppendHeader(b, TypeEchoReply, request.XID())
	b = append(b, request.Body()...)
	return finish(b, start)
}
