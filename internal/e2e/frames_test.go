package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// quick are options of a guest that uses its addresses at once: for tests that
// are not about Duplicate Address Detection.
func quick(name, mac string) lab.GuestOptions {
	return lab.GuestOptions{Name: name, MAC: mac, Sysctls: map[string]string{
		"net.ipv6.conf.eth0.dad_transmits":             "0",
		"net.ipv6.conf.eth0.router_solicitation_delay": "0",
	}}
}

// waitAddr waits until a guest has an address on prefix.
func waitAddr(t *testing.T, g *lab.Guest, prefix string) lab.Addr {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	a, err := g.WaitAddr(ctx, netip.MustParsePrefix(prefix))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// waitLog waits until the daemon has logged every one of the texts in one line.
func waitLog(t *testing.T, d *stage.Daemon, texts ...string) string {
	t.Helper()
	var found string
	lab.WaitFor(t, patience, fmt.Sprintf("%q in the log", texts), func() error {
		for line := range strings.Lines(d.Log()) {
			if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
				found = line
				return nil
			}
		}
		return errors.New("no such line")
	})
	return found
}

// watch captures at a guest until the test ends.
func watch(t *testing.T, g *lab.Guest, keep func([]byte) bool) *lab.Capture {
	t.Helper()
	c, err := g.Capture("", keep)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Errorf("capture at %s: %v", g.Name, err)
		}
	})
	return c
}

// arrives waits for a frame.
func arrives(t *testing.T, c *lab.Capture, what string, match func([]byte) bool) lab.Frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	f, err := c.Await(ctx, match)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return f
}

// received returns the frames that came in from the switch and match.
func received(c *lab.Capture, match func([]byte) bool) (frames [][]byte) {
	for _, f := range c.Frames() {
		if !f.Sent && match(f.Data) {
			frames = append(frames, f.Data)
		}
	}
	return frames
}

// like matches a frame that is these octets.
func like(frame []byte) func([]byte) bool {
	return func(got []byte) bool { return bytes.Equal(got, frame) }
}

// holding matches frames with these octets in them.
func holding(text string) func([]byte) bool {
	return func(frame []byte) bool { return bytes.Contains(frame, []byte(text)) }
}

// inject sends frames out of a guest.
func inject(t *testing.T, g *lab.Guest, frames ...[]byte) {
	t.Helper()
	for _, f := range frames {
		if err := g.Inject(f); err != nil {
			t.Fatal(err)
		}
	}
}

const broadcast = "ff:ff:ff:ff:ff:ff"

// frameOf serializes layers with lengths and checksums set.
func frameOf(t *testing.T, stack ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(b, opts, stack...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func hardware(t *testing.T, mac string) net.HardwareAddr {
	t.Helper()
	m, err := net.ParseMAC(mac)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func ethernet(t *testing.T, src, dst string, et layers.EthernetType) *layers.Ethernet {
	t.Helper()
	return &layers.Ethernet{SrcMAC: hardware(t, src), DstMAC: hardware(t, dst), EthernetType: et}
}

func ipv6(from, to string, next layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{Version: 6, NextHeader: next, HopLimit: 255, SrcIP: net.ParseIP(from), DstIP: net.ParseIP(to)}
}

// icmp6Frame is an ICMPv6 message of type typ and code 0.
func icmp6Frame(t *testing.T, src, dst, from, to string, typ uint8, body gopacket.SerializableLayer) []byte {
	t.Helper()
	ip := ipv6(from, to, layers.IPProtocolICMPv6)
	icmp := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, 0)}
	if err := icmp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return frameOf(t, ethernet(t, src, dst, layers.EthernetTypeIPv6), ip, icmp, body)
}

// routerAdvert is one of router lifetime 1800 s with an autonomous /64 prefix.
func routerAdvert(t *testing.T, mac, from, prefix string) []byte {
	t.Helper()
	info := append([]byte{64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0}, net.ParseIP(prefix)...)
	return icmp6Frame(t, mac, "33:33:00:00:00:01", from, "ff02::1", layers.ICMPv6TypeRouterAdvertisement,
		&layers.ICMPv6RouterAdvertisement{HopLimit: 64, RouterLifetime: 1800, Options: layers.ICMPv6Options{
			{Type: layers.ICMPv6OptSourceAddress, Data: hardware(t, mac)},
			{Type: layers.ICMPv6OptPrefixInfo, Data: info},
		}})
}

// datagram is an IPv4 broadcast or unicast that every network carries; what a
// guest sent before it has met its flows when it arrives.
func datagram(t *testing.T, src, dst, text string) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 1, Protocol: layers.IPProtocolUDP, SrcIP: net.IP{192, 0, 2, 1}, DstIP: net.IP{192, 0, 2, 255}}
	udp := &layers.UDP{SrcPort: 9, DstPort: 9}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return frameOf(t, ethernet(t, src, dst, layers.EthernetTypeIPv4), ip, udp, gopacket.Payload(text))
}

// advertOf decodes a Router Advertisement; nil for other frames.
func advertOf(frame []byte) *layers.ICMPv6RouterAdvertisement {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	ra, _ := p.Layer(layers.LayerTypeICMPv6RouterAdvertisement).(*layers.ICMPv6RouterAdvertisement)
	return ra
}

// neighborAdvertOf decodes a Neighbor Advertisement; nil for other frames.
func neighborAdvertOf(frame []byte) *layers.ICMPv6NeighborAdvertisement {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	na, _ := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
	return na
}

// metrics reads /metrics with Prometheus's own parser. Keys are as
// damselfly_frames_total{class=ns,reason=answered}; of a histogram the value is
// its count.
func metrics(t *testing.T, d *stage.Daemon) map[string]float64 {
	t.Helper()
	var text []byte
	if err := d.Get("/metrics", &text); err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("Prometheus cannot read this: %v\n%s", err, text)
	}
	values := map[string]float64{}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			key := name
			if len(labels) > 0 {
				slices.Sort(labels)
				key += "{" + strings.Join(labels, ",") + "}"
			}
			values[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

// waitMetric waits until a metric is at least n.
func waitMetric(t *testing.T, d *stage.Daemon, key string, n float64) {
	t.Helper()
	lab.WaitFor(t, patience, fmt.Sprintf("%s of %v", key, n), func() error {
		if got := metrics(t, d)[key]; got < n {
			return fmt.Errorf("it is %v", got)
		}
		return nil
	})
}

// drops names the counter of the drop flows of a role.
func drops(role string) string { return "damselfly_flow_packets_total{role=" + role + "}" }

// statusOf asks the daemon.
func statusOf(t *testing.T, d *stage.Daemon) (keys map[string]uint16, problems []string) {
	t.Helper()
	st, err := d.Status()
	if err != nil {
		t.Fatal(err)
	}
	keys = map[string]uint16{}
	for _, p := range st.Ports {
		keys[p.Name] = p.Key
	}
	return keys, st.Problems
}

// routeLines are a guest's IPv6 routes without what changes by the second.
func routeLines(t *testing.T, g *lab.Guest) []string {
	t.Helper()
	routes, err := g.Routes()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range routes {
		lines = append(lines, fmt.Sprintf("%s via %s proto %s pref %s", r.Destination, r.Gateway, r.Protocol, r.Preference))
	}
	slices.Sort(lines)
	return lines
}

// linkLocal is the link-local address that a guest's MAC makes.
func linkLocal(t *testing.T, g *lab.Guest) string {
	t.Helper()
	a, err := g.LinkLocal()
	if err != nil {
		t.Fatal(err)
	}
	return a.String()
}

// routerSolicit is one of vm1's, with its option.
func routerSolicit(t *testing.T) []byte {
	return icmp6Frame(t, mac1, "33:33:00:00:00:02", "fe80::ff:fe00:11", "ff02::2", layers.ICMPv6TypeRouterSolicitation,
		&layers.ICMPv6RouterSolicitation{Options: layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: hardware(t, mac1)}}})
}
