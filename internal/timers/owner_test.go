package timers_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"damselfly/handlers/ra"
	"damselfly/internal/timers"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// advert is one frame that the sink got.
type advert struct {
	at       time.Duration // since the sink was made
	network  uint16
	source   string
	lifetime uint16
	prefixes string // prefix/preferred/valid, in seconds
}

// sink takes advertisements apart with gopacket.
type sink struct {
	t     *testing.T
	start time.Time

	mu   sync.Mutex
	list []advert                  // guarded by mu
	deny func(network uint16) bool // guarded by mu
}

func newSink(t *testing.T) *sink { return &sink{t: t, start: time.Now()} }

func (s *sink) WriteReplies(r *pipeline.Replies) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, reply := range r.List() {
		if s.deny != nil && s.deny(reply.Network) {
			return errors.New("the switch is away")
		}
		s.list = append(s.list, s.parse(reply))
	}
	return nil
}

func (s *sink) parse(reply pipeline.Reply) advert {
	p := gopacket.NewPacket(reply.Data, layers.LayerTypeEthernet, gopacket.Default)
	eth, _ := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	ip, _ := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
	m, _ := p.Layer(layers.LayerTypeICMPv6RouterAdvertisement).(*layers.ICMPv6RouterAdvertisement)
	if m == nil || reply.Out != 0 || reply.InPort != 0 || ip.HopLimit != 255 || ip.DstIP.String() != "ff02::1" ||
		eth.DstMAC.String() != "33:33:00:00:00:01" {
		s.t.Errorf("not an advertisement to all nodes: %+v %v", reply, p)
		return advert{}
	}
	a := advert{at: time.Since(s.start), network: reply.Network, source: ip.SrcIP.String(), lifetime: m.RouterLifetime}
	for _, o := range m.Options {
		if o.Type == layers.ICMPv6OptPrefixInfo {
			addr, _ := netip.AddrFromSlice(o.Data[14:30])
			a.prefixes += fmt.Sprintf("%v/%d/%d/%d ", addr, o.Data[0], be32(o.Data[6:]), be32(o.Data[2:]))
		}
	}
	return a
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// fail makes writes to some networks fail.
func (s *sink) fail(deny func(network uint16) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deny = deny
}

// got lists all advertisements.
func (s *sink) got() []advert {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

// of lists the advertisements of a network after a moment.
func (s *sink) of(network uint16, after time.Duration) (list []advert) {
	for _, a := range s.got() {
		if a.network == network && a.at >= after {
			list = append(list, a)
		}
	}
	return list
}

// rig is an Owner under test.
type rig struct {
	*timers.Owner
	sink *sink
	stop context.CancelFunc

	mu   sync.Mutex
	list []string // guarded by mu
}

// said lists the farewells that the Owner told of.
func (r *rig) said() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

func start(t *testing.T, seed uint64) *rig {
	t.Helper()
	r := &rig{sink: newSink(t)}
	r.Owner = timers.New(timers.Config{
		Sink: r.sink, Compose: ra.Multicast, Random: rand.New(rand.NewPCG(seed, seed)),
		Said: func(network string, a netip.Addr) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.list = append(r.list, network+" "+a.String())
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	return r
}

// update hands over a snapshot and lets the Owner take it.
func (r *rig) update(s *topology.Snapshot) {
	r.Update(s)
	synctest.Wait()
}

// rest lets time pass and waits until all that it made due is done.
func rest(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// world builds snapshots of networks n1, n2, ... with the keys 1, 2, ...
type world struct {
	t       *testing.T
	builder topology.Builder
	in      topology.Input
}

func (w *world) build(spec *topology.Spec) *topology.Snapshot {
	w.t.Helper()
	w.in.Spec = spec
	w.in.Keys = topology.Keys{Networks: map[string]uint16{}, Ports: map[string]uint16{"p1": 1, "p2": 2}}
	for i := range 1000 {
		w.in.Keys.Networks[fmt.Sprintf("n%d", i+1)] = uint16(i + 1)
	}
	s, problems := w.builder.Build(w.in)
	if len(problems) > 0 {
		w.t.Fatalf("Build: %v", problems)
	}
	return s
}

// routed is a Spec of n networks, each with a /64 and a router.
func routed(n int) *topology.Spec {
	spec := &topology.Spec{}
	for i := range n {
		name := fmt.Sprintf("n%d", i+1)
		spec.Networks = append(spec.Networks, topology.NetworkSpec{
			Name:    name,
			Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix(fmt.Sprintf("fd00:%x::/64", i+1))}},
		})
		spec.Routers = append(spec.Routers, topology.RouterSpec{
			Name: "r" + name, Networks: []topology.PresenceSpec{{Network: name}},
		})
	}
	return spec
}

// gaps are the times between advertisements, the first one since from.
func gaps(list []advert, from time.Duration) (g []time.Duration) {
	for _, a := range list {
		g = append(g, a.at-from)
		from = a.at
	}
	return g
}

func checkGap(t *testing.T, what string, got, low, high time.Duration) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s after %v, want %v to %v", what, got, low, high)
	}
}

func TestIntervals(t *testing.T) {
	t.Parallel()
	cases := []struct{ low, high time.Duration }{
		{200 * time.Second, 600 * time.Second},
		{10 * time.Second, 20 * time.Second},
		{3 * time.Second, 4 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.high.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, r := &world{t: t}, start(t, 1)
				defer r.stop()
				spec := routed(1)
				spec.Networks[0].RouterAdvertisement = topology.AdvertSpec{MinInterval: &c.low, Interval: &c.high}
				r.update(w.build(spec))
				rest(2000 * c.high)
				g := gaps(r.sink.got(), 0)
				checkGap(t, "first", g[0], 0, 500*time.Millisecond)
				for _, d := range g[1:3] {
					checkGap(t, "initial", d, min(c.low, 16*time.Second), min(c.high, 16*time.Second))
				}
				shortest, longest := slices.Min(g[3:]), slices.Max(g[3:])
				checkGap(t, "shortest", shortest, c.low, c.low+(c.high-c.low)/50)
				checkGap(t, "longest", longest, c.high-(c.high-c.low)/50, c.high)
				mean := (r.sink.got()[len(g)-1].at - r.sink.got()[2].at) / time.Duration(len(g)-3)
				middle := (c.low + c.high) / 2
				checkGap(t, "mean", mean, middle-middle/20, middle+middle/20)
			})
		})
	}
}

func TestChangeBursts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, r := &world{t: t}, start(t, 2)
		defer r.stop()
		r.update(w.build(routed(2)))
		rest(time.Hour)

		// What concerns no host starts nothing.
		before := len(r.sink.got())
		spec := routed(2)
		spec.Ports = []topology.PortSpec{{Name: "p1", Network: "n1", MAC: [6]byte{2, 0, 0, 0, 0, 1}}}
		r.update(w.build(spec))
		rest(time.Second)
		if n := len(r.sink.got()) - before; n > 0 {
			t.Errorf("a port made %d advertisements", n)
		}

		changed := time.Since(r.sink.start)
		spec = routed(2)
		spec.Networks[0].RouterAdvertisement.Preference = topology.High
		r.update(w.build(spec))
		rest(40 * time.Second)
		g := gaps(r.sink.of(1, changed), changed)
		if len(g) != 3 {
			t.Fatalf("%d advertisements of the change, want 3: %v", len(g), g)
		}
		checkGap(t, "change", g[0], 0, 500*time.Millisecond)
		if g[1] != 16*time.Second || g[2] != 16*time.Second {
			t.Errorf("repeated after %v, want twice 16s", g[1:])
		}
		if n := len(r.sink.of(2, changed)); n > 1 {
			t.Errorf("%d advertisements of the network that did not change", n)
		}
	})
}

func TestManyChangesKeepTheMinimumDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, r := &world{t: t}, start(t, 3)
		defer r.stop()
		for i := range 300 {
			spec := routed(1)
			spec.Networks[0].RouterAdvertisement.Preference = topology.Preference(i%3 - 1)
			r.update(w.build(spec))
			rest(100 * time.Millisecond)
		}
		g := gaps(r.sink.got(), 0)
		if len(g) < 9 || len(g) > 11 {
			t.Errorf("%d advertisements in 30 s of changes, want about 10", len(g))
		}
		for _, d := range g[1:] {
			checkGap(t, "the next", d, 3*time.Second, 4*time.Second)
		}
	})
}

func TestFarewells(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		end  func(*topology.Spec)
		want string // "source lifetime" each
		said string
	}{
		{
			name: "router and prefix gone", want: strings.Repeat("fe80::1 0 ", 3), said: "n1 fe80::1",
			end: func(s *topology.Spec) { s.Routers, s.Networks[0].Subnets = nil, nil },
		},
		{
			// It goes on as one that is no default router: the quick three,
			// here cut off behind the second.
			name: "router gone", want: strings.Repeat("fe80::1 0 ", 2),
			end: func(s *topology.Spec) { s.Routers = nil },
		},
		{
			name: "network gone",
			end:  func(s *topology.Spec) { *s = topology.Spec{} },
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w, r := &world{t: t}, start(t, 4)
				defer r.stop()
				r.update(w.build(routed(1)))
				rest(time.Minute)
				ended := time.Since(r.sink.start)
				spec := routed(1)
				c.end(spec)
				r.update(w.build(spec))
				rest(30 * time.Second)
				list, got := r.sink.of(1, ended), ""
				if n := len(r.Counts()); n != len(spec.Networks) {
					t.Errorf("counts of %d networks, want %d", n, len(spec.Networks))
				}
				for _, a := range list {
					got += fmt.Sprint(a.source, " ", a.lifetime, " ")
				}
				if got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
				if said := strings.Join(r.said(), ","); said != c.said {
					t.Errorf("said %q, want %q", said, c.said)
				}
				if g := gaps(list, ended); c.said != "" && (g[1] != 3*time.Second || g[2] != 3*time.Second || g[0] > 500*time.Millisecond) {
					t.Errorf("sent after %v", g)
				}
			})
		})
	}
}

func TestFormerRouter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, r := &world{t: t}, start(t, 5)
		defer r.stop()
		w.in.FormerRouters = map[string][]topology.FormerRouter{"n1": {{LinkLocal: netip.MustParseAddr("fe80::a"), MAC: [6]byte{2, 0, 0, 0, 0, 9}}}}
		r.update(w.build(routed(1)))
		rest(time.Minute)
		// Listed still, for a while, and not to be said again.
		spec := routed(1)
		spec.Ports = []topology.PortSpec{{Name: "p1", Network: "n1", MAC: [6]byte{2, 0, 0, 0, 0, 1}}}
		r.update(w.build(spec))
		rest(time.Minute)
		var old, present int
		for i, a := range r.sink.got() {
			if i > 0 {
				checkGap(t, "the next", a.at-r.sink.got()[i-1].at, 3*time.Second, 600*time.Second)
			}
			switch {
			case a.source == "fe80::a" && a.lifetime == 0 && a.prefixes == "":
				old++
			case a.source == "fe80::1" && a.lifetime == 1800 && a.prefixes != "":
				present++
			default:
				t.Errorf("unexpected %+v", a)
			}
		}
		if old != 3 || present != 3 || len(r.said()) != 1 {
			t.Errorf("%d of the former router, %d of the present one, said %v; want 3, 3 and one", old, present, r.said())
		}
	})
}

// A router that comes back within its farewells ends them.
func TestReturnEndsFarewells(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, r := &world{t: t}, start(t, 6)
		defer r.stop()
		r.update(w.build(routed(1)))
		rest(time.Minute)
		spec := routed(1)
		spec.Routers, spec.Networks[0].Subnets = nil, nil
		r.update(w.build(spec))
		rest(time.Second)
		back := time.Since(r.sink.start)
		r.update(w.build(routed(1)))
		rest(time.Minute)
		for _, a := range r.sink.of(1, back) {
			if a.lifetime != 1800 {
				t.Errorf("unexpected %+v", a)
			}
		}
		if len(r.said()) > 0 {
			t.Errorf("said %v", r.said())
		}
	})
}

func TestStopSendsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, r := &world{t: t}, start(t, 7)
		r.update(w.build(routed(3)))
		rest(time.Minute)
		before := len(r.sink.got())
		r.stop()
		rest(time.Hour)
		if n := len(r.sink.got()) - before; n != 0 {
			t.Errorf("%d advertisements on or after the stop", n)
		}
	})
}

func TestManyNetworksAreSpread(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, r := &world{t: t}, start(t, 8)
		defer r.stop()
		r.update(w.build(routed(1000)))
		rest(4 * time.Second)
		if len(r.sink.got()) != 1000 {
			t.Fatalf("%d first advertisements within 4s, want 1000", len(r.sink.got()))
		}
		rest(time.Hour)
		perTenth := make(map[time.Duration]int)
		for _, a := range r.sink.got() {
			perTenth[a.at/(100*time.Millisecond)]++
		}
		for at, n := range perTenth {
			if n > 50 {
				t.Errorf("%d advertisements in the tenth of a second %d", n, at)
			}
		}
		for key := range uint16(1000) {
			if n := len(r.sink.of(key+1, 0)); n < 8 || n > 21 {
				t.Errorf("network %d was advertised %d times in an hour", key+1, n)
			}
		}
	})
}

// Changes that come faster than many networks are spread put nothing off.
func TestManyNetworksThatKeepChanging(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, r := &world{t: t}, start(t, 12)
		defer r.stop()
		for i := range 40 {
			spec := routed(200)
			for j := range spec.Networks {
				spec.Networks[j].RouterAdvertisement.Preference = topology.Preference(i%2) * topology.High
			}
			r.update(w.build(spec))
			rest(100 * time.Millisecond)
		}
		for key := range uint16(200) {
			list := r.sink.of(key+1, 0)
			if len(list) != 2 || list[0].at > 800*time.Millisecond {
				t.Errorf("network %d in 4 s: %v, want 2", key+1, list)
			}
		}
	})
}

func TestFailingSink(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, r := &world{t: t}, start(t, 9)
		defer r.stop()
		r.sink.fail(func(network uint16) bool { return network == 1 })
		r.update(w.build(routed(2)))
		rest(10 * time.Minute)
		counts := r.Counts()
		if len(counts) != 2 || counts[0].Sent != 0 || counts[0].Failed < 37 || counts[0].Failed > 200 ||
			counts[1].Failed != 0 || counts[1].Sent != uint64(len(r.sink.of(2, 0))) || counts[1].Sent < 4 {
			t.Errorf("counts %+v", counts)
		}
		checkGap(t, "next try", time.Until(counts[0].NextDue), 0, 16*time.Second)

		back := time.Since(r.sink.start)
		r.sink.fail(nil)
		rest(time.Minute)
		g := gaps(r.sink.of(1, back), back)
		if len(g) < 3 {
			t.Fatalf("%d advertisements in the minute after the switch is back, want 3", len(g))
		}
		checkGap(t, "first after the failure", g[0], 0, 16*time.Second)
	})
}

func TestUpdateNeverWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t}
		o := timers.New(timers.Config{Sink: newSink(t), Compose: ra.Multicast})
		first, last := w.build(routed(5)), w.build(routed(1))
		for range 1000 {
			o.Update(first)
		}
		o.Update(last)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = o.Run(ctx) }()
		synctest.Wait()
		if counts := o.Counts(); len(counts) != 1 {
			t.Errorf("%d networks, want the one of the last update", len(counts))
		}
		cancel()
	})
}
