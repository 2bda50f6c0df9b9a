package flows

import (
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/punt"
	"damselfly/internal/wire"
)

// TestRouteDelegated carries packets to prefixes that were delegated.
func TestRouteDelegated(t *testing.T) {
	t.Parallel()
	const from, to = "fd00:b1::ff:fe00:11", "2001:db8:8000:101::5"
	routed := ip6(1, guest1, routerMAC, from, to, 17).set(IPTTL, U8(64)).set(IPv6Label, U32(7))
	sent := func(dst wire.MAC, to string) packet {
		return ip6(1, routerMAC, dst, from, to, 17).set(IPTTL, U8(63)).set(IPv6Label, U32(7))
	}
	tests := []struct {
		name  string
		in    packet
		trace string
		want  packet
	}{
		{"to a delegated prefix", routed, "out 2", sent(guest2, to)},
		{"the longest wins", routed.set(IPv6Dst, at("2001:db8:8000:180::5")), "out 3", sent(mac(0x99), "2001:db8:8000:180::5")},
		{"from a delegated prefix", ip6(3, guest3, routerMAC, "2001:db8:8000:180::1", to, 6).set(IPTTL, U8(9)), "out 2",
			ip6(3, routerMAC, guest2, "2001:db8:8000:180::1", to, 6).set(IPTTL, U8(8))},
		{"the last hop", routed.set(IPTTL, U8(2)), "out 2", sent(guest2, to).set(IPTTL, U8(1))},
		{"no hop left", routed.set(IPTTL, U8(1)), "punt error lane 1", packet{}},
		{"back to where it came from", ip6(2, guest2, routerMAC, "2001:db8:8000:102::5", to, 17), "", packet{}},
		{"from a link-local", routed.set(IPv6Src, at("fe80::ff:fe00:11")), "punt error lane 1", packet{}},
		{"from nowhere", routed.set(IPv6Src, at("::")), "drop-spoofed", packet{}},
		{"no route", routed.set(IPv6Dst, at("2001:db8:8000:200::5")), "punt error lane 1", packet{}},
		{"IPv4 to the router", frame(1, guest1, routerMAC, 0x0800), "drop-unknown-mac", packet{}},
		{"not through the router", routed.set(EthDst, MAC(guest3)), "out 3", routed.set(EthDst, MAC(guest3))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sw := &fakeSwitch{Set: Compile(named["dhcpv6"](), envs["ndext-pulse"])}
			if got := sw.run(tt.in); got != tt.trace {
				t.Fatalf("%q, want %q", got, tt.trace)
			}
			if len(sw.left) > 0 {
				if diff := cmp.Diff(headers(tt.want), headers(sw.left[0])); diff != "" {
					t.Errorf("what left (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// gateway is the MAC of r1 of routedSpec on its networks blue, red and tiny, and
// of r2.
func gateway(last byte) wire.MAC { return wire.MAC{2, 0, 0, 0, 0xa, last} }

// TestRouted carries packets between the networks of a router, or hands them
// over with what the trouble is.
func TestRouted(t *testing.T) {
	t.Parallel()
	const blue1, blue2, red3, tiny4 = "fd00:b1::ff:fe00:11", "fd00:b1::ff:fe00:12", "fd00:ed::ff:fe00:13", "fd00:71::14"
	from := func(src, dst string) packet {
		return sized(ip6(2, guest2, gateway(1), src, dst, 17).set(IPTTL, U8(64)), 100)
	}
	plain := func(dst string) packet { return from(blue2, dst) }
	sent := func(on uint64, by byte, dst wire.MAC) packet {
		return packet{}.set(Metadata, U64(on)).set(EthSrc, MAC(gateway(by))).set(EthDst, MAC(dst)).set(IPTTL, U8(63))
	}
	tests := []struct {
		name    string
		in      packet
		trace   string
		want    packet
		trouble punt.Trouble
	}{
		{"to a filtered guest on another network", plain(red3), "drop-denied", packet{}, 0},
		{"to another network", plain(tiny4), "out 4", sent(3, 3, mac(0x14)), 0},
		{"to the same network", plain(blue1).set(InPort, U32(4)).set(EthSrc, MAC(mac(0x14))).set(EthDst, MAC(gateway(3))).set(IPv6Src, at(tiny4)), "drop-denied", packet{}, 0},
		{"to an address that two have", plain("fd00:71::50"), "out 4, out 5", sent(3, 3, virtualMAC), 0},
		{"by a static route", plain("2001:db8:7:9::1"), "drop-denied", packet{}, 0},
		{"by a longer static route", ip6(3, guest3, gateway(2), red3, "2001:db8:7:1::1", 6).set(IPTTL, U8(64)), "commit 3, out 2", sent(1, 1, guest2), 0},
		{"by a route whose next hop nobody has", plain("2001:db8:7:2::1"), "punt unknown lane 2", packet{}, punt.Unresolved},
		{"to a delegated prefix", plain("2001:db8:8000:101::1"), "drop-denied", packet{}, 0},
		{"to what is not delegated", plain("2001:db8:8000:201::1"), "punt error lane 2", packet{}, punt.NoRoute},
		{"to an address that nobody is known to have", plain("fd00:ed::77"), "punt unknown lane 2", packet{}, punt.Unresolved},
		{"to an address that nobody has", plain("fd00:71::77"), "punt error lane 2", packet{}, punt.Unreachable},
		{"no route", plain("2001:db8:ffff::1"), "punt error lane 2", packet{}, punt.NoRoute},
		{"a blackhole", plain("2001:db8:8::1"), "drop-blackhole", packet{}, 0},
		{"a reject route", plain("2001:db8:9::1"), "punt error lane 2", packet{}, punt.RejectRoute},
		{"a prohibit route", plain("2001:db8:a::1"), "punt error lane 2", packet{}, punt.Prohibited},
		{"no hop left", plain(tiny4).set(IPTTL, U8(1)), "punt error lane 2", packet{}, punt.HopLimit},
		{"no hop left, no route", plain("2001:db8:ffff::1").set(IPTTL, U8(1)), "punt error lane 2", packet{}, punt.HopLimit},
		{"no hop left, to the router", plain("fd00:ed::1").set(IPTTL, U8(1)), "punt error lane 2", packet{}, punt.Local},
		{"as long as the next link", sized(plain(tiny4), 1294), "out 4", sent(3, 3, mac(0x14)), 0},
		{"too long for the next link", sized(plain(tiny4), 1295), "punt error lane 2", packet{}, punt.TooBig},
		{"too long, no hop left", sized(plain(tiny4), 1295).set(IPTTL, U8(1)), "punt error lane 2", packet{}, punt.HopLimit},
		{"to the router's MAC and a link-local", plain("fe80::ff:fe00:13"), "drop-scope", packet{}, 0},
		{"to the router's MAC and a group", plain("ff05::1"), "drop-scope", packet{}, 0},
		{"from a link-local", from("fe80::ff:fe00:12", tiny4), "punt error lane 2", packet{}, punt.BeyondScope},
		{"echo to the router on another network", icmp6(2, guest2, gateway(1), blue2, "fd00:ed::1", 128), "punt echo lane 2", packet{}, 0},
		{"echo to the router, last hop", icmp6(2, guest2, gateway(1), blue2, "fd00:ed::1", 128).set(IPTTL, U8(1)), "punt echo lane 2", packet{}, 0},
		{"ESP to the router", ip6(2, guest2, gateway(1), blue2, "fd00:b1::1", 50), "punt error lane 2", packet{}, punt.Local},
		{"an unknown next header to the router", ip6(2, guest2, gateway(1), blue2, "fd00:b1::1", 253), "punt error lane 2", packet{}, punt.Local},
		{"an unknown next header to the router's link-local", ip6(2, guest2, gateway(1), "fe80::ff:fe00:12", "fe80::1", 253), "punt error lane 2", packet{}, punt.Local},
		{"an unknown next header to the router from another's address", ip6(2, guest2, gateway(1), blue1, "fd00:b1::1", 253), "drop-spoofed", packet{}, 0},
		{"an unknown next header to another's MAC", ip6(2, guest2, guest1, blue2, "fd00:b1::1", 253), "drop-next-header", packet{}, 0},
		{"an unknown next header through the router", ip6(2, guest2, gateway(1), blue2, tiny4, 253), "drop-next-header", packet{}, 0},
		{"UDP to the router's link-local", ip6(2, guest2, gateway(1), "fe80::ff:fe00:12", "fe80::1", 17).set(UDPSrc, U16(9)).set(UDPDst, U16(9)), "punt error lane 2", packet{}, punt.Local},
		{"an error to the router's link-local", icmp6(2, guest2, gateway(1), "fe80::ff:fe00:12", "fe80::1", 1), "drop-local", packet{}, 0},
		{"an error to the router", icmp6(2, guest2, gateway(1), blue2, "fd00:ed::1", 1), "drop-local", packet{}, 0},
		{"TCP to the router", ip6(2, guest2, gateway(1), blue2, "fd00:b1::1", 6), "punt error lane 2", packet{}, punt.Local},
		{"from another network's prefix", sized(ip6(6, mac(0x16), gateway(4), "fd00:71::14", "fd00:b1::1", 6), 100), "commit 6, drop-reverse-path", packet{}, 0},
		{"the other router has other networks", plain(tiny4).set(InPort, U32(6)).set(EthDst, MAC(gateway(4))), "commit 6, punt error lane 2", packet{}, punt.NoRoute},
		{"to a guest of the same group on another network", ip6(1, guest1, gateway(1), blue1, red3, 6).set(IPTTL, U8(64)), "commit 1, commit 3, out 3", sent(2, 2, guest3), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			away := &fakeSwitch{Set: Compile(named["routed"](), envs["pulse"]), dead: map[uint32]bool{envs["pulse"].PulsePort: true}}
			want := regexp.MustCompile("punt .* lane .").ReplaceAllString(tt.trace, "drop-away")
			if got := away.run(tt.in); got != want {
				t.Errorf("while away: %q, want %q", got, want)
			}
			for name, env := range envs {
				sw := &fakeSwitch{Set: Compile(named["routed"](), env)}
				if got := sw.run(tt.in); got != tt.trace {
					t.Fatalf("%s: %q, want %q", name, got, tt.trace)
				}
				if sw.trouble != tt.trouble {
					t.Errorf("%s: trouble %d, want %d", name, sw.trouble, tt.trouble)
				}
				for _, f := range []Field{Metadata, EthSrc, EthDst, IPTTL} {
					if tt.want == (packet{}) {
						continue
					}
					for _, left := range sw.left {
						if diff := cmp.Diff(tt.want.fields[f], left.fields[f]); diff != "" {
							t.Errorf("%s: %s of what left (-want +got):\n%s", name, f, diff)
						}
					}
				}
			}
		})
	}
}
