package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// limit is how long anything awaited in these tests may take, a restart or Duplicate
// Address Detection beside whatever else the machine does.
const limit = 30 * time.Second

func withLimit(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// remains lists what exists of a lab: namespaces as ip lists them, run
// directories, and processes by their OVS_RUNDIR. The tenth lab's names begin as the
// first one's.
func remains(t *testing.T, id string) []string {
	t.Helper()
	out, err := run(t.Context(), nil, "", "ip", "netns", "list")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(out) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(name+"-", namespacePrefix+id+"-") {
			found = append(found, "namespace "+name)
		}
	}
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), runDirPrefix+id+"-*"))
	if err != nil {
		t.Fatal(err)
	}
	found = append(found, dirs...)
	return append(found, processesWith(t, "environ", runDirPrefix+id+"-")...)
}

// processesWith lists the processes whose file under /proc/PID holds all of
// the words.
func processesWith(t *testing.T, file string, words ...string) []string {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, p := range paths {
		text, _ := os.ReadFile(p) // A process that ended meanwhile has none.
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(string(text), w) }) {
			found = append(found, p)
		}
	}
	return found
}

// identity is the part of a lab's names that tells it from every other.
func (l *Lab) identity() string { return strings.TrimPrefix(l.Namespace, namespacePrefix) }

func TestLabLeavesNothing(t *testing.T) {
	t.Parallel()
	var id string
	t.Run("lab", func(t *testing.T) {
		l := Start(t)
		id = l.identity()
		if err := l.AddBridge("br0"); err != nil {
			t.Fatal(err)
		}
		if _, err := l.AddGuest(GuestOptions{Name: "g1", Bridge: "br0"}); err != nil {
			t.Fatal(err)
		}
		// A process nobody waits for must go too.
		if err := l.Command("sleep", "600").Start(); err != nil {
			t.Fatal(err)
		}
		if got := remains(t, id); len(got) < 6 {
			t.Fatalf("the test does not see what runs: %q", got)
		}
	})
	if id == "" {
		t.Skip("no lab ran")
	}
	for _, r := range remains(t, id) {
		t.Errorf("left behind: %s", r)
	}
}

func TestLabsSideBySide(t *testing.T) {
	t.Parallel()
	one, two := Start(t), Start(t)
	for _, l := range []*Lab{one, two} {
		if err := l.AddBridge("br0", "fail_mode=secure"); err != nil {
			t.Fatal(err)
		}
		if _, err := l.AddGuest(GuestOptions{Name: "same", Bridge: "br0"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := one.Ofctl("add-flow", "br0", "table=7,priority=3,actions=drop"); err != nil {
		t.Fatal(err)
	}
	for l, want := range map[*Lab]bool{one: true, two: false} {
		out, err := l.Ofctl("dump-flows", "br0")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out, "table=7"); got != want {
			t.Errorf("lab %s: its flow is there: %v, want %v:\n%s", l.Namespace, got, want, out)
		}
	}
}

func TestNDExtHoldsOverRestart(t *testing.T) {
	t.Parallel()
	l := Start(t)
	if err := l.AddBridge("br0"); err != nil {
		t.Fatal(err)
	}
	check := func(when string, want bool) {
		t.Helper()
		// What counts is whether a flow that needs it is taken.
		_, err := l.Ofctl("add-flow", "br0", "icmp6,icmp_type=136,icmp_code=0,actions=set_field:2->nd_options_type")
		if got := err == nil; got != want {
			t.Errorf("%s: a flow that sets nd_options_type is taken: %v, want %v: %v", when, got, want, err)
		}
	}
	check("at first", true)
	if err := l.SetNDExt(false); err != nil {
		t.Fatal(err)
	}
	check("switched off", false)
	if err := l.Restart(withLimit(t)); err != nil {
		t.Fatal(err)
	}
	check("after a restart", false)
	if err := l.SetNDExt(true); err != nil {
		t.Fatal(err)
	}
	check("switched on", true)
}

func TestRestarts(t *testing.T) {
	t.Parallel()
	l := Start(t)
	if err := l.AddBridge("br0", "fail_mode=secure"); err != nil {
		t.Fatal(err)
	}
	const foreign = "table=7,priority=3,actions=drop"
	hasFlow := func() bool {
		out, err := l.Ofctl("dump-flows", "br0")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(out, "table=7")
	}
	tests := []struct {
		name    string
		restart func(context.Context) error
		keeps   bool
	}{
		{"bare", l.Restart, false},
		{"save and restore", func(ctx context.Context) error { return l.SaveRestore(ctx, "br0") }, true},
		{"kill", func(ctx context.Context) error {
			l.KillVswitchd()
			l.KillOVSDB()
			return errors.Join(l.StartOVSDB(ctx), l.StartVswitchd(ctx))
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := l.Ofctl("add-flow", "br0", foreign); err != nil {
				t.Fatal(err)
			}
			before := l.VswitchdPID()
			if err := tt.restart(withLimit(t)); err != nil {
				t.Fatal(err)
			}
			if now := l.VswitchdPID(); now == before || now == 0 {
				t.Errorf("ovs-vswitchd was process %d and is %d", before, now)
			}
			if got := hasFlow(); got != tt.keeps {
				t.Errorf("the flow is there: %v, want %v", got, tt.keeps)
			}
			if out, err := l.Vsctl("get", "Open_vSwitch", ".", "other_config"); err != nil || strings.Contains(out, "flow-restore-wait") {
				t.Errorf("other_config is %s, %v: flow-restore-wait must be gone", out, err)
			}
		})
	}
	// The database is a journal: that the wait was set stands in it for good.
	journal, err := os.ReadFile(filepath.Join(l.RunDir, "conf.db"))
	if err != nil || !strings.Contains(string(journal), `["flow-restore-wait","true"]`) {
		t.Errorf("flow-restore-wait was never true (%v)", err)
	}
	left, err := filepath.Glob(filepath.Join(l.RunDir, "ovs-save.*"))
	if err != nil || len(left) > 0 {
		t.Errorf("ovs-save left %q, %v", left, err)
	}
}

func TestErrorsNameTheCommand(t *testing.T) {
	t.Parallel()
	l := Start(t)
	_, err := l.Vsctl("no-such-command")
	if err == nil || !strings.Contains(err.Error(), "no-such-command") || !strings.Contains(err.Error(), "ovs-vsctl") {
		t.Errorf("error is %v, want one naming ovs-vsctl and no-such-command", err)
	}
	if err := l.AddBridge("br0"); err != nil {
		t.Fatal(err)
	}
	for _, o := range []GuestOptions{
		{Bridge: "br0"},
		{Name: "sixteen-octets-x", Bridge: "br0"},
		{Name: "g"},
		{Name: "g", Bridge: "br0", MAC: "02:00"},
		{Name: "g", Bridge: "br0", AddrGen: "random"},
		{Name: "g", Bridge: "br9"},
		{Name: "g", Bridge: "br0", Sysctls: map[string]string{"net.ipv6.no_such": "1"}},
	} {
		if _, err := l.AddGuest(o); err == nil {
			t.Errorf("AddGuest(%+v) succeeded", o)
		}
	}
	if out, err := l.Vsctl("list-ports", "br0"); err != nil || out != "" {
		t.Errorf("ports left by refused guests: %q, %v", out, err)
	}
	if _, err := l.AddGuest(GuestOptions{Name: "g", Bridge: "br0"}); err != nil {
		t.Errorf("after the refused ones: %v", err)
	}
}

// TestWithinEnds: what gives up in a namespace, as a test does that fails there, does
// not keep who sent it.
func TestWithinEnds(t *testing.T) {
	t.Parallel()
	l := Start(t)
	ended, after := make(chan struct{}), false
	go func() {
		defer close(ended)
		_ = l.Within(func() error { runtime.Goexit(); return nil })
		after = true
	}()
	select {
	case <-ended:
	case <-time.After(limit):
		t.Fatal("Within does not end")
	}
	if after {
		t.Error("what stands behind Within was reached")
	}
	if err := l.Within(func() error { return nil }); err != nil {
		t.Error(err)
	}
}

func TestEventually(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cause, last := errors.New("time is up"), errors.New("not yet")
	calls := 0
	err := Eventually(ctx, func() error {
		if calls++; calls == 3 {
			cancel(cause)
		}
		return last
	})
	if !errors.Is(err, cause) || !errors.Is(err, last) {
		t.Errorf("error is %v, want cause and last error", err)
	}
	if err := Eventually(t.Context(), func() error { return permanent{fmt.Errorf("wrapped: %w", last)} }); !errors.Is(err, last) {
		t.Errorf("error is %v, want the permanent one", err)
	}
	if err := Eventually(ctx, func() error { return nil }); err != nil {
		t.Errorf("a condition that holds: %v", err)
	}
}
