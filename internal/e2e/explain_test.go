package e2e

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"damselfly/internal/explain"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
	"damselfly/internal/topology"
)

// explained is a frame of vm1's and what is to be said of it.
type explained struct {
	name    string
	frame   []byte
	outcome string
	// reason decides with nd_ext, plain without where that is another.
	reason, plain string
	rfc           string
	says          []string // in the verdict, or in what the frame is
	line          string   // the configuration's, as it is written there
	sent          bool     // a drop that is sent as well and counted
}

// neighborAdvert is one with the link-layer option.
func neighborAdvert(t *testing.T, mac, from, target string) []byte {
	return icmp6Frame(t, mac, "33:33:00:00:00:01", from, "ff02::1", layers.ICMPv6TypeNeighborAdvertisement,
		&layers.ICMPv6NeighborAdvertisement{Flags: 0x20, TargetAddress: net.ParseIP(target),
			Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: hardware(t, mac)}}})
}

// udp6Frame is a datagram.
func udp6Frame(t *testing.T, src, dst, from, to string, sport, dport uint16, payload []byte) []byte {
	t.Helper()
	ip := ipv6(from, to, layers.IPProtocolUDP)
	udp := &layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return frameOf(t, ethernet(t, src, dst, layers.EthernetTypeIPv6), ip, udp, gopacket.Payload(payload))
}

func explainCases(t *testing.T) []explained {
	const own = "fe80::ff:fe00:11"
	plain := datagram(t, mac1, mac2, "tagged")
	tagged := slices.Concat(plain[:12], []byte{0x81, 0, 0, 5}, plain[12:])
	router := topology.RouterMAC("blue").String()
	return []explained{
		{
			name: "a forged NA", frame: neighborAdvert(t, mac1, own, "fe80::ff:fe00:12"),
			outcome: "dropped", reason: "forged-target", rfc: "RFC 3756 section 4.1.1",
			says: []string{"a Neighbor Advertisement from fe80::ff:fe00:11", "about fe80::ff:fe00:12", "hands it to Damselfly", "an address that is another's"},
			line: "{name: vm2,",
		},
		{
			name: "an RA from a guest", frame: routerAdvert(t, mac1, own, "fd00:bad::"), sent: true,
			outcome: "dropped", reason: "drop-guest-ra", rfc: "RFC 6105 section 1",
			says: []string{"a Router Advertisement", "table 20, services", "a guest that is no router"}, line: "{name: vm1,",
		},
		{
			name: "a tagged frame", frame: tagged, sent: true,
			outcome: "dropped", reason: "drop-tagged",
			says: []string{"tagged with VLAN 5", "table 10, guard", "access ports are untagged"}, line: "{name: vm1,",
		},
		{
			name: "a DHCPv6 server's message", sent: true,
			frame:   udp6Frame(t, mac1, mac2, own, "fe80::ff:fe00:12", 547, 546, []byte{2, 1, 2, 3}),
			outcome: "dropped", reason: "drop-dhcpv6-server", rfc: "RFC 7610 section 5",
			says: []string{"a DHCPv6 Advertise", "by a flow of network blue"}, line: "{name: vm1,",
		},
		{
			name: "a good NS",
			frame: icmp6Frame(t, mac1, "33:33:ff:00:00:12", own, "ff02::1:ff00:12", layers.ICMPv6TypeNeighborSolicitation,
				&layers.ICMPv6NeighborSolicitation{TargetAddress: net.ParseIP("fe80::ff:fe00:12"),
					Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: hardware(t, mac1)}}}),
			outcome: "answered", reason: "nd-answer", plain: "answered",
			says: []string{"a Neighbor Solicitation", "about fe80::ff:fe00:12", "nswer"}, line: "{name: vm2,",
		},
		{
			name:    "an echo to the gateway",
			frame:   icmp6Frame(t, mac1, router, own, "fe80::1", layers.ICMPv6TypeEchoRequest, &layers.ICMPv6Echo{Identifier: 1, SeqNumber: 1}),
			outcome: "answered", reason: "echo-answer", rfc: "RFC 4443 section 4.2",
			says: []string{"an Echo Request", "the Echo Reply", "table 27, echo-reply"}, line: "routers: [{name: r1",
		},
		{
			name: "an RS", frame: routerSolicit(t), outcome: "answered", reason: "answered",
			says: []string{"a Router Solicitation", "hands it to Damselfly", "It sends a Router Advertisement"}, line: "subnets: [{prefix",
		},
		{
			name: "no route", frame: udp6Frame(t, mac1, router, "fd00:b1::ff:fe00:11", "2001:db8::1", 40000, 53, []byte("to nowhere")),
			outcome: "answered", reason: "no-route", rfc: "RFC 4443 section 3.1",
			says: []string{"hands it to Damselfly", "the router has no route", "It sends "}, line: "routers: [{name: r1",
		},
		{
			name: "an unknown MAC", frame: datagram(t, mac1, mac3, "to nobody"), sent: true,
			outcome: "dropped", reason: "drop-unknown-mac",
			says: []string{"UDP from 192.0.2.1", "no port of the network"}, line: "- name: blue",
		},
		{
			name: "to a neighbour", frame: datagram(t, mac1, mac2, "to vm2"),
			outcome: "delivered", reason: "output", says: []string{"delivers it to port vm2"}, line: "{name: vm2,",
		},
	}
}

// TestExplain: the sentences name what decided, also where nobody can be asked,
// and what is dropped is counted for its port.
func TestExplain(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, blue)
		d := serve(t, s)
		vm1, vm2 := addGuest(t, s, quick("vm1", mac1)), addGuest(t, s, quick("vm2", mac2))
		waitAddr(t, vm1, "fd00:b1::/64")
		waitAddr(t, vm2, "fd00:b1::/64")
		cases := explainCases(t)
		at2, before := watch(t, vm2, nil), portFrames(t, d)
		for _, tt := range cases {
			t.Run(tt.name, func(t *testing.T) { explainsFrame(t, s, ndExt, tt) })
		}
		t.Run("a capture", func(t *testing.T) { explainsCapture(t, s, cases) })
		t.Run("nothing was done", func(t *testing.T) {
			marker := datagram(t, mac1, mac2, "the first that is sent")
			inject(t, vm1, marker)
			arrives(t, at2, "the frame after", like(marker))
			for _, tt := range cases {
				if got := received(at2, like(tt.frame)); len(got) > 0 {
					t.Errorf("%s was sent", tt.name)
				}
			}
			if diff := cmp.Diff(before, portFrames(t, d)); diff != "" {
				t.Errorf("frames of the ports (-before +after):\n%s", diff)
			}
			if out, err := s.Appctl("dpctl/dump-conntrack"); err != nil || strings.Contains(out, "fe80") {
				t.Errorf("connections: %v %s", err, out)
			}
		})
		t.Run("drops by port", func(t *testing.T) { countsDrops(t, s, d, vm1, vm2, cases) })
		t.Run("without the switch", func(t *testing.T) { explainsAlone(t, s, cases) })
	})
}

// portFrames are the punted frames of vm1 by reason.
func portFrames(t *testing.T, d *stage.Daemon) map[string]uint64 {
	t.Helper()
	st, err := d.Status()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range st.Ports {
		if p.Name == "vm1" {
			return p.Frames
		}
	}
	return nil
}

// explainsFrame compares what is said in JSON and in text.
func explainsFrame(t *testing.T, s *stage.Stage, ndExt bool, tt explained) {
	digits := hex.EncodeToString(tt.frame)
	o := command(t, s, "explain", "--json", "--ovsdb", s.OVSDB, "-c", s.ConfigPath, "--port", "vm1", digits)
	var list []explain.Explanation
	if err := json.Unmarshal([]byte(o.out), &list); err != nil || len(list) != 1 {
		t.Fatalf("%v\n%s%s", err, o.out, o.err)
	}
	x := list[0]
	want := tt.reason
	if !ndExt && tt.plain != "" {
		want = tt.plain
	}
	if x.Outcome != tt.outcome || x.Reason != want || x.Port != "vm1" || x.Network != "blue" || len(x.Notes) > 0 {
		t.Errorf("got %s by %s, want %s by %s\n%s", x.Outcome, x.Reason, tt.outcome, want, o.out)
	}
	if tt.rfc != "" && x.RFC != tt.rfc || tt.rfc == "" && tt.outcome == "dropped" && x.RFC != "" {
		t.Errorf("clause %q, want %q", x.RFC, tt.rfc)
	}
	if len(x.Way) < 2 || x.Way[0].Role != "classify" || x.Way[0].Object != "port vm1" || x.Way[1].Name != "guard" {
		t.Errorf("the way begins otherwise: %+v", x.Way)
	}
	for _, step := range x.Way {
		if step.Role == "" || strings.Contains(step.Does, "does not want") {
			t.Errorf("a flow of nobody's: %+v", step)
		}
	}
	for _, text := range tt.says {
		if !strings.Contains(x.Is+" "+x.Verdict, text) {
			t.Errorf("%q is not said: %s %s", text, x.Is, x.Verdict)
		}
	}
	file, err := os.ReadFile(s.ConfigPath)
	if err != nil {
		t.Fatal(err)
	}
	written := strings.Split(string(file), "\n")
	if !slices.ContainsFunc(x.Configuration, func(l explain.Line) bool {
		return l.File == s.ConfigPath && l.Line > 0 && strings.Contains(written[l.Line-1], tt.line)
	}) {
		t.Errorf("no line with %q among %v", tt.line, x.Configuration)
	}
	var spaced []string
	for pair := range slices.Chunk([]byte(digits), 2) {
		spaced = append(spaced, string(pair))
	}
	o = command(t, s, "explain", "--ovsdb", s.OVSDB, "-c", s.ConfigPath, "--port", "vm1", strings.Join(spaced, " "))
	o.said(t, 0, o.out, "From port vm1 on network blue: "+x.Is, "=> "+x.Verdict, x.RFC, fmt.Sprintf("%s:", s.ConfigPath))
}

// explainsCapture has several frames in one file.
func explainsCapture(t *testing.T, s *stage.Stage, cases []explained) {
	path := filepath.Join(s.RunDir, "explain.pcapng")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pcapgo.NewNgWriter(f, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range cases {
		if err := w.WritePacket(gopacket.CaptureInfo{CaptureLength: len(tt.frame), Length: len(tt.frame)}, tt.frame); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	o := command(t, s, "explain", "--json", "--ovsdb", s.OVSDB, "-c", s.ConfigPath, "--port", "vm1", path)
	var list []explain.Explanation
	if err := json.Unmarshal([]byte(o.out), &list); err != nil || len(list) != len(cases) {
		t.Fatalf("%d of %d explained: %v\n%s", len(list), len(cases), err, o.err)
	}
	for i, x := range list {
		if x.Outcome != cases[i].outcome {
			t.Errorf("%s: got %s, want %s", cases[i].name, x.Outcome, cases[i].outcome)
		}
	}
	o = command(t, s, "explain", "--ovsdb", s.OVSDB, "-c", s.ConfigPath, "--port", "vm9", path)
	o.said(t, 1, o.err, "no port vm9")
	o = command(t, s, "explain", "--ovsdb", s.OVSDB, "-c", s.ConfigPath, "--port", "vm1", "0123")
	o.said(t, 1, o.err, "2 octets")
}

// countsDrops sends what is dropped, of two kinds and ports at once, and finds
// every frame under its port and reason.
func countsDrops(t *testing.T, s *stage.Stage, d *stage.Daemon, vm1, vm2 *lab.Guest, cases []explained) {
	dropsOf := func() map[string]map[string]uint64 {
		t.Helper()
		if _, err := s.Appctl("revalidator/purge"); err != nil {
			t.Fatal(err)
		}
		st, err := d.Status()
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]map[string]uint64{}
		for _, p := range st.Ports {
			out[p.Name] = p.Drops
		}
		return out
	}
	send := func() {
		for _, tt := range cases {
			if tt.sent {
				inject(t, vm1, tt.frame)
			}
		}
		inject(t, vm2, routerAdvert(t, mac2, "fe80::ff:fe00:12", "fd00:bad::"))
	}
	// Several kinds from several ports at once: each gets a counter, and what
	// came before that is unsorted.
	send()
	lab.WaitFor(t, patience, "counters of their own", func() error {
		out, err := s.Ofctl("dump-flows", stage.Bridge, "table=80")
		if n := strings.Count(out, "priority=200"); err != nil || n < 5 {
			return fmt.Errorf("%d of them, %v", n, err)
		}
		return nil
	})
	before := dropsOf()
	for why, n := range before["vm1"] {
		if !slices.ContainsFunc(cases, func(tt explained) bool { return tt.reason == why }) && why != "drop-unsorted" && n > 3 {
			t.Errorf("vm1 had %d frames dropped by %s, which it never sent", n, why)
		}
	}
	send()
	send()
	want := map[string]map[string]uint64{"vm1": maps.Clone(before["vm1"]), "vm2": maps.Clone(before["vm2"])}
	for _, tt := range cases {
		if tt.sent {
			want["vm1"][tt.reason] += 2
		}
	}
	want["vm2"]["drop-guest-ra"] += 2
	lab.WaitFor(t, patience, "every drop under its port and reason", func() error {
		if diff := cmp.Diff(want, dropsOf()); diff != "" {
			return fmt.Errorf("(-want +got)\n%s", diff)
		}
		return nil
	})
	inject(t, vm1, cases[0].frame) // the forged NA, which Damselfly drops
	waitMetric(t, d, "damselfly_port_drops_total{port=vm1,reason=forged-target}", 1)
	waitMetric(t, d, "damselfly_port_drops_total{port=vm1,reason=drop-guest-ra}", 2)
	o := command(t, s, "status", "-c", s.ConfigPath)
	o.said(t, 0, o.out, "DROPPED", "drop-guest-ra", "RFC 6105 section 1", "forged-target")

	// A restart finds the counters there and changes nothing.
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}
	d2 := serve(t, s)
	out, err := s.Ofctl("dump-flows", stage.Bridge, "table=80")
	if n := strings.Count(out, "priority=200"); err != nil || n < 5 {
		t.Errorf("%d counters are left after a restart: %v", n, err)
	}
	if strings.Contains(d2.Log(), "bridge brought up to date") {
		t.Errorf("the restart changed flows:\n%s", d2.Log())
	}
}

// explainsAlone takes the switch away: the code's verdict stands, and it is said
// that it stands alone.
func explainsAlone(t *testing.T, s *stage.Stage, cases []explained) {
	o := command(t, s, "explain", "--ovsdb", "unix:"+filepath.Join(s.RunDir, "none.sock"), "-c", s.ConfigPath, "--port", "vm1",
		hex.EncodeToString(cases[0].frame))
	o.said(t, 0, o.out, "Note: the switch is not reachable", "code alone", "forged-target", "RFC 3756 section 4.1.1")
}
