package ovsdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"damselfly/internal/lab"
)

// A port deleted while the client is cut off is announced by nobody.
func TestDatabaseRestart(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		offline []string // what happens to the database meanwhile, for ovs-vsctl
		want    func(View) bool
	}{
		{"nothing", []string{"show"}, func(v View) bool {
			_, stays := v.Interface("stays")
			_, goes := v.Interface("goes")
			return stays && goes
		}},
		{"one port removed", []string{"del-port", "goes"}, func(v View) bool {
			_, stays := v.Interface("stays")
			_, goes := v.Interface("goes")
			return stays && !goes
		}},
		{"all bridges removed", []string{"del-br", "br0"}, func(v View) bool { return !v.Exists && len(v.Interfaces) == 0 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSwitch(t)
			s.vsctl("add-br", "br0", "--", "add-port", "br0", "stays", "--", "add-port", "br0", "goes")
			c := s.dial()
			waitFor(t, c, "both ports", func(v View) bool { return len(v.Interfaces) == 3 })

			s.KillOVSDB()
			v := waitFor(t, c, "cut off", func(v View) bool { return !v.Connected })
			if len(v.Interfaces) != 3 {
				t.Errorf("while cut off the last state should stand, got %+v", v.Interfaces)
			}
			s.editOffline(tt.offline...)
			s.startDatabase()
			waitFor(t, c, "connected again", func(v View) bool { return v.Connected && tt.want(v) })

			s.vsctl("--may-exist", "add-br", "br0", "--", "add-port", "br0", "new")
			waitFor(t, c, "changes are seen again", portIs("new", func(Interface) bool { return true }))
		})
	}
}

// editOffline serves the database on a socket that the client does not know.
func (s *testSwitch) editOffline(args ...string) {
	s.t.Helper()
	hidden := "unix:" + s.path("hidden.sock")
	server := s.Command("ovsdb-server", s.path("conf.db"), "--remote=p"+hidden, "--unixctl="+s.path("hidden.ctl"), "-vconsole:off")
	if err := server.Start(); err != nil {
		s.t.Fatal(err)
	}
	defer server.Wait()
	defer server.Process.Kill()
	if _, err := s.Vsctl(append([]string{"--db=" + hidden, "--no-wait", "--retry"}, args...)...); err != nil {
		s.t.Fatal(err)
	}
}

func TestSwitchRestart(t *testing.T) {
	t.Parallel()
	s := newSwitch(t)
	s.startSwitch()
	s.veth("p1", "g1", "1500")
	s.vsctl("add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev", "--", "add-port", "br0", "p1")
	c := s.dial()
	served := portIs("p1", func(i Interface) bool { return i.OFPort != 0 && i.LinkUp })
	waitFor(t, c, "served", served)

	s.KillVswitchd()
	s.vsctl("set", "Interface", "p1", "ofport_request=77")
	s.startSwitch()
	waitFor(t, c, "served under the new number", portIs("p1", func(i Interface) bool { return i.OFPort == 77 && i.LinkUp }))

	// A restart of ovsdb-server alone empties the link states for a while; no
	// view in between may take the port away.
	s.KillOVSDB()
	waitFor(t, c, "cut off", func(v View) bool { return !v.Connected })
	s.startDatabase()
	lab.WaitFor(t, deadline, "link state reported again", func() error {
		v, _ := c.View()
		if in, _ := v.Interface("p1"); in.OFPort != 77 || !in.LinkUp {
			t.Fatalf("the port fell: %+v", v.Interfaces)
		}
		if state := strings.TrimSpace(s.vsctl("get", "Interface", "p1", "link_state")); !v.Connected || state != "up" {
			return fmt.Errorf("connected %v, link_state %s", v.Connected, state)
		}
		return nil
	})
	s.ip("link", "set", "p1", "down")
	waitFor(t, c, "down is seen again", portIs("p1", func(i Interface) bool { return !i.LinkUp }))
}

func TestServerMissingAtFirst(t *testing.T) {
	t.Parallel()
	s := newSwitch(t)
	s.vsctl("add-br", "br0")
	s.KillOVSDB()
	var logged lockedBuffer
	c := dial(t, s.OVSDB, slog.New(slog.NewTextHandler(&logged, nil)))
	lab.WaitFor(t, deadline, "a first try", func() error {
		if logged.String() == "" {
			return errors.New("nothing logged")
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // time for some more
	defer cancel()
	err := c.Wait(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "openvswitch-switch") || !strings.Contains(err.Error(), s.path("db.sock")) {
		t.Errorf("Wait without a server: %v", err)
	}
	if _, ok := c.View(); ok {
		t.Error("a view without a server")
	}
	if n := strings.Count(logged.String(), "level=WARN"); n != 1 {
		t.Errorf("one standing trouble should be one line in the log, got:\n%s", logged.String())
	}
	s.startDatabase()
	if err := c.Wait(within(t)); err != nil {
		t.Error(err)
	}
	if v, ok := c.View(); !ok || !v.Connected || !v.Exists || c.Err() != nil {
		t.Errorf("after the server came: %+v, %v, %v", v, ok, c.Err())
	}
}

// Events arriving while a reader is busy must not be lost nor pile up.
func TestChangedIsCoalesced(t *testing.T) {
	t.Parallel()
	s := newSwitch(t)
	s.vsctl("add-br", "br0")
	c := s.dial()
	waitFor(t, c, "the bridge", func(v View) bool { return v.Exists })
	for _, name := range []string{"a", "b", "c", "d"} {
		s.vsctl("add-port", "br0", name)
	}
	lab.WaitFor(t, deadline, "all ports", func() error {
		if v, _ := c.View(); len(v.Interfaces) != 5 {
			return fmt.Errorf("%+v", v.Interfaces)
		}
		return nil
	})
	select {
	case <-c.Changed():
	case <-time.After(deadline):
		t.Fatal("no ring for four changes")
	}
	// A ring sent before the last view was stored may still follow, one at most.
	select {
	case <-c.Changed():
	default:
	}
	s.vsctl("set", "Port", "a", "other_config:unwatched=1")
	s.vsctl("set", "Bridge", "br0", "fail_mode=secure")
	v := waitFor(t, c, "the watched change", func(v View) bool { return v.FailMode == "secure" })
	if len(v.Interfaces) != 5 {
		t.Errorf("ports lost: %+v", v.Interfaces)
	}
}

func TestDialRefusesEndpoints(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"", "unix:", "unix:db.sock", "/run/db.sock", "tcp:6640", "ssl:127.0.0.1:6640", "punix:/run/db.sock"} {
		if c, err := Dial(t.Context(), endpoint, "br0", slog.Default()); err == nil {
			c.Close()
			t.Errorf("endpoint %q was taken", endpoint)
		}
	}
	if c, err := Dial(t.Context(), "unix:/nowhere/db.sock", "", slog.Default()); err == nil {
		c.Close()
		t.Error("an empty bridge name was taken")
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
