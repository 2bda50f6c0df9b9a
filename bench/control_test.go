package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// cloud is a topology as one bridge of a hypervisor has it: networks of equally
// many ports, each network with a router.
type cloud struct {
	ports, perNetwork int

	// What the benchmark changes.
	moved   bool   // a port in the middle has another address
	renamed bool   // the network in the middle has another prefix
	dns     string // what every subnet tells as name server
}

func (c *cloud) middle() int { return c.ports / 2 }

func (c *cloud) prefix(n int) string {
	high := 1
	if c.renamed && n == c.middle()/c.perNetwork {
		high = 2
	}
	return fmt.Sprintf("fd00:%x:%x:", high, n)
}

// text is the configuration.
func (c *cloud) text() string {
	var b strings.Builder
	b.WriteString("networks:\n")
	for n := range c.ports / c.perNetwork {
		fmt.Fprintf(&b, "  - {name: n%d, subnets: [{prefix: \"%s:/64\", mode: slaac, dns: [%q]}]}\n", n, c.prefix(n), c.dns)
	}
	b.WriteString("routers:\n")
	for n := range c.ports / c.perNetwork {
		fmt.Fprintf(&b, "  - {name: r%d, networks: [n%d]}\n", n, n)
	}
	b.WriteString("ports:\n")
	for i := range c.ports {
		n, id := i/c.perNetwork, 0x1_0000+i
		if c.moved && i == c.middle() {
			id = 0x2_0000
		}
		fmt.Fprintf(&b, "  - {name: p%d, network: n%d, mac: \"02:00:00:01:%02x:%02x\", addresses: [\"%s:%x:%x\"]}\n",
			i, n, i>>8, i&0xff, c.prefix(n), id>>16, id&0xffff)
	}
	return b.String()
}

// plug puts the ports on the bridge: patch ports that lead nowhere, which cost Open
// vSwitch a number and no device. One transaction (RFC 7047 section 5.2) has them
// all; ovs-vsctl would read the database anew for each few.
func (c *cloud) plug(tb testing.TB, l *lab.Lab) {
	tb.Helper()
	type op map[string]any
	tx := []any{"Open_vSwitch"}
	var refs []any
	for i := range c.ports {
		p := fmt.Sprintf("p%d", i)
		tx = append(tx,
			op{"op": "insert", "table": "Interface", "uuid-name": "i_" + p, "row": op{"name": p, "type": "patch",
				"options": []any{"map", []any{[]any{"peer", "x" + p}}}, "external_ids": []any{"map", []any{[]any{"iface-id", p}}}}},
			op{"op": "insert", "table": "Port", "uuid-name": "p_" + p, "row": op{"name": p, "interfaces": []any{"named-uuid", "i_" + p}}})
		refs = append(refs, []any{"named-uuid", "p_" + p})
	}
	tx = append(tx,
		op{"op": "mutate", "table": "Bridge", "where": []any{[]any{"name", "==", stage.Bridge}}, "mutations": []any{[]any{"ports", "insert", []any{"set", refs}}}},
		op{"op": "mutate", "table": "Open_vSwitch", "where": []any{}, "mutations": []any{[]any{"next_cfg", "+=", 1}}})
	conn, err := net.Dial("unix", strings.TrimPrefix(l.OVSDB, "unix:"))
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close()
	if err := json.NewEncoder(conn).Encode(op{"method": "transact", "id": 0, "params": tx}); err != nil {
		tb.Fatal(err)
	}
	var reply struct {
		Result []struct{ Error, Details string }
		Error  any
	}
	if err := json.NewDecoder(conn).Decode(&reply); err != nil || reply.Error != nil {
		tb.Fatal(err, reply.Error)
	}
	for _, r := range reply.Result {
		if r.Error != "" {
			tb.Fatalf("the database refuses the ports: %s: %s", r.Error, r.Details)
		}
	}
	lab.WaitFor(tb, 5*time.Minute, "the ports' numbers", func() error {
		_, err := l.OFPort(fmt.Sprintf("p%d", c.ports-1))
		return err
	})
}

// step is what one change cost.
type step struct {
	took    time.Duration // until the bridge confirmed it, from when it was asked for
	sync    time.Duration // of that, comparing, sending and waiting for the bridge; 0 if nothing was sent
	changes int           // flows, groups and meters that came, went or changed
	written int           // octets that Damselfly wrote, nearly all to the bridge
	own     time.Duration // processor time of Damselfly's
	// resident is Damselfly's memory once it is at rest again, MiB.
	resident float64
}

var broughtUpToDate = regexp.MustCompile(`msg="bridge (?:brought up to date" changes=(\d+)|needs no change") .*took=([0-9.a-zµ]+)`)

// updates are the changes that a daemon has told of.
func updates(d *stage.Daemon) (changes int, took time.Duration) {
	for _, m := range broughtUpToDate.FindAllStringSubmatch(d.Log(), -1) {
		n, _ := strconv.Atoi(m[1])
		t, _ := time.ParseDuration(m[2])
		changes, took = changes+n, took+t
	}
	return changes, took
}

// written is how many octets a process has written by system calls (proc(5), wchar
// of /proc/PID/io).
func written(tb testing.TB, pid int) int {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "wchar: ")
	rest, _, _ = strings.Cut(rest, "\n")
	n, err := strconv.Atoi(rest)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// byOfctl removes all flows of the bridge and has ovs-ofctl put them back in one
// bundle: what Open vSwitch takes for as many flows, whoever sends them.
func byOfctl(tb testing.TB, s *stage.Stage) time.Duration {
	tb.Helper()
	must := func(out string, err error) string {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return out
	}
	const patience = "--timeout=120"
	text := must(s.Ofctl(patience, "--no-names", "--no-stats", "dump-flows", stage.Bridge))
	_, text, _ = strings.Cut(text, "\n") // the first line is no flow
	file := filepath.Join(tb.TempDir(), "flows")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	must(s.Ofctl(patience, "del-flows", stage.Bridge))
	began := time.Now()
	must(s.Ofctl(patience, "--bundle", "add-flows", stage.Bridge, file))
	took := time.Since(began)
	tb.Logf("ovs-ofctl puts the same flows there in %v", took.Round(time.Millisecond))
	return took
}

// settle waits until a Damselfly is at rest.
func settle(tb testing.TB, d *stage.Daemon) {
	tb.Helper()
	const look, rest = 500 * time.Millisecond, 10 * time.Millisecond
	var last time.Duration
	for {
		used, err := ExactCPU(d.PID())
		if err != nil {
			tb.Fatal(err)
		}
		if used-last < rest {
			return
		}
		last = used
		select {
		case <-tb.Context().Done():
			tb.Fatal(tb.Context().Err())
		case <-time.After(look):
		}
	}
}

// measure does something to a running Damselfly and waits until it has told of it.
func measure(tb testing.TB, d *stage.Daemon, do func() error, done func() error) (s step) {
	tb.Helper()
	settle(tb, d)
	before, spent := updates(d)
	octets := written(tb, d.PID())
	cpu, err := ExactCPU(d.PID())
	if err != nil {
		tb.Fatal(err)
	}
	start := time.Now()
	if err := do(); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Minute)
	defer cancel()
	if err := lab.Eventually(ctx, done); err != nil {
		tb.Fatalf("%v\n%s", err, d.Log())
	}
	s.took = time.Since(start)
	after, all := updates(d)
	s.changes, s.sync = after-before, all-spent
	s.written = written(tb, d.PID()) - octets
	if s.own, err = ExactCPU(d.PID()); err != nil {
		tb.Fatal(err)
	}
	s.own -= cpu
	s.resident = resident(tb, d.PID())
	return s
}

// BenchmarkControl is the life of one bridge: Damselfly starts on it when it is
// empty, is killed and starts again, and is told of changes. One operation is all
// of it; ports=5000 is 100 networks of 50 ports, ports=16000 is 16 of 1,000.
func BenchmarkControl(b *testing.B) {
	for _, c := range []cloud{{ports: 5_000, perNetwork: 50}, {ports: 16_000, perNetwork: 1_000}} {
		b.Run(fmt.Sprintf("ports=%d", c.ports), func(b *testing.B) {
			for b.Loop() {
				c.live(b)
			}
		})
	}
}

func (c cloud) live(b *testing.B) {
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	l := lab.Start(b)
	s, err := stage.New(l, program)
	must(err)
	s.Punt = byPort
	b.StopTimer()
	c.plug(b, l)
	b.StartTimer()
	c.dns = "2001:db8::53"
	must(s.Configure(c.text()))

	report := func(name string, s step) {
		b.ReportMetric(float64(s.took.Milliseconds()), name+"-ms")
		b.ReportMetric(float64(s.changes), name+"-changes")
		b.Logf("%d ports, %s: %v, of it %v with the bridge; %d changes, %d octets written, %v of a processor, %.0f MiB", c.ports, name,
			s.took.Round(time.Millisecond), s.sync.Round(time.Millisecond), s.changes, s.written, s.own.Round(time.Millisecond), s.resident)
	}
	start := func(name string) *stage.Daemon {
		began := time.Now()
		d, err := s.Start()
		must(err)
		b.Cleanup(func() { _ = d.Kill() })
		lab.WaitFor(b, 5*time.Minute, "its first flows", func() error {
			if !broughtUpToDate.MatchString(d.Log()) {
				return errors.New("it has not told of them")
			}
			return nil
		})
		st := step{took: time.Since(began)}
		settle(b, d)
		st.changes, st.sync = updates(d)
		st.written = written(b, d.PID())
		st.own, err = ExactCPU(d.PID())
		must(err)
		st.resident = resident(b, d.PID())
		report(name, st)
		return d
	}
	d := start("start")
	_, flows, _ := strings.Cut(d.Log(), " flows=")
	flows, _, _ = strings.Cut(flows, " ")
	n, err := strconv.Atoi(flows)
	must(err)
	b.ReportMetric(float64(n)/float64(c.ports), "flows/port")
	must(d.Kill())
	d = start("restart")

	change := func(name string, change func()) {
		change()
		reloads := strings.Count(d.Log(), "configuration reloaded")
		before, _ := updates(d)
		report(name, measure(b, d, func() error { return s.Configure(c.text()) }, func() error {
			if strings.Count(d.Log(), "configuration reloaded") == reloads {
				return errors.New("not reloaded")
			}
			if n, _ := updates(d); n == before && name != "dns" {
				return errors.New("nothing changed")
			}
			return nil
		}))
	}
	change("port", func() { c.moved = true })
	change("subnet", func() { c.renamed = true })
	change("dns", func() { c.dns = "2001:db8::54" })

	settle(b, d)
	b.ReportMetric(resident(b, d.PID()), "MiB")
	must(d.Kill())
	b.ReportMetric(float64(byOfctl(b, s).Milliseconds()), "ofctl-ms")
}

// resident is the memory that a process has for itself, MiB (proc(5), RssAnon of
// /proc/PID/status): without the pages of files, its store's among them, that the
// kernel can take back.
func resident(tb testing.TB, pid int) float64 {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	_, rss, _ := strings.Cut(string(text), "RssAnon:")
	kib, err := strconv.Atoi(strings.Fields(rss)[0])
	if err != nil {
		tb.Fatal(err)
	}
	return float64(kib) / 1024
}
