package wire

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// slowSum is the obvious twin of SumBody: word by word, carries folded at once.
func slowSum(b []byte) uint32 {
	var s uint32
	for i := 0; i < len(b); i += 2 {
		w := uint32(b[i]) << 8
		if i+1 < len(b) {
			w |= uint32(b[i+1])
		}
		s += w
		if s > 0xffff {
			s -= 0xffff
		}
	}
	return s
}

// slowChecksum is the upper-layer checksum over a pseudo-header written out byte by byte (RFC 8200 section 8.1).
func slowChecksum(ip []byte, protocol byte, message []byte) uint16 {
	var b []byte
	b = append(b, ip[8:40]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(message)))
	b = append(b, 0, 0, 0, protocol)
	b = append(b, message...)
	return ^uint16(slowSum(b))
}

// resum gives the ICMPv6 message at off a right checksum after the test changed it.
func resum(f []byte, off int) []byte {
	binary.BigEndian.PutUint16(f[off+2:], 0)
	binary.BigEndian.PutUint16(f[off+2:], slowChecksum(f[14:], 58, f[off:]))
	return f
}

func TestSumBodyRFC1071(t *testing.T) {
	// The example of RFC 1071 section 3: its words sum up to ddf2.
	if got := SumBody([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}); got != 0xddf2 {
		t.Errorf("SumBody = %#x, want 0xddf2", got)
	}
	if got := Sum(0xddf2).Checksum(); got != 0x220d {
		t.Errorf("Checksum = %#x, want 0x220d", got)
	}
}

func TestSumBodyTwin(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 400 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if n%3 == 0 {
			for i := range b {
				b[i] = 0xff
			}
		}
		if got, want := SumBody(b), slowSum(b); uint32(got) != want {
			t.Fatalf("%d octets: SumBody = %#x, twin %#x", n, got, want)
		}
		// Parts that begin at even offsets add up to the whole.
		for cut := 0; cut <= n; cut += 2 {
			if got, want := (SumBody(b[:cut]) + SumBody(b[cut:])).Checksum(), ^uint16(slowSum(b)); got != want {
				t.Fatalf("%d octets cut at %d: %#x, want %#x", n, cut, got, want)
			}
		}
	}
}

func TestSumFoldsEveryCarry(t *testing.T) {
	t.Parallel()
	for _, s := range []Sum{0, 1, 0xffff, 0x10000, 0x1ffff, 0x1fffe, 0xfffeffff, 0xffffffff} {
		want := uint64(s)
		for want > 0xffff {
			want = want>>16 + want&0xffff
		}
		if got := s.fold(); uint64(got) != want {
			t.Errorf("fold(%#x) = %#x, want %#x", s, got, want)
		}
	}
}

func TestChecksumScapy(t *testing.T) {
	t.Parallel()
	for name, hex := range map[string]string{"ns": nsHex, "na": naHex, "dad": dadHex, "rs": rsHex, "ra": raHex, "echo": echoHex, "udp": udpHex} {
		f := frame(hex)
		var p Packet
		if fault := Cut(f, &p); fault != FaultNone {
			t.Fatalf("%s: %v", name, fault)
		}
		if !VerifyChecksum(p.IPv6, p.Protocol, p.Payload) {
			t.Errorf("%s: checksum does not verify", name)
		}
		at := 2
		if p.Protocol == ProtocolUDP {
			at = 6
		}
		want := binary.BigEndian.Uint16(p.Payload[at:])
		binary.BigEndian.PutUint16(p.Payload[at:], 0)
		if got := Checksum(p.IPv6.Source(), p.IPv6.Destination(), p.Protocol, p.Payload); got != want {
			t.Errorf("%s: Checksum = %#x, scapy %#x", name, got, want)
		}
	}
}

func TestUpdateChecksumRFC1624(t *testing.T) {
	// The example of RFC 1624 section 4: checksum dd2f, a word 5555 becomes 3285, the right result is 0000.
	if got := UpdateChecksum(0xdd2f, 0x5555, 0x3285); got != 0 {
		t.Errorf("UpdateChecksum = %#x, want 0", got)
	}
}

func TestIsPseudoChecksum(t *testing.T) {
	t.Parallel()
	f := frame(udpHex)
	var p Packet
	if fault := Cut(f, &p); fault != FaultNone {
		t.Fatal(fault)
	}
	var pseudo []byte
	pseudo = append(pseudo, f[22:54]...)
	pseudo = append(pseudo, 0, 0, 0, 12, 0, 0, 0, 17)
	field := uint16(slowSum(pseudo))
	if !IsPseudoChecksum(p.IPv6, ProtocolUDP, 12, field) {
		t.Error("the pseudo-header's own sum not recognised")
	}
	if IsPseudoChecksum(p.IPv6, ProtocolUDP, 12, ^field) || IsPseudoChecksum(p.IPv6, ProtocolUDP, 13, field) {
		t.Error("a complemented sum or another length taken for the pseudo-header's sum")
	}
}

func FuzzChecksum(f *testing.F) {
	f.Add(frame(nsHex)[22:54], frame(nsHex)[54:], byte(58))
	f.Add(make([]byte, 32), []byte{0xff}, byte(17))
	f.Fuzz(func(t *testing.T, addresses, message []byte, protocol byte) {
		if len(addresses) != 32 {
			return
		}
		ip := append(make([]byte, 8), addresses...)
		if got, want := uint32(SumBody(message)), slowSum(message); got != want {
			t.Fatalf("SumBody = %#x, twin %#x", got, want)
		}
		want := slowChecksum(ip, protocol, message)
		src, dst := netip.AddrFrom16([16]byte(addresses)), netip.AddrFrom16([16]byte(addresses[16:]))
		if got := Checksum(src, dst, protocol, message); got != want {
			t.Fatalf("Checksum = %#x, twin %#x", got, want)
		}
		if len(message) < 4 {
			return
		}
		field := message[2:4]
		before := SumBody(field)
		if ok := slowChecksum(ip, protocol, message) == 0; VerifyChecksum(ip, protocol, message) != ok {
			t.Fatalf("VerifyChecksum = %v, twin %v", !ok, ok)
		}
		binary.BigEndian.PutUint16(field, 0xabcd)
		// Incremental and whole may differ in the two forms of zero only.
		if got, full := UpdateChecksum(want, before, 0xabcd), slowChecksum(ip, protocol, message); got%0xffff != full%0xffff {
			t.Fatalf("UpdateChecksum = %#x, whole %#x", got, full)
		}
	})
}
