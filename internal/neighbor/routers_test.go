package neighbor

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRouters walks through what routers behind an uplink say (RFC 4861 section
// 6.3.4).
func TestRouters(t *testing.T) {
	t.Parallel()
	var l Routers
	at := func(n int) Place { return Place{"ext", netip.MustParseAddr(fmt.Sprintf("fe80::%x", n))} }
	now := time.Hour
	var asked []string
	tick := func(d time.Duration) string {
		now += d
		l.Tick(now, func(network string) { asked = append(asked, fmt.Sprintf("%s at %s", network, now-time.Hour)) })
		var list []string
		for _, r := range l.List() {
			list = append(list, fmt.Sprintf("%s/%d", r.Addr, r.Preference))
		}
		return strings.Join(list, " ")
	}
	check := func(what, got, want string, changed bool) {
		t.Helper()
		if got != want || l.Changed() != changed {
			t.Errorf("%s: %q, want %q, changed %t", what, got, want, changed)
		}
	}
	l.Serve(now, []string{"ext"})
	check("none", tick(0), "", false)
	check("still none", tick(4*time.Second), "", false)
	check("not yet", tick(7*time.Second), "", false)
	check("asked again", tick(time.Second), "", false)
	l.Heard(now, at(2), 30*time.Second, 0)
	l.Heard(now, at(1), 60*time.Second, 1)
	check("two", tick(0), "fe80::1/1 fe80::2/0", true)
	l.Heard(now, at(2), 30*time.Second, 0)
	check("the same again", tick(time.Second), "fe80::1/1 fe80::2/0", false)
	l.Heard(now, at(2), 30*time.Second, -1)
	check("another preference", tick(0), "fe80::1/1 fe80::2/-1", true)
	check("a lifetime ends", tick(30*time.Second), "fe80::1/1", true)
	l.Heard(now, at(1), 0, 1)
	check("it resigns", tick(0), "", true)
	for n := range 2 * RoutersMost {
		l.Heard(now, at(n+1), time.Minute, 0)
	}
	tick(0)
	if n := len(l.List()); n != RoutersMost {
		t.Errorf("%d routers are kept", n)
	}
	l.Changed()
	l.Gone(at(1))
	if l.On("ext", at(1).Addr) || !l.Changed() {
		t.Error("one that says it is none is still there")
	}
	l.Serve(now, nil)
	check("no uplink any more", tick(0), "", true)
	// What was known before a restart is used, and asked again at once.
	l = Routers{}
	l.Recall(now, []Router{{Place: at(1), Preference: 1, Until: now + time.Minute}, {Place: at(2), Until: now - 1}})
	l.Serve(now, []string{"ext"})
	check("recalled", tick(0), "fe80::1/1", false)
	check("not asked twice", tick(30*time.Second), "fe80::1/1", false)
	l.Renewed()
	l.Heard(now, at(1), time.Minute, 1)
	if !l.Renewed() || l.Renewed() {
		t.Error("a lifetime that begins anew does not show once")
	}
	// RFC 7559 section 2: at once, then at intervals that grow.
	if diff := cmp.Diff([]string{"ext at 0s", "ext at 4s", "ext at 12s", "ext at 43s"}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}
