package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"damselfly/bench/loadgen"
	"damselfly/fixtures"
	"damselfly/internal/wire"
)

// traffic is what the first guest of a road sends to the second.
type traffic struct {
	name string
	// rate is frames a second, and each is how many arrive for one that is sent.
	rate, each int
	denied     bool
	frames     func(way *road) [][]byte
	counts     func(frame []byte) bool
	// prepare readies the guests' kernels for it, nil for nothing.
	prepare func(way *road, rate int) (prepared, error)
}

// prepared is what traffic needs of the guests' kernels.
type prepared struct {
	// kernel has the kernel send for a while, nil where the frames are sent.
	kernel func(d time.Duration) error
	close  func() error
}

// connections is how many there are of UDP, and how many identifiers of echo.
const connections = 64

// Ports that the groups let in, and one that they do not.
const (
	answeredPort = 5000 // UDP that is answered once
	onewayPort   = 5001 // UDP that is never answered
	tcpPort      = 5201
	deniedPort   = 9
)

// segmentOctets is of TCP's data with an MTU of 1500.
const segmentOctets = 1428

// traffics are what is measured.
var traffics = []traffic{
	{name: "udp", rate: 20_000, each: 1, frames: datagrams(answeredPort), counts: isUDP(answeredPort), prepare: answersOnce},
	{name: "udp-oneway", rate: 20_000, each: 1, frames: datagrams(onewayPort), counts: isUDP(onewayPort), prepare: sink(onewayPort)},
	{name: "echo", rate: 10_000, each: 2, frames: pings(0), counts: isEcho},
	{name: "tcp", rate: 20_000, frames: nothing, counts: isTCP(tcpPort), prepare: stream(tcpPort)},
}

// denied are what the groups do not let in.
var denied = []traffic{
	{name: "denied udp", denied: true, frames: datagrams(deniedPort), counts: isUDP(deniedPort)},
	{name: "denied echo code", denied: true, frames: pings(1), counts: isEcho},
	{name: "denied tcp", denied: true, frames: segments(deniedPort), counts: isTCP(deniedPort)},
}

// drive is a traffic on a road.
type drive struct {
	*loadgen.Carrier
	prepared
	rate int
}

// run sends for a while and takes what arrives.
func (d *drive) run(t time.Duration) error {
	if d.kernel == nil {
		return d.Run(d.rate, t)
	}
	done := make(chan error, 1)
	go func() { done <- d.kernel(t) }()
	err := d.Run(0, t)
	return errors.Join(err, <-done)
}

func nothing(*road) [][]byte { return nil }

// from is the source port of the i-th connection.
func from(i int) uint16 { return uint16(40_000 + i) }

// packet is a frame of a road's first guest to its second.
func (way *road) packet(protocol layers.IPProtocol, upper ...gopacket.SerializableLayer) []byte {
	ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: protocol, SrcIP: way.addresses[0].AsSlice(), DstIP: way.addresses[1].AsSlice()}
	list := []gopacket.SerializableLayer{&layers.Ethernet{SrcMAC: way.guests[0].MAC, DstMAC: way.nextHop(0), EthernetType: layers.EthernetTypeIPv6}, ip}
	for _, l := range upper {
		switch l := l.(type) {
		case *layers.UDP:
			_ = l.SetNetworkLayerForChecksum(ip) // which knows IPv6
		case *layers.TCP:
			_ = l.SetNetworkLayerForChecksum(ip)
		}
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, append(list, upper...)...); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// datagrams are of 64 connections to a port, 64 octets of data each.
func datagrams(port uint16) func(*road) [][]byte {
	return func(way *road) (list [][]byte) {
		for i := range connections {
			list = append(list, way.packet(layers.IPProtocolUDP,
				&layers.UDP{SrcPort: layers.UDPPort(from(i)), DstPort: layers.UDPPort(port)}, gopacket.Payload(make([]byte, 64))))
		}
		return list
	}
}

// segments begin connections of TCP.
func segments(port uint16) func(*road) [][]byte {
	return func(way *road) (list [][]byte) {
		for i := range connections {
			list = append(list, way.packet(layers.IPProtocolTCP,
				&layers.TCP{SrcPort: layers.TCPPort(from(i)), DstPort: layers.TCPPort(port), SYN: true, Window: 1 << 15}))
		}
		return list
	}
}

// pings are Echo Requests with 56 octets of data.
func pings(code uint8) func(*road) [][]byte {
	return func(way *road) (list [][]byte) {
		for i := range connections {
			body := make([]byte, 4+56)
			binary.BigEndian.PutUint16(body, from(i))
			list = append(list, fixtures.Message{From: wire.MAC(way.guests[0].MAC), To: wire.MAC(way.nextHop(0)),
				Source: way.addresses[0], Destination: way.addresses[1], HopLimit: 64, Type: wire.TypeEchoRequest, Code: code, Body: body}.Bytes())
		}
		return list
	}
}

// isEcho counts requests and replies.
func isEcho(f []byte) bool {
	return len(f) > 62 && f[20] == wire.ProtocolICMPv6 && (f[54] == wire.TypeEchoRequest || f[54] == wire.TypeEchoReply)
}

// isUDP counts what goes to a port.
func isUDP(port uint16) func([]byte) bool {
	return func(f []byte) bool {
		return len(f) > 62 && f[20] == wire.ProtocolUDP && binary.BigEndian.Uint16(f[56:]) == port
	}
}

// isTCP counts what goes to or comes from a port.
func isTCP(port uint16) func([]byte) bool {
	return func(f []byte) bool {
		return len(f) > 62 && f[20] == 6 && (binary.BigEndian.Uint16(f[56:]) == port || binary.BigEndian.Uint16(f[54:]) == port)
	}
}

// listener binds a port of the second guest, lest its kernel answers with an
// error. Nobody reads what comes.
func (way *road) listener(port uint16) (c net.PacketConn, err error) {
	err = way.guests[1].Within(func() (err error) {
		c, err = net.ListenPacket("udp6", netip.AddrPortFrom(way.addresses[1], port).String())
		return err
	})
	return c, err
}

// sink takes datagrams.
func sink(port uint16) func(*road, int) (prepared, error) {
	return func(way *road, _ int) (prepared, error) {
		c, err := way.listener(port)
		if err != nil {
			return prepared{}, err
		}
		return prepared{close: c.Close}, nil
	}
}

// answersOnce opens each connection with a datagram there and one back, so that
// it is one of both directions from then on, and then takes datagrams.
func answersOnce(way *road, _ int) (prepared, error) {
	c, err := way.listener(answeredPort)
	if err != nil {
		return prepared{}, err
	}
	for i := range connections {
		if err := way.exchange(c, i); err != nil {
			return prepared{}, errors.Join(err, c.Close())
		}
	}
	return prepared{close: c.Close}, nil
}

// exchange sends a datagram to c and answers it.
func (way *road) exchange(c net.PacketConn, i int) error {
	var d net.Conn
	err := way.guests[0].Within(func() (err error) {
		d, err = net.DialUDP("udp6", net.UDPAddrFromAddrPort(netip.AddrPortFrom(way.addresses[0], from(i))),
			net.UDPAddrFromAddrPort(netip.AddrPortFrom(way.addresses[1], answeredPort)))
		return err
	})
	if err != nil {
		return err
	}
	defer d.Close()
	b := make([]byte, 2048)
	deadline := time.Now().Add(5 * time.Second)
	if err := errors.Join(c.SetReadDeadline(deadline), d.SetReadDeadline(deadline)); err != nil {
		return err
	}
	if _, err := d.Write([]byte("there")); err != nil {
		return err
	}
	_, who, err := c.ReadFrom(b)
	if err != nil {
		return fmt.Errorf("connection %d of %s: %w", i, way.name, err)
	}
	if _, err := c.WriteTo([]byte("back"), who); err != nil {
		return err
	}
	if _, err := d.Read(b); err != nil {
		return fmt.Errorf("connection %d of %s: the answer: %w", i, way.name, err)
	}
	return nil
}

// stream is one connection of TCP with so many full segments a second.
func stream(port uint16) func(*road, int) (prepared, error) {
	return func(way *road, rate int) (prepared, error) {
		var l net.Listener
		err := way.guests[1].Within(func() (err error) {
			l, err = net.Listen("tcp6", netip.AddrPortFrom(way.addresses[1], port).String())
			return err
		})
		if err != nil {
			return prepared{}, err
		}
		defer l.Close()
		var c net.Conn
		err = way.guests[0].Within(func() (err error) {
			dialer := net.Dialer{Timeout: 5 * time.Second, Control: pacing(rate * segmentOctets)}
			c, err = dialer.Dial("tcp6", l.Addr().String())
			return err
		})
		if err != nil {
			return prepared{}, fmt.Errorf("connection of %s: %w", way.name, err)
		}
		s, err := l.Accept()
		if err != nil {
			return prepared{}, errors.Join(err, c.Close())
		}
		read := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, s)
			read <- err
		}()
		end := func() error {
			// Whatever was lost of the connection's end, it ends.
			err := errors.Join(c.Close(), s.SetReadDeadline(time.Now().Add(time.Second)))
			return errors.Join(err, <-read, s.Close())
		}
		return prepared{kernel: func(d time.Duration) error { return fill(c, d) }, close: end}, nil
	}
}

// fill writes for a while.
func fill(c net.Conn, d time.Duration) error {
	b := make([]byte, 16*segmentOctets)
	if err := c.SetWriteDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	for {
		if _, err := c.Write(b); errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// pacing has the kernel send no faster than so many octets a second.
func pacing(octets int) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MAX_PACING_RATE, octets) })
		return errors.Join(err, set)
	}
}
