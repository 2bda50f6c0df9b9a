package e2e

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// mustNotServe starts damselfly and wants it to stop by itself, saying each of
// wants.
func mustNotServe(t *testing.T, s *stage.Stage, wants ...string) {
	t.Helper()
	d, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	lab.WaitFor(t, patience, "damselfly to refuse", func() error { return d.Ended() })
	if err := d.Wait(); err == nil {
		t.Error("it ended with success")
	}
	for _, want := range wants {
		if !strings.Contains(d.Log(), want) {
			t.Errorf("it does not say %q:\n%s", want, d.Log())
		}
	}
}

// TestObjections offers a bridge in use: run stops and lists what it would
// break, --take-over goes on, what is not Damselfly's stays, and clear undoes.
func TestObjections(t *testing.T) {
	t.Parallel()
	s := newStage(t, true, blue)
	vsctl := func(args ...string) string {
		t.Helper()
		out, err := s.Vsctl(args...)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	const foreign = "cookie=0x77,table=0,priority=5,actions=NORMAL"
	addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11"})
	vsctl("set", "Port", "vm1", "tag=7")
	vsctl("set-controller", stage.Bridge, "tcp:127.0.0.1:16653") // which flushes the bridge's flows
	if _, err := s.Ofctl("add-flow", s.Mgmt(stage.Bridge), foreign); err != nil {
		t.Fatal(err)
	}
	before := everything(t, s)
	mustNotServe(t, s, "--take-over", "NORMAL", "tcp:127.0.0.1:16653", "port vm1")
	if got := everything(t, s); got != before {
		t.Errorf("a refused run changed the bridge:\n%s\nbefore:\n%s", got, before)
	}

	d := serve(t, s, "--take-over")
	if out, _ := s.Ofctl("dump-flows", s.Mgmt(stage.Bridge), "cookie=0x77/-1"); !strings.Contains(out, "NORMAL") {
		t.Errorf("the foreign flow is gone:\n%s", out)
	}
	if err := d.Stop(); err != nil {
		t.Fatalf("stopping: %v\n%s", err, d.Log())
	}
	// What was taken over once is Damselfly's: no second deliberate act.
	d = serve(t, s)
	second := *s
	second.ConfigPath += ".second"
	text, err := os.ReadFile(s.ConfigPath)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("/state\n"), []byte("/state-second\n"), 1)
	if err := os.WriteFile(second.ConfigPath, text, 0o600); err != nil {
		t.Fatal(err)
	}
	mustNotServe(t, &second, "another damselfly serves this bridge")
	if err := d.Stop(); err != nil {
		t.Fatal(err)
	}

	out, err := s.Command(s.Binary, "clear", "-c", s.ConfigPath, "--ovsdb", s.OVSDB).CombinedOutput()
	if err != nil {
		t.Fatalf("clear: %v\n%s", err, out)
	}
	if got := everything(t, s); got != before {
		t.Errorf("clear left the bridge otherwise than it was:\n%s\nbefore:\n%s\nclear said:\n%s", got, before, out)
	}
}

// everything is what Damselfly could have changed of the bridge.
func everything(t *testing.T, s *stage.Stage) string {
	t.Helper()
	var all []string
	for _, args := range [][]string{
		{"--no-stats", "dump-flows", s.Mgmt(stage.Bridge)},
		{"dump-groups", s.Mgmt(stage.Bridge)},
		{"dump-meters", s.Mgmt(stage.Bridge)},
	} {
		out, err := s.Ofctl(args...)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, args[len(args)-2], withoutXID(out))
	}
	for _, column := range []string{"fail_mode", "flow_tables", "other_config", "external_ids"} {
		out, err := s.Vsctl("get", "Bridge", stage.Bridge, column)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, column, out)
	}
	ports, err := s.Vsctl("list-ports", stage.Bridge)
	if err != nil {
		t.Fatal(err)
	}
	links, err := s.Command("ip", "-o", "link", "show", "type", "tun").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, links)
	}
	return strings.Join(append(all, "ports", ports, "taps", string(links)), "\n")
}

// withoutXID drops the lines in which ovs-ofctl names its request.
func withoutXID(out string) string {
	var kept []string
	for line := range strings.Lines(out) {
		if !strings.Contains(line, "(xid=") {
			kept = append(kept, strings.TrimSpace(line))
		}
	}
	return strings.Join(kept, "\n")
}

// TestForeignFlowInOurTable offers a bridge where somebody's flow stands in a
// table of Damselfly's: no take-over helps.
func TestForeignFlowInOurTable(t *testing.T) {
	t.Parallel()
	s := newStage(t, true, blue)
	if _, err := s.Ofctl("add-flow", s.Mgmt(stage.Bridge), "cookie=0x78,table=20,priority=1,actions=drop"); err != nil {
		t.Fatal(err)
	}
	d, err := s.Start("--take-over")
	if err != nil {
		t.Fatal(err)
	}
	lab.WaitFor(t, patience, "damselfly to refuse", func() error { return d.Ended() })
	if !strings.Contains(d.Log(), "table 20 (services) is Damselfly's alone") {
		t.Errorf("it does not name the flow's fault:\n%s", d.Log())
	}
}

// TestKilledTwice kills Damselfly at the start, over and over: the next one
// always finds its way.
func TestKilledTwice(t *testing.T) {
	t.Parallel()
	s := newStage(t, true, blue)
	addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11"})
	for range 8 {
		d, err := s.Start()
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		err = lab.Eventually(ctx, func() error { return d.Said("serving") })
		cancel()
		if err != nil {
			t.Fatalf("%v\n%s", err, d.Log())
		}
		if err := d.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	d := serve(t, s)
	lab.WaitFor(t, patience, "each of our flows to be there once", func() error { return flowsWhole(s, d) })
}
