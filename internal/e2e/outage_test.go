package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"damselfly/flows"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// outage is how long Damselfly is away: longer than neighbours stay reachable in
// the short form, and two minutes in the long one.
func outage() time.Duration {
	if os.Getenv("DAMSELFLY_SOAK") != "" {
		return 120 * time.Second
	}
	return 12 * time.Second
}

// nervous guests verify their neighbours every few seconds (RFC 4861 section
// 7.3.3), so that an outage holds several probes.
var nervous = map[string]string{
	"net.ipv6.neigh.eth0.base_reachable_time_ms": "5000",
	"net.ipv6.neigh.eth0.delay_first_probe_time": "1",
}

// TestOutage kills Damselfly with SIGKILL while guests that know each other ping
// every 10 ms: nothing is lost, not in the outage and not by the restart, and a
// neighbour that a guest forgot is found again meanwhile. The restart changes
// no flow.
func TestOutage(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, blue+`
  - {name: vm3, network: blue, mac: "02:00:00:00:00:13"}
`)
		d := serve(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), outage()+2*patience)
		defer cancel()
		var guests []*lab.Guest
		for i := range 3 {
			g := addGuest(t, s, lab.GuestOptions{
				Name: fmt.Sprintf("vm%d", i+1), MAC: fmt.Sprintf("02:00:00:00:00:1%d", i+1), Sysctls: nervous,
			})
			guests = append(guests, g)
		}
		booted(t, bluePrefix, guests...)
		vm1, vm3 := guests[0], guests[2]
		target := "fd00:b1::ff:fe00:12"
		ping(t, vm1, target)
		ping(t, vm3, target)
		pinging := startPing(t, vm1, target)

		if err := d.Kill(); err != nil {
			t.Fatal(err)
		}
		killed := time.Now()
		if _, err := vm3.Run("ip", "-6", "neigh", "flush", "dev", "eth0"); err != nil {
			t.Fatal(err)
		}
		ping(t, vm3, target)
		t.Logf("a forgotten neighbour answered %v after the kill", time.Since(killed).Round(time.Millisecond))
		select { // the outage itself
		case <-time.After(time.Until(killed.Add(outage()))):
		case <-ctx.Done():
		}

		watch := startMonitor(t, s)
		serve(t, s)
		ping(t, vm3, target)
		if events := watch(); events != "" {
			t.Errorf("the restart changed flows:\n%s", events)
		}
		if age := youngestFlow(t, s); age < outage() {
			t.Errorf("the youngest flow is %v old after an outage of %v: it was put in again", age, outage())
		}
		sent, received := pinging()
		t.Logf("%d of %d pings answered over an outage of %v and the restart", received, sent, outage())
		if sent != received || sent < int(outage()/(20*time.Millisecond)) {
			t.Errorf("%d pings sent, %d answered", sent, received)
		}
	})
}

// startPing pings every 10 ms for longer than the outage and the restart. The
// returned function lets ping end by itself, so that no answer is cut off, and
// says how many were sent and answered.
func startPing(t *testing.T, from *lab.Guest, target string) func() (sent, received int) {
	t.Helper()
	cmd := from.Command("ping", "-6", "-q", "-i", "0.01", "-c", strconv.Itoa(int((outage()+5*time.Second)/(10*time.Millisecond))), target)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() (sent, received int) {
		t.Helper()
		_ = cmd.Wait() // loss is read from the summary
		m := regexp.MustCompile(`(\d+) packets transmitted, (\d+) received`).FindStringSubmatch(out.String())
		if m == nil {
			t.Fatalf("ping said: %s", out.String())
		}
		sent, _ = strconv.Atoi(m[1])
		received, _ = strconv.Atoi(m[2])
		return sent, received
	}
}

// isCounter reports whether a line of ovs-ofctl's is about a counter of drops: a port
// gets one more for a kind of drop more, whenever something of its is dropped.
func isCounter(line string) bool {
	return regexp.MustCompile(fmt.Sprintf(`\btable=%d\b`, flows.TableDropped)).MatchString(line)
}

// startMonitor watches the bridge's flows with ovs-ofctl. The returned function
// ends that and gives the changes seen, but for counters more.
func startMonitor(t *testing.T, s *stage.Stage) func() string {
	t.Helper()
	cmd := s.Command("ovs-ofctl", "-O", "OpenFlow15", "monitor", s.Mgmt(stage.Bridge), "watch:!initial")
	out := &watched{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// A change of our own proves that the monitor listens; a second one, that it
	// has said all there was before.
	probe := func(cookie string) {
		t.Helper()
		lab.WaitFor(t, patience, "the monitor to listen", func() error {
			for _, args := range [][]string{
				{"add-flow", s.Mgmt(stage.Bridge), "table=0,priority=7,cookie=" + cookie + ",dl_type=0x88b5,actions=drop"},
				{"del-flows", s.Mgmt(stage.Bridge), "cookie=" + cookie + "/-1"},
			} {
				if _, err := s.Ofctl(args...); err != nil {
					return err
				}
			}
			if !strings.Contains(out.String(), cookie) {
				return fmt.Errorf("it has not said %s", cookie)
			}
			return nil
		})
	}
	probe("0xfeed")
	return func() string {
		t.Helper()
		probe("0xbeef")
		stop(t, cmd)
		var ours []string
		for line := range strings.Lines(out.String()) {
			if strings.Contains(line, "event=") && !strings.Contains(line, "dl_type=0x88b5") &&
				!(isCounter(line) && strings.Contains(line, "event=ADDED")) {
				ours = append(ours, line)
			}
		}
		return strings.Join(ours, "")
	}
}

// watched is output that is read while it is written.
type watched struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func stop(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
}

// youngestFlow is the shortest time that a flow of Damselfly's, which is no counter,
// has been there.
func youngestFlow(t *testing.T, s *stage.Stage) time.Duration {
	t.Helper()
	out, err := s.Ofctl("dump-flows", s.Mgmt(stage.Bridge), "cookie=0xdf1e000000000000/0xffff000000000000")
	if err != nil {
		t.Fatal(err)
	}
	youngest, duration := time.Duration(-1), regexp.MustCompile(`duration=([0-9.]+s)`)
	for line := range strings.Lines(out) {
		m := duration.FindStringSubmatch(line)
		if m == nil || isCounter(line) {
			continue
		}
		age, err := time.ParseDuration(m[1])
		if err != nil {
			t.Fatal(err)
		}
		if youngest < 0 || age < youngest {
			youngest = age
		}
	}
	if youngest < 0 {
		t.Fatalf("no flow of Damselfly's in:\n%s", out)
	}
	return youngest
}
