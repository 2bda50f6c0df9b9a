package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"damselfly/internal/agent"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// TestLeasesCommand lists, selects and releases the leases of real clients, and
// reads what the metrics say of them.
func TestLeasesCommand(t *testing.T) {
	t.Parallel()
	s := newStage(t, true, stateful)
	d := serve(t, s, "--log-level", "debug")
	vm1 := addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11"})
	vm3 := addGuest(t, s, lab.GuestOptions{Name: "vm3", MAC: "02:00:00:00:00:13"})
	linkReady(t, vm1)
	linkReady(t, vm3)
	fixed, delegate := newISC(t, vm1), newISC(t, vm3)
	fixed.run(t, "-1")
	delegate.run(t, "-1", "-P")
	prefix := delegate.env(t, "new_ip6_prefix")

	o := command(t, s, "leases", "-c", s.ConfigPath)
	o.said(t, 0, o.out, "PORT", "DUID", "IAID", "fd00:d1::11", "vm1", "blue", "address", prefix, "vm3", "prefix", "bound")
	if n := strings.Count(o.out, "\n"); n != 3 {
		t.Errorf("%d lines, want a heading and two leases\n%s", n, o.out)
	}
	all := listed(t, s)
	if len(all) != 2 || all[0].Port != "vm1" || all[0].Network != "blue" || all[0].Valid < 1 || all[0].Valid > 600 || all[0].Preferred > 300 {
		t.Fatalf("listed %+v", all)
	}
	selects(t, s, all, prefix)
	countsLeases(t, d)
	control := controlSocket(t, s)
	if err := d.Said("lease granted"); err != nil {
		t.Error(err)
	}

	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, 1, "--release needs to know which"},
		{[]string{"--port", ""}, 1, "port"},
		{[]string{"--state", "dead"}, 1, "bound, declined"},
		{[]string{"--port", "vm2"}, 0, "no lease is selected"},
		{[]string{"--port", "vm1", "--kind", "prefix"}, 0, "no lease is selected"},
	} {
		o := command(t, s, release(s, c.args...)...)
		o.said(t, c.code, o.out+o.err, c.says)
	}
	if got := listed(t, s); len(got) != 2 {
		t.Errorf("releases that selected nothing left %+v", got)
	}
	o = command(t, s, release(s, "--address", "fd00:d1::11")...)
	o.said(t, 0, o.out, "released 1 leases")
	if got := listed(t, s); len(got) != 1 || got[0].Port != "vm3" {
		t.Errorf("left %+v", got)
	}
	if flows, err := s.Ofctl("dump-flows", stage.Bridge); err != nil || !strings.Contains(flows, prefix) {
		t.Errorf("no flow goes to %s: %v\n%s", prefix, err, flows)
	}
	// The route goes with the prefix: the switch sends nothing there any more.
	o = command(t, s, append(release(s, "--network", "blue", "--duid", all[1].DUID), "--json")...)
	o.said(t, 0, o.out, `"released": 1`)
	o = command(t, s, "leases", "-c", s.ConfigPath)
	o.said(t, 0, o.out, "no leases")
	lab.WaitFor(t, patience, "the delegated prefix to leave the flows", func() error {
		if flows, err := s.Ofctl("dump-flows", stage.Bridge); err != nil || strings.Contains(flows, prefix) {
			return fmt.Errorf("%v\n%s", err, flows)
		}
		return nil
	})
	if n := metrics(t, d)["damselfly_leases{kind=prefix,state=bound}"]; n != 0 {
		t.Errorf("%v prefixes counted after the release", n)
	}

	// What nobody can reach is said so, and a dead process's socket is no bar.
	if err := d.Kill(); err != nil {
		t.Fatal(err)
	}
	o = command(t, s, release(s, "--port", "vm1")...)
	o.said(t, 1, o.err, "no damselfly answers at "+control)
	again := serve(t, s)
	o = command(t, s, release(s, "--port", "vm1")...)
	o.said(t, 0, o.out, "no lease is selected")
	if err := again.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(control); !os.IsNotExist(err) {
		t.Errorf("after the stop the control socket is still there: %v", err)
	}
}

// release is the command line that releases.
func release(s *stage.Stage, args ...string) []string {
	return append([]string{"leases", "-c", s.ConfigPath, "--ovsdb", s.OVSDB, "--release"}, args...)
}

// listed is what `damselfly leases --json` lists.
func listed(t *testing.T, s *stage.Stage, args ...string) (list []agent.LeaseStatus) {
	t.Helper()
	o := command(t, s, append([]string{"leases", "--json", "-c", s.ConfigPath}, args...)...)
	if err := json.Unmarshal([]byte(o.out), &list); err != nil || o.code != 0 {
		t.Fatalf("leases %v: exit %d, %v\n%s%s", args, o.code, err, o.out, o.err)
	}
	return list
}

// selects tries each filter on the leases of vm1, an address, and vm3, a prefix.
func selects(t *testing.T, s *stage.Stage, all []agent.LeaseStatus, prefix string) {
	t.Helper()
	inside := netip.MustParsePrefix(prefix).Addr().Next().String()
	colons := strings.ToUpper(all[0].DUID[:2] + ":" + all[0].DUID[2:])
	for _, c := range []struct{ flag, value, ports string }{
		{"--port", "vm1", "vm1"},
		{"--port", "vm2", ""},
		{"--network", "blue", "vm1 vm3"},
		{"--network", "red", ""},
		{"--address", "fd00:d1::11", "vm1"},
		{"--address", "fd00:d1::12", ""},
		{"--address", "fd00:d1::/64", "vm1"},
		{"--address", inside, "vm3"},
		{"--duid", colons, "vm1"},
		{"--duid", all[1].DUID, "vm3"},
		{"--kind", "address", "vm1"},
		{"--kind", "prefix", "vm3"},
		{"--kind", "registration", ""},
		{"--state", "bound", "vm1 vm3"},
		{"--state", "declined", ""},
	} {
		var ports []string
		for _, l := range listed(t, s, c.flag, c.value) {
			ports = append(ports, l.Port)
		}
		if got := strings.Join(ports, " "); got != c.ports {
			t.Errorf("%s %s selects %q, want %q", c.flag, c.value, got, c.ports)
		}
	}
	for flag, value := range map[string]string{"--kind": "house", "--address": "here", "--duid": "xyz", "--port": ""} {
		o := command(t, s, "leases", "-c", s.ConfigPath, flag, value)
		o.said(t, 1, o.err, strings.TrimPrefix(flag, "--"))
	}
}

// countsLeases reads the metrics after one address and one prefix were given,
// each by Solicit and Request or by a rapid Solicit alone.
func countsLeases(t *testing.T, d *stage.Daemon) {
	t.Helper()
	m := metrics(t, d)
	for name, want := range map[string]float64{
		"damselfly_leases{kind=address,state=bound}": 1, "damselfly_leases{kind=prefix,state=bound}": 1,
		"damselfly_leases{kind=registration,state=bound}": 0, "damselfly_leases{kind=address,state=declined}": 0,
		"damselfly_dhcpv6_messages_total{message=decline}": 0, "damselfly_dhcpv6_statuses_total{status=no-addrs-avail}": 0,
	} {
		if got, there := m[name]; !there || got != want {
			t.Errorf("%s is %v (%v), want %v", name, got, there, want)
		}
	}
	if solicits := m["damselfly_dhcpv6_messages_total{message=solicit}"]; solicits < 2 {
		t.Errorf("%v Solicits counted from two clients", solicits)
	}
	if _, there := m["damselfly_dhcpv6_offloaded_total"]; !there {
		t.Error("no damselfly_dhcpv6_offloaded_total")
	}
}

// controlSocket finds the one socket that changes state, which is root's alone.
func controlSocket(t *testing.T, s *stage.Stage) string {
	t.Helper()
	path := filepath.Join(s.RunDir, stage.Bridge+".damselfly.ctl")
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%s has the mode %v", path, info.Mode())
	}
	return path
}
