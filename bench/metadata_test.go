package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

const (
	callers        = 500 // guests that ask for metadata
	callsPerCaller = 20
	callTime       = 20 * time.Second
)

// BenchmarkMetadata has 500 guests ask at once for their metadata 20 times each, by
// the link-local address and in a connection of its own each time, as clients at
// boot do. The guests are VLANs of one trunk port, each on a network of its own;
// they share one kernel, in which each is an address, and a bridge in front that
// tags by that: Open vSwitch's userspace datapath asks every port there is whether
// something came, so that 500 of them would measure that alone.
func BenchmarkMetadata(b *testing.B) {
	l := lab.Start(b)
	s, err := stage.New(l, program)
	if err != nil {
		b.Fatal(err)
	}
	var networks, ports strings.Builder
	for i := range callers {
		fmt.Fprintf(&networks, "  - {name: n%d, metadata: {}}\n", i)
		fmt.Fprintf(&ports, "  - {name: vm%d, network: n%d, parent: trunk, vlan: %d, mac: %q, addresses: [%q], metadata: {}}\n", i, i, i+1, callersMAC, callerAddress(i))
	}
	config := "networks:\n  - {name: base}\n" + networks.String() + "ports:\n  - {name: trunk, network: base, unknown: true}\n" + ports.String()
	if err := s.Configure(config); err != nil {
		b.Fatal(err)
	}
	g := callersBehind(b, l)
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	d, err := s.Serve(ctx)
	if err != nil {
		b.Fatal(err)
	}
	if err := lab.Eventually(ctx, func() error { return ask(g, callers-1) }); err != nil {
		b.Fatal(err)
	}
	ovs, ours := cpuOf(b, l.VswitchdPID()), cpuOf(b, d.PID())
	began := time.Now()
	var took []time.Duration
	b.ResetTimer()
	for range b.N {
		took = append(took, round(b, g)...)
	}
	elapsed := time.Since(began)
	b.StopTimer()
	if len(took) == 0 {
		b.Fatal("no request was answered")
	}
	slices.Sort(took)
	n := float64(len(took))
	b.ReportMetric(n/elapsed.Seconds(), "requests/s")
	b.ReportMetric(float64(took[len(took)/2])/1e6, "ms-median")
	b.ReportMetric(float64(took[len(took)*99/100])/1e6, "ms-p99")
	b.ReportMetric(float64(cpuOf(b, d.PID())-ours)/n/1e3, "us-damselfly/request")
	b.ReportMetric(float64(cpuOf(b, l.VswitchdPID())-ovs)/n/1e3, "us-ovs/request")
	if want := b.N * callers * callsPerCaller; len(took) != want {
		b.Errorf("%d of %d requests answered", len(took), want)
	}
}

const callersMAC = "02:00:00:00:00:11"

func callerAddress(i int) string { return fmt.Sprintf("fe80::1:%x", i+1) }

// callersBehind makes the guests' kernel and the bridge that tags.
func callersBehind(b *testing.B, l *lab.Lab) *lab.Guest {
	b.Helper()
	const bridge = "br-callers"
	if err := l.AddBridge(bridge, "fail_mode=secure"); err != nil {
		b.Fatal(err)
	}
	o := lab.GuestOptions{Name: "callers", Bridge: bridge, MAC: callersMAC, Sysctls: map[string]string{"net.ipv6.conf.eth0.dad_transmits": "0"}}
	for i := range callers {
		o.Addresses = append(o.Addresses, netip.PrefixFrom(netip.MustParseAddr(callerAddress(i)), 64))
	}
	g, err := l.AddGuest(o)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := l.Vsctl("add-port", bridge, "patch0", "--", "set", "Interface", "patch0", "type=patch", "options:peer=trunk",
		"--", "add-port", stage.Bridge, "trunk", "--", "set", "Interface", "trunk", "type=patch", "options:peer=patch0"); err != nil {
		b.Fatal(err)
	}
	patch, err := l.OFPort("patch0")
	if err != nil {
		b.Fatal(err)
	}
	var flows strings.Builder
	fmt.Fprintf(&flows, "table=0,priority=9,in_port=%d,vlan_tci=0x1000/0x1000,actions=pop_vlan,output:%d\n", patch, g.OFPort)
	for i := range callers {
		fmt.Fprintf(&flows, "table=0,in_port=%d,ipv6,ipv6_src=%s,actions=push_vlan:0x8100,set_field:%d->vlan_vid,output:%d\n", g.OFPort, callerAddress(i), 0x1000|(i+1), patch)
	}
	path := filepath.Join(l.RunDir, "callers.flows")
	if err := os.WriteFile(path, []byte(flows.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	if _, err := l.Ofctl("add-flows", l.Mgmt(bridge), path); err != nil {
		b.Fatal(err)
	}
	return g
}

// cpuOf is what processes have used.
func cpuOf(b *testing.B, pids ...int) (sum time.Duration) {
	b.Helper()
	for _, pid := range pids {
		used, err := CPU(pid)
		if err != nil {
			b.Fatal(err)
		}
		sum += used
	}
	return sum
}

// round has every guest ask, one request after the other, all guests at once.
func round(b *testing.B, g *lab.Guest) (took []time.Duration) {
	b.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			var mine []time.Duration
			for range callsPerCaller {
				began := time.Now()
				if err := ask(g, i); err != nil {
					b.Error(err)
					continue
				}
				mine = append(mine, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
		})
	}
	all.Wait()
	return took
}

// ask makes one request of a guest.
func ask(g *lab.Guest, caller int) error {
	var c net.Conn
	err := g.Within(func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		zone := strconv.Itoa(eth0.Index)
		dialer := net.Dialer{Timeout: callTime, LocalAddr: &net.TCPAddr{IP: net.ParseIP(callerAddress(caller)), Zone: zone}}
		c, err = dialer.Dial("tcp6", "[fe80::a9fe:a9fe%"+zone+"]:80")
		return err
	})
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(callTime))
	if _, err := io.WriteString(c, "GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if want := fmt.Sprintf("vm%d", caller); err == nil && string(body) != want {
		err = fmt.Errorf("%s heard %s %q", want, resp.Status, body)
	}
	return err
}
