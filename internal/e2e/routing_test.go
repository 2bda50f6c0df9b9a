package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// routed is a router on three networks of different MTU, with a route of each
// kind. vm2 is a router itself, with 2001:db8:7::/48 behind it, and asks for a prefix.
const routed = `
networks:
  - {name: blue, mtu: 1500, subnets: [{prefix: "fd00:b1::/64"}]}
  - name: red
    mtu: 1400
    subnets: [{prefix: "fd00:ed::/64"}]
    delegation: [{pool: "2001:db8:8000::/40", length: 56}]
  - {name: tiny, mtu: 1280, subnets: [{prefix: "fd00:71::/64"}]}
routers:
  - name: r1
    networks: [blue, red, tiny]
    routes:
      - {destination: "2001:db8:7::/48", nexthop: ["fe80::ff:fe00:12"], network: red}
      - {destination: "2001:db8:b::/48", type: blackhole}
      - {destination: "2001:db8:c::/48", type: reject}
      - {destination: "2001:db8:d::/48", type: prohibit}
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11"}
  - {name: vm2, network: red, mac: "02:00:00:00:00:12", allowed_address_pairs: [{address: "2001:db8:7::/48"}]}
  - {name: vm3, network: tiny, mac: "02:00:00:00:00:13"}
  - {name: vm4, network: blue, mac: "02:00:00:00:00:14", security_groups: [default, web]}
  - {name: vm5, network: red, mac: "02:00:00:00:00:15", security_groups: [default, web]}
security_groups:
  - name: web
    rules: [{direction: ingress, protocol: tcp, ports: 23, action: reject}]
`

// town is the guests of routed.
type town struct {
	*stage.Stage
	daemon *stage.Daemon
	vm     [6]*lab.Guest
	addr   [6]netip.Addr
}

func newTown(t *testing.T, ndExt bool) *town {
	r := &town{Stage: newStage(t, ndExt, routed)}
	r.daemon = serve(t, r.Stage)
	for i, mac := range []string{mac1, mac2, mac3, mac4, mac5} {
		r.vm[i+1] = addGuest(t, r.Stage, quick(fmt.Sprint("vm", i+1), mac))
	}
	for i, prefix := range []string{"fd00:b1::/64", "fd00:ed::/64", "fd00:71::/64", "fd00:b1::/64", "fd00:ed::/64"} {
		r.addr[i+1] = booted(t, netip.MustParsePrefix(prefix), r.vm[i+1])[0]
	}
	return r
}

func TestRouting(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		r := newTown(t, ndExt)
		t.Run("between networks", r.between)
		t.Run("status routes", r.status)
		t.Run("traceroute names the hops", r.hops)
		t.Run("an address that nobody is known to have", r.asked)
		t.Run("errors", r.errors)
		t.Run("the router's own addresses", r.own)
		t.Run("the path MTU is found", r.pathMTU)
		t.Run("from where the source is", r.reversePath)
		t.Run("members on other networks", r.members)
		t.Run("delegated", r.delegated)
		t.Run("while Damselfly is away", r.away)
	})
}

func (r *town) between(t *testing.T) {
	for _, pair := range [][2]int{{1, 2}, {2, 3}, {3, 1}} {
		a, b := pair[0], pair[1]
		ping(t, r.vm[a], r.addr[b].String())
		ping(t, r.vm[b], r.addr[a].String())
		tcpServer(t, r.vm[b], 80+b)
		connects(t, r.vm[a], r.addr[b], uint16(80+b))
	}
	out, err := r.vm[1].Run("ping", "-6", "-c", "1", "-W", "5", r.addr[2].String())
	if err != nil || !strings.Contains(out, "ttl=63") {
		t.Errorf("one hop takes one from the hop limit: %v\n%s", err, out)
	}
}

func (r *town) status(t *testing.T) {
	o := command(t, r.Stage, "status", "routes", "-c", r.ConfigPath)
	for _, want := range []string{
		`r1 +2001:db8:7::/48 +static +unicast +red +fe80::ff:fe00:12 +vm2`,
		`r1 +2001:db8:b::/48 +static +blackhole +- +- +-`,
		`r1 +fd00:71::/64 +connected +unicast +tiny +- +-`,
	} {
		if !regexp.MustCompile(want).MatchString(o.out) {
			t.Errorf("no %q in\n%s", want, o.out)
		}
	}
	var list []map[string]string
	if err := json.Unmarshal([]byte(command(t, r.Stage, "status", "routes", "--json", "-c", r.ConfigPath).out), &list); err != nil || len(list) != 7 {
		t.Errorf("%d routes as JSON, %v", len(list), err)
	}
}

// traceroute returns the hops that it names.
func traceroute(t *testing.T, from *lab.Guest, to string) (hops []string) {
	t.Helper()
	out, err := from.Run("traceroute6", "-n", "-q", "1", "-w", "3", "-m", "5", to)
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, m := range regexp.MustCompile(`(?m)^ *\d+ +(\S+)`).FindAllStringSubmatch(out, -1) {
		hops = append(hops, m[1])
	}
	return hops
}

func (r *town) hops(t *testing.T) {
	for _, tt := range []struct {
		from int
		to   string
		want string
	}{
		{1, r.addr[2].String(), "fd00:b1::1 " + r.addr[2].String()},
		{2, r.addr[3].String(), "fd00:ed::1 " + r.addr[3].String()},
		{1, "fd00:b1::1", "fd00:b1::1"},
		{1, "fd00:71::1", "fd00:71::1"},
	} {
		if got := strings.Join(traceroute(t, r.vm[tt.from], tt.to), " "); got != tt.want {
			t.Errorf("to %s by %q, want %q", tt.to, got, tt.want)
		}
	}
}

func (r *town) errors(t *testing.T) {
	for _, tt := range []struct{ to, want string }{
		{"fd00:ed::7777", "From fd00:b1::1 icmp_seq=1 Destination unreachable: Address unreachable"},
		{"2001:db8:ffff::1", "From fd00:b1::1 icmp_seq=1 Destination unreachable: No route"},
		{"2001:db8:8000:1::1", "From fd00:b1::1 icmp_seq=1 Destination unreachable: No route"},
		{"2001:db8:d::1", "From fd00:b1::1 icmp_seq=1 Destination unreachable: Administratively prohibited"},
		{"2001:db8:c::1", "From fd00:b1::1 icmp_seq=1 Destination unreachable: "},
	} {
		out, _ := r.vm[1].Run("ping", "-6", "-n", "-c", "1", "-W", "5", tt.to)
		if !strings.Contains(out, tt.want) {
			t.Errorf("want %q:\n%s", tt.want, out)
		}
	}
	out, _ := r.vm[1].Run("ping", "-6", "-n", "-c", "1", "-W", "1", "2001:db8:b::1")
	if strings.Contains(out, "From") || !strings.Contains(out, "0 received") {
		t.Errorf("a blackhole is silent:\n%s", out)
	}
	waitMetric(t, r.daemon, drops("drop-blackhole"), 1)
	// The socket learns of a type and code by its own error (Linux ipv6/icmp.c).
	for to, want := range map[string]error{"2001:db8:c::1": syscall.EACCES, "2001:db8:d::1": syscall.EACCES, "2001:db8:ffff::1": syscall.ENETUNREACH, "fd00:ed::7777": syscall.EHOSTUNREACH} {
		if _, err := dial(t, r.vm[1], "tcp6", netip.MustParseAddr(to), 80, patience); !errors.Is(err, want) {
			t.Errorf("TCP to %s: %v, want %v", to, err, want)
		}
	}
	out, _ = r.vm[1].Run("ping", "-6", "-n", "-c", "1", "-W", "5", "-t", "1", r.addr[3].String())
	if !strings.Contains(out, "From fd00:b1::1 icmp_seq=1 Time exceeded: Hop limit") {
		t.Errorf("hop limit 1:\n%s", out)
	}
}

func (r *town) own(t *testing.T) {
	for _, to := range []string{"fd00:b1::1", "fd00:ed::1", "fd00:71::1"} {
		ping(t, r.vm[1], to)
		ping(t, r.vm[1], to, "-t", "1")
		if _, err := dial(t, r.vm[1], "tcp6", netip.MustParseAddr(to), 80, patience); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("TCP to %s: %v", to, err)
		}
		conn, err := dial(t, r.vm[1], "udp6", netip.MustParseAddr(to), 5000, patience)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := exchange(conn, "x", patience); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("UDP to %s: %v", to, err)
		}
	}
}

// asked: a guest that never said that it has an address is found when another
// network sends to it, and what was sent arrives.
func (r *town) asked(t *testing.T) {
	lines(t, r.vm[3], "ip addr add fd00:71::a5ce/64 dev eth0 nodad")
	if out, err := r.vm[1].Run("ping", "-6", "-c", "1", "-W", "5", "fd00:71::a5ce"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _ := r.vm[1].Run("ping", "-6", "-n", "-c", "1", "-W", "5", "fd00:71::a5cf"); !strings.Contains(out, "From fd00:b1::1 icmp_seq=1 Destination unreachable: Address unreachable") {
		t.Errorf("nobody:\n%s", out)
	}
}

// pathMTU sends what is too long for the last network: the sender's kernel
// learns what fits, for datagrams and for TCP.
func (r *town) pathMTU(t *testing.T) {
	to := r.addr[3].String()
	out, err := r.vm[1].Run("ping", "-6", "-n", "-c", "1", "-W", "5", "-M", "do", "-s", "1400", to)
	if err == nil || !strings.Contains(out, "From fd00:b1::1 icmp_seq=1 Packet too big: mtu=1280") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := r.vm[1].Run("ip", "-6", "route", "get", to); err != nil || !strings.Contains(out, "mtu 1280") {
		t.Errorf("the kernel knows of no path MTU: %q %v", out, err)
	}
	ping(t, r.vm[1], to, "-M", "do", "-s", "1232")
	ping(t, r.vm[1], to, "-s", "1400")
	// vm2's link has 1400, and TCP's segments are as long.
	tcpServer(t, r.vm[3], 90)
	conn := connects(t, r.vm[2], r.addr[3], 90)
	text := strings.Repeat("all of it arrives ", 2000)
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(conn, text) }() // what is missing shows at the other end
	got := make([]byte, len(text))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		t.Errorf("TCP over the narrow link: %v", err)
	}
}

// reversePath sends from another network's prefix: port security ends that, and
// where it is off the router does.
func (r *town) reversePath(t *testing.T) {
	text := strings.Replace(routed, `vm3, network: tiny`, `vm3, port_security: false, network: tiny`, 1)
	if err := r.Configure(text); err != nil {
		t.Fatal(err)
	}
	gateway := func(g *lab.Guest) string {
		list, err := g.Neighbors()
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range list {
			if n.Address.String() == "fe80::1" {
				return n.MAC
			}
		}
		t.Fatal("the router's MAC is not known")
		return ""
	}
	spoofed := func(mac string, g *lab.Guest) []byte {
		return icmp6Frame(t, mac, gateway(g), "fd00:ed::99", r.addr[4].String(), 128, gopacket.Payload("\x00\x01\x00\x01borrowed"))
	}
	c := watch(t, r.vm[4], holding("borrowed"))
	lab.WaitFor(t, patience, "port security to be off", func() error {
		inject(t, r.vm[3], spoofed(mac3, r.vm[3]))
		if metrics(t, r.daemon)[drops("drop-reverse-path")] == 0 {
			return errors.New("the router has dropped nothing")
		}
		return nil
	})
	before := metrics(t, r.daemon)[drops("drop-spoofed")]
	inject(t, r.vm[1], spoofed(mac1, r.vm[1]))
	waitMetric(t, r.daemon, drops("drop-spoofed"), before+1)
	if got := received(c, func([]byte) bool { return true }); len(got) > 0 {
		t.Errorf("arrived: % x", got[0])
	}
}

// away: what is carried goes on without Damselfly, and nothing is told to anybody.
func (r *town) away(t *testing.T) {
	ping(t, r.vm[1], r.addr[3].String())
	if err := r.daemon.Kill(); err != nil {
		t.Fatal(err)
	}
	ping(t, r.vm[1], r.addr[3].String())
	out, _ := r.vm[1].Run("ping", "-6", "-n", "-c", "1", "-W", "1", "2001:db8:ffff::1")
	if strings.Contains(out, "From") {
		t.Errorf("somebody answers:\n%s", out)
	}
}

// members are in one group on two networks: they reach each other, and nobody
// else does. What a rule rejects is told to the sender behind the router.
func (r *town) members(t *testing.T) {
	pings(t, r.vm[4], r.addr[5], true)
	pings(t, r.vm[5], r.addr[4], true)
	pings(t, r.vm[1], r.addr[5], false)
	pings(t, r.vm[3], r.addr[5], false)
	tcpServer(t, r.vm[5], 80)
	connects(t, r.vm[4], r.addr[5], 80)
	silent(t, r.vm[3], r.addr[5], 80)
	if _, err := dial(t, r.vm[3], "tcp6", r.addr[5], 23, patience); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("rejected: %v", err)
	}
}

// delegated reaches a host behind a guest that is a router, by what DHCPv6
// delegated to it and by a configured route, and traceroute names both routers.
func (r *town) delegated(t *testing.T) {
	client := newISC(t, r.vm[2])
	client.run(t, "-1", "-P")
	prefix, err := netip.ParsePrefix(client.env(t, "new_ip6_prefix"))
	if err != nil {
		t.Fatal(err)
	}
	reachDelegated(t, r.vm[1], r.vm[2], prefix)
	inside := prefix.Addr().Next().Next().String()
	if got, want := strings.Join(traceroute(t, r.vm[3], inside), " "), "fd00:71::1 "+r.addr[2].String()+" "+inside; got != want {
		t.Errorf("by %q, want %q", got, want)
	}
	if out, err := r.vm[2].Run("ip", "-6", "addr", "add", "2001:db8:7::1/64", "dev", "lan", "nodad"); err != nil {
		t.Fatal(err, out)
	}
	ping(t, r.vm[1], "2001:db8:7::1")
}
