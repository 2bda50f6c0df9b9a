package flows

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// agentsMAC and serversMAC are ff02::1:2 and ff05::1:3 as RFC 2464 section 7 maps them.
var (
	agentsMAC  = wire.MAC{0x33, 0x33, 0, 1, 0, 2}
	serversMAC = wire.MAC{0x33, 0x33, 0, 1, 0, 3}
)

// udp is a UDP packet from a guest's link-local address.
func udp(in uint32, src, dst wire.MAC, to string, from, port uint16) packet {
	return ip6(in, src, dst, wire.LinkLocal(src).String(), to, 17).set(UDPSrc, U16(from)).set(UDPDst, U16(port))
}

func TestDHCPv6(t *testing.T) {
	t.Parallel()
	solicit := udp(1, guest1, agentsMAC, "ff02::1:2", 546, 547)
	relayed := udp(3, guest3, serversMAC, "ff05::1:3", 547, 547)
	tests := []struct {
		topology, name string
		in             packet
		want, away     string
	}{
		{"dhcpv6", "a client", solicit, "punt dhcpv6 lane 1", "drop-away"},
		{"dhcpv6", "a client without a limit", udp(4, mac(0x14), agentsMAC, "ff02::1:2", 546, 547), "punt dhcpv6 lane 0", "drop-away"},
		{"dhcpv6", "a client from any port", udp(1, guest1, agentsMAC, "ff02::1:2", 40000, 547), "punt dhcpv6 lane 1", "drop-away"},
		{"dhcpv6", "a client to a guest's MAC", udp(1, guest1, guest2, "ff02::1:2", 546, 547), "punt dhcpv6 lane 1", "drop-away"},
		{"dhcpv6", "a first fragment", solicit.set(IPFrag, U8(1)), "drop-dhcpv6-refused", ""},
		{"dhcpv6", "all servers from a client", udp(1, guest1, serversMAC, "ff05::1:3", 546, 547), "drop-dhcpv6-refused", ""},
		{"dhcpv6", "the router's address from a client", udp(1, guest1, routerMAC, "fd00:b1::1", 546, 547), "drop-dhcpv6-refused", ""},
		{"dhcpv6", "another group", udp(1, guest1, allNodesMAC, "ff02::1", 546, 547), "drop-dhcpv6-refused", ""},
		{"dhcpv6", "a relay to all servers", relayed, "punt dhcpv6 lane 3", "drop-away"},
		{"dhcpv6", "a relay to all agents", udp(3, guest3, agentsMAC, "ff02::1:2", 547, 547), "punt dhcpv6 lane 3", "drop-away"},
		{"dhcpv6", "a relay to the router", udp(3, guest3, routerMAC, "fd00:b1::1", 547, 547), "punt dhcpv6 lane 3", "drop-away"},
		{"dhcpv6", "a relay to the router's link-local", udp(3, guest3, routerMAC, "fe80::1", 547, 547), "punt dhcpv6 lane 3", "drop-away"},
		{"dhcpv6", "a guest as server to one", udp(1, guest1, guest2, "fe80::ff:fe00:12", 547, 546), "drop-dhcpv6-server", ""},
		{"dhcpv6", "a guest as server to all", udp(1, guest1, allNodesMAC, "ff02::1", 547, 546), "drop-dhcpv6-server", ""},
		{"dhcpv6", "a guest as server to a relay", udp(1, guest1, guest3, "fe80::ff:fe00:13", 547, 547), "drop-dhcpv6-refused", ""},
		{"router", "a relay's server beyond, where nothing is served", udp(1, guest1, guest2, "2001:db8::547", 547, 547), "out 2", ""},
		{"dhcpv6", "other UDP", udp(1, guest1, guest2, "fe80::ff:fe00:12", 546, 53), "out 2", ""},
		{"stateless", "a client", solicit, "punt dhcpv6 lane 1", "drop-away"},
		{"stateless", "a client whose limit forbids it", udp(2, guest2, agentsMAC, "ff02::1:2", 546, 547), "drop-dhcpv6-refused", ""},
		{"router", "a client where nothing is served", solicit, "drop-dhcpv6-unserved", ""},
		{"router", "a guest as server", udp(1, guest1, guest2, "fe80::ff:fe00:12", 547, 546), "drop-dhcpv6-server", ""},
		{"l2", "a client on plain L2", solicit, "out 2", ""},
		{"l2", "a server on plain L2", udp(2, guest2, guest1, "fe80::ff:fe00:11", 547, 546), "drop-dhcpv6-server", ""},
		{"open", "a server on plain L2 that is not secured", udp(1, guest1, guest2, "fe80::ff:fe00:12", 547, 546), "out 2", ""},
	}
	for _, tt := range tests {
		t.Run(tt.topology+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.away == "" {
				tt.away = tt.want
			}
			for name, env := range envs {
				sw := &fakeSwitch{Set: Compile(named[tt.topology](), env)}
				if got := sw.run(tt.in); got != tt.want {
					t.Errorf("%s: %q, want %q", name, got, tt.want)
				}
			}
			sw := &fakeSwitch{Set: Compile(named[tt.topology](), envs["pulse"]), dead: map[uint32]bool{envs["pulse"].PulsePort: true}}
			if got := sw.run(tt.in); got != tt.away {
				t.Errorf("while away: %q, want %q", got, tt.away)
			}
		})
	}
}

// TestServedIncrementally turns DHCPv6 on and delegates a prefix: what the
// Compiler does over must be all that a new one would make otherwise.
func TestServedIncrementally(t *testing.T) {
	t.Parallel()
	var b topology.Builder
	c := NewCompiler(envs["ndext-pulse"])
	spec := dhcpv6Spec()
	off := dhcpv6Spec()
	off.Networks[0].Subnets[0].Mode, off.Networks[0].Delegations = topology.SLAAC, nil
	// Ports alike in both: an autonomous prefix gives them addresses.
	yes := true
	spec.Networks[0].Subnets[0].Autonomous = &yes
	on := input(spec, nil)
	delegated := on
	delegated.Delegated = map[string][]topology.DelegatedPrefix{"blue": {{Prefix: routerSpec().Networks[0].Subnets[0].Prefix, Port: 1}}}
	steps := []struct {
		name string
		in   topology.Input
		have bool // is there a gate
	}{{"off", input(off, nil), false}, {"on", on, true}, {"delegated", delegated, true}, {"off again", input(off, nil), false}}
	for _, step := range steps {
		s, problems := b.Build(step.in)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		got := c.Update(s).Set().String()
		if diff := cmp.Diff(Compile(s, envs["ndext-pulse"]).String(), got); diff != "" {
			t.Errorf("%s (-scratch +incremental):\n%s", step.name, diff)
		}
		if have := (&fakeSwitch{Set: c.Update(s).Set()}).run(udp(1, guest1, agentsMAC, "ff02::1:2", 546, 547)) == "punt dhcpv6 lane 1"; have != step.have {
			t.Errorf("%s: served is %v", step.name, have)
		}
	}
}
