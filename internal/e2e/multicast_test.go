package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"damselfly/internal/agent"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
	"damselfly/internal/wire"
)

// multicastTopology asks every two seconds, so that a listener is known for five and a half.
const multicastTopology = `
networks:
  - name: blue
    multicast: {snooping: true, querier: true, router_discovery: true, query_interval: 2s, response_interval: 500ms}
    subnets: [{prefix: "fd00:b1::/64"}]
routers:
  - {name: r1, networks: [blue]}
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11"}
  - {name: vm2, network: blue, mac: "02:00:00:00:00:12"}
  - {name: vm3, network: blue, mac: "02:00:00:00:00:13", security_groups: [web]}
security_groups:
  - {name: web, rules: [{direction: ingress, protocol: udp, ports: "5000"}, {direction: ingress, protocol: icmpv6}]}
`

// listener is a socket of a guest that listens to a group.
type listener struct{ fd int }

// listen has a guest join a group, from one source alone if that is given.
func listenTo(t *testing.T, g *lab.Guest, group string, source ...string) *listener {
	t.Helper()
	l := &listener{}
	err := g.Within(func() (err error) {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		if l.fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0); err != nil {
			return err
		}
		address := func(b []byte, a string) { // a struct sockaddr_storage
			b[0] = unix.AF_INET6
			octets := netip.MustParseAddr(a).As16()
			copy(b[8:], octets[:])
		}
		req := make([]byte, 8+2*128)
		req[0], req[1] = byte(eth0.Index), byte(eth0.Index>>8)
		address(req[8:], group)
		if len(source) == 0 {
			return unix.SetsockoptString(l.fd, unix.IPPROTO_IPV6, unix.MCAST_JOIN_GROUP, string(req[:8+128]))
		}
		address(req[8+128:], source[0])
		return unix.SetsockoptString(l.fd, unix.IPPROTO_IPV6, unix.MCAST_JOIN_SOURCE_GROUP, string(req))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.leave)
	return l
}

func (l *listener) leave() {
	if l.fd > 0 {
		_ = unix.Close(l.fd)
		l.fd = 0
	}
}

// streamed reports whether a frame is a datagram to port 5000.
func streamed(frame []byte) bool {
	var p wire.Packet
	return wire.Cut(frame, &p) == wire.FaultNone && p.Protocol == wire.ProtocolUDP && p.Payload[2] == 5000>>8 && p.Payload[3] == 5000&0xff
}

// stream sends datagrams from a guest's address to a group.
func stream(t *testing.T, g *lab.Guest, group string, n int) {
	t.Helper()
	err := g.Within(func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, eth0.Index),
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 8)); err != nil {
			return err
		}
		for range n {
			if err := unix.Sendto(fd, []byte("a stream"), 0, &unix.SockaddrInet6{Port: 5000, Addr: netip.MustParseAddr(group).As16()}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// multicastPlay is three guests, of which the last is filtered.
type multicastPlay struct {
	s        *stage.Stage
	d        *stage.Daemon
	vm       [3]*lab.Guest
	at       [3]*lab.Capture
	sources  []netip.Addr
	received [3]int
}

func newMulticastPlay(t *testing.T, ndExt bool, topology string) *multicastPlay {
	p := &multicastPlay{s: newStage(t, ndExt, topology)}
	p.d = serve(t, p.s)
	for i := range p.vm {
		name := fmt.Sprintf("vm%d", i+1)
		p.vm[i] = addGuest(t, p.s, lab.GuestOptions{Name: name, MAC: fmt.Sprintf("02:00:00:00:00:1%d", i+1)})
		c, err := p.vm[i].Capture("", func(frame []byte) bool { return streamed(frame) })
		if err != nil {
			t.Fatal(err)
		}
		p.at[i] = c
		t.Cleanup(func() { _ = c.Stop() })
	}
	p.sources = booted(t, netip.MustParsePrefix("fd00:b1::/64"), p.vm[:]...)
	return p
}

// counted sends a stream from a guest and returns how many datagrams each got.
func (p *multicastPlay) counted(t *testing.T, from int, group string, n int) (got [3]int) {
	t.Helper()
	stream(t, p.vm[from], group, n)
	// What follows by the same way has passed all of them: unicast to each.
	for i := range p.vm {
		if i != from {
			if _, err := p.vm[from].Run("ping", "-c", "1", "-W", "5", p.sources[i].String()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, c := range p.at {
		all := 0
		for _, f := range c.Frames() {
			if !f.Sent {
				all++
			}
		}
		got[i], p.received[i] = all-p.received[i], all
	}
	return got
}

// eventually waits until a stream reaches just those that it should.
func (p *multicastPlay) eventually(t *testing.T, what string, from int, group string, want [3]int) {
	t.Helper()
	began := time.Now()
	lab.WaitFor(t, patience, what, func() error {
		if got := p.counted(t, from, group, 5); got != want {
			return fmt.Errorf("received %v, want %v", got, want)
		}
		return nil
	})
	t.Logf("%s: after %s", what, time.Since(began).Round(time.Millisecond))
}

// ready waits until listeners have been asked.
func (p *multicastPlay) ready(t *testing.T, network string) {
	t.Helper()
	lab.WaitFor(t, patience, "listeners are known", func() error {
		var st agent.Status
		if err := p.d.Get("/status", &st); err != nil {
			return err
		}
		for _, m := range st.Multicast {
			if m.Network == network && m.Ready {
				return nil
			}
		}
		return errors.New("not yet")
	})
}

const groupA = "ff15::1234"

// TestMulticast has only subscribers get a stream.
func TestMulticast(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		p := newMulticastPlay(t, ndExt, multicastTopology)
		p.ready(t, "blue")
		p.eventually(t, "nobody listens", 0, groupA, [3]int{0, 0, 0})
		second := listenTo(t, p.vm[1], groupA)
		p.eventually(t, "the second guest listens", 0, groupA, [3]int{0, 5, 0})
		listenTo(t, p.vm[2], groupA, p.sources[0].String())
		p.eventually(t, "the third listens to one source", 0, groupA, [3]int{0, 5, 5})
		p.eventually(t, "of another source it gets nothing", 1, groupA, [3]int{0, 0, 0})
		second.leave()
		p.eventually(t, "the second leaves", 0, groupA, [3]int{0, 0, 5})
	})
}
