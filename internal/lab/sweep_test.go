package lab

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// victimVariable makes this test binary start a lab and wait to be killed.
const victimVariable = "DAMSELFLY_LAB_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		fmt.Println(victim())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// victim prints its lab's identity and never returns, unless with an error.
func victim() error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	l, err := New(ctx)
	if err != nil {
		return err
	}
	if err := l.AddBridge("br0"); err != nil {
		return err
	}
	g, err := l.AddGuest(GuestOptions{Name: "g1", Bridge: "br0"})
	if err != nil {
		return err
	}
	// These two have no death signal: only a sweep ends them.
	for _, cmd := range []*exec.Cmd{l.Command("sleep", "600"), g.Command("sleep", "601")} {
		cmd.Env = l.environment()
		if err := cmd.Start(); err != nil {
			return err
		}
	}
	fmt.Printf("victim %s\n", l.identity())
	select {}
}

func TestSweepAfterKill(t *testing.T) {
	t.Parallel()
	bystander := Start(t)
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), victimVariable+"=1")
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer victim.Process.Kill()
	var id string
	lines := bufio.NewScanner(out)
	for id == "" && lines.Scan() {
		id, _ = strings.CutPrefix(lines.Text(), "victim ")
		if id == lines.Text() {
			id = ""
		}
	}
	if id != "" {
		// Once it is dead, any lab that starts beside this test may sweep.
		WaitFor(t, limit, "what a killed lab leaves is seen", func() error {
			if got := remains(t, id); len(got) < 4 {
				return fmt.Errorf("only %q", got)
			}
			return nil
		})
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait()
	if id == "" {
		t.Fatal("the victim started no lab")
	}
	WaitFor(t, limit, "the daemons die with their owner", func() error {
		for _, d := range []string{"ovs-vswitchd", "ovsdb-server"} {
			if pids := processesWith(t, "cmdline", runDirPrefix+id+"-", d); len(pids) > 0 {
				return fmt.Errorf("%s runs as %q", d, pids)
			}
		}
		return nil
	})
	if err := Sweep(); err != nil {
		t.Fatal(err)
	}
	for _, r := range remains(t, id) {
		t.Errorf("left behind: %s", r)
	}
	if _, err := bystander.Vsctl("show"); err != nil {
		t.Errorf("a living lab was swept: %v", err)
	}
}

func TestParseOwner(t *testing.T) {
	t.Parallel()
	me, err := self()
	if err != nil {
		t.Fatal(err)
	}
	if !me.alive() {
		t.Error("this process does not count as alive")
	}
	if (owner{me.pid, me.start + 1}).alive() {
		t.Error("a process id that was used again counts as its earlier owner")
	}
	tests := []struct {
		prefix, name string
		want         owner
		ok           bool
	}{
		{namespacePrefix, "dfly-12-345-1", owner{12, 345}, true},
		{namespacePrefix, "dfly-12-345-1-web", owner{12, 345}, true},
		{namespacePrefix, "dfly-12-345-1-a-b", owner{12, 345}, true},
		{runDirPrefix, "dfly-lab-12-345-1-778899", owner{12, 345}, true},
		{namespacePrefix, "dfly-lab-12-345", owner{}, false},
		{namespacePrefix, "dfly-12-345", owner{}, false},
		{namespacePrefix, "dfly-0-345-1", owner{}, false},
		{namespacePrefix, "dfly-x-345-1", owner{}, false},
		{namespacePrefix, "qrouter-12-345-1", owner{}, false},
	}
	for _, tt := range tests {
		got, ok := parseOwner(tt.prefix, tt.name)
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("parseOwner(%q, %q) = %v, %v, want %v, %v", tt.prefix, tt.name, got, ok, tt.want, tt.ok)
		}
	}
}
