package e2e

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// binary is the damselfly under test, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	if lab.Available() != nil {
		return m.Run() // each test says why it skips
	}
	// These tests wait for guests' timers most of the time.
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "dfly-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "damselfly")
	args := []string{"build", "-o", binary}
	if raceEnabled {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "damselfly/cmd/damselfly")...)
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building damselfly: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// patience bounds every wait for something that takes milliseconds on an idle
// machine.
const patience = 30 * time.Second

// twice runs a test on a datapath with and on one without ND extensions. The
// two run side by side. Under the race detector, which makes all of it several
// times as slow and to which both are the same program, each test has one of the two.
func twice(t *testing.T, test func(t *testing.T, ndExt bool)) {
	t.Parallel()
	for _, ndExt := range []bool{true, false} {
		if raceEnabled && ndExt == (len(t.Name())%2 == 0) {
			continue
		}
		t.Run(map[bool]string{true: "nd_ext", false: "plain"}[ndExt], func(t *testing.T) {
			t.Parallel()
			test(t, ndExt)
		})
	}
}

// puntBy is how frames come from the switch in each of the two runs: where all of
// them have to be handed over, by the punt port. What both do the same is
// TestTransports' to show.
func puntBy(ndExt bool) string {
	if ndExt {
		return "packet-in"
	}
	return "port"
}

// newStage sets up a lab with a bridge on a datapath with or without ND
// extensions, and writes the configuration.
func newStage(t *testing.T, ndExt bool, topology string) *stage.Stage {
	t.Helper()
	l := lab.Start(t)
	s, err := stage.New(l, binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.SetNDExt(ndExt); err != nil {
		t.Fatal(err)
	}
	s.Punt = puntBy(ndExt)
	if err := s.Configure(topology); err != nil {
		t.Fatal(err)
	}
	return s
}

// serve starts damselfly and waits until it serves. If the test fails, its log
// is shown.
func serve(t *testing.T, s *stage.Stage, flags ...string) *stage.Daemon {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d, err := s.Serve(ctx, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("damselfly said:\n%s", d.Log())
		}
	})
	return d
}

// addGuest makes a guest on the stage's bridge.
func addGuest(t *testing.T, s *stage.Stage, o lab.GuestOptions) *lab.Guest {
	t.Helper()
	o.Bridge = stage.Bridge
	g, err := s.AddGuest(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// booted waits until every guest may use an address on the prefix and its
// link-local one, and returns the former. A guest that speaks before does so
// from ::1.
func booted(t *testing.T, prefix netip.Prefix, guests ...*lab.Guest) []netip.Addr {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out := make([]netip.Addr, len(guests))
	for i, g := range guests {
		for _, p := range []netip.Prefix{netip.MustParsePrefix("fe80::/64"), prefix} {
			a, err := g.WaitAddr(ctx, p)
			if err != nil {
				t.Fatal(err)
			}
			out[i] = a.Address
		}
	}
	return out
}
