package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"damselfly/fixtures"
	"damselfly/internal/agent"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
	"damselfly/internal/wire"
)

// multicastTopology asks every two seconds, so that a listener is known for five.
const multicastTopology = `
networks:
  - name: blue
    uplink: {interface: up0}
    multicast: {snooping: true, querier: true, router_discovery: true, query_interval: 2s, response_interval: 500ms, last_listener_interval: 200ms}
    subnets: [{prefix: "fd00:b1::/64"}]
routers:
  - {name: r1, networks: [{name: blue, link_local: "fe80::a", mac: "02:00:00:00:0a:01"}]}
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
		if l.fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
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
	datagramsTo(t, g, group, "a stream", n)
}

// datagramsTo sends some with the same content from a guest to port 5000.
func datagramsTo(t *testing.T, g *lab.Guest, to, content string, n int) {
	t.Helper()
	err := g.Within(func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, eth0.Index),
			unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 8)); err != nil {
			return err
		}
		for range n {
			if err := unix.Sendto(fd, []byte(content), 0, &unix.SockaddrInet6{Port: 5000, Addr: netip.MustParseAddr(to).As16()}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// guestsOfPlay is three guests, of which the last is filtered, and one behind the uplink.
const guestsOfPlay = 4

// multicastPlay is them at work.
type multicastPlay struct {
	s        *stage.Stage
	d        *stage.Daemon
	vm       [guestsOfPlay]*lab.Guest
	at       [guestsOfPlay]*lab.Capture
	sources  []netip.Addr
	received [guestsOfPlay]int
	marks    int
}

// got is how many datagrams each received.
type got [guestsOfPlay]int

func newMulticastPlay(t *testing.T, ndExt bool, topology string) *multicastPlay {
	p := &multicastPlay{s: newStage(t, ndExt, topology)}
	p.d = serve(t, p.s)
	for i := range p.vm {
		o := lab.GuestOptions{Name: fmt.Sprintf("vm%d", i+1), MAC: fmt.Sprintf("02:00:00:00:00:1%d", i+1)}
		if i == guestsOfPlay-1 {
			o = lab.GuestOptions{Name: "up0", MAC: "02:00:00:00:0b:01", NoIfaceID: true, Addresses: []netip.Prefix{netip.MustParsePrefix("fd00:b1::b/64")}}
		}
		p.vm[i] = addGuest(t, p.s, o)
		c, err := p.vm[i].Capture("", func(frame []byte) bool { return streamed(frame) })
		if err != nil {
			t.Fatal(err)
		}
		p.at[i] = c
		t.Cleanup(func() { _ = c.Stop() })
	}
	p.sources = append(booted(t, netip.MustParsePrefix("fd00:b1::/64"), p.vm[:guestsOfPlay-1]...), netip.MustParseAddr("fd00:b1::b"))
	return p
}

// counted sends a stream from a guest and returns how many datagrams each got.
func (p *multicastPlay) counted(t *testing.T, from int, group string, n int) (seen got) {
	t.Helper()
	stream(t, p.vm[from], group, n)
	// What follows by the same way has passed all of them, and is recorded behind them:
	// unicast to each.
	p.marks++
	mark := fmt.Sprintf("mark %d.", p.marks)
	isMark := func(f []byte) bool { return bytes.HasSuffix(f, []byte(mark)) }
	for i := range p.vm {
		if i != from {
			ping(t, p.vm[from], p.sources[i].String())
			datagramsTo(t, p.vm[from], p.sources[i].String(), mark, 1)
		}
	}
	for i, c := range p.at {
		if i != from {
			arrives(t, c, mark, isMark)
		}
		all := 0
		for _, f := range c.Frames() {
			if !f.Sent && !bytes.Contains(f.Data[len(f.Data)-12:], []byte("mark ")) {
				all++
			}
		}
		seen[i], p.received[i] = all-p.received[i], all
	}
	return seen
}

// eventually waits until a stream reaches just those that it should.
func (p *multicastPlay) eventually(t *testing.T, what string, from int, group string, want got) {
	t.Helper()
	began := time.Now()
	lab.WaitFor(t, patience, what, func() error {
		if seen := p.counted(t, from, group, 5); seen != want {
			return fmt.Errorf("received %v, want %v", seen, want)
		}
		return nil
	})
	t.Logf("%s: after %s", what, time.Since(began).Round(time.Millisecond))
}

// status waits until what is known of the network is as it should be.
func (p *multicastPlay) status(t *testing.T, what string, is func(agent.MulticastStatus) bool) {
	t.Helper()
	began := time.Now()
	lab.WaitFor(t, patience, what, func() error {
		var st agent.Status
		if err := p.d.Get("/status", &st); err != nil {
			return err
		}
		if len(st.Multicast) != 1 || !is(st.Multicast[0]) {
			return fmt.Errorf("not %s: %+v", what, st.Multicast)
		}
		return nil
	})
	t.Logf("%s: after %s", what, time.Since(began).Round(time.Millisecond))
}

func ready(m agent.MulticastStatus) bool { return m.Ready && m.Querier == "self" }

const groupA, groupB = "ff15::a", "ff18::b"

// TestMulticast has only subscribers get a stream.
func TestMulticast(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		p := newMulticastPlay(t, ndExt, multicastTopology)
		p.status(t, "listeners are known", ready)
		p.eventually(t, "nobody listens", 0, groupA, got{})
		second := listenTo(t, p.vm[1], groupA)
		p.eventually(t, "the second guest listens", 0, groupA, got{1: 5})
		listenTo(t, p.vm[2], groupA, p.sources[0].String())
		p.eventually(t, "the third listens to one source", 0, groupA, got{1: 5, 2: 5})
		p.eventually(t, "of another source it gets nothing", 3, groupA, got{1: 5})
		t.Run("version 1", p.testOldHost)
		t.Run("behind the uplink", p.testUplink)
		p.testRestart(t)
		second.leave()
		p.eventually(t, "the second leaves", 0, groupA, got{2: 5})
		t.Run("routers", p.testRouters)
		t.Run("queriers", p.testQueriers)
		t.Run("flood of joins", p.testFlood)
	})
}

// TestSnoopingSparesNeighbors boots guests of every kind where groups go to listeners
// alone: their addresses, their router and each other they find as without.
func TestSnoopingSparesNeighbors(t *testing.T) {
	t.Parallel()
	s := newStage(t, false, strings.Replace(blue, "mtu: 1442", "mtu: 1442\n    multicast: {snooping: true, querier: true, query_interval: 2s, response_interval: 200ms}", 1)+twoMore)
	getAddresses(t, s, func(d *stage.Daemon) {
		(&multicastPlay{s: s, d: d}).status(t, "listeners are known", ready)
	})
}

// testOldHost has the first guest speak MLDv1.
func (p *multicastPlay) testOldHost(t *testing.T) {
	if err := p.vm[0].Sysctl("net.ipv6.conf.eth0.force_mld_version", "1"); err != nil {
		t.Fatal(err)
	}
	l := listenTo(t, p.vm[0], groupB)
	p.eventually(t, "an MLDv1 host listens", 1, groupB, got{0: 5})
	l.leave()
	p.eventually(t, "an MLDv1 host leaves", 1, groupB, got{})
}

// testUplink: behind the uplink others may listen, so that they are asked before.
func (p *multicastPlay) testUplink(t *testing.T) {
	l := listenTo(t, p.vm[3], groupB)
	p.eventually(t, "a host behind the uplink listens", 0, groupB, got{3: 5})
	l.leave()
	p.eventually(t, "a host behind the uplink leaves", 0, groupB, got{})
}

// testRestart: no stream stops for a restart, and no flow changes.
func (p *multicastPlay) testRestart(t *testing.T) {
	p.counted(t, 0, groupA, 1)
	stop, sent := make(chan struct{}), make(chan int, 1)
	go func() {
		n := 0
		defer func() { sent <- n }() // also when the stream fails, which ends this
		for tick := time.NewTicker(20 * time.Millisecond); ; n++ {
			select {
			case <-stop:
				tick.Stop()
				return
			case <-tick.C:
				stream(t, p.vm[0], groupA, 1)
			}
		}
	}()
	if err := p.d.Stop(); err != nil {
		t.Fatal(err)
	}
	out, err := p.s.Command(p.s.Binary, "plan", "-c", p.s.ConfigPath, "--ovsdb", p.s.OVSDB).CombinedOutput()
	if err != nil {
		t.Errorf("%s\n%v", out, err)
	}
	p.d = serve(t, p.s)
	p.status(t, "who listens is known again", func(m agent.MulticastStatus) bool {
		return ready(m) && len(m.Groups) == 1 && len(m.Groups[0].Listeners) == 2
	})
	close(stop)
	n := <-sent
	want := got{1: n + 1, 2: n + 1}
	if seen := p.counted(t, 0, groupA, 1); seen != want {
		t.Errorf("received %v over a restart, want %v", seen, want)
	}
	// Only who was found behind the uplink is not known any more.
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "cookie") && !strings.Contains(line, "table=61") || strings.Contains(line, "group_id") {
			t.Errorf("a restart changes flows: %s", line)
		}
	}
	if strings.Count(p.d.Log(), "brought up to date") > 1 {
		t.Error("the restart changed flows more than once")
	}
}

// testRouters: multicast routers behind the uplink are found and get all groups, until
// they say that they are none.
func (p *multicastPlay) testRouters(t *testing.T) {
	for _, name := range []string{"advertisement behind the uplink", "termination behind the uplink"} {
		if err := p.vm[3].Inject(fixtures.ListenerFrame(name, "uplink")); err != nil {
			t.Fatal(err)
		}
		there := strings.HasPrefix(name, "adv")
		p.status(t, name, func(m agent.MulticastStatus) bool { return (len(m.Routers) == 1) == there })
		want := got{}
		if there {
			want = got{3: 5}
		}
		p.eventually(t, "and its streams", 0, groupB, want)
	}
}

// testQueriers: who asks from a lower address is left to it, and missed.
func (p *multicastPlay) testQueriers(t *testing.T) {
	low := fixtures.ListenerFrame("query behind the uplink", "uplink")
	lower := lowerQuery(low)
	if err := p.vm[3].Inject(lower); err != nil {
		t.Fatal(err)
	}
	p.status(t, "another asks", func(m agent.MulticastStatus) bool { return m.Querier == "fe80::1" && m.Ready })
	p.status(t, "it is missed", ready)
}

// lowerQuery is a Query from fe80::1 of a querier that asks every second.
func lowerQuery(frame []byte) []byte {
	b := append([]byte(nil), frame...)
	copy(b[14+8:], netip.MustParseAddr("fe80::1").AsSlice())
	m := b[62:]
	m[25], m[2], m[3] = 1, 0, 0
	sum := wire.Checksum(netip.MustParseAddr("fe80::1"), wire.AllNodes, wire.ProtocolICMPv6, m)
	m[2], m[3] = byte(sum>>8), byte(sum)
	return b
}

// testFlood: who joins what it can think of fills its own share, and others' streams
// flow on.
func (p *multicastPlay) testFlood(t *testing.T) {
	l := listenTo(t, p.vm[1], groupA)
	defer l.leave()
	report := fixtures.ListenerFrame("report IS_EX", "guest")
	memory := resident(t, p.d.PID())
	for i := range 10000 {
		b := append([]byte(nil), report...)
		at := len(b) - 4 // the group's last octets
		b[at], b[at+1], b[at+2], b[at+3] = 0x55, byte(i>>16), byte(i>>8), byte(i)
		b[64], b[65] = 0, 0
		sum := wire.Checksum(netip.AddrFrom16([16]byte(b[22:38])), netip.AddrFrom16([16]byte(b[38:54])), wire.ProtocolICMPv6, b[62:])
		b[64], b[65] = byte(sum>>8), byte(sum)
		if err := p.vm[0].Inject(b); err != nil {
			t.Fatal(err)
		}
	}
	p.status(t, "the flood has its share", func(m agent.MulticastStatus) bool { return len(m.Groups) > 30 })
	p.eventually(t, "others are served", 0, groupA, got{1: 5, 2: 5})
	var st agent.Status
	if err := p.d.Get("/status", &st); err != nil {
		t.Fatal(err)
	}
	if n := len(st.Multicast[0].Groups); n > 64+1 {
		t.Errorf("%d groups", n)
	}
	grown := resident(t, p.d.PID()) - memory
	if grown > 16<<20 {
		t.Errorf("memory grew by %d KiB", grown>>10)
	}
	t.Logf("%d groups, %d flows, memory %+d KiB", len(st.Multicast[0].Groups), st.FlowsWanted, grown>>10)
}
