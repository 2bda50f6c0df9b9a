package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"damselfly/internal/lab"
)

// TestGroupsChange changes rules and members under connections.
func TestGroupsChange(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		c := newClub(t, ndExt)
		for _, i := range []int{1, 2, 3} {
			tcpServer(t, c.vm[i], 80)
			tcpServer(t, c.vm[i], 90)
		}
		udpServer(t, c.vm[1], 5000)
		t.Run("a member comes and goes", func(t *testing.T) { c.memberComesAndGoes(t) })
		t.Run("a rule goes", func(t *testing.T) { c.ruleGoes(t) })
		t.Run("a rule for datagrams goes", func(t *testing.T) { c.datagramsGo(t) })
		t.Run("path MTU discovery", func(t *testing.T) { c.pathMTU(t) })
	})
}

// memberComesAndGoes makes vm5 a member of the default group and takes it out again.
func (c *club) memberComesAndGoes(t *testing.T) {
	silent(t, c.vm[5], c.addr[2], 80)
	vm5 := `{name: vm5, network: blue, mac: "02:00:00:00:00:15"`
	configure(t, c.Stage, strings.Replace(grouped, vm5, vm5+", security_groups: [default]", 1))
	conn := connects(t, c.vm[5], c.addr[2], 80)
	configure(t, c.Stage, grouped)
	c.isCut(t, conn)
	silent(t, c.vm[5], c.addr[2], 80)
}

// isCut waits for the switch to hold the new rules and then wants the
// connection dead both ways.
func (c *club) isCut(t *testing.T, conn net.Conn) {
	t.Helper()
	began := time.Now()
	lab.WaitFor(t, patience, "the connection's end", func() error {
		if got, err := exchange(conn, "still there", 200*time.Millisecond); err == nil {
			return fmt.Errorf("%q came back", got)
		}
		return nil
	})
	t.Logf("cut %v after the configuration was written", time.Since(began)-200*time.Millisecond)
}

// ruleGoes takes port 80 out of a rule while two connections and a stream run.
func (c *club) ruleGoes(t *testing.T) {
	denied, allowed := connects(t, c.vm[5], c.addr[1], 80), connects(t, c.vm[5], c.addr[1], 90)
	stream, err := dial(t, c.vm[5], "udp6", c.addr[1], 5000, patience)
	if err != nil {
		t.Fatal(err)
	}
	stop, lost := make(chan struct{}), 0
	var sent int
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			sent++
			if got, err := exchange(stream, strings.Repeat("x", 100+sent%50), patience); err != nil || got != fmt.Sprint(100+sent%50) {
				lost++
			}
			time.Sleep(2 * time.Millisecond)
		}
	})
	configure(t, c.Stage, strings.Replace(grouped, `"80-90"`, `"85-90"`, 1))
	c.isCut(t, denied)
	entries, err := c.Appctl("dpctl/dump-conntrack", "zone=1")
	if err != nil || !regexp.MustCompile(`dport=80\).*mark=1`).MatchString(entries) || regexp.MustCompile(`dport=90\).*mark=`).MatchString(entries) {
		t.Errorf("the connection to port 80 alone should be marked: %v\n%s", err, entries)
	}
	// Many changes that do not concern the stream.
	for i := range 5 {
		configure(t, c.Stage, strings.Replace(grouped, `"80-90"`, fmt.Sprintf(`"%d-90"`, 85-i), 1))
		waitRule(t, c, fmt.Sprintf("ingress tcp ports %d-90 allow", 85-i))
	}
	close(stop)
	running.Wait()
	if lost > 0 || sent < 20 {
		t.Errorf("%d of %d datagrams of an allowed stream were lost", lost, sent)
	}
	if got, err := exchange(allowed, "hello", patience); err != nil || got != "hello" {
		t.Errorf("the allowed connection: %q %v", got, err)
	}
	configure(t, c.Stage, grouped)
	waitRule(t, c, "ingress tcp ports 80-90 allow")
}

// datagramsGo takes the rule for UDP away: what it allowed is forgotten, so that
// no reply rides on it.
func (c *club) datagramsGo(t *testing.T) {
	datagrams(t, c.vm[5], c.addr[1], 5000, 100, true)
	tracked := regexp.MustCompile(`udp,orig=\(.*dport=5000\),reply.*zone=1\b`)
	if entries, err := c.Appctl("dpctl/dump-conntrack"); err != nil || !tracked.MatchString(entries) {
		t.Fatalf("the datagrams are not tracked: %v\n%s", err, entries)
	}
	configure(t, c.Stage, strings.Replace(grouped, "protocol: udp, ports: 5000", "protocol: udp, ports: 4999", 1))
	waitRule(t, c, "ingress ipv6 udp ports 4999 allow log")
	began := time.Now()
	lab.WaitFor(t, patience, "the end of what the rule allowed", func() error {
		entries, err := c.Appctl("dpctl/dump-conntrack")
		if err != nil || tracked.MatchString(entries) {
			return fmt.Errorf("%v\n%s", err, entries)
		}
		return nil
	})
	t.Logf("forgotten %v after the rules were in force", time.Since(began))
	configure(t, c.Stage, grouped)
	waitRule(t, c, "ingress ipv6 udp ports 5000 allow log")
}

// waitRule waits until a rule is in force.
func waitRule(t *testing.T, c *club, rule string) {
	t.Helper()
	lab.WaitFor(t, patience, rule, func() error {
		st, err := c.daemon.Status()
		if err != nil {
			return err
		}
		for _, g := range st.Groups {
			for _, r := range g.Rules {
				if r.Rule == rule {
					return nil
				}
			}
		}
		return fmt.Errorf("the groups are %v", st.Groups)
	})
}

// pathMTU has a router's Packet Too Big come to vm2, whose group lets only
// members in: it passes if it is about a connection of vm2's, and only then.
func (c *club) pathMTU(t *testing.T) {
	udpServer(t, c.vm[5], 6000)
	conn, err := dial(t, c.vm[2], "udp6", c.addr[5], 6000, patience)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exchange(conn, "hello", patience); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	local, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	at := watch(t, c.vm[2], nil)
	related := c.tooBig(t, uint16(local), 6000, 1300)
	inject(t, c.vm[5], c.tooBig(t, uint16(local), 6001, 1280), related)
	arrives(t, at, "the error about its own connection", like(related))
	if got := received(at, holding("\x02\x00")); len(got) != 0 {
		for _, f := range got {
			if p := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.Default); p.Layer(layers.LayerTypeICMPv6) != nil && [4]byte(f[14+40+4:]) == [4]byte{0, 0, 5, 0} {
				t.Errorf("an unrelated error came: % x", f)
			}
		}
	}
	lab.WaitFor(t, patience, "the path's MTU", func() error {
		out, err := c.vm[2].Run("ip", "-6", "route", "get", c.addr[5].String())
		if err != nil || !strings.Contains(out, "mtu 1300") {
			return fmt.Errorf("%q %v", out, err)
		}
		return nil
	})
}

// tooBig is a Packet Too Big to vm2 about a datagram of its own.
func (c *club) tooBig(t *testing.T, from, to uint16, mtu uint16) []byte {
	quoted := frameOf(t, ethernet(t, mac2, mac5, layers.EthernetTypeIPv6), ipv6(c.addr[2].String(), c.addr[5].String(), layers.IPProtocolUDP),
		gopacket.Payload(udpOf(from, to)))[14:]
	body := []byte{0, 0, byte(mtu >> 8), byte(mtu)}
	return icmp6Frame(t, mac5, mac2, c.addr[5].String(), c.addr[2].String(), layers.ICMPv6TypePacketTooBig, gopacket.Payload(append(body, quoted...)))
}

// udpOf is a datagram of eight octets as an error quotes it; nobody checks its sum.
func udpOf(from, to uint16) []byte {
	return []byte{byte(from >> 8), byte(from), byte(to >> 8), byte(to), 0, 16, 0x12, 0x34, 1, 2, 3, 4, 5, 6, 7, 8}
}

// TestStatelessGroup: each packet by itself, and what no rule knows of must still pass.
func TestStatelessGroup(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		c := &club{Stage: newStage(t, ndExt, strings.NewReplacer("[web]", "[bare]", "security_groups:\n", `security_groups:
  - name: bare
    stateless: true
    rules:
      - {direction: ingress, protocol: udp, ports: 5000}
      - {direction: ingress, protocol: tcp, ports: 80}
`).Replace(grouped))}
		c.daemon = serve(t, c.Stage)
		c.vm[1], c.vm[5] = addGuest(t, c.Stage, quick("vm1", mac1)), addGuest(t, c.Stage, quick("vm5", mac5))
		a := booted(t, netip.MustParsePrefix("fd00:b1::/64"), c.vm[1], c.vm[5])
		udpServer(t, c.vm[1], 5000)
		udpServer(t, c.vm[5], 5001)
		tcpServer(t, c.vm[1], 80)
		connects(t, c.vm[5], a[0], 80)
		datagrams(t, c.vm[5], a[0], 5000, 100, true)
		datagrams(t, c.vm[5], a[0], 5000, 4000, true)
		datagrams(t, c.vm[1], a[1], 5001, 100, false) // no rule for the reply
		if entries, err := c.Appctl("dpctl/dump-conntrack"); err != nil || strings.TrimSpace(entries) != "" {
			t.Errorf("connections are tracked: %q %v", entries, err)
		}
	})
}
