package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"damselfly/bench/loadgen"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// flooded has two attackers, vm1 and, behind security groups, vm4; and two that
// go about their business, vm2 and, behind security groups, vm3. They ask from
// many addresses, so that each answer is known to be that of one question.
func flooded() string {
	var b strings.Builder
	b.WriteString(`
networks:
  - {name: blue, mtu: 1442, subnets: [{prefix: "fd00:b1::/64"}, {prefix: "fd00:d1::/64", mode: dhcpv6-stateful}]}
routers: [{name: r1, networks: [blue]}]
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11", addresses: [10.0.0.1, "fd00:b1::11"]}
  - {name: vm4, network: blue, mac: "02:00:00:00:00:14", addresses: [10.0.0.4, "fd00:b1::14"], security_groups: [default]}
`)
	for n, more := range map[int]string{2: "", 3: ", security_groups: [default]"} {
		fmt.Fprintf(&b, "  - {name: vm%d, network: blue, mac: \"02:00:00:00:00:1%d\"%s, addresses: [10.0.0.%d", n, n, more, n)
		for i := range bystanderAddresses {
			fmt.Fprintf(&b, ", %q", bystanderAddress(n, i))
		}
		b.WriteString("]}\n")
	}
	return b.String()
}

// Bounds that a flood must keep.
const (
	// lossBound is the share of the others' questions that may have no answer.
	lossBound = 0.001
	// portMegaflows is how many megaflows one port may make.
	portMegaflows = 2000
	// connectionBound is how many connections may be tracked: a tenth of what Open
	// vSwitch has room for.
	connectionBound = 300_000
	// memoryBound is how many octets Damselfly may grow by over all floods.
	memoryBound = 64 << 20
)

// ordeal is a stage with attackers and those who must not notice them.
type ordeal struct {
	*stage.Stage
	daemon     *stage.Daemon
	attackers  map[string]*lab.Guest
	indexes    map[string]int
	bystanders []*bystander
	// span is how long each flood takes, rate how many frames a second it is
	// held to, 0 for all that the machine can send.
	span time.Duration
	rate int
	// quiet is how many megaflows the others make.
	quiet int
}

// TestFloods has one guest flood the switch with one sort of frame after the
// other. The others lose nothing, what the flood costs is bounded, and each
// punted frame is accounted for. The long form sends all that the machine can.
func TestFloods(t *testing.T) {
	if os.Getenv("DAMSELFLY_SOAK") == "" {
		twice(t, func(t *testing.T, ndExt bool) { floods(t, ndExt, 700*time.Millisecond, 2000) })
		return
	}
	// One after the other, and beside no other test. DAMSELFLY_FLOOD is how long
	// each flood takes.
	span := 30 * time.Second
	if s, err := time.ParseDuration(os.Getenv("DAMSELFLY_FLOOD")); err == nil {
		span = s
	}
	for name, ndExt := range map[string]bool{"nd_ext": true, "plain": false} {
		t.Run(name, func(t *testing.T) { floods(t, ndExt, span, 0) })
	}
}

func floods(t *testing.T, ndExt bool, span time.Duration, rate int) {
	o := &ordeal{Stage: newStage(t, ndExt, flooded()), attackers: map[string]*lab.Guest{}, indexes: map[string]int{}, span: span, rate: rate}
	o.daemon = serve(t, o.Stage)
	add := func(name, mac string) *lab.Guest {
		// Their kernels are silent: the test speaks for them.
		return addGuest(t, o.Stage, lab.GuestOptions{Name: name, MAC: mac, Sysctls: map[string]string{"net.ipv6.conf.eth0.disable_ipv6": "1"}})
	}
	for name, mac := range map[string]string{"vm1": mac1, "vm4": mac4} {
		o.attackers[name] = add(name, mac)
		o.indexes[name] = indexOf(t, o.attackers[name])
	}
	o.bystanders = []*bystander{newBystander(t, 2, add("vm2", mac2)), newBystander(t, 3, add("vm3", mac3))}
	serves(t, o)

	quiet := o.ask(t, max(span/3, time.Second), nil)
	o.quiet = megaflows(t, o.Stage)
	t.Logf("quiet: %d megaflows, %v", o.quiet, quiet)
	before := o.memory(t)
	for _, f := range barrages(t) {
		t.Run(f.name, func(t *testing.T) { o.endure(t, f, quiet) })
	}
	if after := o.memory(t); after > before+memoryBound {
		t.Errorf("Damselfly grew from %d to %d MiB", before>>20, after>>20)
	}
}

// serves waits until every port is served.
func serves(t *testing.T, o *ordeal) {
	t.Helper()
	lab.WaitFor(t, patience, "an answer to each question", func() error {
		if r := o.ask(t, 100*time.Millisecond, nil); r.lost() > 0 {
			return fmt.Errorf("%v", r)
		}
		return nil
	})
}

// endure floods and asks meanwhile.
func (o *ordeal) endure(t *testing.T, f barrage, quiet tally) {
	// What the flood before left is not this one's.
	o.appctl(t, "revalidator/purge")
	g := o.attackers[f.from]
	had, hit := o.received(t, f.from), o.lookups(t)
	stop, done, most := make(chan struct{}), make(chan error, 1), 0
	go func() {
		_, err := loadgen.Flood{Interface: o.indexes[f.from], Within: g.Within, Frame: f.frame, Vary: f.vary, Rate: o.rate}.Run(stop)
		done <- err
	}()
	began := time.Now()
	got := o.ask(t, o.span, func() { most = max(most, megaflows(t, o.Stage)) })
	close(stop)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	took := time.Since(began).Seconds()
	sent, seen := o.received(t, f.from)-had, o.lookups(t)-hit
	connections := o.connections(t)
	t.Logf("%-44s %8.0f/s at the port, %8.0f/s looked up, %6d megaflows, Damselfly %d MiB, ovs-vswitchd %d MiB, connections %d\n%v",
		f.name, float64(sent)/took, float64(seen)/took, most, o.memory(t)>>20, o.switchMemory(t)>>20, connections, got)
	if lost := got.lost(); float64(lost) > lossBound*float64(got.asked()) {
		t.Errorf("%d of the others' %d questions were lost", lost, got.asked())
	}
	if port := most - o.quiet; port >= portMegaflows {
		t.Errorf("%d megaflows of the port, want fewer than %d", port, portMegaflows)
	}
	if connections >= connectionBound {
		t.Errorf("%d connections are tracked, want fewer than %d", connections, connectionBound)
	}
	if o.rate == 0 {
		t.Logf("%s; load average %s", got.verdict(quiet), loadAverage(t))
	}
	o.accounts(t)
}

// accounts waits until every frame that was handed over has ended by a reason:
// answered, forwarded or dropped. None was lost on the way.
func (o *ordeal) accounts(t *testing.T) {
	t.Helper()
	if n := o.overflowed(t); n > 0 {
		t.Errorf("Open vSwitch had no room for %d frames on their way to Damselfly", n)
	}
	lab.WaitFor(t, patience, "each punted frame to be accounted for", func() error {
		in, out := 0.0, 0.0
		for key, n := range metrics(t, o.daemon) {
			switch {
			case strings.HasPrefix(key, "damselfly_lane_frames_total"):
				in += n
			case strings.HasPrefix(key, "damselfly_frames_total"):
				out += n
			}
		}
		if in != out || in == 0 {
			return fmt.Errorf("%v came in, %v ended", in, out)
		}
		return nil
	})
}
