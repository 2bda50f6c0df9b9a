package ovsdb

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"damselfly/internal/lab"
)

const deadline = 20 * time.Second

// testSwitch is a lab whose ovs-vswitchd is not running at first: most tests
// are about the database, which then changes by nobody else's hand.
type testSwitch struct {
	*lab.Lab
	t *testing.T
}

func newSwitch(t *testing.T) *testSwitch {
	t.Helper()
	s := &testSwitch{Lab: lab.Start(t), t: t}
	s.KillVswitchd()
	return s
}

func (s *testSwitch) path(name string) string { return filepath.Join(s.RunDir, name) }

func (s *testSwitch) startDatabase() {
	s.t.Helper()
	if err := s.StartOVSDB(within(s.t)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *testSwitch) startSwitch() {
	s.t.Helper()
	if err := s.StartVswitchd(within(s.t)); err != nil {
		s.t.Fatal(err)
	}
}

// vsctl changes the database without waiting for ovs-vswitchd.
func (s *testSwitch) vsctl(args ...string) string {
	s.t.Helper()
	out, err := s.Vsctl(append([]string{"--no-wait"}, args...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// ip runs ip in the switch's network namespace.
func (s *testSwitch) ip(args ...string) {
	s.t.Helper()
	if out, err := s.Command("ip", args...).CombinedOutput(); err != nil {
		s.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// veth makes a pair, up at both ends.
func (s *testSwitch) veth(name, peer string, mtu string) {
	s.t.Helper()
	s.ip("link", "add", name, "mtu", mtu, "type", "veth", "peer", "name", peer, "mtu", mtu)
	s.ip("link", "set", peer, "up")
	s.ip("link", "set", name, "up")
}

// dial follows the bridge br0 until the test ends.
func (s *testSwitch) dial() *Client {
	s.t.Helper()
	return dial(s.t, s.OVSDB, slog.New(slog.NewTextHandler(io.Discard, nil)))
}

func dial(t *testing.T, endpoint string, log *slog.Logger) *Client {
	t.Helper()
	c, err := Dial(t.Context(), endpoint, "br0", log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// waitFor follows Changed until the view satisfies ok.
func waitFor(t *testing.T, c *Client, what string, ok func(View) bool) View {
	t.Helper()
	timeout := time.After(deadline)
	for {
		v, read := c.View()
		if read && ok(v) {
			return v
		}
		select {
		case <-c.Changed():
		case <-timeout:
			t.Fatalf("%s: not within %v; last view:\n%+v", what, deadline, v)
		}
	}
}

func portIs(name string, ok func(Interface) bool) func(View) bool {
	return func(v View) bool {
		in, exists := v.Interface(name)
		return exists && ok(in)
	}
}
