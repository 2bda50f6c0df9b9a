package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// grouped has a server vm1 with rules of its own, two guests in the default
// group, one with no group at all, and one that nothing filters.
const grouped = `
networks:
  - {name: blue, mtu: 1442, subnets: [{prefix: "fd00:b1::/64", mode: slaac}]}
routers: [{name: r1, networks: [blue]}]
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11", security_groups: [web]}
  - {name: vm2, network: blue, mac: "02:00:00:00:00:12", security_groups: [default]}
  - {name: vm3, network: blue, mac: "02:00:00:00:00:13", security_groups: [default]}
  - {name: vm4, network: blue, mac: "02:00:00:00:00:14", security_groups: []}
  - {name: vm5, network: blue, mac: "02:00:00:00:00:15"}
security_groups:
  - name: web
    rules:
      - {direction: ingress, protocol: tcp, ports: "80-90"}
      - {direction: ingress, ethertype: ipv6, protocol: udp, ports: 5000, log: true}
      - {direction: ingress, protocol: tcp, ports: 23, action: reject, log: true}
      - {direction: ingress, protocol: udp, ports: 24, action: reject}
      - {direction: ingress, protocol: icmpv6, icmp: 128/0, remote_group: default}
`

const mac4, mac5 = "02:00:00:00:00:14", "02:00:00:00:00:15"

// silence is how long nothing must come where something would come at once.
const silence = 500 * time.Millisecond

// club is the guests of grouped.
type club struct {
	*stage.Stage
	daemon *stage.Daemon
	vm     [6]*lab.Guest
	addr   [6]netip.Addr
}

func newClub(t *testing.T, ndExt bool) *club {
	c := &club{Stage: newStage(t, ndExt, grouped)}
	c.daemon = serve(t, c.Stage)
	for i, mac := range []string{mac1, mac2, mac3, mac4, mac5} {
		c.vm[i+1] = addGuest(t, c.Stage, quick(fmt.Sprint("vm", i+1), mac))
	}
	// The one without a group too: what IPv6 cannot live without passes.
	copy(c.addr[1:], booted(t, bluePrefix, c.vm[1:]...))
	return c
}

// tcpServer answers each line with itself.
func tcpServer(t *testing.T, g *lab.Guest, port int) {
	t.Helper()
	var l net.Listener
	err := g.Within(func() (err error) {
		l, err = net.Listen("tcp6", fmt.Sprintf("[::]:%d", port))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				b := make([]byte, 1024)
				for {
					n, err := conn.Read(b)
					if err != nil {
						return
					}
					if _, err := conn.Write(b[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
}

// udpServer sends each datagram's length back.
func udpServer(t *testing.T, g *lab.Guest, port int) {
	t.Helper()
	var c net.PacketConn
	err := g.Within(func() (err error) {
		c, err = net.ListenPacket("udp6", fmt.Sprintf("[::]:%d", port))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 65536)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if _, err := c.WriteTo(fmt.Appendf(nil, "%d", n), from); err != nil {
				return
			}
		}
	}()
}

// dial opens a socket in a guest.
func dial(t *testing.T, g *lab.Guest, network string, to netip.Addr, port uint16, limit time.Duration) (net.Conn, error) {
	t.Helper()
	var conn net.Conn
	err := g.Within(func() (err error) {
		conn, err = net.DialTimeout(network, netip.AddrPortFrom(to, port).String(), limit)
		return err
	})
	if err == nil {
		t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

// exchange sends text and reads what comes back within limit.
func exchange(conn net.Conn, text string, limit time.Duration) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(limit)); err != nil {
		return "", err
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		return "", err
	}
	b := make([]byte, 65536)
	n, err := conn.Read(b)
	return string(b[:n]), err
}

// connects wants a connection that carries data both ways, and returns it.
func connects(t *testing.T, from *lab.Guest, to netip.Addr, port uint16) net.Conn {
	t.Helper()
	conn, err := dial(t, from, "tcp6", to, port, patience)
	if err != nil {
		t.Fatalf("%s to port %d: %v", from.Name, port, err)
	}
	if got, err := exchange(conn, "hello", patience); err != nil || got != "hello" {
		t.Fatalf("%s to port %d: %q %v", from.Name, port, got, err)
	}
	return conn
}

// carries sends more over a connection than any window holds, both ways: a
// connection that one side's tracking has lost sight of stalls.
func carries(t *testing.T, conn net.Conn) {
	t.Helper()
	const octets = 4 << 20
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(make([]byte, octets))
		sent <- err
	}()
	if n, err := io.CopyN(io.Discard, conn, octets); err != nil {
		t.Errorf("%d of %d octets came back: %v", n, octets, err)
	}
	if err := <-sent; err != nil {
		t.Errorf("sending %d octets: %v", octets, err)
	}
}

// timeout reports whether an error says that nothing came in time.
func timeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// silent wants a TCP connection that nobody answers.
func silent(t *testing.T, from *lab.Guest, to netip.Addr, port uint16) {
	t.Helper()
	_, err := dial(t, from, "tcp6", to, port, silence)
	if !timeout(err) {
		t.Errorf("%s to port %d: %v, want no answer", from.Name, port, err)
	}
}

// datagrams sends octets over UDP and wants their number back, or with answered
// false nothing.
func datagrams(t *testing.T, from *lab.Guest, to netip.Addr, port uint16, octets int, answered bool) {
	t.Helper()
	conn, err := dial(t, from, "udp6", to, port, patience)
	if err != nil {
		t.Fatal(err)
	}
	limit := silence
	if answered {
		limit = patience
	}
	got, err := exchange(conn, strings.Repeat("x", octets), limit)
	switch {
	case answered && (err != nil || got != fmt.Sprint(octets)):
		t.Errorf("%s to UDP port %d: %q %v", from.Name, port, got, err)
	case !answered && !timeout(err):
		t.Errorf("%s to UDP port %d: %q %v, want no answer", from.Name, port, got, err)
	}
}

func pings(t *testing.T, from *lab.Guest, to netip.Addr, answered bool) {
	t.Helper()
	wait := "1"
	if answered {
		wait = "10"
	}
	out, err := from.Run("ping", "-6", "-c", "1", "-W", wait, to.String())
	if got := strings.Contains(out, "1 received"); got != answered {
		t.Errorf("ping from %s to %s answered: %v, want %v (%v)\n%s", from.Name, to, got, answered, err, out)
	}
}

func TestGroups(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		c := newClub(t, ndExt)
		for i := 1; i <= 5; i++ {
			for _, port := range []int{80, 90, 91, 23} {
				tcpServer(t, c.vm[i], port)
			}
			udpServer(t, c.vm[i], 5000)
			udpServer(t, c.vm[i], 5001)
		}
		t.Run("TCP", func(t *testing.T) {
			connects(t, c.vm[5], c.addr[1], 80)
			connects(t, c.vm[5], c.addr[1], 90)
			silent(t, c.vm[5], c.addr[1], 91)
			connects(t, c.vm[1], c.addr[5], 91) // all may leave, replies come in
		})
		t.Run("UDP and its fragments", func(t *testing.T) {
			datagrams(t, c.vm[5], c.addr[1], 5000, 100, true)
			datagrams(t, c.vm[5], c.addr[1], 5001, 100, false)
			datagrams(t, c.vm[5], c.addr[1], 5000, 4000, true)
			datagrams(t, c.vm[5], c.addr[1], 5001, 4000, false)
			datagrams(t, c.vm[1], c.addr[5], 5001, 4000, true)
		})
		t.Run("ICMPv6 of a remote group", func(t *testing.T) {
			pings(t, c.vm[2], c.addr[1], true)
			pings(t, c.vm[5], c.addr[1], false)
			pings(t, c.vm[1], c.addr[5], true)
			large, err := c.vm[2].Run("ping", "-6", "-c", "1", "-W", "5", "-s", "4000", c.addr[1].String())
			if err != nil {
				t.Errorf("a large ping: %v\n%s", err, large)
			}
		})
		t.Run("ICMPv6 in fragments", c.fragments)
		t.Run("the default group", func(t *testing.T) {
			carries(t, connects(t, c.vm[2], c.addr[3], 91))
			connects(t, c.vm[2], c.addr[5], 91)
			silent(t, c.vm[5], c.addr[2], 91)
			datagrams(t, c.vm[3], c.addr[2], 5001, 100, true)
		})
		t.Run("no group", func(t *testing.T) {
			silent(t, c.vm[5], c.addr[4], 80)
			silent(t, c.vm[4], c.addr[5], 80)
			// Discovery works: the neighbours are known although nothing passes.
			for _, pair := range [][2]int{{5, 4}, {4, 5}} {
				neighbors, err := c.vm[pair[0]].Neighbors()
				if err != nil || !strings.Contains(fmt.Sprint(neighbors), c.addr[pair[1]].String()) {
					t.Errorf("vm%d's neighbours: %v %v", pair[0], neighbors, err)
				}
			}
		})
		t.Run("listener reports without a group", func(t *testing.T) {
			at := watch(t, c.vm[5], nil)
			err := c.vm[4].Within(func() error {
				conn, err := net.ListenMulticastUDP("udp6", nil, &net.UDPAddr{IP: net.ParseIP("ff05::4444"), Port: 4444})
				if err == nil {
					t.Cleanup(func() { conn.Close() })
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			// Behind the Hop-by-Hop header with its Router Alert (RFC 9777 section 5).
			arrives(t, at, "vm4's report", func(f []byte) bool {
				return len(f) > 62 && strings.HasSuffix(mac4, fmt.Sprintf(":%02x", f[11])) && f[14+6] == 0 && f[14+40+8] == 143
			})
		})
		t.Run("reject", func(t *testing.T) { c.rejects(t) })
		t.Run("hits and log", func(t *testing.T) { c.counts(t) })
	})
}

// rejects wants errors at once in the kernel's own clients.
func (c *club) rejects(t *testing.T) {
	began := time.Now()
	_, err := dial(t, c.vm[5], "tcp6", c.addr[1], 23, patience)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a rejected connection: %v, want it refused", err)
	}
	conn, err := dial(t, c.vm[5], "udp6", c.addr[1], 24, patience)
	if err != nil {
		t.Fatal(err)
	}
	// Linux tells code 1 as EACCES (icmpv6_err_convert).
	if got, err := exchange(conn, "x", patience); !errors.Is(err, syscall.EACCES) {
		t.Errorf("a rejected datagram: %q %v, want it prohibited", got, err)
	}
	t.Logf("both errors after %v", time.Since(began))
}

// counts wants each rule's hits in status and metrics, and the logging rules in the log.
func (c *club) counts(t *testing.T) {
	waitLog(t, c.daemon, "verdict=allowed", "group=web", `"ingress ipv6 udp ports 5000 allow log"`, "port=vm5", "ports ", "> 5000")
	waitLog(t, c.daemon, "verdict=rejected", "group=web", `"ingress tcp ports 23 reject log"`)
	lab.WaitFor(t, patience, "hits", func() error {
		st, err := c.daemon.Status()
		if err != nil {
			return err
		}
		hits := map[string]uint64{}
		for _, g := range st.Groups {
			for _, r := range g.Rules {
				hits[g.Name+" "+r.Rule] = r.Packets
			}
		}
		for _, rule := range []string{"web ingress tcp ports 80-90 allow", "web ingress ipv6 udp ports 5000 allow log", "web ingress tcp ports 23 reject log",
			"web ingress icmpv6 icmp 128/0 remote group default allow", "default ingress remote group default allow", "web egress allow"} {
			if hits[rule] == 0 {
				return fmt.Errorf("%q has no hits: %v", rule, hits)
			}
		}
		return nil
	})
	key := "damselfly_rule_packets_total{group=web,rule=ingress tcp ports 23 reject log}"
	if got := metrics(t, c.daemon); got[key] == 0 {
		t.Errorf("%s is %v", key, got[key])
	}
}
