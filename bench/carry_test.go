package bench

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"damselfly/bench/loadgen"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

const normalBridge = "br-normal"

// treatment is how the bridge between two guests deals with what they send.
type treatment struct {
	name string
	// port is what the configuration says of both ports; empty on the bridge
	// whose one flow is NORMAL.
	port string
	// routed has the two on networks of their own, with a router between them.
	routed bool
}

// treatments are what is compared, the measure first.
var treatments = []treatment{
	{"normal", "", false},
	{"open", "port_security: false", false},
	{"secured", "port_security: true", false},
	{"routed", "port_security: true", true},
	{"stateless", "security_groups: [fast]", false},
	{"groups", "security_groups: [guarded]", false},
}

// carryNetworks are the network of the switched roads and the two of the routed one.
const carryNetworks = `networks:
  - {name: blue, subnets: [{prefix: "fd00:b1::/64", mode: slaac}]}
  - {name: near, subnets: [{prefix: "fd00:b2::/64"}]}
  - {name: far, subnets: [{prefix: "fd00:b3::/64"}]}
routers: [{name: r1, networks: [{name: near, mac: "02:00:00:00:0a:00"}, {name: far, mac: "02:00:00:00:0a:01"}]}]
ports:
`

// place is the network of an end of a road, its prefix and, on a routed one, the
// MAC of its router.
func (t treatment) place(end int) (network string, prefix netip.Prefix, gate net.HardwareAddr) {
	if !t.routed {
		return "blue", netip.MustParsePrefix("fd00:b1::/64"), nil
	}
	return []string{"near", "far"}[end], netip.MustParsePrefix([]string{"fd00:b2::/64", "fd00:b3::/64"}[end]), net.HardwareAddr{2, 0, 0, 0, 0xa, byte(end)}
}

// nextHop is the MAC that an end sends to.
func (way *road) nextHop(end int) net.HardwareAddr {
	if _, _, gate := way.place(end); gate != nil {
		return gate
	}
	return way.guests[1-end].MAC
}

// point has the kernel of an end send to the other.
func (way *road) point(end int) error {
	g, to := way.guests[end], way.addresses[1-end].String()
	if way.routed {
		if _, err := g.Run("ip", "-6", "route", "add", to, "via", "fe80::1", "dev", "eth0"); err != nil {
			return err
		}
		to = "fe80::1"
	}
	_, err := g.Run("ip", "neigh", "replace", to, "lladdr", way.nextHop(end).String(), "dev", "eth0")
	return err
}

// carryGroups let in what the pairs send, and everything out, with connections
// and without. Nothing else comes in.
const carryGroups = `security_groups:
  - name: guarded
    rules:
      - {direction: ingress, protocol: udp, ports: "5000-5001"}
      - {direction: ingress, protocol: tcp, ports: 5201}
      - {direction: ingress, protocol: icmpv6, icmp: 128/0}
  - name: fast
    stateless: true
    rules:
      - {direction: ingress, protocol: udp, ports: "5000-5001"}
      - {direction: ingress, protocol: tcp, ports: 5201}
      - {direction: ingress, protocol: tcp, ports: "32768-60999"}
      - {direction: ingress, protocol: udp, ports: "40000-40063"}
      - {direction: ingress, protocol: icmpv6, icmp: 128/0}
      - {direction: ingress, protocol: icmpv6, icmp: 129/0}
`

// road is two guests behind ports of one treatment.
type road struct {
	treatment
	guests     [2]*lab.Guest
	addresses  [2]netip.Addr
	interfaces [2]int
}

// roads is a lab with a road of each treatment, all under one ovs-vswitchd.
type roads struct {
	*stage.Stage
	switchPID int
	list      []*road
}

func newRoads(tb testing.TB) *roads {
	tb.Helper()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	l := lab.Start(tb)
	s, err := stage.New(l, program)
	must(err)
	must(l.AddBridge(normalBridge, "fail_mode=secure", "other_config:mac-aging-time=3600"))
	_, err = l.Ofctl("add-flow", normalBridge, "priority=0,actions=NORMAL")
	must(err)
	r := &roads{Stage: s, switchPID: l.VswitchdPID()}
	var text strings.Builder
	text.WriteString(carryNetworks)
	for i, t := range treatments {
		way := &road{treatment: t}
		r.list = append(r.list, way)
		for end := range way.guests {
			must(r.addEnd(way, i, end))
			if t.port != "" {
				network, _, _ := t.place(end)
				fmt.Fprintf(&text, "  - {name: %s, network: %s, mac: %q, addresses: [%q], %s}\n",
					way.guests[end].Name, network, way.guests[end].MAC, way.addresses[end], t.port)
			}
		}
		for end := range way.guests {
			must(way.point(end))
		}
	}
	must(s.Configure(text.String() + carryGroups))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err = s.Serve(ctx)
	must(err)
	return r
}

// addEnd makes one of the guests of a road.
func (r *roads) addEnd(way *road, i, end int) error {
	bridge := stage.Bridge
	if way.port == "" {
		bridge = normalBridge
	}
	mac := net.HardwareAddr{2, 0, 0, 1, byte(i), byte(end + 1)}
	_, prefix, _ := way.place(end)
	a := prefix.Addr().As16()
	a[13], a[15] = byte(i+1), byte(end+1)
	way.addresses[end] = netip.AddrFrom16(a)
	g, err := r.AddGuest(lab.GuestOptions{Name: fmt.Sprintf("%s%d", way.name, end), Bridge: bridge, MAC: mac.String(),
		Addresses: []netip.Prefix{netip.PrefixFrom(way.addresses[end], 64)},
		Sysctls:   map[string]string{"net.ipv6.conf.eth0.accept_dad": "0", "net.ipv6.conf.eth0.accept_ra": "0"}})
	if err != nil {
		return err
	}
	way.guests[end] = g
	return g.Within(func() error {
		i, err := net.InterfaceByName("eth0")
		if err == nil {
			way.interfaces[end] = i.Index
		}
		return err
	})
}

// drive readies a road for a traffic, at a rate.
func (way *road) drive(tb testing.TB, t traffic, rate int) *drive {
	tb.Helper()
	var ends [2]loadgen.End
	for i, g := range way.guests {
		ends[i] = loadgen.End{Interface: way.interfaces[i], Within: g.Within, Counts: t.counts}
	}
	c, err := loadgen.NewCarrier(ends, t.frames(way))
	if err != nil {
		tb.Fatal(err)
	}
	d := &drive{Carrier: c, rate: rate}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	if t.prepare == nil {
		return d
	}
	if d.prepared, err = t.prepare(way, rate); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := d.prepared.close(); err != nil {
			tb.Errorf("%s on the %s road: %v", t.name, way.name, err)
		}
	})
	return d
}

// TestDenied sends what no rule of a group lets in beside what one does: of the
// one nothing arrives, of the other all.
func TestDenied(t *testing.T) {
	r := newRoads(t)
	for _, way := range r.list {
		if !strings.HasPrefix(way.port, "security_groups") {
			continue
		}
		for _, tr := range append(slices.Clone(traffics), denied...) {
			c := way.drive(t, tr, 2_000)
			for range 5 {
				// What a machine that stood still makes up for must fit into a socket.
				if err := c.run(50 * time.Millisecond); err != nil {
					t.Fatal(err)
				}
			}
			if tr.denied {
				if c.Delivered > 0 || c.Sent == 0 {
					t.Errorf("%s, %s: %d of %d frames arrived that no rule allows", way.name, tr.name, c.Delivered, c.Sent)
				}
				continue
			}
			lab.WaitFor(t, 20*time.Second, way.name+", "+tr.name, func() error {
				if err := c.Run(0, 0); err != nil { // takes what has arrived
					return err
				}
				if c.Delivered < max(c.Sent*uint64(tr.each), 250) {
					return fmt.Errorf("of %d frames sent %d arrived, want %d each", c.Sent, c.Delivered, tr.each)
				}
				return nil
			})
		}
	}
}

// How long the turn of a treatment is, and how many it has.
const (
	turn  = 250 * time.Millisecond
	turns = 20
)

// routedMost is what a routed packet may cost ovs-vswitchd, in switched ones.
const routedMost = 1.35

// BenchmarkCarry sends 20,000 packets a second from guest to guest, the
// treatments taking turns, and prints what each costs ovs-vswitchd. One
// operation is 20 turns of each.
func BenchmarkCarry(b *testing.B) {
	r := newRoads(b)
	b.Logf("load average %s", loadAverage())
	for _, tr := range traffics {
		b.Run("kind="+tr.name, func(b *testing.B) { r.benchmark(b, tr) })
	}
}

func (r *roads) benchmark(b *testing.B, tr traffic) {
	drives := make([]*drive, len(r.list))
	costs := make([][]float64, len(r.list)) // microseconds a packet, of each turn
	for i, way := range r.list {
		drives[i] = way.drive(b, tr, tr.rate)
		if err := drives[i].run(turn); err != nil {
			b.Fatal(err)
		}
		drives[i].Sent, drives[i].Delivered = 0, 0
	}
	for b.Loop() {
		for range turns {
			for i, d := range drives {
				delivered, used := d.Delivered, r.cpu(b)
				if err := d.run(turn); err != nil {
					b.Fatal(err)
				}
				used = r.cpu(b) - used
				if d.Delivered == delivered {
					b.Fatalf("the %s road: nothing arrived", r.list[i].name)
				}
				costs[i] = append(costs[i], micros(used)/float64(d.Delivered-delivered))
			}
		}
	}
	r.report(b, tr, drives, costs)
}

// report prints the median of each treatment's turns and what that is of the
// first one's, and the same of the lower quartile: other work on the machine
// makes turns dearer, never cheaper.
func (r *roads) report(b *testing.B, tr traffic, drives []*drive, costs [][]float64) {
	var want, got uint64
	var normal, quiet float64
	medians, quartiles := map[string]float64{}, map[string]float64{}
	for i, way := range r.list {
		slices.Sort(costs[i])
		median, quartile := costs[i][len(costs[i])/2], costs[i][len(costs[i])/4]
		medians[way.name], quartiles[way.name] = median, quartile
		b.ReportMetric(median, way.name+"-us/packet")
		if i == 0 {
			normal, quiet = median, quartile
		} else {
			b.ReportMetric(median/normal, "x-normal-"+way.name)
			b.ReportMetric(quartile/quiet, "x-normal-quartile-"+way.name)
		}
		want, got = want+drives[i].Sent*uint64(tr.each), got+drives[i].Delivered
	}
	routed := medians["routed"] / medians["secured"]
	b.ReportMetric(routed, "x-switched-routed")
	b.ReportMetric(quartiles["routed"]/quartiles["secured"], "x-switched-quartile-routed")
	verdict := "met"
	if routed > routedMost {
		verdict = "missed"
	}
	b.Logf("routed between networks costs %.2fx switched within one, at most %.2fx wanted: %s", routed, routedMost, verdict)
	if want > 0 {
		b.ReportMetric(100*(1-float64(got)/float64(want)), "%lost")
	}
	b.ReportMetric(0, "ns/op") // turns are as long as they are
}

// cpu is the processor time that ovs-vswitchd has used.
func (r *roads) cpu(tb testing.TB) time.Duration {
	tb.Helper()
	used, err := ExactCPU(r.switchPID)
	if err != nil {
		tb.Fatal(err)
	}
	return used
}
