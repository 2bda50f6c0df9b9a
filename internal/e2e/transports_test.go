package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/mdlayher/ndp"

	"damselfly/fixtures"
	"damselfly/internal/lab"
	"damselfly/internal/pulse"
	"damselfly/internal/punt"
	"damselfly/internal/stage"
	"damselfly/internal/wire"
)

// carried has a trunk port vm1 with a sub-port, and a guest vm2.
const carried = `
limits: {ns: 2000/2000, rs: 2000/2000, echo: 2000/2000}
networks:
  - {name: blue, mtu: 1442, inverse_nd: true, subnets: [{prefix: "fd00:b1::/64", mode: dhcpv6-stateful, dns: ["2001:db8::53"]}]}
routers: [{name: r1, networks: [blue]}]
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11", addresses: ["fd00:b1::11"]}
  - {name: vm2, network: blue, mac: "02:00:00:00:00:12", addresses: ["fd00:b1::12"]}
  - {name: sub1, network: blue, mac: "02:00:00:00:00:21", addresses: ["fd00:b1::21"], parent: vm1, vlan: 100}
`

// transports is a stage whose guests' own stacks are silent.
type transports struct {
	*stage.Stage
	daemon   *stage.Daemon
	vm1, vm2 *lab.Guest
	at1, at2 *lab.Capture
}

// asked is one frame and what has to come of it.
type carriedCase struct {
	name  string
	frame []byte
	// answer tells the answer, which comes to vm1; nil if there is none.
	answer func(frame []byte) bool
	// to1 and to2 say that the frame itself, without its tag, comes to vm1 or vm2.
	to1, to2 bool
	// reason is how it ends, once it is handed over.
	reason string
}

// TestTransports plays one table of cases by the punt port and by packet-ins, on
// one bridge: what comes of a frame is the same, octet by octet. Then the punt
// port is attacked and taken away.
func TestTransports(t *testing.T) {
	t.Parallel()
	p := &transports{Stage: newStage(t, false, carried)}
	p.Punt = "auto"
	if err := p.Configure(carried); err != nil {
		t.Fatal(err)
	}
	p.daemon = serve(t, p.Stage)
	silent := map[string]string{"net.ipv6.conf.eth0.disable_ipv6": "1"}
	p.vm1 = addGuest(t, p.Stage, lab.GuestOptions{Name: "vm1", MAC: mac1, Sysctls: silent})
	p.vm2 = addGuest(t, p.Stage, lab.GuestOptions{Name: "vm2", MAC: mac2, Sysctls: silent})
	all := func([]byte) bool { return true }
	p.at1, p.at2 = watch(t, p.vm1, all), watch(t, p.vm2, all)

	p.served(t, "port")
	byPort := p.table(t, "port")
	if n := p.lanes(t); n["port"] == 0 || len(n) > 1 {
		t.Errorf("frames by lane: %v, want all by the port", n)
	}
	p.change(t, "packet-in")
	before := p.lanes(t)["port"]
	byMessage := p.table(t, "packet-in")
	if n := p.lanes(t); n["port"] != before {
		t.Errorf("%d frames came by the port", n["port"]-before)
	}
	for name, want := range byPort {
		if got := byMessage[name]; !slices.Equal(got, want) {
			t.Errorf("%s:\nby the port   %s\nby packet-ins %s", name, want, got)
		}
	}
	p.change(t, "port")
	for _, attack := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"tags of a guest", p.guestTags}, {"frames of the host", p.hostFrames}, {"jumbo frames", p.jumbo},
		{"link set down", func(t *testing.T) { p.broken(t, "ip", "link", "set", p.device(), "down") }},
		{"port taken off the bridge", func(t *testing.T) {
			p.broken(t, "ovs-vsctl", "--no-wait", "--db="+p.OVSDB, "del-port", p.device())
		}},
		{"device removed", func(t *testing.T) { p.broken(t, "ip", "link", "del", p.device()) }},
		{"killed", p.killed},
	} {
		t.Run(attack.name, attack.run)
	}
}

// cases are frames of vm1 and of the sub-port behind it.
func (p *transports) cases(t *testing.T) []carriedCase {
	party := func(mac, ll string) fixtures.Party {
		m, err := wire.ParseMAC(mac)
		if err != nil {
			t.Fatal(err)
		}
		return fixtures.Party{MAC: m, LinkLocal: netip.MustParseAddr(ll)}
	}
	vm1, sub := party(mac1, "fe80::ff:fe00:11"), party(macSub1, "fe80::ff:fe00:21")
	advert := func(target string, tagged bool) func([]byte) bool {
		a := netip.MustParseAddr(target).As16()
		return func(f []byte) bool {
			if tagged != (f[12] == 0x81) {
				return false
			}
			f = untag(f)
			return f[54] == 136 && bytes.Equal(f[62:78], a[:])
		}
	}
	typ := func(icmp byte, tagged bool) func([]byte) bool {
		return func(f []byte) bool { return tagged == (f[12] == 0x81) && untag(f)[20] == 58 && untag(f)[54] == icmp }
	}
	ask := func(from *fixtures.Party, target string, change ...func(*fixtures.Message)) []byte {
		a := netip.MustParseAddr(target)
		m := fixtures.ND(from.MAC, wire.MulticastMAC(wire.SolicitedNode(a)), from.LinkLocal, wire.SolicitedNode(a),
			&ndp.NeighborSolicitation{TargetAddress: a, Options: []ndp.Option{fixtures.LinkLayer(ndp.Source, from.MAC)}})
		for _, c := range change {
			m = m.With(c)
		}
		return m.Bytes()
	}
	probe := func(target string) []byte {
		a := netip.MustParseAddr(target)
		return fixtures.ND(vm1.MAC, wire.MulticastMAC(wire.SolicitedNode(a)), netip.IPv6Unspecified(), wire.SolicitedNode(a),
			&ndp.NeighborSolicitation{TargetAddress: a}).Bytes()
	}
	discover := func(from *fixtures.Party, source netip.Addr, options ...ndp.Option) []byte {
		return fixtures.ND(from.MAC, wire.AllRoutersMAC, source, wire.AllRouters, &ndp.RouterSolicitation{Options: options}).Bytes()
	}
	client := func(typ dhcpv6.MessageType, options ...dhcpv6.Option) []byte {
		m := message(t, typ, clientOf(1), options...)
		m.TransactionID = dhcpv6.TransactionID{1, 2, 3}
		ip := ipv6("fe80::ff:fe00:11", "ff02::1:2", layers.IPProtocolUDP)
		udp := &layers.UDP{SrcPort: 546, DstPort: 547}
		if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		return frameOf(t, ethernet(t, mac1, "33:33:00:01:00:02", layers.EthernetTypeIPv6), ip, udp, gopacket.Payload(m.ToBytes()))
	}
	reply := func(typ dhcpv6.MessageType) func([]byte) bool {
		return func(f []byte) bool { return f[20] == 17 && len(f) > 62 && f[62] == byte(typ) }
	}
	ping := fixtures.Message{From: vm1.MAC, To: wire.AllRoutersMAC, Source: vm1.LinkLocal, Destination: wire.AllRouters,
		HopLimit: 64, Type: wire.TypeEchoRequest, Body: append([]byte{1, 2, 3, 4}, make([]byte, 1000)...)}.Bytes()
	lie := func(m *fixtures.Message) { m.BadChecksum = true }
	return []carriedCase{
		{name: "NS for a guest", frame: ask(&vm1, "fd00:b1::12"), answer: advert("fd00:b1::12", false), reason: "answered"},
		{name: "NS for the gateway", frame: ask(&vm1, "fe80::1"), answer: advert("fe80::1", false), reason: "answered"},
		{name: "a probe for a taken address", frame: probe("fd00:b1::12"), answer: advert("fd00:b1::12", false), reason: "dad-defended"},
		{name: "NS for nobody", frame: ask(&vm1, "fd00:b1::9999"), to2: true, reason: "relayed"},
		{name: "NS with a wrong checksum", frame: ask(&vm1, "fd00:b1::12", lie), reason: "checksum"},
		{name: "RS", frame: discover(&vm1, vm1.LinkLocal, fixtures.LinkLayer(ndp.Source, vm1.MAC)), answer: typ(134, false), reason: "answered"},
		{name: "RS from nowhere", frame: discover(&vm1, netip.IPv6Unspecified()), answer: typ(134, false), reason: "answered"},
		{name: "echo to all routers", frame: ping, answer: typ(129, false), reason: "answered"},
		{name: "Solicit", frame: client(dhcpv6.MessageTypeSolicit, &dhcpv6.OptIANA{}), answer: reply(dhcpv6.MessageTypeAdvertise), reason: "answered"},
		{name: "Information-request", frame: client(dhcpv6.MessageTypeInformationRequest, dhcpv6.OptRequestedOption(dhcpv6.OptionDNSRecursiveNameServer)),
			answer: reply(dhcpv6.MessageTypeReply), reason: "answered"},
		{name: "NS of a sub-port", frame: inTag(ask(&sub, "fd00:b1::12"), 100), answer: advert("fd00:b1::12", true), reason: "answered"},
		{name: "NS of a sub-port for its trunk", frame: inTag(ask(&sub, "fd00:b1::11"), 100), answer: advert("fd00:b1::11", true), reason: "answered"},
		{name: "RS of a sub-port", frame: inTag(discover(&sub, sub.LinkLocal), 100), answer: typ(134, true), reason: "answered"},
		{name: "NS of a sub-port for nobody", frame: inTag(ask(&sub, "fd00:b1::9999"), 100), to1: true, to2: true, reason: "relayed"},
		{name: "NS in SNAP", frame: snap(ask(&vm1, "fd00:b1::12")), reason: "not-ethernet-ii"},
	}
}

// untag is a frame without its tag.
func untag(f []byte) []byte {
	if f[12] == 0x81 {
		return slices.Concat(f[:12], f[16:])
	}
	return f
}

// snap is an Ethernet II frame in IEEE 802.2 LLC and SNAP (RFC 1042).
func snap(f []byte) []byte {
	n := len(f) - 14 + 8
	return slices.Concat(f[:12], []byte{byte(n >> 8), byte(n)}, []byte{0xaa, 0xaa, 3, 0, 0, 0}, f[12:])
}

// table runs the cases and gives what came of each.
func (p *transports) table(t *testing.T, transport string) map[string][]string {
	out := map[string][]string{}
	for _, c := range p.cases(t) {
		t.Run(c.name+" by "+transport, func(t *testing.T) {
			from1, from2 := len(p.at1.Frames()), len(p.at2.Frames())
			before := p.reasons(t)
			inject(t, p.vm1, c.frame)
			plain := untag(c.frame)
			lab.WaitFor(t, patience, "what has to come of it", func() error {
				if got := grown(before, p.reasons(t)); len(got) != 1 || got[c.reason] != 1 {
					return fmt.Errorf("ended as %v, want %s", got, c.reason)
				}
				one, two := since(p.at1, from1), since(p.at2, from2)
				if c.answer != nil && !slices.ContainsFunc(one, c.answer) || c.to1 && !slices.ContainsFunc(one, like(plain)) ||
					c.to2 && !slices.ContainsFunc(two, like(plain)) {
					return fmt.Errorf("vm1 got %x, vm2 %x", one, two)
				}
				return nil
			})
			for _, f := range since(p.at1, from1) {
				out[c.name] = append(out[c.name], fmt.Sprintf("vm1 %x", f))
			}
			for _, f := range since(p.at2, from2) {
				out[c.name] = append(out[c.name], fmt.Sprintf("vm2 %x", f))
			}
			if want := 0; c.answer == nil && !c.to1 && !c.to2 && len(out[c.name]) != want {
				t.Errorf("something came of it: %s", out[c.name])
			}
		})
	}
	return out
}

// since are the frames that came in behind the first n, but for what nobody asked for.
func since(c *lab.Capture, n int) (out [][]byte) {
	for _, f := range c.Frames()[n:] {
		unasked := untag(f.Data)[54] == 134 && bytes.Equal(f.Data[:6], []byte{0x33, 0x33, 0, 0, 0, 1})
		if !f.Sent && !(unasked && f.Data[12] == 0x81) {
			out = append(out, f.Data)
		}
	}
	return out
}

// reasons are how all frames handed over have ended.
func (p *transports) reasons(t *testing.T) map[string]int {
	out := map[string]int{}
	for key, n := range metrics(t, p.daemon) {
		if _, reason, ok := strings.Cut(key, "reason="); ok && strings.HasPrefix(key, "damselfly_frames_total{") {
			out[strings.TrimSuffix(reason, "}")] += int(n)
		}
	}
	return out
}

// lanes are the frames that came in by each lane.
func (p *transports) lanes(t *testing.T) map[string]int {
	out := map[string]int{}
	for key, n := range metrics(t, p.daemon) {
		if lane, ok := strings.CutPrefix(key, "damselfly_lane_frames_total{lane="); ok && n > 0 {
			out[strings.TrimSuffix(lane, "}")] = int(n)
		}
	}
	return out
}

func (p *transports) device() string { return pulse.Name(stage.Bridge) }

// served waits until frames come by a transport, with all flows in.
func (p *transports) served(t *testing.T, transport string) {
	t.Helper()
	lab.WaitFor(t, patience, "to be served by "+transport, func() error {
		st, err := p.daemon.Status()
		switch {
		case err != nil:
			return err
		case st.Punt != transport || !st.Pulse || st.FlowsInstalled != st.FlowsWanted || st.BridgeError != "":
			return fmt.Errorf("punt %s, pulse %v, %d of %d flows, %s", st.Punt, st.Pulse, st.FlowsInstalled, st.FlowsWanted, st.BridgeError)
		}
		for _, port := range st.Ports {
			if port.OFPort == 0 {
				return fmt.Errorf("port %s is not bound", port.Name)
			}
		}
		return nil
	})
}

var changesMade = regexp.MustCompile(`changes=(\d+)`)

// change changes the transport while guests are served: only what is about the
// transport changes on the bridge, and every question is answered.
func (p *transports) change(t *testing.T, transport string) {
	t.Helper()
	said := len(p.daemon.Log())
	p.Punt = transport
	if err := p.Configure(carried); err != nil {
		t.Fatal(err)
	}
	p.served(t, transport)
	changes := 0
	for _, m := range changesMade.FindAllStringSubmatch(p.daemon.Log()[said:], -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		changes += n
	}
	classes := 0
	for c := range punt.Classes {
		if c.ByPort() {
			classes++
		}
	}
	// The punt table, table 0 and the sent table: the classes, two keys without a
	// tag, four flows back and one for each port.
	if changes == 0 || changes > classes+2+4+3 {
		t.Errorf("%d changes for another transport", changes)
	}
	p.answers(t)
}

// answers asks for the gateway until it is answered.
func (p *transports) answers(t *testing.T) {
	t.Helper()
	for _, c := range p.cases(t)[:2] {
		from := len(p.at1.Frames())
		lab.WaitFor(t, patience, c.name, func() error {
			inject(t, p.vm1, c.frame)
			for range 20 {
				if slices.ContainsFunc(since(p.at1, from), c.answer) {
					return nil
				}
				time.Sleep(5 * time.Millisecond)
			}
			return errors.New("not answered")
		})
	}
}

// guestTags has guests put on tags of the punt port: of their own and other keys,
// for a port and through the switch.
func (p *transports) guestTags(t *testing.T) {
	before := metrics(t, p.daemon)[drops("drop-tagged")]
	frame := datagram(t, mac2, mac1, "from vm2 with a tag")
	from := len(p.at1.Frames())
	tags := []uint16{1, 2, 3, 1<<15 | 1, 1<<15 | 2, 1<<13 | 1}
	for _, tag := range tags {
		inject(t, p.vm2, inTag(frame, tag))
	}
	waitMetric(t, p.daemon, drops("drop-tagged"), before+float64(len(tags)))
	unasked := func(f []byte) bool { return f[54] == wire.TypeRouterAdvert }
	if got := slices.DeleteFunc(since(p.at1, from), unasked); len(got) > 0 {
		t.Errorf("vm1 got %x", got)
	}
	p.answers(t)
}

// hostFrames has a process of the host send by the device of the punt port: it
// comes to Damselfly and never into the bridge.
func (p *transports) hostFrames(t *testing.T) {
	strange := "damselfly_lane_strange_total{lane=port}"
	before := metrics(t, p.daemon)[strange]
	from1, from2 := len(p.at1.Frames()), len(p.at2.Frames())
	script := `
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("` + p.device() + `", 0))
all = b"\xff" * 6 + bytes([2, 0, 0, 0, 0, 0x99])
for tag in [b"", b"\x81\x00\x00\x00", b"\x81\x00\x0f\xff", b"\x81\x00\x80\x01", b"\x88\xa8\x00\x01"]:
    s.send(all + tag + b"\x08\x06" + bytes(46))
s.send(b"\x01\x80\xc2\x00\x00\x0e" + bytes([2, 0, 0, 0, 0, 0x99]) + b"\x88\xcc" + bytes(50))
`
	if out, err := p.Command("python3", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	waitMetric(t, p.daemon, strange, before+6)
	p.answers(t)
	arp := func(f []byte) bool { return f[11] == 0x99 }
	if slices.ContainsFunc(since(p.at1, from1), arp) || slices.ContainsFunc(since(p.at2, from2), arp) {
		t.Error("guests got what the host sent")
	}
}

// jumbo has the largest port grow: the punt port takes its frames, whole, and one
// that is longer still than any port says harms nobody.
func (p *transports) jumbo(t *testing.T) {
	run := func(command string) {
		t.Helper()
		words := strings.Fields(command)
		if out, err := p.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	run("ip link set vm1 mtu 9000")
	if out, err := p.vm1.Run("ip", "link", "set", "eth0", "mtu", "9000"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lab.WaitFor(t, patience, "the punt port's MTU", func() error {
		out, err := p.Command("cat", "/sys/class/net/"+p.device()+"/mtu").Output()
		if mtu := strings.TrimSpace(string(out)); err != nil || mtu != "9004" {
			return fmt.Errorf("it is %s: %w", mtu, errors.Join(err, errors.New("not 9004")))
		}
		return nil
	})
	mac, err := wire.ParseMAC(mac1)
	if err != nil {
		t.Fatal(err)
	}
	body := append([]byte("big!"), bytes.Repeat([]byte{7}, 8900)...)
	ping := fixtures.Message{From: mac, To: wire.AllRoutersMAC, Source: netip.MustParseAddr("fe80::ff:fe00:11"), Destination: wire.AllRouters,
		HopLimit: 64, Type: wire.TypeEchoRequest, Body: body}.Bytes()
	inject(t, p.vm1, ping)
	arrives(t, p.at1, "the answer to 8,900 octets", func(f []byte) bool {
		return len(f) == len(ping) && f[54] == wire.TypeEchoReply && bytes.Equal(f[58:], ping[58:])
	})
	p.answers(t)
}

// broken does something to the punt port: it is mended, and guests are served as before.
func (p *transports) broken(t *testing.T, command string, args ...string) {
	if out, err := p.Command(command, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", command, args, err, out)
	}
	p.answers(t) // perhaps by the other guest, while Damselfly seems to be away
	p.served(t, "port")
	before := p.lanes(t)["port"]
	lab.WaitFor(t, patience, "frames by the port again", func() error {
		p.answers(t)
		if p.lanes(t)["port"] == before {
			return errors.New("none came")
		}
		return nil
	})
}

// killed has Damselfly die: nothing of the punt port's passes into the bridge, and
// a new one serves by it without a change of the bridge.
func (p *transports) killed(t *testing.T) {
	if err := p.daemon.Kill(); err != nil {
		t.Fatal(err)
	}
	p.daemon = serve(t, p.Stage)
	p.served(t, "port")
	if m := changesMade.FindAllString(p.daemon.Log(), -1); len(m) > 0 {
		t.Errorf("a restart made changes: %v", m)
	}
	p.answers(t)
}
