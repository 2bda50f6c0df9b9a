package e2e

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// hostBehind makes a host that reaches g, and what is behind that, only through g:
// eth0 of the host leads to lan of g, which has an address there. The host's
// link-local address is usable at once.
func hostBehind(t *testing.T, s *stage.Stage, g *lab.Guest, name, address string) *lab.Guest {
	t.Helper()
	host := &lab.Guest{Name: name, Namespace: s.Namespace + "-" + name}
	if out, err := exec.Command("ip", "netns", "add", host.Namespace).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", host.Namespace).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	for _, step := range []struct {
		at   *lab.Guest
		line string
	}{
		{host, "sysctl -qw net.ipv6.conf.default.accept_dad=0"},
		{g, "sysctl -qw net.ipv6.conf.default.accept_dad=0"},
		{g, "ip link add lan type veth peer name eth0 netns " + host.Namespace},
		{g, "ip link set lan up"},
		{g, "ip -6 addr add " + address + " dev lan nodad"},
		{host, "ip link set lo up"},
		{host, "ip link set eth0 up"},
	} {
		words := strings.Fields(step.line)
		if _, err := step.at.Run(words[0], words[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	linkReady(t, host)
	return host
}

// dhcrelay runs ISC's relay in a guest, from lan to what upper says.
func dhcrelay(t *testing.T, g *lab.Guest, upper string) {
	t.Helper()
	needs(t, "dhcrelay")
	said := filepath.Join(t.TempDir(), "said")
	out, err := os.Create(said)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := g.Command("dhcrelay", "-6", "-d", "-I", "--no-pid", "-l", "lan", "-u", upper)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, out, time.Second
	startLoad(t, cmd)
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(said)
			t.Logf("dhcrelay of %s said:\n%s", g.Name, text)
		}
	})
}

// TestNestedRelays has dhclient ask behind two of ISC's relays, one behind the
// other: the answer comes back through both, each with its own Interface-ID.
func TestNestedRelays(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, topologyOf(t, "relayed"))
		serve(t, s)
		outer := addGuest(t, s, lab.GuestOptions{Name: "relay", MAC: "02:00:00:00:00:20"})
		linkReady(t, outer)
		inner := hostBehind(t, s, outer, "inner", "fd00:d1::a:1/128")
		client := newISC(t, hostBehind(t, s, inner, "end", "fd00:d1::b:1/64"))
		seen := dhcpv6At(t, outer)
		dhcrelay(t, outer, "eth0")           // to all servers
		dhcrelay(t, inner, "ff02::1:2%eth0") // to relays too

		client.run(t, "-1")
		address, err := netip.ParseAddr(client.env(t, "new_ip6_address"))
		if err != nil || !netip.MustParsePrefix("fd00:d1::1:0/112").Contains(address) {
			t.Errorf("it got %v, %v", address, err)
		}
		if got := client.env(t, "new_dhcp6_name_servers"); got != "2001:db8::53" {
			t.Errorf("it was told DNS servers %q", got)
		}
		client.run(t, "-x")

		asked := map[dhcpv6.TransactionID]*dhcpv6.RelayMessage{}
		answers := 0
		for _, f := range seen.Frames() {
			m, err := dhcpv6.RelayMessageFromBytes(f.Data[dhcpv6Start:])
			if err != nil {
				t.Fatal(err)
			}
			innermost, err := m.GetInnerMessage()
			if err != nil {
				t.Fatal(err)
			}
			if f.Sent {
				asked[innermost.TransactionID] = m
				continue
			}
			answers++
			mirrored(t, asked[innermost.TransactionID], m, 2)
		}
		if answers < 2 {
			t.Errorf("%d answers went back through the relays", answers)
		}
		keep(t, ndExt, "relayed/dhclient-dhcrelay", seen)
	})
}

// mirrored checks that a Relay-reply is made of what the Relay-forward is made of,
// so many relays deep (RFC 9915 section 19.3).
func mirrored(t *testing.T, forward, reply *dhcpv6.RelayMessage, depth int) {
	t.Helper()
	for level := range depth {
		if forward == nil || reply == nil {
			t.Fatalf("level %d: %v is answered by %v", level, forward, reply)
		}
		if reply.MessageType != dhcpv6.MessageTypeRelayReply || reply.HopCount != forward.HopCount ||
			!reply.LinkAddr.Equal(forward.LinkAddr) || !reply.PeerAddr.Equal(forward.PeerAddr) {
			t.Errorf("level %d: %s\nis answered by %s", level, forward.Summary(), reply.Summary())
		}
		if id := forward.Options.InterfaceID(); len(id) == 0 || !bytes.Equal(id, reply.Options.InterfaceID()) {
			t.Errorf("level %d: Interface-ID %x is answered by %x", level, id, reply.Options.InterfaceID())
		}
		forward, _ = forward.Options.RelayMessage().(*dhcpv6.RelayMessage)
		reply, _ = reply.Options.RelayMessage().(*dhcpv6.RelayMessage)
	}
	if forward != nil || reply != nil {
		t.Errorf("more than %d relays deep", depth)
	}
}
