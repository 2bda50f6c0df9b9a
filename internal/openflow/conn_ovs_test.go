package openflow

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damselfly/flows"
	"damselfly/internal/lab"
)

// badFlow has a match whose prerequisite is missing: refused when it is added
// to a bundle, not when that is committed.
func badFlow() *flows.Flow {
	return &flows.Flow{Table: 5, Priority: 9, Match: flows.Match{}.With(flows.NDTarget, flows.Addr(addrA))}
}

func goodFlow(priority uint16) *flows.Flow {
	return &flows.Flow{Table: 5, Priority: priority, Cookie: flows.Cookie(flows.Owner), Match: flows.Match{}.IPv6()}
}

// switchTest is a lab with one empty bridge named br and a connection to it.
func switchTest(t *testing.T, o Options) (*lab.Lab, *Conn, context.Context) {
	t.Helper()
	l := lab.Start(t)
	if err := l.AddBridge("br", "fail_mode=secure"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return l, dialTest(t, l, "br", o), ctx
}

func TestBundleIsAllOrNothing(t *testing.T) {
	t.Parallel()
	l, c, ctx := switchTest(t, Options{})
	unknownGroup := goodFlow(3)
	unknownGroup.Actions = []flows.Action{flows.ToGroup{ID: 99}}
	tests := map[string]struct {
		mods []*flows.Flow
		want []*Error
	}{
		"refused when added":     {[]*flows.Flow{goodFlow(1), badFlow(), goodFlow(2)}, []*Error{{Type: 4, Code: 9, Name: "OFPBMC_BAD_PREREQ", Request: "to add flow " + badFlow().String()}}},
		"refused when committed": {[]*flows.Flow{goodFlow(1), unknownGroup}, []*Error{{Type: 2, Code: 9, Name: "OFPBAC_BAD_OUT_GROUP", Request: "to add flow " + unknownGroup.String()}, {Type: 17, Code: 13, Name: "OFPBFC_MSG_FAILED", Request: "to commit the bundle"}}},
	}
	for name, tt := range tests {
		var mods []FlowMod
		for _, f := range tt.mods {
			mods = append(mods, FlowMod{Command: FlowAdd, Flow: f})
		}
		err := c.Commit(ctx, nil, mods)
		var got []*Error
		for _, e := range split(err) {
			e.XID = 0
			got = append(got, e)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if left := dumpText(t, l, "br"); len(left) != 0 {
			t.Errorf("%s: left behind %q", name, left)
		}
	}
	if err := c.Commit(ctx, nil, []FlowMod{{Command: FlowAdd, Flow: goodFlow(1)}}); err != nil {
		t.Errorf("the next bundle: %v", err)
	}
	if left := dumpText(t, l, "br"); len(left) != 1 {
		t.Errorf("after the next bundle: %q", left)
	}
}

// split returns the Errors joined in err.
func split(err error) (out []*Error) {
	var one *Error
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			out = append(out, split(err)...)
		}
	default:
		if errors.As(err, &one) {
			out = append(out, one)
		}
	}
	return out
}

func TestCommands(t *testing.T) {
	t.Parallel()
	l, c, ctx := switchTest(t, Options{})
	one, two, other := goodFlow(1), goodFlow(2), goodFlow(3)
	other.Cookie = 7
	add := []FlowMod{{Command: FlowAdd, Flow: one}, {Command: FlowAdd, Flow: two}, {Command: FlowAdd, Flow: other}}
	if err := c.Commit(ctx, nil, add); err != nil {
		t.Fatal(err)
	}
	two.Actions = []flows.Action{flows.Output{Port: 2}}
	if err := c.Commit(ctx, nil, []FlowMod{{Command: FlowModify, Flow: two}, {Command: FlowDelete, Flow: one, CookieMask: flows.OwnerMask}}); err != nil {
		t.Fatal(err)
	}
	want := []string{"cookie=0x7, table=5, priority=3,ipv6 actions=drop", "cookie=0xdf1e000000000000, table=5, priority=2,ipv6 actions=output:2"}
	if diff := cmp.Diff(want, sorted(dumpText(t, l, "br"))); diff != "" {
		t.Errorf("after modify and delete (-want +got):\n%s", diff)
	}
	entries, err := c.DumpFlows(ctx, flows.Owner, flows.OwnerMask)
	if err != nil || len(entries) != 1 || !entries[0].Flow.Equal(two) {
		t.Errorf("dump by cookie: %v %v", entries, err)
	}
	stats, err := c.FlowStats(ctx, 7, ^uint64(0))
	if err != nil || len(stats) != 1 || stats[0].Cookie != 7 || stats[0].Priority != 3 {
		t.Errorf("counters by cookie: %v %v", stats, err)
	}
	if a, err := c.CountFlows(ctx, 0, 0); err != nil || a.Flows != 2 {
		t.Errorf("aggregate: %+v %v", a, err)
	}
	if err := c.Apply(ctx, FlowDeleteAll, &flows.Flow{Table: AllTables}); err != nil {
		t.Fatal(err)
	}
	if left := dumpText(t, l, "br"); len(left) != 0 {
		t.Errorf("after delete all: %q", left)
	}
}

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

func TestGroupBuckets(t *testing.T) {
	t.Parallel()
	l, c, ctx := switchTest(t, Options{})
	bucket := func(id uint32) flows.Bucket {
		return flows.Bucket{ID: id, WatchPort: flows.NoPort, WatchGroup: flows.NoGroup, Actions: []flows.Action{flows.Output{Port: id}}}
	}
	group := func(ids ...uint32) *flows.Group {
		g := &flows.Group{ID: 8, Type: flows.All}
		for _, id := range ids {
			g.Buckets = append(g.Buckets, bucket(id))
		}
		return g
	}
	steps := []struct {
		mod  GroupMod
		want string
	}{
		{GroupMod{Command: GroupAdd, Group: group(1, 2)}, "group_id=8,type=all,bucket=bucket_id:1,actions=output:1,bucket=bucket_id:2,actions=output:2"},
		{GroupMod{Command: GroupInsert, Group: group(3)}, "group_id=8,type=all,bucket=bucket_id:1,actions=output:1,bucket=bucket_id:2,actions=output:2,bucket=bucket_id:3,actions=output:3"},
		{GroupMod{Command: GroupRemove, Group: group(), Bucket: 2}, "group_id=8,type=all,bucket=bucket_id:1,actions=output:1,bucket=bucket_id:3,actions=output:3"},
		{GroupMod{Command: GroupModify, Group: group(9)}, "group_id=8,type=all,bucket=bucket_id:9,actions=output:9"},
		{GroupMod{Command: GroupDelete, Group: group()}, ""},
	}
	for _, s := range steps {
		if err := c.Commit(ctx, []GroupMod{s.mod}, nil); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(lines(ofctl(t, l, "dump-groups", "br")), "\n"); got != s.want {
			t.Errorf("command %d:\n got %s\nwant %s", s.mod.Command, got, s.want)
		}
	}
	err := c.Commit(ctx, []GroupMod{{Command: GroupModify, Group: group(1)}}, nil)
	if !errors.Is(err, &Error{Type: 6, Code: 8}) || !strings.Contains(err.Error(), "OFPGMFC_UNKNOWN_GROUP") {
		t.Errorf("change of a group that is not there: %v", err)
	}
}

func TestMeters(t *testing.T) {
	t.Parallel()
	l, c, ctx := switchTest(t, Options{})
	m := flows.Meter{ID: 4, Rate: 10, Burst: 20}
	if err := c.Meters(ctx, []flows.Meter{m}, nil, nil); err != nil {
		t.Fatal(err)
	}
	err := c.Meters(ctx, []flows.Meter{m}, []flows.Meter{{ID: 5, Rate: 1}}, nil)
	exists, unknown := &Error{Type: 12, Code: 1}, &Error{Type: 12, Code: 3}
	if !errors.Is(err, exists) || !errors.Is(err, unknown) {
		t.Errorf("adding twice and changing what is not there: %v", err)
	}
	m.Rate = 30
	if err := c.Meters(ctx, nil, []flows.Meter{m}, nil); err != nil {
		t.Fatal(err)
	}
	want := []string{"meter=4 pktps burst stats bands=", "type=drop rate=30 burst_size=20"}
	if got := lines(ofctl(t, l, "dump-meters", "br")); !slices.Equal(got, want) {
		t.Errorf("dump-meters says %q", got)
	}
	if n, err := c.MeterFeatures(ctx); err != nil || n == 0 {
		t.Errorf("room for %d meters, %v", n, err)
	}
	if s, err := c.MeterStats(ctx); err != nil || len(s) != 1 || s[0].ID != 4 {
		t.Errorf("meter counters: %v %v", s, err)
	}
	if err := c.Meters(ctx, nil, nil, []uint32{4}); err != nil {
		t.Fatal(err)
	}
	if left, err := c.DumpMeters(ctx); err != nil || len(left) != 0 {
		t.Errorf("left %v %v", left, err)
	}
}

// TestForeignFlows has flows that package flows has no words for; a dump keeps
// what it can of each.
func TestForeignFlows(t *testing.T) {
	t.Parallel()
	l, c, ctx := switchTest(t, Options{})
	foreign := []struct {
		text  string
		match bool // the match is one of ours
	}{
		{"table=3,priority=1,ct_state=+trk+new,ip actions=ct(commit,zone=5)", true},
		{"table=3,priority=2,pkt_mark=1 actions=NORMAL", false},
		{"table=3,priority=3 actions=goto_table:9", true},
		{"table=3,priority=4,idle_timeout=60 actions=drop", true},
		{"table=3,priority=5,ipv6 actions=controller(pause,id=3)", true},
		{"table=3,priority=6,tun_metadata0=1 actions=drop", false},
		{"table=3,priority=7 actions=CONTROLLER:65535", true},
		{"table=3,priority=8 actions=move:NXM_NX_TUN_ID[0..15]->NXM_NX_REG1[16..31]", true},
		{"table=3,priority=9 actions=learn(table=4,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[])", true},
		{"table=3,priority=10,conj_id=4 actions=drop", false},
		{"table=3,priority=11,icmp6 actions=dec_ttl,clone(output:3)", true},
		{"table=3,priority=12 actions=push_vlan:0x88a8,set_field:4100->vlan_vid,NORMAL", true},
	}
	ofctl(t, l, "add-tlv-map", "br", "{class=0xffff,type=0,len=4}->tun_metadata0")
	for _, f := range foreign {
		ofctl(t, l, "add-flow", "br", "cookie=0x5,"+f.text)
	}
	if err := c.Apply(ctx, FlowAdd, goodFlow(1)); err != nil {
		t.Fatal(err)
	}
	entries, err := c.DumpFlows(ctx, 0, 0)
	if err != nil || len(entries) != len(foreign)+1 {
		t.Fatalf("%d flows: %v", len(entries), err)
	}
	for _, e := range entries {
		if e.Flow.Table == 5 {
			if e.Unknown != nil {
				t.Errorf("ours is taken for foreign: %v", e.Unknown)
			}
			continue
		}
		f := foreign[e.Flow.Priority-1]
		if e.Unknown == nil || e.Flow.Cookie != 5 || e.Flow.Table != 3 || e.MatchKnown != f.match {
			t.Errorf("%s: decoded as %+v", f.text, e)
		}
	}
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	l, c, ctx := switchTest(t, Options{})
	if _, err := l.Vsctl("add-port", "br", "dummy0", "--", "set", "Interface", "dummy0", "type=internal", "ofport_request=5"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Barrier(ctx), c.Echo(ctx), c.FlushConntrack(ctx, 3)); err != nil {
		t.Error(err)
	}
	for _, want := range []Config{{FragmentsMatched, 0xffff}, {FragmentsNormal, 128}} {
		if err := c.SetConfig(ctx, want); err != nil {
			t.Error(err)
		}
		if got, err := c.Config(ctx); err != nil || got != want {
			t.Errorf("config %v %v, want %v", got, err, want)
		}
	}
	ports, err := c.Ports(ctx)
	if i := slices.IndexFunc(ports, func(p Port) bool { return p.Name == "dummy0" }); err != nil || i < 0 || ports[i].Number != 5 {
		t.Errorf("ports %v %v", ports, err)
	}
	if c.Features().Tables != 254 || c.Features().Datapath == 0 {
		t.Errorf("features %+v", c.Features())
	}
	if r, g, err := c.SetRole(ctx, RolePrimary, 7); err != nil || r != RolePrimary || g != 7 {
		t.Errorf("role %v %v %v", r, g, err)
	}
	if _, _, err := c.SetRole(ctx, RolePrimary, 6); !errors.Is(err, ErrStaleRole) {
		t.Errorf("older generation: %v", err)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	events := make(chan Event, 64)
	l, c, ctx := switchTest(t, Options{Events: func(e Event) { events <- e }})
	if err := c.Barrier(ctx); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"add-port", "br", "dummy1", "--", "set", "Interface", "dummy1", "type=internal"}, {"del-port", "br", "dummy1"}} {
		if _, err := l.Vsctl(args...); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []PortReason{PortAdded, PortGone} {
		for {
			var e Event
			select {
			case e = <-events:
			case <-ctx.Done():
				t.Fatalf("no event for %d", want)
			}
			if p, ok := e.(PortEvent); ok && p.Reason == want && p.Port.Name == "dummy1" {
				break
			}
		}
	}
}

func TestDialErrors(t *testing.T) {
	t.Parallel()
	l := lab.Start(t)
	if err := l.AddBridge("old", "protocols=OpenFlow10,OpenFlow13"); err != nil {
		t.Fatal(err)
	}
	_, err := Dial(t.Context(), l.Mgmt("old"), Options{})
	if !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "it speaks OpenFlow 1.0, 1.3:") {
		t.Errorf("bridge without OpenFlow 1.5: %v", err)
	}
	if _, err = Dial(t.Context(), l.Mgmt("none"), Options{}); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "the bridge is not there") {
		t.Errorf("no bridge: %v", err)
	}
	if _, err = Dial(t.Context(), "tcp:127.0.0.1:1", Options{}); !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "ptcp:") {
		t.Errorf("nobody listens: %v", err)
	}
	if _, err = Dial(t.Context(), "br0", Options{}); err == nil || !strings.Contains(err.Error(), "write unix:PATH") {
		t.Errorf("no target: %v", err)
	}
	if _, err = Dial(t.Context(), l.OVSDB, Options{}); err == nil {
		t.Error("a database's socket was taken for a bridge's")
	} else {
		t.Log(err)
	}
}

func TestLargeDump(t *testing.T) {
	t.Parallel()
	l, c, ctx := switchTest(t, Options{})
	const n = 10000
	list := make([]flows.Flow, n)
	mods := make([]FlowMod, n)
	for i := range list {
		list[i] = flows.Flow{Table: 20, Priority: 7, Cookie: flows.Cookie(i), Match: flows.Match{}.On(uint16(i)).ND(135).With(flows.NDTarget, flows.Addr(addrA)), Actions: corpusActions()[9:14]}
		mods[i] = FlowMod{Command: FlowAdd, Flow: &list[i]}
	}
	began := time.Now()
	if err := c.Commit(ctx, nil, mods); err != nil {
		t.Fatal(err)
	}
	loaded := time.Now()
	entries, err := c.DumpFlows(ctx, 0, 0)
	if err != nil || len(entries) != n {
		t.Fatalf("%d flows: %v", len(entries), err)
	}
	t.Logf("%d flows: commit %v, dump %v", n, loaded.Sub(began), time.Since(loaded))
	for _, e := range entries {
		if !e.Flow.Equal(&list[e.Flow.Cookie]) {
			t.Fatalf("got %v\nsent %v", &e.Flow, &list[e.Flow.Cookie])
		}
	}
	l.KillVswitchd()
	select {
	case <-c.Done():
	case <-ctx.Done():
		t.Fatal("the connection outlived ovs-vswitchd")
	}
	if err := c.Barrier(ctx); err == nil || !strings.Contains(err.Error(), "went away") {
		t.Errorf("barrier without a switch: %v", err)
	}
}
