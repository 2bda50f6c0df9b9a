package e2e

import (
	"bufio"
	octets "encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/google/go-cmp/cmp"

	"damselfly/flows"
	"damselfly/internal/agent"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

const boundsTopology = `
networks:
  - name: blue
    metadata: {}
    subnets: [{prefix: "fd00:b1::/64"}]
routers:
  - {name: r1, networks: [blue]}
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11", metadata: {hostname: one}}
  - {name: vm2, network: blue, mac: "02:00:00:00:00:12", metadata: {hostname: two}}
`

// dialService connects a guest to the service's link-local address.
func dialService(g *lab.Guest) (c net.Conn, err error) {
	err = g.Within(func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		c, err = net.DialTimeout("tcp6", fmt.Sprintf("[fe80::a9fe:a9fe%%%d]:80", eth0.Index), 10*time.Second)
		return err
	})
	return c, err
}

// asks has a guest make n requests, each in a connection of its own, and returns
// how long each took, sorted.
func asks(t *testing.T, g *lab.Guest, n int, want string) (took []time.Duration) {
	t.Helper()
	for range n {
		began := time.Now()
		c, err := dialService(g)
		if err != nil {
			t.Errorf("%s: %v", g.Name, err)
			continue
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(c, "GET "+hostname+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Errorf("%s: %v", g.Name, err)
			c.Close()
			continue
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		c.Close()
		if string(body) != want {
			t.Errorf("%s heard %q", g.Name, body)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took
}

// middle is the median and the ninth decile.
func middle(took []time.Duration) string {
	if len(took) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("median %s, 90 %% within %s", took[len(took)/2].Round(10*time.Microsecond), took[len(took)*9/10].Round(10*time.Microsecond))
}

// segment is a TCP segment of vm1's to the service.
func segment(t *testing.T, from, to string, sport, dport uint16, syn, ack bool) []byte {
	t.Helper()
	ip := ipv6(from, to, layers.IPProtocolTCP)
	tcp := &layers.TCP{SrcPort: layers.TCPPort(sport), DstPort: layers.TCPPort(dport), SYN: syn, ACK: ack, Window: 1000, Seq: 7}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return frameOf(t, ethernet(t, mac1, "da:f1:00:00:00:01", layers.EthernetTypeIPv6), ip, tcp)
}

// metadataOf is what the service counts of a port.
func metadataOf(t *testing.T, d *stage.Daemon, port string) (p agent.MetadataPortStatus, frames map[string]uint64) {
	t.Helper()
	var st agent.MetadataStatus
	if err := d.Get("/metadata", &st); err != nil {
		t.Fatal(err)
	}
	for _, p = range st.Ports {
		if p.Port == port {
			return p, st.Frames
		}
	}
	t.Fatalf("no port %s in %+v", port, st)
	return p, nil
}

// TestMetadataBounds has a guest do all it can to the service, while another's
// requests go on.
func TestMetadataBounds(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, boundsTopology)
		d := serve(t, s)
		vm1, vm2 := addGuest(t, s, quick("vm1", mac1)), addGuest(t, s, quick("vm2", mac2))
		waitAddr(t, vm1, "fd00:b1::/64")
		waitAddr(t, vm2, "fd00:b1::/64")
		hears(t, vm1, serviceLocal, hostname, "one")
		hears(t, vm2, serviceLocal, hostname, "two")
		t.Run("frames that are no calls", func(t *testing.T) { strayFrames(t, d, vm1) })
		held := slowHeaders(t, d, vm1)
		hugeBody(t, held[len(held)-1])

		asks(t, vm2, 5, "two")
		before, memory, flows := megaflows(t, s), resident(t, d.PID()), flowsBesideDrops(t, s)
		quiet, loaded, n := asksUnderAttack(t, vm1, vm2)
		lab.WaitFor(t, patience, "what was over the limit to be counted", func() error {
			if dropsOf(t, d, "vm1", "limit-metadata") == 0 {
				return errors.New("no drops")
			}
			return nil
		})
		after, grown := megaflows(t, s), resident(t, d.PID())-memory
		t.Logf("%d half-open connections beside %d slow ones: another's request quiet %s, meanwhile %s (median x%.2f); megaflows %d to %d, memory %+d KiB",
			n, len(held), middle(quiet), middle(loaded), float64(loaded[len(loaded)/2])/float64(quiet[len(quiet)/2]), before, after, grown>>10)
		if after > before+30 {
			t.Errorf("megaflows grew from %d to %d", before, after)
		}
		if grown > 32<<20 {
			t.Errorf("memory grew by %d KiB", grown>>10)
		}
		// No flow comes or goes by it, but for the counters of what it was dropped for.
		if d := cmp.Diff(flows, flowsBesideDrops(t, s)); d != "" {
			t.Errorf("flows (-before +after):\n%s", d)
		}
		for _, c := range held {
			c.Close()
		}
	})
}

// flowsBesideDrops are all flows of Damselfly's but for the counters of drops, of
// which a port gets one when something of its is dropped for the first time.
func flowsBesideDrops(t *testing.T, s *stage.Stage) []string {
	t.Helper()
	counters := fmt.Sprintf("table=%d,", flows.TableDropped)
	return slices.DeleteFunc(cookies(t, s), func(line string) bool { return strings.Contains(line, counters) })
}

// asksUnderAttack has one guest ask, in turns while another opens connections that
// it leaves half open and while it does not, so that both see the same machine. It
// returns how long requests took, sorted, and how many connections were begun.
func asksUnderAttack(t *testing.T, attacker, asking *lab.Guest) (quiet, loaded []time.Duration, n int) {
	t.Helper()
	const rounds, each = 5, 12
	frame := segment(t, "fe80::ff:fe00:11", "fe80::a9fe:a9fe", 0xffff, 80, true, false)
	for round := range rounds {
		quiet = append(quiet, asks(t, asking, each, "two")...)
		stop, sent := make(chan struct{}), make(chan int)
		go func() { sent <- halfOpen(attacker, frame, round*10000/rounds, 10000/rounds, stop) }()
		loaded = append(loaded, asks(t, asking, each, "two")...)
		close(stop)
		n += <-sent
	}
	if len(quiet) < rounds*each || len(loaded) < rounds*each {
		t.Fatalf("%d and %d of %d requests answered", len(quiet), len(loaded), rounds*each)
	}
	slices.Sort(quiet)
	slices.Sort(loaded)
	return quiet, loaded, n
}

// halfOpen sends beginnings of connections from ever other ports until stop closes,
// at least so many, and returns how many.
func halfOpen(g *lab.Guest, frame []byte, first, least int, stop chan struct{}) (n int) {
	const at = 14 + 40
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-stop:
			if n >= least {
				return n
			}
		default:
		}
		<-pace.C
		for range 100 {
			// The sequence number makes up for the port in the checksum, which is that of
			// port 0xffff.
			port := uint16(1024 + (first+n)%60000)
			octets.BigEndian.PutUint16(frame[at:], port)
			octets.BigEndian.PutUint16(frame[at+4:], ^port)
			if g.Inject(frame) != nil {
				return n
			}
			n++
		}
	}
}

// slowHeaders opens more connections than a port may have, and says half a request
// in each. It returns those that stay, the newest last. They begin together: each is
// waited for so long and no longer.
func slowHeaders(t *testing.T, d *stage.Daemon, g *lab.Guest) (held []net.Conn) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 70 {
		all.Go(func() {
			c, err := dialService(g)
			if errors.Is(err, syscall.ECONNRESET) {
				return // over the bound
			}
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX-A: "); err == nil {
				mu.Lock()
				held = append(held, c)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	lab.WaitFor(t, patience, "connections to be refused", func() error {
		p, _ := metadataOf(t, d, "vm1")
		if p.Refused == 0 || p.Open > 64 {
			return fmt.Errorf("%+v", p)
		}
		return nil
	})
	return held
}

// hugeBody announces a body that nobody reads.
func hugeBody(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(c, "b\r\nContent-Length: 1000000000\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Errorf("a huge body: %v", err)
		return
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge || !resp.Close {
		t.Errorf("a huge body: %s", resp.Status)
	}
}

// strayFrames sends what could come by as another's call or a hidden one; nothing
// of it is answered.
func strayFrames(t *testing.T, d *stage.Daemon, g *lab.Guest) {
	const own, service = "fe80::ff:fe00:11", "fe80::a9fe:a9fe"
	answers := watch(t, g, func(frame []byte) bool {
		p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
		tcp, _ := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
		return tcp != nil && tcp.SrcPort == 80 && tcp.DstPort >= 5000 && tcp.DstPort < 5100
	})
	hidden := segment(t, own, service, 5001, 80, true, false)
	// An empty Destination Options header in front of TCP (RFC 8200 section 4.6), and a
	// fragment header (section 4.5) that says it is the first of several.
	behind := func(kind byte, header []byte) []byte {
		f := append(slices.Clone(hidden[:54]), append(slices.Clone(header), hidden[54:]...)...)
		f[20] = kind
		octets.BigEndian.PutUint16(f[18:], uint16(len(f)-54))
		return f
	}
	inject(t, g,
		segment(t, "fdda:2::12", service, 5002, 80, true, false),
		segment(t, "fe80::ff:fe00:12", service, 5003, 80, true, false),
		segment(t, own, service, 5004, 22, true, false),
		segment(t, own, service, 5005, 80, true, true),
		segment(t, own, "fe80::a9fe:a9ff", 5006, 80, true, false),
		behind(60, []byte{6, 0, 1, 4, 0, 0, 0, 0}),
		behind(44, []byte{6, 0, 0, 1, 0, 0, 0, 7}),
		segment(t, service, own, 80, 5007, true, true),
	)
	// Answered after them all, so that they have been judged.
	inject(t, g, segment(t, own, service, 5099, 80, true, false))
	arrives(t, answers, "an answer to a call", func(frame []byte) bool { return octets.BigEndian.Uint16(frame[56:]) == 5099 })
	for _, f := range received(answers, func(frame []byte) bool { return octets.BigEndian.Uint16(frame[56:]) != 5099 }) {
		t.Errorf("answered: %x", f)
	}
	if _, frames := metadataOf(t, d, "vm1"); frames["malformed"] == 0 || frames["foreign"] != 0 {
		t.Errorf("at the port: %v", frames)
	}
}
