package topology

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestNPTv6Example is the example of RFC 6296 section 3.6: its text gives every
// number here.
func TestNPTv6Example(t *testing.T) {
	t.Parallel()
	tr := NewPrefixTranslation(netip.MustParsePrefix("fd01:203:405::/48"), netip.MustParsePrefix("2001:db8:1::/48"))
	if tr.adjustment != 0xd54f {
		t.Errorf("adjustment %#x, want 0xd54f", tr.adjustment)
	}
	out, ok := tr.Out(netip.MustParseAddr("fd01:203:405:1::1234"))
	if want := netip.MustParseAddr("2001:db8:1:d550::1234"); !ok || out != want {
		t.Errorf("out %v, want %v", out, want)
	}
	in, ok := tr.In(netip.MustParseAddr("2001:db8:1:d550::1234"))
	if want := netip.MustParseAddr("fd01:203:405:1::1234"); !ok || in != want {
		t.Errorf("in %v, want %v", in, want)
	}
}

// TestNPTv6Edges are the words of ones and zeroes, and prefixes of two lengths.
func TestNPTv6Edges(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, inner, outer, address, out string }{
		{"a subnet of ones has no mapping", "fd01:203:405::/48", "2001:db8:1::/48", "fd01:203:405:ffff::1", ""},
		// 0x2ab0 and the adjustment 0xd54f are all ones, which becomes zero.
		{"ones become zero", "fd01:203:405::/48", "2001:db8:1::/48", "fd01:203:405:2ab0::1", "2001:db8:1::1"},
		{"ones become zero in the identifier", "fd01:203:405:8000::/49", "2001:db8:1::/49", "fd01:203:405:8000:aaaf::1", "2001:db8:1::1"},
		{"the first word of the identifier", "fd01:203:405::/56", "2001:db8:1::/56", "fd01:203:405:1:2:3:4:5", "2001:db8:1:1:d551:3:4:5"},
		{"the second, where the first is all ones", "fd01:203:405::/56", "2001:db8:1::/56", "fd01:203:405:1:ffff:3:4:5", "2001:db8:1:1:ffff:d552:4:5"},
		{"the last", "fd01:203:405::/56", "2001:db8:1::/56", "fd01:203:405:1:ffff:ffff:ffff:5", "2001:db8:1:1:ffff:ffff:ffff:d554"},
		{"all ones has none", "fd01:203:405::/56", "2001:db8:1::/56", "fd01:203:405:1:ffff:ffff:ffff:ffff", ""},
		{"all zeroes has none", "fd01:203:405::/56", "2001:db8:1::/56", "fd01:203:405:1::", ""},
		{"the shorter is as long as the longer", "fd01:203:405::/48", "2001:db8:1:0:0::/56", "fd01:203:405:1:2:3:4:5", "2001:db8:1:1:d551:3:4:5"},
		{"what only the shorter holds has none", "fd01:203:405::/48", "2001:db8:1:0:0::/56", "fd01:203:405:100:2:3:4:5", ""},
		{"elsewhere", "fd01:203:405::/48", "2001:db8:1::/48", "fd01:203:406::1", ""},
		{"a /32", "fd01:203::/32", "2001:db8::/32", "fd01:203:405:1::9", "2001:db8:405:d14c::9"},
		{"a /64", "fd01:203:405:1::/64", "2001:db8:1:f::/64", "fd01:203:405:1::9", "2001:db8:1:f:d541::9"},
	} {
		tr := NewPrefixTranslation(netip.MustParsePrefix(tt.inner), netip.MustParsePrefix(tt.outer))
		out, ok := tr.Out(netip.MustParseAddr(tt.address))
		if ok != (tt.out != "") || ok && out.String() != tt.out {
			t.Errorf("%s: %v %t, want %q", tt.name, out, ok, tt.out)
		}
	}
}

// slowOut is the algorithm of RFC 6296 sections 3.1 to 3.5 on numbers, one's
// complement done as arithmetic modulo 65,535.
func slowOut(inner, outer netip.Prefix, a netip.Addr) (netip.Addr, bool) {
	word := func(a netip.Addr, i int) uint64 { b := a.As16(); return uint64(binary.BigEndian.Uint16(b[2*i:])) }
	length := max(inner.Bits(), outer.Bits())
	adjustment := uint64(0)
	for i := range 4 {
		adjustment += word(inner.Addr(), i) + 0xffff - word(outer.Addr(), i)
	}
	at := 3
	if length > 48 {
		zero := true
		for i := 4; i < 8; i++ {
			zero = zero && word(a, i) == 0
		}
		if zero {
			return a, false
		}
		for at = 4; at < 8 && word(a, at) == 0xffff; at++ {
		}
	}
	if at == 8 || word(a, at) == 0xffff {
		return a, false
	}
	from, to := a.As16(), outer.Addr().As16()
	for bit := range length {
		mask := byte(0x80 >> (bit % 8))
		from[bit/8] = from[bit/8]&^mask | to[bit/8]&mask
	}
	sum := (word(netip.AddrFrom16(from), at) + adjustment) % 0xffff
	binary.BigEndian.PutUint16(from[2*at:], uint16(sum))
	return netip.AddrFrom16(from), true
}

// TestNPTv6Twin holds the translation against its slow twin: both agree, what
// goes out comes back, and the sum of the words stays.
func TestNPTv6Twin(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(6, 296))
	address := func() netip.Addr {
		var b [16]byte
		for i := range b {
			b[i] = byte(r.Uint32())
			if r.IntN(4) == 0 {
				b[i] = [2]byte{0, 0xff}[r.IntN(2)]
			}
		}
		return netip.AddrFrom16(b)
	}
	prefix := func() netip.Prefix { p, _ := address().Prefix(r.IntN(65)); return p }
	mapped := 0
	for range 200_000 {
		tr := NewPrefixTranslation(prefix(), prefix())
		octets, p := address().As16(), tr.Inner.Addr().As16()
		for bit := range tr.Inner.Bits() {
			mask := byte(0x80 >> (bit % 8))
			octets[bit/8] = octets[bit/8]&^mask | p[bit/8]&mask
		}
		a := netip.AddrFrom16(octets)
		got, ok := tr.Out(a)
		want, there := slowOut(tr.Inner, tr.Outer, a)
		if ok != there || ok && got != want {
			t.Fatalf("%s to %s, %s: %v %t, want %v %t", tr.Inner, tr.Outer, a, got, ok, want, there)
		}
		if !ok {
			continue
		}
		mapped++
		if sumOf(a)%0xffff != sumOf(got)%0xffff {
			t.Fatalf("%s to %s: %s and %s have other sums", tr.Inner, tr.Outer, a, got)
		}
		if back, ok := tr.In(got); ok && back != a {
			t.Fatalf("%s to %s: %s became %s and came back as %s", tr.Inner, tr.Outer, a, got, back)
		}
	}
	if mapped < 100_000 {
		t.Errorf("only %d had a mapping", mapped)
	}
}
