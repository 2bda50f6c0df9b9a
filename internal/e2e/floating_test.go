package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"damselfly/internal/explain"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// floatingTopology is a router with two guests on networks of their own, both
// filtered, and a network of an uplink, on which addresses are to float. Red's
// prefix is chosen so that vm2 is seen under the same address as vm1 where it
// is translated in its place.
const floatingTopology = `
networks:
  - {name: blue, subnets: [{prefix: "fd00:b1::/64"}]}
  - {name: red, subnets: [{prefix: "fd00:ed:0:ffc3::/64"}]}
  - name: ext
    uplink: {interface: up0}
    subnets: [{prefix: "2001:db8:1::/64", gateway: "2001:db8:1::2"}]
routers:
  - name: r1
    networks: [blue, red, {name: ext, link_local: "fe80::a", mac: "02:00:00:00:0a:01"}]
    routes: [{destination: "::/0", nexthop: ["2001:db8:1::ff"]}]
security_groups:
  - name: web
    rules:
      - {direction: ingress, protocol: tcp, ports: "80"}
      - {direction: ingress, protocol: udp, ports: "9999"}
      - {direction: ingress, protocol: icmpv6, icmp: 128}
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11", security_groups: [web]}
  - {name: vm2, network: red, mac: "02:00:00:00:00:11", security_groups: [web]}
`

// The forms, first at vm1, then at vm2, and under which address. Those of
// prefixes are by hand: fd00 + b1 less 2001 + db8 + f is the adjustment cfe9, and
// with a /56 of 2001:db8:f:100 it is cee9 (RFC 6296 section 3.1).
var floatingForms = []struct {
	name, at, moved string
	address         string
}{
	{"routed", `{address: "2001:db8:1::10", network: ext, port: vm1, fixed: "fd00:b1::ff:fe00:11", form: routed}`,
		`{address: "2001:db8:1::10", network: ext, port: vm2}`, "2001:db8:1::10"},
	{"nat", `{address: "2001:db8:1::20", network: ext, port: vm1, fixed: "fd00:b1::ff:fe00:11", form: nat}`,
		`{address: "2001:db8:1::20", network: ext, port: vm2, fixed: "fd00:ed:0:ffc3:0:ff:fe00:11", form: nat}`, "2001:db8:1::20"},
	{"nptv6", `{prefix: "2001:db8:f::/48", network: ext, fixed: "fd00:b1::/48", form: nptv6}`,
		`{prefix: "2001:db8:f::/48", network: ext, fixed: "fd00:ed::/48", form: nptv6}`, "2001:db8:f:cfe9:0:ff:fe00:11"},
	{"nptv6 of a long prefix", `{prefix: "2001:db8:f:100::/56", network: ext, fixed: "fd00:b1::/56", form: nptv6}`, "", "2001:db8:f:100:cee9:ff:fe00:11"},
}

// airport is where they float: a Linux router behind the uplink, and a host behind
// it on a link of a smaller MTU.
type airport struct {
	s                 *stage.Stage
	d                 *stage.Daemon
	vm1, vm2, up, far *lab.Guest
	seen              map[string]*lab.Capture // by the file that it writes: what passes at vm1 and at the router
}

const farMTU = 1400

func newAirport(t *testing.T, ndExt bool) *airport {
	a := &airport{s: newStage(t, ndExt, floatingTopology), seen: map[string]*lab.Capture{}}
	a.d = serve(t, a.s)
	a.up = addGuest(t, a.s, lab.GuestOptions{Name: "up0", MAC: "02:00:00:00:0b:01", NoIfaceID: true,
		Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8:1::ff/64")}})
	a.far = addGuest(t, a.s, lab.GuestOptions{Name: "far", NoIfaceID: true, Down: true})
	a.vm1 = addGuest(t, a.s, lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11"})
	a.vm2 = addGuest(t, a.s, lab.GuestOptions{Name: "vm2", MAC: "02:00:00:00:00:11"})
	if err := a.up.Sysctl("net.ipv6.conf.all.forwarding", "1"); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		g    *lab.Guest
		line string
	}{
		{a.up, "ip link add down0 mtu " + strconv.Itoa(farMTU) + " type veth peer name far0 mtu " + strconv.Itoa(farMTU) + " netns " + a.far.Namespace},
		{a.up, "ethtool -K down0 tx off rx off sg off tso off gso off gro off"},
		{a.far, "ethtool -K far0 tx off rx off sg off tso off gso off gro off"},
		{a.up, "ip addr add 2001:db8:99::1/64 dev down0 nodad"}, {a.up, "ip link set down0 up"},
		{a.far, "ip addr add " + farHost + "/64 dev far0 nodad"}, {a.far, "ip link set far0 up"},
		{a.far, "ip -6 route add default via 2001:db8:99::1"},
		{a.up, "ip -6 route add 2001:db8:f::/48 via fe80::a dev eth0"}, {a.up, "ip -6 route add fd00:b1::/64 via fe80::a dev eth0"},
		{a.vm1, "ip addr add 2001:db8:1::10/128 dev lo"}, {a.vm2, "ip addr add 2001:db8:1::10/128 dev lo"},
	} {
		words := strings.Fields(step.line)
		if _, err := step.g.Run(words[0], words[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range []*lab.Guest{a.up, a.vm1} {
		path := filepath.Join(t.TempDir(), g.Name+".pcap")
		// What is carried in bulk the kernels judge.
		c, err := g.Capture(path, func(frame []byte) bool {
			var p wire.Packet
			return wire.Cut(frame, &p) == wire.FaultNone && (p.Protocol != wire.ProtocolTCP || wire.TCP(p.Payload).Flags()&wire.TCPSyn != 0)
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Stop() })
		a.seen[path] = c
	}
	booted(t, netip.MustParsePrefix("fd00:b1::/64"), a.vm1)
	booted(t, netip.MustParsePrefix("fd00:ed:0:ffc3::/64"), a.vm2)
	for _, g := range []*lab.Guest{a.vm1, a.vm2} {
		tcpServer(t, g, 80)
	}
	tcpServer(t, a.far, 8080)
	return a
}

// float configures what floats, and nothing but that.
func (a *airport) float(t *testing.T, entries ...string) {
	t.Helper()
	configure(t, a.s, floatingTopology+"floating:\n  - "+strings.Join(entries, "\n  - ")+"\n")
}

// TestFloating has each form reached from outside and from inside, told of errors
// both ways, and moved to another guest.
func TestFloating(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		a := newAirport(t, ndExt)
		for _, f := range floatingForms {
			t.Run(f.name, func(t *testing.T) {
				address := netip.MustParseAddr(f.address)
				heard := watch(t, a.up, announced)
				a.float(t, f.at)
				lab.WaitFor(t, patience, "it is reached", func() error {
					_, err := a.far.Run("ping", "-c", "1", "-W", "1", f.address)
					return err
				})
				a.carried(t, f.name, address)
				a.told(t, f.name, address)
				if f.moved != "" {
					a.moves(t, address, f.moved)
				}
				if !strings.HasPrefix(f.name, "nptv6") {
					a.neighbor(t, heard, address, f.name == "routed")
				}
			})
		}
		t.Run("from one to another", a.hairpin)
		t.Run("explained", a.explained)
		t.Run("checksums", a.checksums)
	})
}

// carried: TCP both ways.
func (a *airport) carried(t *testing.T, form string, address netip.Addr) {
	conn := connects(t, a.far, address, 80)
	if form == "nat" {
		carries(t, conn)
	}
	source := netip.MustParseAddr("fd00:b1::ff:fe00:11")
	if form == "routed" {
		source = address
	}
	err := a.vm1.Within(func() (err error) {
		d := net.Dialer{Timeout: patience, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))}
		conn, err = d.Dial("tcp6", "["+farHost+"]:8080")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := exchange(conn, "hello", patience); err != nil || got != "hello" {
		t.Errorf("out by TCP: %q %v", got, err)
	}
}

// told: the guest's port unreachable reaches who asked, and the router's packet
// too big the guest, whose path MTU it changes.
func (a *airport) told(t *testing.T, form string, address netip.Addr) {
	conn, err := dial(t, a.far, "udp6", address, 9999, patience)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exchange(conn, "anybody?", patience); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("to a port that nobody listens on: %v, want %v", err, syscall.ECONNREFUSED)
	}
	args := []string{"-c", "1", "-W", "1", "-s", "1430", "-M", "do", farHost}
	get := []string{"-6", "route", "get", farHost}
	if form == "routed" {
		args = append([]string{"-I", address.String()}, args...)
		get = append(get, "from", address.String())
	}
	lab.WaitFor(t, patience, "packet too big is believed", func() error {
		_, _ = a.vm1.Run("ping", args...) // is answered with the error
		out, err := a.vm1.Run("ip", get...)
		if err == nil && !strings.Contains(out, "mtu "+strconv.Itoa(farMTU)) {
			err = errors.New(out)
		}
		return err
	})
	if _, err := a.vm1.Run("ip", "-6", "route", "flush", "cache"); err != nil {
		t.Error(err)
	}
}

var pingLine = regexp.MustCompile(`\[([0-9.]+)\] \d+ bytes from .* icmp_seq=(\d+) `)

// moves: another guest has it now, and no flush, no timeout and nobody's question
// was needed.
func (a *airport) moves(t *testing.T, address netip.Addr, moved string) {
	at2 := watch(t, a.vm2, isEchoRequest)
	var out strings.Builder
	cmd := a.far.Command("ping", "-D", "-n", "-i", "0.02", "-w", "20", address.String())
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	defer func() { _ = cmd.Process.Signal(syscall.SIGINT) }()
	time.Sleep(200 * time.Millisecond) // some answers of before, to measure the gap by
	began := time.Now()
	a.float(t, moved)
	first := arrives(t, at2, "a ping at the other guest", isEchoRequest)
	took := first.Time.Sub(began)
	lab.WaitFor(t, patience, "the other guest is reached", func() error {
		if frames := received(at2, isEchoRequest); len(frames) < 20 {
			return fmt.Errorf("%d requests", len(frames))
		}
		return nil
	})
	_ = cmd.Process.Signal(syscall.SIGINT)
	_ = cmd.Wait()
	gap, last, seq := 0.0, 0.0, 0
	for _, m := range pingLine.FindAllStringSubmatch(out.String(), -1) {
		now, _ := strconv.ParseFloat(m[1], 64)
		if last > 0 {
			gap = max(gap, now-last)
		}
		last = now
		seq, _ = strconv.Atoi(m[2])
	}
	t.Logf("moved %v after the configuration was written; the longest time without an answer was %.0f ms, up to ping %d", took.Round(time.Millisecond), gap*1000, seq)
	if seq < 20 {
		t.Errorf("only %d were answered:\n%s", seq, &out)
	}
	connects(t, a.far, address, 80)
}

func isEchoRequest(frame []byte) bool {
	var p wire.Packet
	return wire.Cut(frame, &p) == wire.FaultNone && p.Protocol == wire.ProtocolICMPv6 && p.ICMPv6().Type() == wire.TypeEchoRequest
}

// neighbor: the router answers for the address, overrides nobody if it only stands
// in for a guest, tells the link three times when it appears and three times when
// it moves, and objects to who wants it.
func (a *airport) neighbor(t *testing.T, heard *lab.Capture, address netip.Addr, proxied bool) {
	lab.WaitFor(t, patience, "announcements", func() error {
		n := 0
		for _, f := range heard.Frames() {
			if na := neighborAdvertOf(f.Data); !f.Sent && na.TargetAddress.String() == address.String() {
				n++
			}
		}
		if n < 4 { // three of the last move, and one of before at least
			return fmt.Errorf("%d", n)
		}
		return nil
	})
	answers := watch(t, a.up, func(frame []byte) bool { return neighborAdvertOf(frame) != nil && frame[0] != 0x33 })
	if _, err := a.up.Run("ip", "-6", "neigh", "flush", "dev", "eth0"); err != nil {
		t.Fatal(err)
	}
	ping(t, a.far, address.String())
	want := uint8(0xe0) // router, solicited, override
	if proxied {
		want = 0xc0
	}
	f := arrives(t, answers, "the router's answer", func(frame []byte) bool {
		return neighborAdvertOf(frame).TargetAddress.String() == address.String()
	})
	if na := neighborAdvertOf(f.Data); na.Flags != want {
		t.Errorf("flags %#x, want %#x", na.Flags, want)
	}
	if _, err := a.up.Run("ip", "addr", "add", address.String()+"/64", "dev", "eth0"); err != nil {
		t.Fatal(err)
	}
	lab.WaitFor(t, patience, "the router to object", func() error {
		out, err := a.up.Run("ip", "-6", "addr", "show", "dev", "eth0", "dadfailed")
		if err == nil && !strings.Contains(out, address.String()+"/") {
			err = errors.New(out)
		}
		return err
	})
	if _, err := a.up.Run("ip", "addr", "del", address.String()+"/64", "dev", "eth0"); err != nil {
		t.Fatal(err)
	}
}

// hairpin: guests reach each other by their floating addresses, and one itself.
func (a *airport) hairpin(t *testing.T) {
	a.float(t, floatingForms[1].at, `{address: "2001:db8:1::30", network: ext, port: vm2, fixed: "fd00:ed:0:ffc3:0:ff:fe00:11", form: nat}`)
	to := netip.MustParseAddr("2001:db8:1::30")
	lab.WaitFor(t, patience, "it is reached", func() error {
		_, err := a.vm1.Run("ping", "-c", "1", "-W", "1", to.String())
		return err
	})
	connects(t, a.vm1, to, 80)
	conn, err := dial(t, a.vm1, "udp6", to, 9999, patience)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exchange(conn, "anybody?", patience); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("to a port that nobody listens on: %v, want %v", err, syscall.ECONNREFUSED)
	}
	ping(t, a.vm1, "2001:db8:1::20")
	if out, _ := a.far.Run("ping", "-c", "1", "-W", "2", "fd00:b1::ff:fe00:11"); !strings.Contains(out, "Administratively prohibited") {
		t.Errorf("a guest's own address from outside:\n%s", out)
	}
}

// explained: the way of a frame from one to another, and what floats.
func (a *airport) explained(t *testing.T) {
	router := topology.RouterMAC("blue")
	o := command(t, a.s, "explain", "--json", "--ovsdb", a.s.OVSDB, "-c", a.s.ConfigPath, "--port", "vm1",
		fmt.Sprintf("%x", router[:])+"020000000011"+"86dd"+"6000000000091140"+"fd0000b100000000000000fffe000011"+"20010db8000100000000000000000030"+"1388270f000900000a")
	var list []explain.Explanation
	if err := json.Unmarshal([]byte(o.out), &list); err != nil || len(list) != 1 {
		t.Fatalf("%v\n%s%s", err, o.out, o.err)
	}
	for _, want := range []string{"delivers it to port vm2", "2001:db8:1::30 floats on network ext (nat) and stands for fd00:ed:0:ffc3:0:ff:fe00:11 of port vm2",
		"Its source fd00:b1::ff:fe00:11 is seen on network ext as 2001:db8:1::20 (nat)"} {
		if !strings.Contains(list[0].Verdict, want) {
			t.Errorf("%s\nlacks: %s", list[0].Verdict, want)
		}
	}
	o = command(t, a.s, "status", "-c", a.s.ConfigPath)
	if !regexp.MustCompile(`2001:db8:1::30 +ext +nat +fd00:ed:0:ffc3:0:ff:fe00:11 +r1 +vm2 +1\n`).MatchString(o.out) {
		t.Errorf("%s%s", o.out, o.err)
	}
	if n := metrics(t, a.d)["damselfly_floating_addresses{form=nat,guest=there,network=ext}"]; n != 2 {
		t.Errorf("%v addresses float by the metrics", n)
	}
}

// checksums has tshark look at all that passed: none is wrong, quotes included.
func (a *airport) checksums(t *testing.T) {
	for path, c := range a.seen {
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			const bad = "0" // of good, 1, unverified, 2, and not present, 3
			out, err := exec.Command("tshark", "-r", path, "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-T", "fields", "-E", "separator=;",
				"-e", "tcp.checksum.status", "-e", "udp.checksum.status", "-e", "icmpv6.checksum.status", "-e", "icmpv6.type", "-e", "_ws.col.info").Output()
			if err != nil {
				t.Fatal(err)
			}
			errors, good := 0, 0
			for line := range strings.Lines(string(out)) {
				f := strings.SplitN(line, ";", 5)
				for _, status := range strings.Split(strings.Join(f[:3], ","), ",") {
					if status == bad {
						t.Errorf("a wrong checksum, says tshark: %s", line)
					}
					if status == "1" {
						good++
					}
				}
				if strings.HasPrefix(f[3], "1,") || strings.HasPrefix(f[3], "2,") || f[3] == "1" || f[3] == "2" {
					errors++
				}
			}
			if errors < 4 || good < 30 {
				t.Errorf("only %d errors and %d good checksums:\n%s", errors, good, out)
			}
		})
	}
}
