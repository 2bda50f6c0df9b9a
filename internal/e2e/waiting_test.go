package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// begin starts damselfly where it cannot serve yet.
func begin(t *testing.T, s *stage.Stage) *stage.Daemon {
	t.Helper()
	d, err := s.Start()
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

// becomesReady waits until it serves.
func becomesReady(t *testing.T, d *stage.Daemon) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := d.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

// limited is a context for starting a daemon of the lab.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// TestStartsFirst has Damselfly started before Open vSwitch and before its
// bridge: it says what it waits for, and serves when it is there.
func TestStartsFirst(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, blue)
		if _, err := s.Vsctl("del-br", stage.Bridge); err != nil {
			t.Fatal(err)
		}
		if err := s.StopOVSDB(); err != nil {
			t.Fatal(err)
		}
		d := begin(t, s)
		waitLog(t, d, "waiting", "systemctl start openvswitch-switch")
		if err := s.StartOVSDB(limited(t)); err != nil {
			t.Fatal(err)
		}
		waitLog(t, d, "waiting", stage.Bridge, "ovs-vsctl add-br")
		if err := s.AddBridge(stage.Bridge, "fail_mode=secure"); err != nil {
			t.Fatal(err)
		}
		becomesReady(t, d)
		vm1 := addGuest(t, s, quick("vm1", mac1))
		waitAddr(t, vm1, "fd00:b1::/64")
		ping(t, vm1, "fe80::1%eth0")
	})
}

// TestDatabaseDies kills ovsdb-server, upon which ovs-vswitchd itself stands
// still: it lost its lock there. When the database is back, so is the service,
// and what is added to it is seen.
func TestDatabaseDies(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, blue+"  - {name: vm3, network: blue, mac: \"02:00:00:00:00:13\"}\n")
		d := serve(t, s)
		vm1, vm2 := addGuest(t, s, quick("vm1", mac1)), addGuest(t, s, quick("vm2", mac2))
		waitAddr(t, vm1, "fd00:b1::/64")
		s.KillOVSDB()
		waitLog(t, d, "OVSDB", "ovsdb=")
		if err := s.StartOVSDB(limited(t)); err != nil {
			t.Fatal(err)
		}
		ping(t, vm1, linkLocal(t, vm2)+"%eth0")
		vm3 := addGuest(t, s, quick("vm3", mac3))
		waitAddr(t, vm3, "fd00:b1::/64")
		ping(t, vm3, linkLocal(t, vm1)+"%eth0")
	})
}

// TestFlowsOfOthers: what somebody deletes is repaired, what somebody adds is
// left alone and, where it is in the way, named.
func TestFlowsOfOthers(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, blue)
		const theirs = "cookie=0xbad, table=0, priority=7,in_port=4242 actions=drop"
		addFlow(t, s, theirs)
		d := serve(t, s, "--take-over")
		vm1 := addGuest(t, s, quick("vm1", mac1))
		waitAddr(t, vm1, "fd00:b1::/64")
		ping(t, vm1, "fe80::1%eth0")

		before := cookies(t, s)
		began := time.Now()
		if _, err := s.Ofctl("del-flows", stage.Bridge); err != nil {
			t.Fatal(err)
		}
		addFlow(t, s, theirs)
		lab.WaitFor(t, patience, "the repair", func() error {
			if after := cookies(t, s); !slices.Equal(before, after) {
				return fmt.Errorf("%d flows of %d are there", len(after), len(before))
			}
			return nil
		})
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the repair took %v", took)
		}
		waitLog(t, d, "flows are missing from the bridge")
		addFlow(t, s, "cookie=0xbad, table=50, priority=5,in_port=4242 actions=drop")
		waitLog(t, d, "somebody else's flow is in the way", "table=50")
		ping(t, vm1, "fe80::1%eth0")

		st, err := d.Status()
		if err != nil || len(st.Conflicts) != 1 || !strings.Contains(st.Conflicts[0], "table=50") || !strings.Contains(st.Conflicts[0], "switch") {
			t.Errorf("conflicts %q %v", st.Conflicts, err)
		}
		dump, err := s.Ofctl("--no-stats", "dump-flows", stage.Bridge, "cookie=0xbad/-1")
		if err != nil || strings.Count(dump, "cookie=0xbad") != 2 {
			t.Errorf("somebody else's flows: %v\n%s", err, dump)
		}
		if _, err := s.Ofctl("--strict", "del-flows", stage.Bridge, "table=50,priority=5,in_port=4242"); err != nil {
			t.Fatal(err)
		}
		lab.WaitFor(t, patience, "the end of the conflict", func() error {
			if st, err := d.Status(); err != nil || len(st.Conflicts) > 0 {
				return fmt.Errorf("conflicts %q, %v", st.Conflicts, err)
			}
			return nil
		})
	})
}

func addFlow(t *testing.T, s *stage.Stage, flow string) {
	t.Helper()
	if _, err := s.Ofctl("add-flow", stage.Bridge, strings.ReplaceAll(flow, " actions", ",actions")); err != nil {
		t.Fatal(err)
	}
}

// cookies lists Damselfly's flows on the bridge by what ovs-ofctl prints.
func cookies(t *testing.T, s *stage.Stage) (lines []string) {
	t.Helper()
	dump, err := s.Ofctl("--no-stats", "dump-flows", stage.Bridge)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(dump) {
		if strings.Contains(line, "cookie=0xdf1e") {
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	return lines
}

// TestCapture has Damselfly write what it is handed and what it answers; tshark
// reads it, with the reason of each frame as its comment.
func TestCapture(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, blue)
		file := filepath.Join(s.RunDir, "punted.pcapng")
		d := serve(t, s, "--capture", file)
		vm1 := addGuest(t, s, quick("vm1", mac1))
		waitAddr(t, vm1, "fd00:b1::/64")
		bad := routerSolicit(t)
		bad[len(bad)-1] ^= 1
		inject(t, vm1, bad)
		waitMetric(t, d, "damselfly_frames_total{class=rs,reason=checksum}", 1)
		if err := d.Stop(); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("tshark", "-r", file, "-Y", "icmpv6", "-T", "fields",
			"-e", "icmpv6.type", "-e", "eth.src", "-e", "frame.comment").Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range [][]string{{"133\t" + mac1, "answered"}, {"133\t" + mac1, "checksum"}, {"134\t"}} {
			if !slices.ContainsFunc(strings.Split(string(out), "\n"), func(line string) bool {
				return !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(line, w) })
			}) {
				t.Errorf("%q is not in\n%s", want, out)
			}
		}
	})
}
