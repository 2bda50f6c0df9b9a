package send_test

import (
	"encoding/hex"
	"net/netip"
	"testing"

	"damselfly/internal/send"
)

// example is the key and the modifier of RFC 3972 appendix A.
const (
	exampleModifier = "89a8a8b2e858d8b8f2633f44d2d4ce9b"
	exampleKey      = "305c300d06092a864886f70d0101010500034b003048024100c2c2f13730545" +
		"4f10bd9cea36844b530e9211a4b262b16467cb7dfba1f595c0194f275be5a4d386f2c3c23825087" +
		"73c7867f9b3b9e63a09c7bc48f7a54ebefaf0203010001"
	exampleAddress = "fe80::3c4a:5bf6:ffb4:ca6c"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// exampleParameters are those of the appendix, of collision count 0.
func exampleParameters(t testing.TB) []byte {
	t.Helper()
	p := append(unhex(t, exampleModifier), 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0)
	return append(p, unhex(t, exampleKey)...)
}

// TestExample: the parameters of RFC 3972 appendix A make its address, and no other
// octets do.
func TestExample(t *testing.T) {
	t.Parallel()
	a := netip.MustParseAddr(exampleAddress)
	good := exampleParameters(t)
	p, f := send.ReadParameters(good)
	if f != send.FaultNone {
		t.Fatal(f)
	}
	if f := p.VerifyAddress(a); f != send.FaultNone {
		t.Fatalf("the example is refused: %v", f)
	}
	if got := send.SecOf(a); got != 1 {
		t.Errorf("Sec is %d", got)
	}
	for i := range len(good) * 8 {
		bad := append([]byte(nil), good...)
		bad[i/8] ^= 1 << (i % 8)
		if p, f := send.ReadParameters(bad); f == send.FaultNone && p.VerifyAddress(a) == send.FaultNone {
			t.Errorf("bit %d of the parameters does not matter", i)
		}
	}
	for i := range 128 {
		b := a.As16()
		b[i/8] ^= 1 << (i % 8)
		f := p.VerifyAddress(netip.AddrFrom16(b))
		// The universal and the group bit are not the hash's (RFC 3972 section 5), and
		// without the one that is set Sec is 0, for which any modifier does.
		if free := i/8 == 8 && (i%8 < 2 || i%8 == 5); (f == send.FaultNone) != free {
			t.Errorf("bit %d of the address: %v", i, f)
		}
	}
}

// TestParametersFaults: what is wrong has a name of its own.
func TestParametersFaults(t *testing.T) {
	t.Parallel()
	good := exampleParameters(t)
	change := func(at int, v byte) []byte {
		b := append([]byte(nil), good...)
		b[at] = v
		return b
	}
	tests := []struct {
		name    string
		b       []byte
		address string
		want    send.Fault
	}{
		{"empty", nil, exampleAddress, send.FaultParameters},
		{"without a key", good[:25], exampleAddress, send.FaultParameters},
		{"a key cut short", good[:len(good)-1], exampleAddress, send.FaultParameters},
		{"no sequence", change(25, 0x31), exampleAddress, send.FaultParameters},
		{"an indefinite length", change(26, 0x80), exampleAddress, send.FaultParameters},
		{"a length of five octets", change(26, 0x85), exampleAddress, send.FaultParameters},
		{"half an extension field", append(change(0, 0x89), 0, 1, 0), exampleAddress, send.FaultParameters},
		{"an extension field behind the end", append(change(0, 0x89), 0, 1, 0, 9, 1), exampleAddress, send.FaultParameters},
		{"an extension field that was not hashed", append(change(0, 0x89), 0, 1, 0, 1, 1), exampleAddress, send.FaultHash1},
		{"three collisions", change(24, 3), exampleAddress, send.FaultCollisionCount},
		{"another collision count", change(24, 1), exampleAddress, send.FaultHash1},
		{"another prefix", change(17, 0x81), exampleAddress, send.FaultPrefix},
		{"another modifier", change(0, 0x88), exampleAddress, send.FaultHash1},
		{"Sec 7, which the modifier does not pay for", good, "fe80::fc4a:5bf6:ffb4:ca6c", send.FaultHash2},
		{"Sec 4, which it does not pay for either", good, "fe80::9c4a:5bf6:ffb4:ca6c", send.FaultHash2},
		{"Sec 3, nor that", good, "fe80::7c4a:5bf6:ffb4:ca6c", send.FaultHash2},
		{"Sec 2, nor that", good, "fe80::5c4a:5bf6:ffb4:ca6c", send.FaultHash2},
		{"Sec 0, for which it pays more than it has to", good, "fe80::1c4a:5bf6:ffb4:ca6c", send.FaultNone},
	}
	for _, tt := range tests {
		p, f := send.ReadParameters(tt.b)
		if f == send.FaultNone {
			f = p.VerifyAddress(netip.MustParseAddr(tt.address))
		}
		if f != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, f, tt.want)
		}
	}
}

// FuzzParameters: whatever they are, reading them ends, and what is read is whole.
func FuzzParameters(f *testing.F) {
	f.Add(exampleParameters(f))
	f.Add(append(exampleParameters(f), 0, 1, 0, 1, 1))
	a := netip.MustParseAddr(exampleAddress)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, fault := send.ReadParameters(b)
		if fault != send.FaultNone {
			return
		}
		if 25+len(p.PublicKey())+len(p.Extensions()) != len(b) {
			t.Fatalf("%d octets of a key and %d of extensions in %d", len(p.PublicKey()), len(p.Extensions()), len(b))
		}
		if p.VerifyAddress(a) == send.FaultNone && string(b) != string(exampleParameters(t)) {
			t.Fatalf("another key for the example: %x", b)
		}
	})
}
