package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// servedWithin is how soon guests are served again after Open vSwitch is back.
const servedWithin = 5 * time.Second

// forbidden is a Router Advertisement as no guest may send it, from vm1 to all.
var forbidden = []byte{
	0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x11, 0x86, 0xdd,
	0x60, 0, 0, 0, 0, 16, 58, 255,
	0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0x11,
	0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
	134, 0, 0x7a, 0x2c, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0,
}

// TestSwitchRestart restarts Open vSwitch bare: nothing passes until the policy
// is back, and then everything is served within seconds.
func TestSwitchRestart(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, blue)
		serve(t, s)
		vm1 := addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11"})
		vm2 := addGuest(t, s, lab.GuestOptions{Name: "vm2", MAC: "02:00:00:00:00:12", Offloads: true})
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		defer cancel()
		target := booted(t, bluePrefix, vm1, vm2)[1].String()
		ping(t, vm1, target)

		leaked, err := vm2.Capture("", func(frame []byte) bool {
			return strings.HasPrefix(string(frame), string(forbidden[:12])) && len(frame) > 54 && frame[54] == 134
		})
		if err != nil {
			t.Fatal(err)
		}
		stopTalker := talk(t, vm1, forbidden)
		if err := s.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		served := servedAgain(t, vm1, target, back)
		sent := stopTalker()
		if err := leaked.Stop(); err != nil {
			t.Fatal(err)
		}
		if n := len(leaked.Frames()); n > 0 {
			t.Errorf("%d of %d forbidden frames passed during the restart", n, sent)
		}
		t.Logf("served %v after Open vSwitch was back; %d forbidden frames sent meanwhile, %d passed", served, sent, len(leaked.Frames()))
	})
}

// talk sends a frame over and over until the returned function is called, which
// gives the number sent.
func talk(t *testing.T, g *lab.Guest, frame []byte) func() int {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	sent := make(chan int, 1)
	go func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		n := 0
		for {
			select {
			case <-ctx.Done():
				sent <- n
				return
			case <-tick.C:
				if g.Inject(frame) == nil {
					n++
				}
			}
		}
	}()
	return func() int {
		cancel()
		return <-sent
	}
}

// servedAgain waits until a guest that forgot everything finds its neighbour and
// its router, and says how long after back that was.
func servedAgain(t *testing.T, g *lab.Guest, neighbour string, back time.Time) time.Duration {
	t.Helper()
	for _, address := range []string{neighbour, "fe80::1%eth0"} {
		lab.WaitFor(t, servedWithin, g.Name+" to reach "+address, func() error {
			if _, err := g.Run("ip", "-6", "neigh", "flush", "dev", "eth0"); err != nil {
				return err
			}
			_, err := g.Run("ping", "-6", "-c", "1", "-W", "1", address)
			return err
		})
	}
	took := time.Since(back)
	if took > servedWithin {
		t.Errorf("served only %v after Open vSwitch was back", took)
	}
	return took
}

// TestSaveRestore restarts Open vSwitch as ovs-ctl does, saving and restoring
// flows, on a bridge that carries a flow of somebody else's.
func TestSaveRestore(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, blue)
		d := serve(t, s)
		vm1 := addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11"})
		vm2 := addGuest(t, s, lab.GuestOptions{Name: "vm2", MAC: "02:00:00:00:00:12"})
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		defer cancel()
		target := booted(t, bluePrefix, vm1, vm2)[1].String()
		const foreign = "cookie=0x77,table=0,priority=5,dl_type=0x88b5,actions=drop"
		if _, err := s.Ofctl("add-flow", s.Mgmt(stage.Bridge), foreign); err != nil {
			t.Fatal(err)
		}
		ping(t, vm1, target)

		if err := s.SaveRestore(ctx, stage.Bridge); err != nil {
			t.Errorf("ovs-save could not put back what it saved: %v", err)
		}
		back := time.Now()
		served := servedAgain(t, vm1, target, back)
		lab.WaitFor(t, time.Until(back.Add(servedWithin)), "each of our flows to be there once", func() error { return flowsWhole(s, d) })
		out, err := s.Ofctl("dump-flows", s.Mgmt(stage.Bridge), "cookie=0x77/-1")
		if err != nil {
			t.Fatal(err)
		}
		survived := strings.Contains(out, "dl_type=0x88b5") || strings.Contains(out, "0x88b5")
		t.Logf("served %v after the restore; the foreign flow survived: %v", served, survived)
		if !survived {
			t.Error("the foreign flow is gone")
		}
	})
}

// flowsWhole compares the bridge's flows of Damselfly's with what it wants.
func flowsWhole(s *stage.Stage, d *stage.Daemon) error {
	st, err := d.Status()
	if err != nil {
		return err
	}
	if st.BridgeError != "" {
		return errors.New(st.BridgeError)
	}
	out, err := s.Ofctl("--no-stats", "dump-flows", s.Mgmt(stage.Bridge), "cookie=0xdf1e000000000000/0xffff000000000000")
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for line := range strings.Lines(out) {
		if !strings.Contains(line, "cookie=") {
			continue
		}
		match, _, _ := strings.Cut(line[strings.Index(line, ",")+1:], " actions=")
		if seen[match] {
			return fmt.Errorf("twice there: %s", match)
		}
		seen[match] = true
	}
	if len(seen) != st.FlowsWanted {
		return fmt.Errorf("%d flows of %d", len(seen), st.FlowsWanted)
	}
	return nil
}
