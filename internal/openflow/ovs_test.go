package openflow

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damselfly/flows"
	"damselfly/internal/lab"
)

func dialTest(t *testing.T, l *lab.Lab, bridge string, o Options) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), l.Mgmt(bridge), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func ofctl(t *testing.T, l *lab.Lab, args ...string) string {
	t.Helper()
	out, err := l.Ofctl(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// dumpText returns a bridge's flows as ovs-ofctl prints them, one a line.
func dumpText(t *testing.T, l *lab.Lab, bridge string) []string {
	t.Helper()
	return lines(ofctl(t, l, "--no-names", "--no-stats", "dump-flows", bridge))
}

func lines(s string) (out []string) {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(line, "reply") {
			out = append(out, line)
		}
	}
	slices.Sort(out) // groups and meters come in no order
	return out
}

// TestCorpus sends every construct over the wire and asks three oracles: the
// text that go-openvswitch's types render and our own text, each loaded through
// ovs-ofctl, give the same dump, and a dump over the wire gives back what was
// sent.
func TestCorpus(t *testing.T) {
	l := lab.Start(t)
	for _, br := range []string{"wire", "text", "library"} {
		if err := l.AddBridge(br, "fail_mode=secure"); err != nil {
			t.Fatal(err)
		}
	}
	c := dialTest(t, l, "wire", Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := c.Meters(ctx, corpusMeters(), nil, nil); err != nil {
		t.Fatal(err)
	}
	var groups []GroupMod
	for _, g := range corpusGroups() {
		groups = append(groups, GroupMod{Command: GroupAdd, Group: &g})
		ofctl(t, l, "add-group", "text", g.String())
		ofctl(t, l, "add-group", "library", g.String())
	}
	for _, m := range corpusMeters() {
		ofctl(t, l, "add-meter", "text", m.String())
		ofctl(t, l, "add-meter", "library", m.String())
	}
	sent := corpusFlows()
	var mods []FlowMod
	texts := map[string]*strings.Builder{"text": {}, "library": {}}
	for i := range sent {
		mods = append(mods, FlowMod{Command: FlowAdd, Flow: &sent[i]})
		words, err := inWords(&sent[i])
		if err != nil {
			t.Errorf("the library's text of %s: %v", &sent[i], err)
		}
		fmt.Fprintln(texts["text"], &sent[i])
		fmt.Fprintln(texts["library"], words)
	}
	for bridge, text := range texts {
		file := filepath.Join(t.TempDir(), bridge)
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		ofctl(t, l, "add-flows", bridge, file) // one that it can't read it names by its line
	}
	if err := c.Commit(ctx, groups, mods); err != nil {
		t.Fatal(err)
	}
	for _, oracle := range []string{"text", "library"} {
		if diff := cmp.Diff(dumpText(t, l, oracle), dumpText(t, l, "wire")); diff != "" {
			t.Errorf("dump of the %s's bridge against the wire's (-%s +wire):\n%s", oracle, oracle, diff)
		}
	}
	for _, what := range []string{"dump-groups", "dump-meters"} {
		if diff := cmp.Diff(lines(ofctl(t, l, what, "text")), lines(ofctl(t, l, what, "wire"))); diff != "" {
			t.Errorf("%s of the text's bridge against the wire's (-text +wire):\n%s", what, diff)
		}
	}
	checkDump(t, ctx, c, sent)
	checkDump(t, ctx, dialTest(t, l, "text", Options{}), sent)
}

// checkDump compares a dump over the wire with what was sent.
func checkDump(t *testing.T, ctx context.Context, c *Conn, sent []flows.Flow) {
	t.Helper()
	entries, err := c.DumpFlows(ctx, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := map[flows.Key]flows.Flow{}
	for _, e := range entries {
		if e.Unknown != nil {
			t.Errorf("flow of ours not decoded: %v: %v", &e.Flow, e.Unknown)
		}
		got[e.Flow.Key()] = e.Flow
	}
	for _, want := range sent {
		g := got[want.Key()]
		if !g.Equal(&want) {
			t.Errorf("sent %v\n got %v", &want, &g)
		}
	}
	if len(got) != len(sent) {
		t.Errorf("%d flows dumped, %d sent", len(got), len(sent))
	}
	groups, err := c.DumpGroups(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range corpusGroups() {
		if i >= len(groups) || groups[i].Unknown != nil || !groups[i].Group.Equal(&want) {
			t.Errorf("group %v not among %v", &want, groups)
		}
	}
	meters, err := c.DumpMeters(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range corpusMeters() {
		if i >= len(meters) || meters[i].Unknown != nil || meters[i].Meter != want {
			t.Errorf("meter %v not among %v", want, meters)
		}
	}
}
