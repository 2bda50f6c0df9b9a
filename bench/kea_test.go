package bench

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"damselfly/bench/loadgen"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// dhcpBudget lifts every limit that one port's clients could meet.
const dhcpBudget = "limits: {dhcpv6: none, leases: 10000000}"

// dhcpTopology is one network with a pool for as many clients as there may be,
// all behind one port.
const dhcpTopology = dhcpBudget + `
networks:
  - name: blue
    subnets:
      - {prefix: "fd00:1::/64", mode: dhcpv6-stateful, pools: ["fd00:1::1:0:0-fd00:1::1:ffff:ffff"], preferred: 3000s, valid: 4000s}
routers: [{name: r1, networks: [blue]}]
ports: [{name: client, network: blue, mac: "02:00:00:00:00:11"}]
`

// keaConfig is Kea's with leases in memory and a file beside, which it writes
// and does not sync.
const keaConfig = `{"Dhcp6": {
  "data-directory": "%[1]s", "server-id": {"type": "LL", "persist": false},
  "interfaces-config": {"interfaces": ["eth0"]},
  "lease-database": {"type": "memfile", "persist": true, "name": "%[1]s/leases6.csv", "lfc-interval": 0},
  "preferred-lifetime": 3000, "valid-lifetime": 4000, "renew-timer": 1500, "rebind-timer": 2400,
  "multi-threading": {"enable-multi-threading": true, "thread-pool-size": 2, "packet-queue-size": 64},
  "subnet6": [{"subnet": "fd00:1::/64", "interface": "eth0", "pools": [{"pool": "fd00:1::1:0:0/96"}]}],
  "loggers": [{"name": "kea-dhcp6", "severity": "ERROR", "output_options": [{"output": "%[1]s/kea.log"}]}]}}
`

const keaBridge = "br-kea"

// dhcpServer is a DHCPv6 server through Open vSwitch and the guest that loads it.
type dhcpServer struct {
	name      string
	pid       int
	switchPID int
	client    *lab.Guest
	seed      int
	lab       *lab.Lab
}

// newDHCPServers brings both servers up under one ovs-vswitchd: Damselfly on its
// bridge, Kea as a guest of a learning one.
func newDHCPServers(tb testing.TB) []*dhcpServer {
	tb.Helper()
	for _, name := range []string{"perfdhcp", "kea-dhcp6"} {
		if _, err := exec.LookPath(name); err != nil {
			tb.Skipf("%s is missing: install kea-admin and kea-dhcp6-server", name)
		}
	}
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	l := lab.Start(tb)
	s, err := stage.New(l, program)
	must(err)
	must(s.Configure(dhcpTopology))
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	d, err := s.Serve(ctx)
	must(err)
	must(l.AddBridge(keaBridge))
	guest := func(name, mac, bridge string, addresses ...netip.Prefix) *lab.Guest {
		g, err := l.AddGuest(lab.GuestOptions{Name: name, MAC: mac, Bridge: bridge, Addresses: addresses})
		must(err)
		return g
	}
	ours := guest("client", "02:00:00:00:00:11", stage.Bridge)
	theirs := guest("keaclient", "02:00:00:00:00:21", keaBridge, netip.MustParsePrefix("fd00:1::1/64"))
	server := guest("kea", "02:00:00:00:00:22", keaBridge, netip.MustParsePrefix("fd00:1::2/64"))
	for _, g := range []*lab.Guest{ours, theirs, server} {
		_, err := g.WaitAddr(ctx, netip.MustParsePrefix("fe80::/64"))
		must(err)
	}
	ovs, err := pidIn(filepath.Join(l.RunDir, "ovs-vswitchd.pid"))
	must(err)
	return []*dhcpServer{
		{name: "damselfly", pid: d.PID(), switchPID: ovs, client: ours, lab: l},
		{name: "kea", pid: startKea(tb, server), switchPID: ovs, client: theirs, lab: l},
	}
}

// startKea runs Kea in a guest and returns its process.
func startKea(tb testing.TB, g *lab.Guest) int {
	tb.Helper()
	dir := tb.TempDir()
	config := filepath.Join(dir, "kea.json")
	if err := os.WriteFile(config, fmt.Appendf(nil, keaConfig, dir), 0o600); err != nil {
		tb.Fatal(err)
	}
	cmd := g.Command("kea-dhcp6", "-c", config)
	cmd.Env = append(cmd.Environ(), "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR="+dir)
	log := filepath.Join(dir, "out")
	said, err := os.Create(log)
	if err != nil {
		tb.Fatal(err)
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended with the lab
		_ = cmd.Wait()
	})
	lab.WaitFor(tb, 30*time.Second, "Kea to listen", func() error {
		out, err := g.Run("ss", "-Hlun6", "sport", "=", ":547")
		if err == nil && out == "" {
			text, _ := os.ReadFile(log)
			return fmt.Errorf("nobody listens on port 547: %s", text)
		}
		return err
	})
	// `ip netns exec` becomes what it starts.
	return cmd.Process.Pid
}

// exchanges is how one run of perfdhcp ended.
type exchanges struct {
	rate           float64 // exchanges completed a second
	lost           float64 // part of the messages without an answer
	overrun        float64 // answers that came and found perfdhcp's socket full, not lost
	done           float64
	own, ovs, load time.Duration
}

// good reports whether the server kept up with what was offered.
func (e *exchanges) good(offered int) bool { return e.lost < 0.001 && e.rate > 0.95*float64(offered) }

var (
	sentLine     = regexp.MustCompile(`sent packets: (\d+)`)
	receivedLine = regexp.MustCompile(`received packets: (\d+)`)
)

// run offers a rate of four-way exchanges, each of a client that never came
// before. mode is perfdhcp's: one thread, or one more that receives.
func (s *dhcpServer) run(tb testing.TB, mode string, rate int, period time.Duration) exchanges {
	tb.Helper()
	s.seed++
	overrun := s.overrun(tb)
	m := (&theater{switchPID: s.switchPID}).meter(tb, responder{pid: s.pid})
	cmd := s.client.Command("perfdhcp", "-6", "-l", "eth0", "-g", mode, "-R", "10000000", "-r", strconv.Itoa(rate), "-W", "500000",
		"-b", fmt.Sprintf("mac=02:%02x:00:00:00:00", s.seed), "-p", strconv.Itoa(int(period/time.Second)), "-s", strconv.Itoa(s.seed))
	out, err := cmd.CombinedOutput()
	// It exits with 3 where some exchanges did not complete.
	if err != nil && cmd.ProcessState.ExitCode() != 3 {
		tb.Fatalf("perfdhcp: %v\n%s", err, out)
	}
	m.stop(tb)
	numbers := func(line *regexp.Regexp) (list [2]float64) {
		found := line.FindAllSubmatch(out, -1)
		if len(found) != 2 {
			tb.Fatalf("perfdhcp said, without two lines of %v:\n%s", line, out)
		}
		for i := range list {
			list[i], _ = strconv.ParseFloat(string(found[i][1]), 64) // the expression allows digits alone
		}
		return list
	}
	sent, received := numbers(sentLine), numbers(receivedLine)
	e := exchanges{done: received[1], own: m.own, ovs: m.ovs}
	e.rate = received[1] / period.Seconds()
	e.overrun = s.overrun(tb) - overrun
	e.lost = max(0, 1-(received[0]+received[1]+e.overrun)/(sent[0]+sent[1]))
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		e.load = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return e
}

// overrun is how many datagrams the client's full sockets have dropped.
func (s *dhcpServer) overrun(tb testing.TB) float64 {
	tb.Helper()
	out, err := s.client.Run("cat", "/proc/net/snmp6")
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(out, "Udp6RcvbufErrors")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		tb.Fatal("/proc/net/snmp6 does not count Udp6RcvbufErrors")
	}
	n, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// try runs a rate up to four times, until the server keeps up: what else the
// machine does for a moment is no limit of the server's, and neither is the mode
// of perfdhcp, of which one suits one server better and the other the other.
func (s *dhcpServer) try(b *testing.B, rate int, period time.Duration) (e exchanges) {
	for _, mode := range [4]string{"multi", "single", "multi", "single"} {
		e = s.run(b, mode, rate, period)
		b.Logf("%-9s %-6s offered %6d/s: %6.0f/s, %.3f %% lost, %.0f overran perfdhcp, own %.0f + ovs %.0f + perfdhcp %.0f us an exchange",
			s.name, mode, rate, e.rate, 100*e.lost, e.overrun, micros(e.own)/e.done, micros(e.ovs)/e.done, micros(e.load)/e.done)
		if e.good(rate) {
			break
		}
	}
	return e
}

// search climbs to the highest rate that a server keeps up with, in steps of
// 10 %, losing less than one message in a thousand in one of four runs. It ends
// when two rates in a row are not kept.
type search struct {
	server *dhcpServer
	rate   int // the next to try
	missed int // rates in a row that were not kept
	kept   exchanges
}

func (s *search) done() bool { return s.missed >= 2 && s.kept.done > 0 }

// step tries one rate.
func (s *search) step(b *testing.B) {
	if s.missed >= 2 {
		if s.rate, s.missed = s.rate/2, 0; s.rate < 200 {
			b.Fatalf("%s does not keep up with %d exchanges a second", s.server.name, s.rate)
		}
	}
	if e := s.server.try(b, s.rate, 3*time.Second); e.good(s.rate) {
		s.kept, s.missed = e, 0
	} else {
		s.missed++
	}
	s.rate = s.rate * 11 / 10
}

// BenchmarkDHCPv6Switch offers four-way exchanges of ever new clients through
// Open vSwitch to Damselfly and to Kea in turns. One operation is one search for
// the highest rate of both.
func BenchmarkDHCPv6Switch(b *testing.B) {
	buffers := receiveBuffers(b)
	servers := newDHCPServers(b)
	b.Logf("%s; receive buffers of %s octets; %s; Damselfly syncs before every Reply, Kea never", dhcpBudget, buffers, syncTime(b, os.TempDir()))
	for b.Loop() {
		b.Logf("load average %s", loadAverage())
		var both [2]search
		for i, s := range servers {
			both[i] = search{server: s, rate: 6000}
		}
		for !both[0].done() || !both[1].done() {
			for i := range both {
				if !both[i].done() {
					both[i].step(b)
				}
			}
		}
		for i := range both {
			name, kept := both[i].server.name, &both[i].kept
			b.ReportMetric(kept.rate, name+"-exchanges/s")
			b.ReportMetric(micros(kept.own)/kept.done, name+"-own-us")
			b.ReportMetric(micros(kept.ovs)/kept.done, name+"-ovs-us")
			b.ReportMetric(100*kept.lost, name+"-%lost")
		}
		ours, kea := &both[0].kept, &both[1].kept
		b.ReportMetric(ours.rate/kea.rate, "x-kea-exchanges/s")
		b.ReportMetric(float64(ours.own+ours.ovs)/ours.done/(float64(kea.own)/kea.done), "x-kea-cpu")
		b.ReportMetric(float64(ours.own+ours.ovs)/ours.done/(float64(kea.own+kea.ovs)/kea.done), "x-kea-cpu-with-ovs")
	}
}

// receiveBuffers lets every socket made from now on hold some thousands of
// frames, until the benchmark ends: perfdhcp, Kea and Open vSwitch take turns on
// few processors here, and what overflows meanwhile in the default of 208 KiB
// would be the limit of all. It returns the size there is, in octets, which
// stays as it was for whoever may not change it.
func receiveBuffers(tb testing.TB) string {
	tb.Helper()
	const setting = "/proc/sys/net/core/rmem_default"
	was, err := os.ReadFile(setting)
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(setting, []byte("4194304"), 0); err == nil {
		tb.Cleanup(func() {
			if err := os.WriteFile(setting, was, 0); err != nil {
				tb.Error(err)
			}
		})
	}
	now, err := os.ReadFile(setting)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(now))
}

// syncTime tells a folder's file system and the median of what it takes to sync
// a page appended to a file there.
func syncTime(tb testing.TB, dir string) string {
	tb.Helper()
	f, err := os.CreateTemp(dir, "dfly-sync-")
	if err != nil {
		tb.Fatal(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var times loadgen.Histogram
	for range 31 {
		begun := time.Now()
		if _, err := f.Write(make([]byte, os.Getpagesize())); err != nil {
			tb.Fatal(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			tb.Fatal(err)
		}
		times.Add(time.Since(begun))
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		tb.Fatal(err)
	}
	return fmt.Sprintf("file system %#x of %s syncs a page in %v", st.Type, dir, times.Quantile(0.5))
}

// pidIn reads a daemon's pid file.
func pidIn(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
