package unixctl_test

import (
	"errors"
	"strings"
	"testing"

	"damselfly/internal/lab"
	"damselfly/internal/unixctl"
)

// TestVswitchd asks a real ovs-vswitchd, and holds its answers against those
// that ovs-appctl gets.
func TestVswitchd(t *testing.T) {
	t.Parallel()
	l := lab.Start(t)
	if err := l.AddBridge("br-ctl"); err != nil {
		t.Fatal(err)
	}
	path, err := unixctl.Find(l.RunDir)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, path)
	for _, call := range [][]string{{"version"}, {"list-commands"}, {"ofproto/list"}, {"fdb/show", "br-ctl"}} {
		want, err := l.Appctl(call...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Call(t.Context(), call[0], call[1:]...)
		if err != nil || strings.TrimRight(got, "\n") != strings.TrimRight(want, "\n") {
			t.Errorf("%v: got %q, %v, want %q", call, got, err, want)
		}
	}
	var refused *unixctl.Error
	if _, err := c.Call(t.Context(), "fdb/show", "br-none"); !errors.As(err, &refused) || refused.Text != "no such bridge" {
		t.Errorf("a bridge that is not there: got %v", err)
	}
	if _, err := c.Call(t.Context(), "walk"); !errors.As(err, &refused) || !strings.Contains(err.Error(), `"walk"`) {
		t.Errorf("a command that is not there: got %v", err)
	}
}
