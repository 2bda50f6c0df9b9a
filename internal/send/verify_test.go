package send_test

import (
	"bytes"
	_ "embed"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/internal/send"
	"damselfly/internal/wire"
)

// longKey is of 4,096 bits, made by openssl.
//
//go:embed testdata/4096.pem
var longKey string

func contains(b, part []byte) bool { return bytes.Contains(b, part) }
func equal(a, b []int) bool        { return slices.Equal(a, b) }

// judge is what a receiver does with a frame, but for the timestamp.
func judge(frame []byte, minBits int) send.Fault {
	var p wire.Packet
	if f := wire.Cut(frame, &p); f != wire.FaultNone {
		return send.FaultSignatureOption
	}
	m, f := send.Read(p.ICMPv6(), map[uint8]int{133: 8, 135: 24, 136: 24}[p.ICMPv6().Type()])
	if f != send.FaultNone {
		return f
	}
	a := p.IPv6.Source()
	if a.IsUnspecified() {
		a = wire.NeighborSolicit(p.Payload).Target()
	}
	if f := m.VerifyAddress(a); f != send.FaultNone {
		return f
	}
	return m.VerifySignature(p.IPv6, minBits)
}

// TestVerify: what another implementation signs is taken, and each way to forge it
// is refused by its own name.
func TestVerify(t *testing.T) {
	t.Parallel()
	s := fixtures.SignersFor(t)
	peer := func(k fixtures.SignerKind) *fixtures.Signer {
		p, err := s.New(k)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	plain := peer(fixtures.SignerKind{})
	target := netip.MustParseAddr("fe80::1")
	solicit := func(p *fixtures.Signer, change func(*fixtures.SignedMessage)) []byte {
		a, _, err := p.Address(prefix, 0)
		if err != nil {
			t.Fatal(err)
		}
		m := fixtures.SignedMessage{
			Type: 135, From: wire.MAC{2, 0, 0, 0, 0, 0x11}, To: wire.MulticastMAC(wire.SolicitedNode(target)),
			Source: a, Destination: wire.SolicitedNode(target), Target: target,
			LinkLayer: wire.MAC{2, 0, 0, 0, 0, 0x11}, Nonce: []byte{1, 2, 3, 4, 5, 6},
		}
		if change != nil {
			change(&m)
		}
		frame, err := p.Sign(m)
		if err != nil {
			t.Fatal(err)
		}
		return frame
	}
	without := func(name string) func(*fixtures.SignedMessage) {
		return func(m *fixtures.SignedMessage) { m.Without = []string{name} }
	}
	long := peer(fixtures.SignerKind{PEM: longKey})
	huge := derOfModulus(8192, 65537) // longer ones do not fit an option
	tests := []struct {
		name  string
		frame []byte
		want  send.Fault
	}{
		{"a good one", solicit(plain, nil), send.FaultNone},
		{"of 2,048 bits and Sec 1", solicit(peer(fixtures.SignerKind{Bits: 2048, Sec: 1}), nil), send.FaultNone},
		{"of Sec 2", solicit(peer(fixtures.SignerKind{PEM: string(fixtures.Sec2Key), Modifier: fixtures.Sec2Modifier, Sec: 2}), nil), send.FaultNone},
		{"whose modifier pays for Sec 2, but not for Sec 3", solicit(peer(fixtures.SignerKind{PEM: string(fixtures.Sec2Key), Modifier: fixtures.Sec2Modifier, Sec: 3, Unpaid: true}), nil), send.FaultHash2},
		{"with an extension field", solicit(peer(fixtures.SignerKind{Extensions: []byte{0x12, 0x34, 0, 2, 7, 7}}), nil), send.FaultNone},
		{"with exponent 3", solicit(peer(fixtures.SignerKind{Exponent: 3}), nil), send.FaultNone},
		{"with two collisions", solicit(plain, func(m *fixtures.SignedMessage) { m.Collisions = 2; m.Source = addressOf(t, plain, 2) }), send.FaultNone},
		{"options behind the signature are not looked at", solicit(plain, func(m *fixtures.SignedMessage) { m.After = []byte{2, 1, 6, 6, 6, 6, 6, 6} }), send.FaultNone},
		{"more padding than the signature needs", solicit(plain, func(m *fixtures.SignedMessage) { m.Spare = 24 }), send.FaultNone},
		{"a signature shorter than its key", solicit(plain, func(m *fixtures.SignedMessage) {
			m.Without, m.After = []string{"signature"}, append(append([]byte{12, 15, 0, 0}, keyHash(plain.Public)...), make([]byte, 100)...)
		}), send.FaultSignatureOption},
		{"a probe", solicit(plain, func(m *fixtures.SignedMessage) {
			m.Source, m.Prefix, m.Target, m.LinkLayer = netip.IPv6Unspecified(), m.Source, m.Source, wire.MAC{}
		}), send.FaultNone},
		{"without CGA", solicit(plain, without("cga")), send.FaultNoCGA},
		{"without a timestamp", solicit(plain, without("timestamp")), send.FaultNoTimestamp},
		{"a CGA option twice", solicit(plain, func(m *fixtures.SignedMessage) {
			m.Options = append(m.Options, cgaOption(parametersOf(t, plain))...)
		}), send.FaultDuplicateOption},
		{"a timestamp twice", solicit(plain, func(m *fixtures.SignedMessage) {
			m.Options = append(m.Options, append([]byte{13, 2}, make([]byte, 14)...)...)
		}), send.FaultDuplicateOption},
		{"a short timestamp", solicit(plain, func(m *fixtures.SignedMessage) {
			m.Options = append(m.Options, append([]byte{13, 1}, make([]byte, 6)...)...)
		}), send.FaultTimestampOption},
		{"a nonce twice", solicit(plain, func(m *fixtures.SignedMessage) { m.Options = append(m.Options, 14, 1, 1, 2, 3, 4, 5, 6) }), send.FaultDuplicateOption},
		{"a nonce of 100 octets", solicit(plain, func(m *fixtures.SignedMessage) { m.Nonce = make([]byte, 100) }), send.FaultNonceLength},
		{"an empty signature", solicit(plain, func(m *fixtures.SignedMessage) {
			m.Without, m.After = []string{"signature"}, []byte{12, 1, 0, 0, 0, 0, 0, 0}
		}), send.FaultSignatureOption},
		{"padding longer than the option", solicit(plain, func(m *fixtures.SignedMessage) { m.Padding = 255 }), send.FaultCGAOption},
		{"parameters of another's", solicit(plain, func(m *fixtures.SignedMessage) { m.Parameters = parametersOf(t, long) }), send.FaultHash1},
		{"parameters that are none", solicit(plain, func(m *fixtures.SignedMessage) { m.Parameters = make([]byte, 60) }), send.FaultParameters},
		{"three collisions", solicit(plain, func(m *fixtures.SignedMessage) { m.Collisions = 3; m.Source = addressOf(t, plain, 3) }), send.FaultCollisionCount},
		{"from an address that is not made of the key", solicit(plain, func(m *fixtures.SignedMessage) { m.Source = wire.LinkLocal(m.From) }), send.FaultHash1},
		{"from another prefix", solicit(plain, func(m *fixtures.SignedMessage) { m.Prefix = netip.MustParseAddr("fd00::1") }), send.FaultPrefix},
		{"no RSA key", solicit(peer(fixtures.SignerKind{Curve: true}), nil), send.FaultKey},
		{"no key at all", solicit(peer(fixtures.SignerKind{Public: []byte{0x30, 3, 2, 1, 5}}), nil), send.FaultKey},
		{"a key of 8,192 bits", solicit(peer(fixtures.SignerKind{Public: huge}), nil), send.FaultKeySize},
		{"an even modulus", solicit(peer(fixtures.SignerKind{Public: derOfModulus(-1024, 65537)}), nil), send.FaultKey},
		{"an exponent of 1", solicit(peer(fixtures.SignerKind{Public: derOfModulus(1024, 1)}), nil), send.FaultKey},
		{"an even exponent", solicit(peer(fixtures.SignerKind{Public: derOfModulus(1024, 65536)}), nil), send.FaultKey},
		{"an exponent of 62 bits", solicit(peer(fixtures.SignerKind{Public: derOfModulus(1024, 1<<61+1)}), nil), send.FaultKey},
		{"a key of 512 bits", solicit(peer(fixtures.SignerKind{Public: derOfModulus(512, 65537)}), nil), send.FaultKeySize},
		{"another's key hash", replace(solicit(plain, nil), plain.Public, long.Public), send.FaultKeyHash},
		{"signed by nobody", zeroSignature(solicit(plain, nil)), send.FaultSignature},
	}
	for _, tt := range tests {
		if got := judge(tt.frame, send.DefaultMinBits); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := judge(solicit(plain, nil), 2048); got != send.FaultKeySize {
		t.Errorf("a key of 1,024 bits where 2,048 are wanted: %v", got)
	}
	if got := judge(solicit(long, nil), 2048); got != send.FaultNone {
		t.Errorf("a key of 4,096 bits: %v", got)
	}
	tamper(t, solicit(plain, nil))
}

// tamper changes each bit of a signed frame: none that is signed may be another.
func tamper(t *testing.T, frame []byte) {
	t.Helper()
	signature := len(frame) - (4 + 16 + 128 + 4)
	for bit := range len(frame) * 8 {
		at := bit / 8
		switch {
		case at < 22, at >= 56 && at < 58: // Ethernet, the header but for its addresses, and the checksum, which is made anew
			continue
		case at >= signature+2 && at < signature+4, at >= len(frame)-4: // reserved, and padding
			continue
		}
		bad := append([]byte(nil), frame...)
		bad[at] ^= 1 << (bit % 8)
		wire.FinishICMPv6(bad)
		if judge(bad, send.DefaultMinBits) == send.FaultNone {
			t.Errorf("bit %d of octet %d of %d may be another", bit%8, at, len(frame))
		}
	}
}

func addressOf(t *testing.T, p *fixtures.Signer, collisions int) netip.Addr {
	t.Helper()
	a, _, err := p.Address(prefix, collisions)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func parametersOf(t *testing.T, p *fixtures.Signer) []byte {
	t.Helper()
	_, b, err := p.Address(prefix, 0)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// cgaOption is a CGA option (RFC 3971 section 5.1).
func cgaOption(parameters []byte) []byte {
	n := (4 + len(parameters) + 7) / 8 * 8
	b := make([]byte, n)
	b[0], b[1], b[2] = 11, byte(n/8), byte(n-4-len(parameters))
	copy(b[4:], parameters)
	return b
}

// replace puts other octets in the place of a key hash: that of which stands there.
func replace(frame, which, other []byte) []byte {
	a, b := keyHash(which), keyHash(other)
	out := []byte(strings.Replace(string(frame), string(a), string(b), 1))
	wire.FinishICMPv6(out)
	return out
}

func zeroSignature(frame []byte) []byte {
	clear(frame[len(frame)-132:])
	frame[len(frame)-5] = 1
	wire.FinishICMPv6(frame)
	return frame
}

// TestSlowest: the most that one frame can make the verification compute is bounded.
func TestSlowest(t *testing.T) {
	t.Parallel()
	s := fixtures.SignersFor(t)
	p, err := s.New(fixtures.SignerKind{PEM: longKey})
	if err != nil {
		t.Fatal(err)
	}
	frame, err := p.Sign(fixtures.SignedMessage{Type: 133, From: wire.MAC{2, 1}, Source: addressOf(t, p, 0), Destination: wire.AllRouters, Nonce: make([]byte, 6)})
	if err != nil {
		t.Fatal(err)
	}
	if f := judge(frame, send.DefaultMinBits); f != send.FaultNone {
		t.Fatal(f)
	}
	begin := time.Now()
	const n = 20
	for range n {
		if f := judge(frame, send.DefaultMinBits); f != send.FaultNone {
			t.Fatal(f)
		}
	}
	t.Logf("a signature of 4,096 bits takes %v", time.Since(begin)/n)
}
