package agent

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"damselfly/internal/binding"
	"damselfly/internal/store"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// school is learning without a switch.
type school struct {
	*learned
	t    *testing.T
	log  bytes.Buffer
	spec topology.Spec
	keys topology.Keys
	now  store.Clock
}

func newSchool(t *testing.T) *school {
	t.Helper()
	s := &school{t: t, now: store.Clock{Wall: time.Unix(1_700_000_000, 0), Boot: store.BootID{1}, Uptime: time.Hour}}
	log := slog.New(slog.NewTextHandler(&s.log, nil))
	state, err := store.Open(filepath.Join(t.TempDir(), "state"), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { state.Close() })
	a := &Agent{log: log, store: state, ring: make(chan struct{}, 1)}
	if s.learned, err = a.openLearned(s.now, &told{log: log}); err != nil {
		t.Fatal(err)
	}
	s.spec = topology.Spec{
		Networks: []topology.NetworkSpec{
			{Name: "blue", Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:b1::/64")}}}, {Name: "red"},
		},
		Ports: []topology.PortSpec{{Name: "vm1", Network: "blue", MAC: wire.MAC{2, 1}}, {Name: "vm2", Network: "blue", MAC: wire.MAC{2, 2}}},
	}
	s.keys = topology.Keys{Networks: map[string]uint16{"blue": 1, "red": 2}, Ports: map[string]uint16{"vm1": 1, "vm2": 2}}
	return s
}

// group is one turn of the slow lane; it reports whether reconciling was rung for.
func (s *school) group(say func()) (rung bool) {
	s.t.Helper()
	spec := s.spec // compared by pointer: a changed one is another
	snap, problems := new(topology.Builder).Build(topology.Input{Spec: &spec, Keys: s.keys, Learned: s.held(s.keys),
		Bindings: []topology.Binding{{Interface: "vm1", OFPort: 1}, {Interface: "vm2", OFPort: 2}}})
	if snap == nil || len(problems) > 0 {
		s.t.Fatal(problems)
	}
	s.told.uptime = s.now.Uptime
	s.begin(snap, s.now.Uptime)
	say()
	s.finish(pipeline.NewReplies(1024))
	select {
	case <-s.a.ring:
		return true
	default:
		return false
	}
}

func (s *school) probe(port, address string) func() {
	return func() {
		s.table.Probe(s.now.Uptime, binding.Claim{Network: "blue", Port: port, Addr: netip.MustParseAddr(address), Most: 8})
	}
}

func (s *school) bound(want ...string) {
	s.t.Helper()
	var got []string
	for _, b := range s.table.View().Bound() {
		got = append(got, b.Port+" "+b.Addr.String())
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		s.t.Errorf("bound: %q, want %q", got, want)
	}
}

// TestLearned: what is learned rings, is the topology's, and gives way to the
// configuration; a conflict is told once a minute, with both ports.
func TestLearned(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	nothing := func() {}
	if s.group(s.probe("vm1", "fd00:b1::a")) {
		t.Error("a tentative address rings")
	}
	for range 3 {
		s.group(s.probe("vm2", "fd00:b1::a"))
	}
	if n := strings.Count(s.log.String(), "two ports want one address"); n != 1 || !strings.Contains(s.log.String(), "holder=vm1 other=vm2") {
		t.Errorf("the conflict is told %d times:\n%s", n, &s.log)
	}
	s.group(s.probe("vm2", "fd00:b1::b"))
	s.group(s.probe("vm2", "fd00:b1::c"))
	s.now.Uptime += time.Second
	if !s.group(nothing) {
		t.Error("learned addresses do not ring")
	}
	s.bound("vm1 fd00:b1::a", "vm2 fd00:b1::b", "vm2 fd00:b1::c")
	if s.group(nothing) || s.snap.PortNamed("vm1").Learned == nil {
		t.Error("nothing new rings, or what was learned is not the port's")
	}

	s.spec.Ports[0].Addresses = []netip.Addr{netip.MustParseAddr("fd00:b1::b")}
	if !s.group(nothing) {
		t.Error("an address that was configured for another does not ring")
	}
	s.bound("vm1 fd00:b1::a", "vm2 fd00:b1::c")
	open := false
	s.spec.Ports[1].PortSecurity = &open
	s.group(nothing)
	s.bound("vm1 fd00:b1::a")
	s.spec.Ports[0].Network, s.spec.Ports[0].Addresses = "red", nil
	s.group(nothing)
	s.bound()
	if n := strings.Count(s.log.String(), "a learned address is given up"); n != 3 {
		t.Errorf("told %d times, want 3:\n%s", n, &s.log)
	}
}

// TestLearnedUnsaved: a state that cannot be written is told and tried again.
func TestLearnedUnsaved(t *testing.T) {
	t.Parallel()
	s := newSchool(t)
	if err := s.a.store.Close(); err != nil {
		t.Fatal(err)
	}
	s.group(s.probe("vm1", "fd00:b1::a"))
	s.now.Uptime += time.Second
	if !s.group(func() {}) || s.a.status.LearnError == "" || s.finish(pipeline.NewReplies(64)) > saveAgain {
		t.Errorf("not told, or not tried again: %q", s.a.status.LearnError)
	}
	s.bound("vm1 fd00:b1::a")
	s.report(errors.New("still"))
	if n := strings.Count(s.log.String(), "cannot be written"); n != 1 {
		t.Errorf("told %d times:\n%s", n, &s.log)
	}
	s.report(nil)
	if s.a.status.LearnError != "" || !strings.Contains(s.log.String(), "written again") {
		t.Error("not told that it is over")
	}
}
