package flows

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// tcp6 is a segment between two guests of the groups topology to a port.
func tcp6(in uint32, src, dst wire.MAC, from, to string, port uint16) packet {
	return ip6(in, src, dst, from, to, 6).set(TCPDst, U16(port))
}

const addr1, addr2, addr4, addr5, addr6 = "fd00:b1::ff:fe00:11", "fd00:b1::ff:fe00:12", "fd00:b1::ff:fe00:14", "fd00:b1::ff:fe00:15", "fd00:b1::ff:fe00:16"

// heardByRouters is a report to all.
const heardByRouters = "heard by routers"

// TestFilter runs packets through the flows of groupsSpec as a switch would.
func TestFilter(t *testing.T) {
	all := wire.MAC{0x33, 0x33, 0, 0, 0, 1}
	tests := []struct {
		name   string
		in     packet
		states map[uint32]uint32
		want   string
	}{
		{"a client begins", tcp6(2, guest2, guest1, addr2, addr1, 80), nil, "commit 2, commit 1, out 1"},
		{"a port beyond the range", tcp6(6, mac(0x16), guest1, addr6, addr1, 444), nil, "drop-denied"},
		{"a member of the default group", tcp6(2, guest2, guest1, addr2, addr1, 444), nil, "commit 2, commit 1, out 1"},
		{"a stranger with a member's port", tcp6(6, mac(0x16), guest2, addr6, addr2, 80), nil, "drop-denied"},
		{"the connection goes on", tcp6(2, guest2, guest1, addr2, addr1, 80), map[uint32]uint32{1: ctEst, 2: ctEst}, "out 1"},
		{"it goes on but no rule allows it any more", tcp6(6, mac(0x16), guest1, addr6, addr1, 81), map[uint32]uint32{1: ctEst}, "out 1"},
		{"not any more", tcp6(6, mac(0x16), guest1, addr6, addr1, 444), map[uint32]uint32{1: ctEst}, "commit 1, drop-denied"},
		{"a reply", tcp6(1, guest1, guest2, addr1, addr2, 40000), map[uint32]uint32{1: ctEst | ctRpl, 2: ctEst | ctRpl}, "out 2"},
		{"a reply to its sender, news to its receiver", tcp6(1, guest1, guest2, addr1, addr2, 40000), map[uint32]uint32{1: ctEst | ctRpl}, "commit 2, out 2"},
		{"a reply to its sender, denied by its receiver", tcp6(2, guest2, guest4(), addr2, addr4, 80), map[uint32]uint32{2: ctEst | ctRpl}, "drop-denied"},
		{"related to its sender, denied by its receiver", tcp6(2, guest2, guest4(), addr2, addr4, 80), map[uint32]uint32{2: ctRel}, "drop-denied"},
		{"a connection of its sender, for a stateless receiver", ip6(2, guest2, mac(0x15), addr2, addr5, 17).set(UDPDst, U16(53)), nil, "commit 2, out 5"},
		{"an error of a connection, for a stateless receiver", icmp6(2, guest2, mac(0x15), addr2, addr5, 2), map[uint32]uint32{2: ctRel}, "out 5"},
		{"invalid", tcp6(2, guest2, guest1, addr2, addr1, 80), map[uint32]uint32{2: ctInv}, "drop-state"},
		{"invalid for the receiver", tcp6(6, mac(0x16), guest1, addr6, addr1, 80), map[uint32]uint32{1: ctInv}, "drop-state"},
		{"a related error", icmp6(6, mac(0x16), guest1, addr6, addr1, 2), map[uint32]uint32{1: ctRel}, "out 1"},
		{"an error that is not related", icmp6(6, mac(0x16), guest4(), addr6, addr4, 2), map[uint32]uint32{4: ctInv}, "drop-state"},
		{"rejected and told", tcp6(6, mac(0x16), guest1, addr6, addr1, 23), nil, "punt error lane 2, punt log lane 2"},
		{"rejected though the default group allows it", tcp6(2, guest2, guest1, addr2, addr1, 23), nil, "commit 2, punt error lane 2, punt log lane 2"},
		{"IPv4 is rejected silently", frame(6, mac(0x16), guest1, 0x0800).set(IPProto, U8(6)).set(TCPDst, U16(23)), nil, "drop-denied, punt log lane 2"},
		{"an echo of a member", icmp6(1, guest1, guest1, addr1, addr1, 128), nil, "commit 1"},
		{"an echo of a stranger", icmp6(6, mac(0x16), guest1, addr6, addr1, 128), nil, "drop-denied"},
		{"told and allowed", ip6(6, mac(0x16), guest1, addr6, addr1, 17).set(UDPDst, U16(555)), nil, "commit 1, out 1, punt log lane 2"},
		{"told and allowed, from another prefix", ip6(6, mac(0x16), guest1, "fe80::ff:fe00:16", addr1, 17).set(UDPDst, U16(555)), nil, "drop-denied"},
		{"nothing in without groups", tcp6(6, mac(0x16), guest4(), addr6, addr4, 80), nil, "drop-denied"},
		{"nothing out without groups", tcp6(4, guest4(), mac(0x16), addr4, addr6, 80), nil, "drop-denied"},
		{"NA without groups", sized(icmp6(4, guest4(), mac(0x16), addr4, addr6, 136).set(NDTarget, at(addr4)).set(NDTLL, MAC(guest4())), octetsOption), nil, "out 6"},
		{"NUD without groups", sized(icmp6(6, mac(0x16), guest4(), addr6, addr4, 135).set(NDTarget, at(addr4)).set(NDSLL, MAC(mac(0x16))), octetsOption), nil, "out 4"},
		{"an MLD report without groups", icmp6(4, guest4(), all, addr4, "ff02::16", 143).set(IPTTL, U8(1)), nil, heardByRouters},
		{"stateless allows", ip6(6, mac(0x16), mac(0x15), addr6, addr5, 17).set(UDPDst, U16(53)), nil, "out 5"},
		{"stateless denies", ip6(6, mac(0x16), mac(0x15), addr6, addr5, 17).set(UDPDst, U16(54)), nil, "drop-denied"},
		{"stateless knows no replies", ip6(6, mac(0x16), mac(0x15), addr6, addr5, 17).set(UDPDst, U16(40000)).set(UDPSrc, U16(53)), map[uint32]uint32{5: ctEst | ctRpl}, "drop-denied"},
		{"stateless later fragment", ip6(6, mac(0x16), mac(0x15), addr6, addr5, 44).set(IPFrag, U8(3)), nil, "out 5"},
		{"stateless later fragment of IPv4", frame(6, mac(0x16), mac(0x15), 0x0800).set(IPProto, U8(17)).set(IPFrag, U8(3)), nil, "out 5"},
		{"stateless later fragment of another protocol", frame(6, mac(0x16), mac(0x15), 0x0800).set(IPProto, U8(6)).set(IPFrag, U8(3)), nil, "drop-denied"},
		{"later fragment of a tracked datagram", ip6(6, mac(0x16), guest1, addr6, addr1, 44).set(IPFrag, U8(3)), nil, "drop-denied"},
		{"stateless error", icmp6(6, mac(0x16), mac(0x15), addr6, addr5, 2), nil, "out 5"},
		{"ARP", frame(4, guest4(), mac(0x16), 0x0806).set(ARPSHA, MAC(guest4())), nil, "out 6"},
		{"DHCPv4 of a client", frame(4, guest4(), mac(0x16), 0x0800).set(IPProto, U8(17)).set(UDPSrc, U16(68)).set(UDPDst, U16(67)), nil, "out 6"},
		{"DHCPv4 of a server", frame(6, mac(0x16), guest4(), 0x0800).set(IPProto, U8(17)).set(UDPSrc, U16(67)).set(UDPDst, U16(68)), nil, "drop-dhcpv4-server"},
	}
	s := named["groups"]()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := tt.want
			if want == heardByRouters {
				// The router vm3 and the unfiltered vm6 hear it, the others' rules say no.
				want = "drop-denied, drop-denied, out 3, drop-denied, out 6"
			}
			for name, env := range envs {
				sw := &fakeSwitch{Set: Compile(s, env), states: tt.states}
				if got := sw.run(tt.in); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

func guest4() wire.MAC { return mac(0x14) }

// TestJudgeIsTheFlows asks the rules in Go and the flows about the same packets.
func TestJudgeIsTheFlows(t *testing.T) {
	s := named["groups"]()
	sw := &fakeSwitch{Set: Compile(s, envs["plain"])}
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...uint16) uint16 { return list[random.IntN(len(list))] }
	verdicts := map[topology.Verdict]int{}
	for range 2000 {
		p := s.Ports[[]int{0, 0, 0, 1, 2, 3, 4}[random.IntN(7)]]
		a := topology.Attempt{
			Direction: topology.Direction(random.IntN(2)), Network: 1, Protocol: uint8(pick(1, 6, 17, 58, 132, 47)),
			Port: pick(0, 23, 53, 80, 443, 444, 500, 546, 600, 601, 65535), Type: uint8(pick(8, 128, 129)), Code: 0,
			Remote: netip.MustParseAddr([]string{addr1, addr2, addr6, "fe80::ff:fe00:11", "192.0.2.1", "198.51.100.1", "2001:db8::1"}[random.IntN(7)]),
		}
		want, by := p.Filter.Judge(s.Remotes, a)
		if got := judgedByFlows(sw, p, a); got != want {
			t.Fatalf("port %s: %+v: the flows say %d, the rules %d by %v", p.Name, a, got, want, by)
		}
		verdicts[want]++
	}
	if len(verdicts) != 3 || verdicts[topology.Denied] < 100 || verdicts[topology.Rejected] < 3 {
		t.Errorf("a poor choice of packets: %v", verdicts)
	}
}

// judgedByFlows puts an attempt into the table of the port's groups and reads
// the verdict off the register.
func judgedByFlows(sw *fakeSwitch, p *topology.Port, a topology.Attempt) topology.Verdict {
	side := &ingress
	if a.Direction == topology.Egress {
		side = &egress
	}
	f := packet{}.set(Metadata, U64(uint64(a.Network))).set(side.port, U32(uint32(p.Key))).set(IPProto, U8(a.Protocol))
	if a.Remote.Is4() {
		f = f.set(EthType, U16(0x0800)).set(side.far4, Addr(a.Remote))
	} else {
		f = f.set(EthType, U16(0x86dd)).set(side.far6, Addr(a.Remote))
	}
	port, typ, ports := U16(a.Port), U8(a.Type), map[uint8]Field{6: TCPDst, 17: UDPDst, 132: SCTPDst}
	if field, ok := ports[a.Protocol]; ok {
		f = f.set(field, port).set(CTDstPort, port)
	} else if a.Protocol == 1 || a.Protocol == 58 {
		f = f.set(map[uint8]Field{1: ICMPv4Type, 58: ICMPv6Type}[a.Protocol], typ).set(CTSrcPort, U16(uint16(a.Type)))
	}
	if !p.Filter.Stateless {
		f = f.set(CTState, U32(ctTrk|ctNew)).set(CTProto, U8(a.Protocol))
	}
	sw.depth = 0
	for _, action := range side.judge(p.Filter) {
		if action != Action(Resubmit{side.verdict}) {
			sw.actions([]Action{action}, &f)
		}
	}
	bits := f.fields[regVerdict].Uint(4)
	switch {
	case bits&verdictReject != 0:
		return topology.Rejected
	case bits&verdictAllow != 0:
		return topology.Allowed
	}
	return topology.Denied
}

func TestMaskedPorts(t *testing.T) {
	for _, tt := range []struct {
		first, last uint16
		want        string
	}{
		{80, 80, "[50/ffff]"},
		{0, 65535, "[0/0]"},
		{1, 65534, ""},
		{80, 443, "[50/fff0 60/ffe0 80/ff80 100/ff80 180/ffe0 1a0/fff0 1b0/fff8 1b8/fffc]"},
		{65535, 65535, "[ffff/ffff]"},
		{0, 1, "[0/fffe]"},
		{32768, 65535, "[8000/8000]"},
	} {
		got := maskedPorts(tt.first, tt.last)
		var texts []string
		for _, p := range got {
			texts = append(texts, fmt.Sprintf("%x/%x", p.value, p.mask))
		}
		if tt.want != "" {
			if diff := cmp.Diff(tt.want, fmt.Sprint(texts)); diff != "" {
				t.Errorf("%d-%d: %s", tt.first, tt.last, diff)
			}
		}
		for port := range 1 << 16 {
			covered := 0
			for _, p := range got {
				if uint16(port)&p.mask == p.value {
					covered++
				}
			}
			if want := port >= int(tt.first) && port <= int(tt.last); (covered == 1) != want || covered > 1 {
				t.Fatalf("%d-%d: port %d is covered %d times", tt.first, tt.last, port, covered)
			}
		}
		if len(got) > 30 {
			t.Errorf("%d-%d: %d masks", tt.first, tt.last, len(got))
		}
	}
}
