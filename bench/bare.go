package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"damselfly/internal/openflow"
	"damselfly/internal/wire"
)

// BareID is the controller id that Bare's punting flow names.
const BareID = 0xba5e

// BareFlows punt every Neighbor and Router Solicitation and message to DHCPv6
// servers to Bare, in ovs-ofctl's words.
var BareFlows = []string{
	"table=0,icmp6,icmp_type=135,actions=controller(id=47710)",
	"table=0,icmp6,icmp_type=133,actions=controller(id=47710)",
	"table=0,udp6,tp_dst=547,actions=controller(id=47710)",
}

// BareMAC is the link-layer address that all of Bare's answers give.
var BareMAC = wire.MAC{2, 0xba, 0x5e, 0, 0, 1}

// bareBatch is how many replies Bare writes at once.
const bareBatch = 64

// BareVariable makes a program that calls BeBare first a bare responder: its kind,
// a space, and the bridge's socket or the device it is behind.
const BareVariable = "DAMSELFLY_BENCH_BARE"

// The kinds of bare responders.
const (
	BarePacketIn = "packet-in"
	BareByTap    = "tap"
	BareByVeth   = "veth"
)

// BeBare is a bare responder, if the environment says that this process is one. It
// returns false otherwise. It prints "ready" once it serves.
func BeBare() (bool, error) {
	what := os.Getenv(BareVariable)
	if what == "" {
		return false, nil
	}
	kind, where, _ := strings.Cut(what, " ")
	ready := func() { fmt.Println("ready") }
	switch kind {
	case BarePacketIn:
		return true, Bare(context.Background(), where, ready)
	case BareByTap:
		return true, BareTap(where, ready)
	case BareByVeth:
		return true, BareSocket(where, ready)
	}
	return true, fmt.Errorf("no bare responder is called %q", kind)
}

// Bare answers solicitations, and DHCPv6, as packet-ins with the least that can: one
// connection with a buffered stream, a packet-out made beforehand in which
// addresses, port and checksum are replaced, up to 64 in one write. It looks at
// nothing, so what it does is what the transport costs. It dials target, calls
// ready once the bridge has taken its set-up, and serves until the connection
// ends.
func Bare(ctx context.Context, target string, ready func()) error {
	nc, err := openflow.Target(target)(ctx)
	if err != nil {
		return err
	}
	defer nc.Close()
	if _, err := nc.Write(bareSetup()); err != nil {
		return fmt.Errorf("set the connection up: %w", err)
	}
	b := &bare{nc: nc, template: bareTemplate(), constant: bareConstant(), ready: ready}
	return b.serve()
}

// Layout of the packet-out: header, buffer, length of actions, match with the
// ingress port, output action, frame.
const (
	bareOutput = 32 + 4
	bareFrame  = 48
	bareLen    = bareFrame + nsLen
)

// nsLen is the length of a solicitation with one link-layer address option, and
// of the advertisement that answers it.
const nsLen = 86

// bareSetup is HELLO, SET_CONFIG for whole frames, the packet-in format and the
// controller id, and a barrier to know that all is done (OpenFlow 1.5 section 7;
// nicira-ext.h).
func bareSetup() []byte {
	message := func(b []byte, t openflow.Type, body ...byte) []byte {
		start := len(b)
		b = append(openflow.AppendHeader(b, t, 1), body...)
		binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
		return b
	}
	nicira := []byte{0, 0, 0x23, 0x20, 0, 0, 0}
	b := message(nil, openflow.TypeHello, 0, 1, 0, 8, 0, 0, 0, 1<<openflow.Version)
	b = message(b, openflow.TypeSetConfig, 0, 0, 0xff, 0xff)
	b = message(b, openflow.TypeExperimenter, append(nicira[:7:7], 16, 0, 0, 0, 2)...) // NXT_PACKET_IN2
	b = message(b, openflow.TypeExperimenter, append(nicira[:7:7], 20, 0, 0, 0, 0, 0, 0, BareID>>8, BareID&0xff)...)
	return message(b, openflow.TypeBarrier)
}

// bareTemplate is the packet-out of an advertisement with addresses, port and
// checksum 0.
func bareTemplate() []byte {
	b := openflow.AppendHeader(nil, openflow.TypePacketOut, 0)
	b = append(b, 0xff, 0xff, 0xff, 0xff, 0, 16, 0, 0)                            // no buffer, 16 octets of actions
	b = append(b, 0, 1, 0, 12, 0x80, 0, 0, 4, 0xff, 0xff, 0xff, 0xfd, 0, 0, 0, 0) // in_port=CONTROLLER
	b = append(b, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)                // output
	b = append(b, make([]byte, nsLen)...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[bareFrame:], bareAdvert())
	return b
}

// bareAdvert is an advertisement with destination, addresses and checksum 0.
func bareAdvert() []byte {
	f := make([]byte, nsLen)
	copy(f[6:], BareMAC[:])
	f[12], f[13] = 0x86, 0xdd
	f[14], f[19], f[20], f[21] = 0x60, nsLen-54, 58, 255
	f[54], f[58] = 136, 0x60 // NA, solicited and override
	f[78], f[79] = 2, 1
	copy(f[80:], BareMAC[:])
	return f
}

// bareConstant is what is the same in the checksums of all answers: the
// pseudo-header's length and next header, and all of the message.
func bareConstant() uint32 { return (nsLen - 54) + 58 + sum16(bareAdvert()[54:]) }

// bareFill makes the advertisement that answers ns of a copy of bareAdvert, but
// for its destination.
func bareFill(f, ns []byte, constant uint32) {
	target := ns[62:78]
	copy(f[22:38], target)
	copy(f[38:54], ns[22:38])
	copy(f[62:78], target)
	s := constant + 2*sum16(target) + sum16(ns[22:38])
	s = s>>16 + s&0xffff
	s += s >> 16
	binary.BigEndian.PutUint16(f[56:], ^uint16(s))
}

// sum16 adds up 16-bit words, not folded.
func sum16(b []byte) (s uint32) {
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(b[i])<<8 | uint32(b[i+1])
	}
	return s
}

// bare is Bare at work.
type bare struct {
	nc       net.Conn
	template []byte
	constant uint32
	ready    func()
	out      []byte
	replies  int
	datagram [bareRoom]byte
}

func (b *bare) serve() error {
	buf := make([]byte, 1<<17)
	for r, w := 0, 0; ; {
		for {
			m, err := openflow.Frame(buf[r:w])
			if err != nil {
				return err
			}
			if m == nil {
				break
			}
			r += len(m)
			b.message(m)
			if b.replies == bareBatch {
				if err := b.flush(); err != nil {
					return err
				}
			}
		}
		if err := b.flush(); err != nil {
			return err
		}
		w, r = copy(buf, buf[r:w]), 0
		n, err := b.nc.Read(buf[w:])
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read from the bridge: %w", err)
		}
		w += n
	}
}

// message takes a message as what it should be.
func (b *bare) message(m openflow.Message) {
	switch m.Type() {
	case openflow.TypeBarrierReply:
		b.ready()
	case openflow.TypeEchoRequest:
		start := len(b.out)
		b.out = append(b.out, m...)
		b.out[start+1] = byte(openflow.TypeEchoReply)
		b.replies++
	case openflow.TypeExperimenter:
		b.answer(m)
	}
}

// answer appends the answer to a packet-in. Its first property is the frame, and
// the first field of its metadata the ingress port.
func (b *bare) answer(m openflow.Message) {
	const (
		property = 16
		frame    = property + 4
		metadata = 6
	)
	length := int(binary.BigEndian.Uint16(m[property+2:]))
	tail := property + (length+7)&^7
	if length < 4+rsLen || len(m) < tail {
		return
	}
	f, port := m[frame:property+length], uint32(0)
	for p := m[tail:]; len(p) >= 12; {
		if binary.BigEndian.Uint16(p) == metadata {
			port = binary.BigEndian.Uint32(p[8:])
			break
		}
		p = p[min(len(p), int(binary.BigEndian.Uint16(p[2:])+7)&^7):]
	}
	start := len(b.out)
	b.out = append(b.out, b.template...)
	o := b.out[start:]
	binary.BigEndian.PutUint32(o[bareOutput:], port)
	if !isNS(f) {
		n := bareMade(b.datagram[:], f)
		if n == 0 {
			b.out = b.out[:start]
			return
		}
		b.out = append(b.out[:start+bareFrame], b.datagram[:n]...)
		binary.BigEndian.PutUint16(b.out[start+2:], uint16(bareFrame+n))
	} else {
		copy(o[bareFrame:], f[6:12])
		bareFill(o[bareFrame:], f, b.constant)
	}
	b.replies++
}

func (b *bare) flush() error {
	if b.replies == 0 {
		return nil
	}
	_, err := b.nc.Write(b.out)
	b.out, b.replies = b.out[:0], 0
	if err != nil {
		return fmt.Errorf("write to the bridge: %w", err)
	}
	return nil
}
