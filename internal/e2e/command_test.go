package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damselfly/flows"
	"damselfly/internal/agent"
	"damselfly/internal/lab"
	"damselfly/internal/replay"
	"damselfly/internal/stage"
)

// outcome is what a command printed and how it ended.
type outcome struct {
	out, err string
	code     int
}

// command runs damselfly in the lab's namespace.
func command(t *testing.T, s *stage.Stage, args ...string) outcome {
	t.Helper()
	return ended(t, s.Command(s.Binary, args...))
}

// ended runs a command, which has to end in time.
func ended(t *testing.T, cmd *exec.Cmd) (o outcome) {
	t.Helper()
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() {
		t.Errorf("%v does not end within %v", cmd, patience)
		_ = cmd.Process.Kill()
	})
	err := cmd.Wait()
	late.Stop()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{out.String(), complaint.String(), cmd.ProcessState.ExitCode()}
}

// said fails the test unless the command ended so and its text holds the words.
func (o outcome) said(t *testing.T, code int, text string, words ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit %d, want %d\n%s%s", o.code, code, o.out, o.err)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not in\n%s", word, text)
		}
	}
}

const mistaken = `bridge: br-dfly
networks:
  - {name: blue, subnets: [{prefix: "fd00:b1::/64", valid: 1h, preferred: 2h}]}
ports:
  - {name: vm1, network: blu, mac: "02:00:00:00:00:11"}
`

// TestCommandLine runs the commands that need no switch.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	if err := lab.Available(); err != nil {
		t.Skip(err) // without a lab no binary was built
	}
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	for path, text := range map[string]string{good: "bridge: br-dfly\n" + blue, bad: mistaken} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) outcome { return ended(t, exec.Command(binary, args...)) }

	o := run("check", "-c", good)
	o.said(t, 0, o.out, "valid", "1 networks, 1 routers, 2 ports")
	o = run("check", "-c", bad)
	o.said(t, 1, o.out, bad+":3:", "RFC 4861", bad+":5:", `no network "blu"`)
	o = run("check", "--json", "-c", bad)
	var found struct {
		Valid    bool
		Mistakes []struct {
			File string
			Line int
		}
	}
	if err := json.Unmarshal([]byte(o.out), &found); err != nil || o.code != 1 || found.Valid || len(found.Mistakes) != 2 ||
		found.Mistakes[0].File != bad || found.Mistakes[0].Line != 3 || found.Mistakes[1].Line != 5 {
		t.Errorf("check --json: exit %d, %v\n%s", o.code, err, o.out)
	}
	o = run("check", "--json", "-c", good)
	o.said(t, 0, o.out, `"valid": true`)

	o = run("--help")
	o.said(t, 0, o.out, "run", "check", "plan", "replay", "status", "clear")
	o = run("run", "-c", good, "--no-such-flag")
	o.said(t, 2, o.err, "--no-such-flag", "--help")
	o = run("run")
	o.said(t, 2, o.err, "--config")
	missing := filepath.Join(dir, "none.yaml")
	o = run("run", "-c", missing)
	o.said(t, 1, o.err, missing)
	o = run("run", "-c", bad)
	o.said(t, 1, o.err, bad+":3:", bad+":5:")
	o = run("status", "--api", "127.0.0.1:1")
	o.said(t, 1, o.err, "no damselfly answers at 127.0.0.1:1", "is it running")
}

var summary = regexp.MustCompile(`(\d+) flows wanted; (\d+) flow, (\d+) group and (\d+) meter changes`)

// planned parses the last line of a plan.
func planned(t *testing.T, o outcome) (wanted, changes string) {
	t.Helper()
	m := summary.FindStringSubmatch(o.out)
	if o.code != 0 || m == nil {
		t.Fatalf("exit %d\n%s%s", o.code, o.out, o.err)
	}
	return m[1], strings.Join(m[2:], " ")
}

// TestPlanAndStatus asks before, while and after Damselfly serves.
func TestPlanAndStatus(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, onePrefix+oneRouter+bluePorts)
		plan := func() outcome { return command(t, s, "plan", "-c", s.ConfigPath, "--ovsdb", s.OVSDB) }

		o := command(t, s, "status", "-c", s.ConfigPath)
		o.said(t, 1, o.err, "no damselfly answers")
		before := plan()
		before.said(t, 0, before.out, "+ ", "database: ")
		if strings.Contains(before.out, "\n- ") {
			t.Errorf("a plan on an untouched bridge removes something:\n%s", before.out)
		}
		if dump, err := s.Ofctl("dump-flows", stage.Bridge); err != nil || strings.Contains(dump, "0xdf1e") {
			t.Errorf("the plan changed the bridge: %v\n%s", err, dump)
		}

		d := serve(t, s)
		vm1 := addGuest(t, s, quick("vm1", mac1))
		waitAddr(t, vm1, "fd00:b1::/64")
		ping(t, vm1, "fe80::1%eth0")
		if wanted, changes := planned(t, plan()); changes != "0 0 0" || wanted == "0" {
			t.Errorf("unchanged: %s flows wanted, changes %s", wanted, changes)
		}
		t.Run("one port more", func(t *testing.T) { planOneMore(t, s, d) })
		t.Run("status", func(t *testing.T) { showStatus(t, s) })
		t.Run("metrics", func(t *testing.T) { showMetrics(t, d, vm1, ndExt) })
		t.Run("replay", func(t *testing.T) { replayCapture(t, s, vm1) })

		if err := d.Stop(); err != nil {
			t.Fatal(err)
		}
		// Its keys are now read from the store; the flows are still there.
		if _, changes := planned(t, plan()); changes != "0 0 0" {
			t.Errorf("after the stop: changes %s", changes)
		}
	})
}

// planOneMore plans a configuration that the running Damselfly does not have.
func planOneMore(t *testing.T, s *stage.Stage, d *stage.Daemon) {
	if _, err := s.Vsctl("add-port", stage.Bridge, "vm3", "--", "set", "Interface", "vm3", "type=internal"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.ConfigPath)
	if err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(s.RunDir, "next.yaml")
	if err := os.WriteFile(next, append(text, "  - {name: vm3, network: blue, mac: \"02:00:00:00:00:13\"}\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	o := command(t, s, "plan", "-c", next, "--ovsdb", s.OVSDB)
	keys, _ := statusOf(t, d)
	if _, changes := planned(t, o); strings.HasPrefix(changes, "0 ") || len(keys) != 2 {
		t.Fatalf("no changes, or the running one has %v\n%s", keys, o.out)
	}
	tree := fmt.Sprintf(" table=%d,", flows.TableSwitch)
	for line := range strings.Lines(o.out) {
		if strings.Contains(line, tree) {
			continue // the tree of the network's MACs takes another form
		}
		// Key 3 is the one a third port gets; the object is the cookie's last word.
		if strings.HasPrefix(line, "- ") || strings.HasPrefix(line, "+ cookie=") && !strings.Contains(line, "00000003") {
			t.Errorf("not vm3's: %s", line)
		}
	}
	if _, err := s.Vsctl("del-port", "vm3"); err != nil {
		t.Fatal(err)
	}
}

func showStatus(t *testing.T, s *stage.Stage) {
	lab.WaitFor(t, patience, "all flows found on the bridge", func() error {
		var st agent.Status
		o := command(t, s, "status", "--json", "-c", s.ConfigPath)
		if err := json.Unmarshal([]byte(o.out), &st); err != nil {
			return err
		}
		if o.code != 0 || st.FlowsInstalled != st.FlowsWanted || !st.Pulse || !st.Connected || st.Bridge != stage.Bridge ||
			len(st.Ports) != 2 || len(st.Networks) != 1 || st.Networks[0].Advertisements == 0 {
			return errors.New(o.out)
		}
		return nil
	})
	o := command(t, s, "status", "-c", s.ConfigPath)
	o.said(t, 0, o.out, "bridge "+stage.Bridge+": connected", "pulse on", "vm1", "unbound", "fd00:b1::/64", "fe80::1")
}

// showMetrics checks what Prometheus would read; metrics parses it with
// Prometheus's own parser.
func showMetrics(t *testing.T, d *stage.Daemon, vm1 *lab.Guest, ndExt bool) {
	frame := routerSolicit(t)
	frame[len(frame)-1] ^= 1 // no flow sees that the checksum is wrong
	inject(t, vm1, frame)
	waitMetric(t, d, "damselfly_frames_total{class=rs,reason=checksum}", 1)
	waitMetric(t, d, "damselfly_port_frames_total{port=vm1,reason=checksum}", 1)
	m, lane := metrics(t, d), "port"
	if puntBy(ndExt) == "packet-in" {
		lane = "1" // vm1's, whose key is 1
	}
	for _, name := range []string{
		"damselfly_frames_total{class=rs,reason=answered}", "damselfly_port_frames_total{port=vm1,reason=answered}",
		"damselfly_flows_wanted", "damselfly_flows_installed", "damselfly_resyncs_total", "damselfly_bridge_connected",
		"damselfly_punt_seconds{lane=" + lane + "}", "damselfly_router_advertisements_total{kind=periodic,network=blue}",
	} {
		if m[name] == 0 {
			t.Errorf("%s is 0 or not there", name)
		}
	}
	if m["damselfly_flows_wanted"] != m["damselfly_flows_installed"] {
		t.Errorf("wanted %v, installed %v", m["damselfly_flows_wanted"], m["damselfly_flows_installed"])
	}
	if ndExt {
		if out, err := vm1.Run("ndisc6", "-1", "-r", "3", "-w", "2000", "fe80::1", "eth0"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		waitMetric(t, d, "damselfly_flow_packets_total{role=nd-answer}", 1)
	}
	waitMetric(t, d, "damselfly_flow_packets_total{role=echo-answer}", 2)
}

// replayCapture records a guest and puts the record through `damselfly replay`.
func replayCapture(t *testing.T, s *stage.Stage, vm1 *lab.Guest) {
	in, out := filepath.Join(s.RunDir, "in.pcap"), filepath.Join(s.RunDir, "out.pcap")
	c, err := vm1.Capture(in, func(f []byte) bool { return bytes.Equal(f[6:12], vm1.MAC) })
	if err != nil {
		t.Fatal(err)
	}
	frame := routerSolicit(t)
	inject(t, vm1, frame)
	arrives(t, c, "the solicitation", like(frame))
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	o := command(t, s, "replay", "-c", s.ConfigPath, in, out)
	o.said(t, 0, o.out, "vm1", "answered")
	o = command(t, s, "replay", "--json", "-c", s.ConfigPath, in, out)
	var verdicts []replay.Verdict
	if err := json.Unmarshal([]byte(o.out), &verdicts); err != nil {
		t.Fatalf("%v\n%s", err, o.out)
	}
	got := verdicts[len(verdicts)-1]
	if diff := cmp.Diff([]any{"vm1", "answered", 1}, []any{got.Port, got.Reason, got.Replies}); diff != "" {
		t.Error(diff)
	}
	// tshark is another reader of what was written.
	text, err := exec.Command("tshark", "-r", out, "-Y", "icmpv6.type == 134", "-T", "fields", "-e", "icmpv6.opt.prefix").CombinedOutput()
	if err != nil || !strings.Contains(string(text), "fd00:b1::") {
		t.Errorf("tshark: %v\n%s", err, text)
	}
}
