package e2e

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"damselfly/internal/explain"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// trunked has a trunk port with two sub-ports on its own network, one of them
// filtered, and one with the trunk's own MAC on another, where DHCPv6 is served.
const trunked = `
networks:
  - {name: blue, mtu: 1442, subnets: [{prefix: "fd00:b1::/64", mode: slaac}]}
  - {name: red, mtu: 1442, subnets: [{prefix: "fd00:d1::/64", mode: dhcpv6-stateful, pools: ["fd00:d1::1:0-fd00:d1::1:ffff"]}]}
routers: [{name: r1, networks: [blue, red]}]
ports:
  - {name: trunk1, network: blue, mac: "02:00:00:00:00:11"}
  - {name: sub1, network: blue, mac: "02:00:00:00:00:21", parent: trunk1, vlan: 100}
  - {name: sub2, network: blue, mac: "02:00:00:00:00:22", parent: trunk1, vlan: 4094, security_groups: [web]}
  - {name: sub3, network: red, mac: "02:00:00:00:00:11", parent: trunk1, vlan: 300}
  - {name: vm2, network: blue, mac: "02:00:00:00:00:12"}
  - {name: red1, network: red, mac: "02:00:00:00:00:12"}
security_groups:
  - {name: web, rules: [{direction: ingress, protocol: tcp, ports: "80"}, {direction: ingress, protocol: udp, ports: "9"}, {direction: ingress, protocol: icmpv6}, {direction: ingress, protocol: icmp}]}
`

const macSub1, macSub2 = "02:00:00:00:00:21", "02:00:00:00:00:22"

// trunk is a host that switches by itself, behind a trunk port: its bridge puts
// each of its guests into a VLAN. trunk1 is on it untagged and sees all VLANs.
type trunk struct {
	*stage.Stage
	daemon                             *stage.Daemon
	trunk1, sub1, sub2, sub3, vm2, red *lab.Guest
}

// inner is the bridge of that host.
const inner = "br-inner"

func newTrunk(t *testing.T, ndExt bool) *trunk {
	t.Helper()
	s := newStage(t, ndExt, trunked)
	p := &trunk{Stage: s, daemon: serve(t, s)}
	switchBehind(t, s, "trunk1")
	p.vm2, p.red = addGuest(t, s, quick("vm2", mac2)), addGuest(t, s, quick("red1", mac2))
	p.trunk1 = inVLAN(t, s, "inside", 0, mac1)
	p.sub1, p.sub2, p.sub3 = inVLAN(t, s, "sub1", 100, macSub1), inVLAN(t, s, "sub2", 4094, macSub2), inVLAN(t, s, "sub3", 300, mac1)
	return p
}

// switchBehind puts the inner bridge behind a port of the bridge.
func switchBehind(t *testing.T, s *stage.Stage, port string) {
	t.Helper()
	if err := s.AddBridge(inner, "fail_mode=standalone"); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"ip link add " + port + " type veth peer name trunkend",
		"sysctl -qw net.ipv6.conf." + port + ".disable_ipv6=1 net.ipv6.conf.trunkend.disable_ipv6=1",
		"ethtool -K " + port + " tx off txvlan off rxvlan off", "ethtool -K trunkend tx off txvlan off rxvlan off",
		"ip link set " + port + " up", "ip link set trunkend up",
		"ovs-vsctl --timeout=20 --db=" + s.OVSDB + " add-port " + inner + " trunkend",
		"ovs-vsctl --timeout=20 --db=" + s.OVSDB + " add-port " + stage.Bridge + " " + port,
	} {
		words := strings.Fields(line)
		if out, err := s.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
}

// inVLAN adds a guest to the inner bridge, with VLAN 0 one that gets all.
func inVLAN(t *testing.T, s *stage.Stage, name string, vlan int, mac string) *lab.Guest {
	t.Helper()
	o := quick(name, mac)
	o.Bridge, o.Down, o.Sysctls = inner, true, map[string]string{"net.ipv6.conf.eth0.router_solicitation_delay": "0"}
	g, err := s.AddGuest(o)
	if err != nil {
		t.Fatal(err)
	}
	if vlan != 0 {
		if _, err := s.Vsctl("set", "Port", name, fmt.Sprintf("tag=%d", vlan)); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Up(); err != nil {
		t.Fatal(err)
	}
	return g
}

// inTag is a frame in a VLAN (IEEE 802.1Q section 9.6).
func inTag(frame []byte, vlan uint16) []byte {
	return slices.Concat(frame[:12], []byte{0x81, 0}, []byte{byte(vlan >> 8), byte(vlan)}, frame[12:])
}

func TestTrunk(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		p := newTrunk(t, ndExt)
		blue := []*lab.Guest{p.trunk1, p.sub1, p.sub2, p.vm2}
		addrs := booted(t, bluePrefix, blue...)
		for i, from := range blue {
			ping(t, from, "fe80::1%eth0")
			ping(t, from, "fd00:b1::1")
			for j, to := range addrs {
				if i != j {
					ping(t, from, to.String())
				}
			}
			ping(t, from, addrs[(i+1)%len(addrs)].String(), "-s", "3000") // in fragments
		}
		if ndExt {
			t.Run("answered by flow", p.answeredByFlow)
		}
		t.Run("IPv4", p.ipv4)
		t.Run("a flood spares its sender alone", p.floods)
		t.Run("other tags", p.otherTags)
		t.Run("port security", p.secured)
		t.Run("duplicate address", func(t *testing.T) { p.duplicate(t, addrs[3]) })
		t.Run("learned address", p.learns)
		t.Run("DHCPv6", p.dhcpv6)
		t.Run("security groups", func(t *testing.T) {
			for _, port := range []int{80, 81} {
				tcpServer(t, p.sub2, port)
			}
			for _, from := range []*lab.Guest{p.vm2, p.sub1, p.trunk1} {
				connects(t, from, addrs[2], 80)
				silent(t, from, addrs[2], 81)
			}
		})
		t.Run("explain", p.explains)
		t.Run("an Interface of its own", p.ownInterface)
		t.Run("bound with its trunk", p.boundWithTrunk)
	})
}

// answeredByFlow: what a flow can answer a port, it can answer a sub-port.
func (p *trunk) answeredByFlow(t *testing.T) {
	keys, _ := statusOf(t, p.daemon)
	out, err := p.Ofctl("dump-flows", stage.Bridge, fmt.Sprintf("table=71,reg0=%d", keys["sub1"]))
	if err != nil || !strings.Contains(out, "push_vlan") || strings.Contains(out, "n_packets=0,") {
		t.Errorf("%v\n%s", err, out)
	}
}

func (p *trunk) ipv4(t *testing.T) {
	for g, a := range map[*lab.Guest]string{p.sub1: "10.0.0.1/24", p.sub2: "10.0.0.2/24", p.vm2: "10.0.0.3/24"} {
		if _, err := g.Run("ip", "addr", "add", a, "dev", "eth0"); err != nil {
			t.Fatal(err)
		}
	}
	for _, to := range []string{"10.0.0.2", "10.0.0.3"} {
		if out, err := p.sub1.Run("ping", "-4", "-c", "1", "-W", "5", to); err != nil {
			t.Errorf("%s: %v\n%s", to, err, out)
		}
	}
}

// floods counts the copies of a broadcast that come out of the trunk port.
func (p *trunk) floods(t *testing.T) {
	at, other, alien := watch(t, p.trunk1, nil), watch(t, p.vm2, nil), watch(t, p.red, nil)
	for _, tt := range []struct {
		name string
		from *lab.Guest
		mac  string
		vlan uint16 // 0: untagged
		want []string
	}{
		{"sub1", p.trunk1, macSub1, 100, []string{"untagged", "4094"}},
		{"the trunk", p.trunk1, mac1, 0, []string{"100", "4094"}},
		{"vm2", p.vm2, mac2, 0, []string{"untagged", "100", "4094"}},
		{"red1", p.red, mac2, 0, []string{"300"}},
	} {
		frame := datagram(t, tt.mac, broadcast, "a flood of "+tt.name)
		marker := datagram(t, mac2, broadcast, "behind the flood of "+tt.name)
		if tt.vlan != 0 {
			inject(t, tt.from, inTag(frame, tt.vlan))
		} else {
			inject(t, tt.from, frame)
		}
		copies := map[string]func([]byte) bool{"untagged": like(frame)}
		for _, vlan := range []uint16{100, 300, 4094} {
			copies[fmt.Sprint(vlan)] = like(inTag(frame, vlan))
		}
		for _, name := range tt.want {
			arrives(t, at, tt.name+"'s flood, "+name, copies[name])
		}
		inject(t, p.vm2, marker)
		arrives(t, at, "the frame behind", like(marker))
		for name, match := range copies {
			want := 0
			if slices.Contains(tt.want, name) {
				want = 1
			}
			if got := received(at, match); len(got) != want {
				t.Errorf("%s's flood came %d times %s, want %d", tt.name, len(got), name, want)
			}
		}
		switch tt.from {
		case p.trunk1:
			arrives(t, other, "vm2", like(frame))
			if len(received(alien, like(frame))) > 0 {
				t.Errorf("%s's flood came to another network", tt.name)
			}
		case p.red:
			if len(received(other, like(frame))) > 0 {
				t.Error("red's flood came to blue")
			}
		}
	}
}

// otherTags end by name, for the trunk port.
func (p *trunk) otherTags(t *testing.T) {
	frame := datagram(t, mac1, mac2, "must not arrive")
	before := dropsOf(t, p.daemon, "trunk1", "drop-tagged")
	at := watch(t, p.vm2, nil)
	inject(t, p.trunk1, inTag(frame, 5), inTag(frame, 4093))
	lab.WaitFor(t, patience, "drops of trunk1", func() error {
		if n := dropsOf(t, p.daemon, "trunk1", "drop-tagged"); n < before+2 {
			return fmt.Errorf("%d, before %d", n, before)
		}
		return nil
	})
	// A tag within the sub-port's tag is one that it put on itself.
	inject(t, p.trunk1, inTag(inTag(frame, 5), 100))
	marker := datagram(t, mac1, mac2, "behind the tags")
	inject(t, p.trunk1, marker)
	arrives(t, at, "the frame behind", like(marker))
	if got := received(at, holding("must not arrive")); len(got) > 0 {
		t.Errorf("vm2 received % x", got[0])
	}
}

// dropsOf is how many frames of a port were dropped for a reason.
func dropsOf(t *testing.T, d *stage.Daemon, port, reason string) uint64 {
	t.Helper()
	st, err := d.Status()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range st.Ports {
		if p.Name == port {
			return p.Drops[reason]
		}
	}
	t.Fatalf("there is no port %s", port)
	return 0
}

// secured: a sub-port may not speak as its trunk, nor the trunk as a sub-port.
func (p *trunk) secured(t *testing.T) {
	before := map[string]uint64{}
	for _, port := range []string{"trunk1", "sub1"} {
		before[port] = dropsOf(t, p.daemon, port, "drop-spoofed")
	}
	inject(t, p.trunk1, inTag(datagram(t, mac1, mac2, "as the trunk"), 100), datagram(t, macSub1, mac2, "as the sub-port"))
	lab.WaitFor(t, patience, "drops of both", func() error {
		for _, port := range []string{"trunk1", "sub1"} {
			if n := dropsOf(t, p.daemon, port, "drop-spoofed"); n <= before[port] {
				return fmt.Errorf("%s: %d", port, n)
			}
		}
		return nil
	})
}

// duplicate: who probes for another's address is told, in its VLAN.
func (p *trunk) duplicate(t *testing.T, taken netip.Addr) {
	if _, err := p.sub1.Run("ip", "-6", "addr", "add", taken.String()+"/128", "dev", "eth0"); err != nil {
		t.Fatal(err)
	}
	lab.WaitFor(t, patience, "sub1 to give it up", func() error {
		addrs, err := p.sub1.Addrs()
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if a.Address == taken && a.DADFailed {
				return nil
			}
		}
		return fmt.Errorf("%v", addrs)
	})
	if _, err := p.sub1.Run("ip", "-6", "addr", "del", taken.String()+"/128", "dev", "eth0"); err != nil {
		t.Fatal(err)
	}
}

// learns: an address that a sub-port's guest makes up is held by the sub-port.
func (p *trunk) learns(t *testing.T) {
	const own = "fd00:b1::abcd"
	if _, err := p.sub1.Run("ip", "-6", "addr", "add", own+"/64", "dev", "eth0"); err != nil {
		t.Fatal(err)
	}
	waitAddr(t, p.sub1, own+"/128")
	lab.WaitFor(t, patience, "sub1 to hold it", func() error {
		st, err := p.daemon.Status()
		if err != nil {
			return err
		}
		for _, port := range st.Ports {
			if port.Name == "sub1" && slices.Contains(port.Learned, netip.MustParseAddr(own)) {
				return nil
			}
		}
		return errors.New("not learned")
	})
	ping(t, p.vm2, own)
	ping(t, p.sub2, own)
}

func (p *trunk) dhcpv6(t *testing.T) {
	linkReady(t, p.sub3)
	linkReady(t, p.red)
	client := newISC(t, p.sub3)
	client.run(t, "-1")
	got, err := netip.ParseAddr(client.env(t, "new_ip6_address"))
	if err != nil || !netip.MustParsePrefix("fd00:d1::/64").Contains(got) {
		t.Fatalf("sub3 got %v %v", got, err)
	}
	ping(t, p.sub3, "fd00:d1::1")
	ping(t, p.sub3, linkLocal(t, p.red)+"%eth0")
	for _, l := range leasesOf(t, p.daemon) {
		if l.Port != "sub3" {
			t.Errorf("a lease of %s", l.Port)
		}
	}
	client.run(t, "-r")
}

// explains: a frame of a sub-port may be given with its tag or without.
func (p *trunk) explains(t *testing.T) {
	frame := datagram(t, macSub1, macSub2, "from one to the other")
	for _, tt := range []struct {
		frame   []byte
		outcome string
		says    []string
	}{
		{frame, "delivered", []string{"delivers it to port sub2"}},
		{inTag(frame, 100), "delivered", []string{"delivers it to port sub2"}},
		{datagram(t, macSub1, broadcast, "to all"), "delivered", []string{"port sub2", "port trunk1", "port vm2"}},
		{inTag(frame, 5), "dropped", nil},
	} {
		o := command(t, p.Stage, "explain", "--json", "--ovsdb", p.OVSDB, "-c", p.ConfigPath, "--port", "sub1", hex.EncodeToString(tt.frame))
		var list []explain.Explanation
		if err := json.Unmarshal([]byte(o.out), &list); err != nil || len(list) != 1 {
			t.Fatalf("%v\n%s%s", err, o.out, o.err)
		}
		if x := list[0]; x.Outcome != tt.outcome || x.Port != "sub1" || !strings.Contains(x.Verdict, strings.Join(tt.says[:min(1, len(tt.says))], "")) {
			t.Errorf("got %s", o.out)
		}
		for _, word := range tt.says {
			if !strings.Contains(list[0].Verdict, word) {
				t.Errorf("%q is not said: %s", word, list[0].Verdict)
			}
		}
	}
}

// ownInterface: an Interface that claims a sub-port is told of and not served.
func (p *trunk) ownInterface(t *testing.T) {
	o := quick("tap-x", macSub1)
	o.NoIfaceID, o.Down = true, true
	o.ExternalIDs = map[string]string{"iface-id": "sub1"}
	g := addGuest(t, p.Stage, o)
	waitLog(t, p.daemon, "claims port sub1", "VLAN 100 of port trunk1")
	ping(t, p.sub1, "fe80::1%eth0")
	if err := g.Remove(); err != nil {
		t.Fatal(err)
	}
}

// boundWithTrunk: sub-ports go with their trunk's Interface and come with it.
func (p *trunk) boundWithTrunk(t *testing.T) {
	number := func() (out uint32) {
		st, err := p.daemon.Status()
		if err != nil {
			t.Fatal(err)
		}
		for _, port := range st.Ports {
			if port.Name == "sub1" {
				out = port.OFPort
			}
		}
		return out
	}
	was := number()
	if _, err := p.Vsctl("del-port", "trunk1"); err != nil {
		t.Fatal(err)
	}
	lab.WaitFor(t, patience, "sub1 to be unbound", func() error {
		if n := number(); n != 0 {
			return fmt.Errorf("at %d", n)
		}
		return nil
	})
	if _, err := p.Vsctl("add-port", stage.Bridge, "trunk1", "--", "set", "Interface", "trunk1", fmt.Sprintf("ofport_request=%d", was+20)); err != nil {
		t.Fatal(err)
	}
	lab.WaitFor(t, patience, "sub1 to be bound again", func() error {
		if n := number(); n != was+20 {
			return fmt.Errorf("at %d", n)
		}
		return nil
	})
	ping(t, p.sub1, linkLocal(t, p.vm2)+"%eth0")
}
