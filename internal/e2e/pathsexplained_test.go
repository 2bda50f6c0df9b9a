package e2e

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"damselfly/internal/explain"
	"damselfly/internal/topology"
)

// explained: it is said which way a packet would go that a router carries, or why
// it goes nowhere, and which line of the configuration has it so.
func (c *crossing) explained(t *testing.T) {
	file, err := os.ReadFile(c.ConfigPath)
	if err != nil {
		t.Fatal(err)
	}
	written := strings.Split(string(file), "\n")
	router := topology.RouterMAC("blue").String()
	for _, tt := range []struct{ name, from, to, outcome, reason, says, line string }{
		{"next hops of equal cost", "fd00:b1::ff:fe00:11", "2001:db8:7::1", "delivered", "output", "to one of port vm2, port vm3", `2001:db8:7::/48", nexthop`},
		{"such behind uplinks", "fd00:b1::ff:fe00:11", "2001:db8:8::1", "delivered", "output", "to one of ", `2001:db8:8::/48", nexthop`},
		{"on a prefix of a network", "fd00:b1::ff:fe00:11", "fd00:ed::ff:fe00:12", "delivered", "output", "delivers it to port vm2", "name: vm2"},
		{"a source from elsewhere", "fd00:ed::99", "2001:db8:7::1", "dropped", "drop-reverse-path", "not where it came from", "- blue"},
		{"a source from nowhere", "2001:db8:99::1", "2001:db8:7::1", "dropped", "drop-reverse-path", "not where it came from", "- blue"},
		{"a blackhole", "fd00:b1::ff:fe00:11", "2001:db8:b::1", "dropped", "drop-blackhole", "forbids its destination", "type: blackhole"},
		{"rejected", "fd00:b1::ff:fe00:11", "2001:db8:c::1", "answered", "route-rejects", "a Destination Unreachable from fd00:b1::1", "type: reject"},
		{"no route", "fd00:b1::ff:fe00:11", "2001:db8:ffff::1", "answered", "no-route", "a Destination Unreachable from fd00:b1::1", "router r1, routes "},
		{"asked for", "fd00:b1::ff:fe00:11", "2001:db8:10::99", "waits", "resolving", "a Neighbor Solicitation from 2001:db8:10::1", "- blue"},
	} {
		frame := udp6Frame(t, mac1, router, tt.from, tt.to, 40000, 53, []byte("not sent"))
		o := command(t, c.Stage, "explain", "--json", "--ovsdb", c.OVSDB, "-c", c.ConfigPath, "--port", "vm1", hex.EncodeToString(frame))
		var list []explain.Explanation
		if err := json.Unmarshal([]byte(o.out), &list); err != nil || len(list) != 1 {
			t.Fatalf("%s: %v\n%s%s", tt.name, err, o.out, o.err)
		}
		x := list[0]
		if x.Outcome != tt.outcome || x.Reason != tt.reason || !strings.Contains(x.Verdict, tt.says) {
			t.Errorf("%s: %s by %s: %s", tt.name, x.Outcome, x.Reason, x.Verdict)
		}
		found := ""
		for _, l := range x.Configuration {
			found += fmt.Sprintln(l.What, written[max(l.Line, 1)-1])
		}
		if !strings.Contains(found, tt.line) {
			t.Errorf("%s: no line with %q among\n%s", tt.name, tt.line, found)
		}
	}
}

// planned: a run that finds everything as it is changes nothing, also with nobody
// there to say who was found; a next hop less is a flow and a group.
func (c *crossing) planned(t *testing.T) {
	o := command(t, c.Stage, "plan", "--ovsdb", c.OVSDB, "-c", c.ConfigPath)
	o.said(t, 0, o.out, "0 flow, 0 group and 0 meter changes")
	if err := c.daemon.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := c.Configure(strings.Replace(crossroads, `, "fe80::ff:fe00:13"]`, `]`, 1)); err != nil {
		t.Fatal(err)
	}
	o = command(t, c.Stage, "plan", "--ovsdb", c.OVSDB, "-c", c.ConfigPath)
	o.said(t, 0, o.out, "1 flow, 1 group and 0 meter changes", "ipv6_dst=2001:db8:7::/48", "- group_id=")
}
