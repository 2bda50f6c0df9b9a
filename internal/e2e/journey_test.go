package e2e

import (
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// journey is two routers in a row, on the two ends of one link, three networks of
// different MTU and a Linux router behind the uplink of the second.
const journey = `
networks:
  - {name: blue, mtu: 1500, subnets: [{prefix: "fd00:b1::/64"}]}
  - {name: this-end, mtu: 1400, uplink: {interface: end1}, subnets: [{prefix: "fd00:7a::/64", gateway: "fd00:7a::1"}]}
  - {name: that-end, mtu: 1400, uplink: {interface: end2}, subnets: [{prefix: "fd00:7a::/64", gateway: "fd00:7a::2"}]}
  - {name: tiny, mtu: 1280, subnets: [{prefix: "fd00:71::/64"}]}
  - {name: ext, uplink: {interface: up0, accept_ra: true}, subnets: [{prefix: "2001:db8:1::/64", gateway: "2001:db8:1::2"}]}
routers:
  - name: r1
    networks: [blue, {name: this-end, link_local: "fe80::a", mac: "02:00:00:00:0a:01"}]
    routes:
      - {destination: "fd00:71::/64", nexthop: ["fd00:7a::2"]}
      - {destination: "2001:db8::/32", nexthop: ["fe80::b"], network: this-end}
  - name: r2
    networks: [{name: that-end, link_local: "fe80::b", mac: "02:00:00:00:0a:02"}, tiny, {name: ext, link_local: "fe80::c", mac: "02:00:00:00:0a:03"}]
    routes:
      - {destination: "fd00:b1::/64", nexthop: ["fd00:7a::1"]}
      - {destination: "2001:db8:b::/48", type: blackhole}
      - {destination: "2001:db8:c::/48", type: reject}
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11"}
  - {name: vm3, network: tiny, mac: "02:00:00:00:00:13"}
`

// travellers are the guests of journey.
type travellers struct {
	*stage.Stage
	daemon            *stage.Daemon
	vm1, vm3, up, far *lab.Guest
	at1, at3          netip.Addr
}

func newTravellers(t *testing.T, ndExt bool) *travellers {
	p := &travellers{Stage: newStage(t, ndExt, journey)}
	p.daemon = serve(t, p.Stage)
	for _, line := range []string{
		"ip link add end1 type veth peer name end2",
		"sysctl -qw net.ipv6.conf.end1.disable_ipv6=1 net.ipv6.conf.end2.disable_ipv6=1",
		"ethtool -K end1 tx off", "ethtool -K end2 tx off", "ip link set end1 up", "ip link set end2 up",
		"ovs-vsctl --timeout=20 --db=" + p.OVSDB + " add-port " + stage.Bridge + " end1", "ovs-vsctl --timeout=20 --db=" + p.OVSDB + " add-port " + stage.Bridge + " end2",
	} {
		words := strings.Fields(line)
		if out, err := p.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	p.vm1, p.vm3 = addGuest(t, p.Stage, quick("vm1", mac1)), addGuest(t, p.Stage, quick("vm3", mac3))
	p.up = addGuest(t, p.Stage, lab.GuestOptions{Name: "up0", MAC: "02:00:00:00:0b:01", NoIfaceID: true,
		Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8:1::ff/64")}})
	p.far = addGuest(t, p.Stage, lab.GuestOptions{Name: "far", NoIfaceID: true, Down: true})
	putBehind(t, p.up, p.far)
	lines(t, p.up, "ip -6 route add fd00::/16 via fe80::c dev eth0")
	startRadvd(t, p.up)
	p.at1 = booted(t, netip.MustParsePrefix("fd00:b1::/64"), p.vm1)[0]
	p.at3 = booted(t, netip.MustParsePrefix("fd00:71::/64"), p.vm3)[0]
	for _, to := range []string{p.at3.String(), farHost} {
		lab.WaitFor(t, patience, to+" answers", func() error {
			_, err := p.vm1.Run("ping", "-6", "-c", "1", "-W", "1", to)
			return err
		})
	}
	return p
}

// TestJourney sends through two routers in a row and out to the world, both ways.
func TestJourney(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		p := newTravellers(t, ndExt)
		t.Run("both ways", p.bothWays)
		t.Run("every hop has a name", p.named)
		t.Run("the path MTU is found", p.path)
		t.Run("errors", p.errors)
	})
}

func (p *travellers) bothWays(t *testing.T) {
	farAt := netip.MustParseAddr(farHost)
	ends := []struct {
		*lab.Guest
		at netip.Addr
	}{{p.vm1, p.at1}, {p.vm3, p.at3}, {p.far, farAt}}
	for i, from := range ends {
		tcpServer(t, from.Guest, 80+i)
	}
	for _, from := range ends {
		for i, to := range ends {
			if from.Guest == to.Guest {
				continue
			}
			ping(t, from.Guest, to.at.String())
			conn := connects(t, from.Guest, to.at, uint16(80+i))
			text := strings.Repeat("there and back ", 4000)
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.WriteString(conn, text) }() // what is missing shows at the other end
			got := make([]byte, len(text))
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
				t.Errorf("%s to %s: %v", from.Name, to.Name, err)
			}
		}
	}
}

// named: two routers here take one each from the hop limit, and say so.
func (p *travellers) named(t *testing.T) {
	want := []string{"fd00:b1::1", "fd00:7a::2", "2001:db8:1::ff", farHost}
	if got := traceroute(t, p.vm1, farHost); !slices.Equal(got, want) {
		t.Errorf("traceroute by %v, want %v", got, want)
	}
	back := []string{"2001:db8:99::1", "2001:db8:1::2", "fd00:7a::1", p.at1.String()}
	if got := traceroute(t, p.far, p.at1.String()); !slices.Equal(got, back) {
		t.Errorf("traceroute back by %v, want %v", got, back)
	}
	out, err := p.vm1.Run("mtr", "-6", "-n", "--report", "--report-cycles", "1", "--gracetime", "1", "--report-wide", farHost)
	if err != nil {
		t.Error(err)
	}
	var hops []string
	for _, m := range regexp.MustCompile(`(?m)^ *\d+\.\|-- (\S+)`).FindAllStringSubmatch(out, -1) {
		hops = append(hops, m[1])
	}
	if !slices.Equal(hops, want) {
		t.Errorf("mtr by %v, want %v\n%s", hops, want, out)
	}
	for hopLimit, from := range []string{1: "From fd00:b1::1 icmp_seq=1 Time exceeded", 2: "From fd00:7a::2 icmp_seq=1 Time exceeded", 3: "ttl=62"} {
		if hopLimit == 0 {
			continue
		}
		if out, _ := p.vm1.Run("ping", "-6", "-n", "-c", "1", "-W", "5", "-t", fmt.Sprint(hopLimit), p.at3.String()); !strings.Contains(out, from) {
			t.Errorf("hop limit %d: no %q in\n%s", hopLimit, from, out)
		}
	}
}

// path: the link between the routers has 1400 octets, the last network 1280.
func (p *travellers) path(t *testing.T) {
	lines(t, p.vm1, "ip -6 route flush cache")
	out, err := p.vm1.Run("tracepath", "-6", "-n", p.at3.String())
	if err != nil || !strings.Contains(out, "pmtu 1400") || !regexp.MustCompile(`Resume: pmtu 1280 hops 3 back 3`).MatchString(out) {
		t.Errorf("%v\n%s", err, out)
	}
}

func (p *travellers) errors(t *testing.T) {
	for _, tt := range []struct{ name, to, want string }{
		{"an unknown prefix", "2001:dead::1", "From fd00:b1::1 icmp_seq=1 Destination unreachable: No route"},
		{"rejected by the second router", "2001:db8:c::1", "From fd00:7a::2 icmp_seq=1 Destination unreachable: Unknown code 6"},
		{"blackholed by the second router", "2001:db8:b::1", "1 packets transmitted, 0 received, 100% packet loss"},
		{"nobody behind the second router", "fd00:71::dead", "From fd00:7a::2 icmp_seq=1 Destination unreachable: Address unreachable"},
		{"nobody behind its uplink", "2001:db8:1::dead", "From fd00:7a::2 icmp_seq=1 Destination unreachable: Address unreachable"},
	} {
		began := time.Now()
		wait, silent := "6", strings.HasPrefix(tt.name, "blackholed")
		if silent {
			wait = "1"
		}
		out, _ := p.vm1.Run("ping", "-6", "-n", "-c", "1", "-W", wait, tt.to)
		if !strings.Contains(out, tt.want) || silent && strings.Contains(out, "From") {
			t.Errorf("%s: no %q in\n%s", tt.name, tt.want, out)
		}
		if took := time.Since(began); strings.HasSuffix(tt.name, "uplink") && took < 3*time.Second {
			t.Errorf("unreachable after %s, sooner than three solicitations take", took)
		}
	}
}
