package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"damselfly/flows"
	"damselfly/internal/lab"
	"damselfly/internal/openflow"
	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

var testEnv = IDs{FirstGroup: 0xdf000000}.Env(false, 0)

// connected starts a lab with a bridge br and opens a connection to it.
func connected(t *testing.T) (*lab.Lab, *openflow.Conn) {
	t.Helper()
	l := lab.Start(t)
	if err := l.AddBridge("br", "fail_mode=secure"); err != nil {
		t.Fatal(err)
	}
	var c *openflow.Conn
	if err := l.Within(func() (err error) {
		c, err = openflow.Dial(t.Context(), l.Mgmt("br"), openflow.Options{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return l, c
}

// two builds a snapshot of the networks good and bad with a port each; vm1, the
// one of good, has the switch's number ofport.
func two(t *testing.T, b *topology.Builder, ofport uint32) *topology.Snapshot {
	t.Helper()
	snap, problems := b.Build(topology.Input{
		Spec: &topology.Spec{
			Networks: []topology.NetworkSpec{
				{Name: "good", Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:1::/64")}}},
				{Name: "bad", Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:2::/64")}}},
			},
			Ports: []topology.PortSpec{
				{Name: "vm1", Network: "good", MAC: [6]byte{2, 0, 0, 0, 0, 1}},
				{Name: "vm2", Network: "bad", MAC: [6]byte{2, 0, 0, 0, 0, 2}},
			},
		},
		Keys: topology.Keys{Networks: map[string]uint16{"good": 1, "bad": 2}, Ports: map[string]uint16{"vm1": 1, "vm2": 2}},
		Bindings: []topology.Binding{
			{Interface: "vm1", OFPort: ofport}, {Interface: "vm2", OFPort: 2},
		},
	})
	if snap == nil || len(problems) > 0 {
		t.Fatal(problems)
	}
	return snap
}

// spoil returns s with another network in the place of bad.
func spoil(s *topology.Snapshot, bad *topology.Network) *topology.Snapshot {
	spoiled := *s
	spoiled.Networks = []*topology.Network{bad, s.Network(1)}
	return &spoiled
}

// marked counts the flows that are marked as Damselfly's.
func marked(t *testing.T, c *openflow.Conn) int {
	t.Helper()
	count, err := c.CountFlows(t.Context(), flows.Owner, flows.OwnerMask)
	if err != nil {
		t.Fatal(err)
	}
	return int(count.Flows)
}

// TestRefusedPart gives the bridge one part that it refuses, a group with the
// same bucket twice: the others are served nevertheless, what changes of them
// goes in alone, and the part once it is mended.
func TestRefusedPart(t *testing.T) {
	t.Parallel()
	_, c := connected(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var b topology.Builder
	first := two(t, &b, 1)
	broken := *first.Network(2)
	broken.Ports = append(broken.Ports[:1:1], broken.Ports[0])
	brokenAnew := broken
	moved := two(t, &b, 5)

	in := NewInstaller(c, testEnv, slog.New(slog.DiscardHandler))
	for _, step := range []struct {
		name          string
		snap          *topology.Snapshot
		full, refused bool
		mods          func(n int) bool
	}{
		{"broken from the start", spoil(first, &broken), true, true, func(n int) bool { return n > 20 }},
		{"nothing new", spoil(first, &broken), false, true, func(n int) bool { return n == 0 }},
		{"another port moves", spoil(moved, &broken), false, true, func(n int) bool { return n > 0 && n < 20 }},
		{"broken in another way", spoil(moved, &brokenAnew), false, true, func(n int) bool { return n == 0 }},
		{"mended", moved, false, false, func(n int) bool { return n > 0 && n < 20 }},
		{"broken again", spoil(moved, &broken), true, true, func(n int) bool { return n > 0 }},
		{"mended again", moved, false, false, func(n int) bool { return n > 0 && n < 20 }},
	} {
		r, err := in.Install(ctx, step.snap)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if r.Full != step.full || !step.mods(r.Mods) {
			t.Errorf("%s: full %v, %d changes", step.name, r.Full, r.Mods)
		}
		if step.refused != (len(r.Refused) == 1 && strings.Contains(r.Refused[0].Error(), "network bad is not served")) || !step.refused && len(r.Refused) > 0 {
			t.Errorf("%s: refused: %v", step.name, r.Refused)
		}
		if n := marked(t, c); n != in.Wanted() || n == 0 {
			t.Errorf("%s: %d flows of %d", step.name, n, in.Wanted())
		}
	}
	h, err := Dump(ctx, c, IDs{FirstGroup: testEnv.FirstGroup})
	if err != nil {
		t.Fatal(err)
	}
	if d := flows.Diff(h.Ours, flows.Compile(moved, testEnv)); !d.Empty() {
		t.Errorf("in the end the bridge lacks or has too much: %+v", d)
	}
}

// TestRefusedPartLeavesNoMeters gives the bridge a part of which it takes the
// meters and refuses the flows.
func TestRefusedPartLeavesNoMeters(t *testing.T) {
	t.Parallel()
	_, c := connected(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var b topology.Builder
	snap := two(t, &b, 1)
	in := NewInstaller(c, testEnv, slog.New(slog.DiscardHandler))
	if _, err := in.Install(ctx, snap); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second try would find the meters of the first
		broken := *snap.Port(1)
		broken.OFPort = flows.NoPort // no port a frame could leave by
		spoiled := *snap
		spoiled.Ports = []*topology.Port{&broken, snap.Port(2)}
		r, err := in.Install(ctx, &spoiled)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Refused) != 1 || !strings.Contains(r.Refused[0].Error(), "port vm1 is not served: changing flows") {
			t.Errorf("refused: %v", r.Refused)
		}
	}
	meters, err := c.DumpMeters(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range meters {
		if m.Meter.ID < 2*punt.MeterSlots {
			t.Errorf("vm1 is not served, but has %v", m.Meter)
		}
	}
}

// TestStrangeFlows finds flows with Damselfly's mark that it has no words for:
// those it can tell from its own go, and one that it can't is told of, once the
// rest is in.
func TestStrangeFlows(t *testing.T) {
	t.Parallel()
	l, c := connected(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var b topology.Builder
	snap := two(t, &b, 1)
	var taken *flows.Flow // by all means somewhere where ours stands
	for _, f := range flows.Compile(snap, testEnv).Sorted() {
		if f.Table == flows.TableSwitch {
			taken = f
		}
	}
	const strange, ours = "pkt_mark=7", uint64(0xdf1e010000000000)
	place := fmt.Sprintf("cookie=%#x,table=%d", uint64(taken.Cookie), taken.Table)
	for _, f := range []string{
		fmt.Sprintf("cookie=%#x,table=%d,priority=7,%s,actions=drop", ours, taken.Table, strange),             // a cookie of no flow there
		fmt.Sprintf("cookie=%#x,table=%d,priority=8,ipv6,actions=dec_ttl", uint64(taken.Cookie), taken.Table), // a match we know
		strings.Replace(taken.String(), "actions=", "hard_timeout=600 actions=", 1),                           // where ours must stand
		place + ",priority=9," + strange + ",actions=drop",                                                    // nothing to tell it by
	} {
		if out, err := l.Ofctl("add-flow", l.Mgmt("br"), strings.ReplaceAll(f, ", ", ",")); err != nil {
			t.Fatalf("%s: %v\n%s", f, err, out)
		}
	}
	in := NewInstaller(c, testEnv, slog.New(slog.DiscardHandler))
	for _, full := range []bool{true, false} {
		r, err := in.Install(ctx, snap)
		if err != nil {
			t.Fatal(err)
		}
		if r.Full != full || len(r.Refused) != 1 || !strings.Contains(r.Refused[0].Error(), "priority=9") {
			t.Errorf("full %v, refused: %v", r.Full, r.Refused)
		}
	}
	want := len(flows.Compile(snap, testEnv).Flows)
	if n := marked(t, c); n != want+1 || n != in.Wanted() {
		t.Errorf("%d flows, expected %d and %d wanted", n, in.Wanted(), want)
	}
	// What the error advises takes that flow alone.
	if out, err := l.Ofctl("--strict", "del-flows", l.Mgmt("br"), fmt.Sprintf("table=%d,priority=9,%s", taken.Table, strange)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	in.Forget()
	if r, err := in.Install(ctx, snap); err != nil || r.Mods != 0 || len(r.Refused) != 0 {
		t.Errorf("after the advice: %d changes, refused %v, %v", r.Mods, r.Refused, err)
	}
	if n := marked(t, c); n != want {
		t.Errorf("%d flows of %d", n, want)
	}
}
