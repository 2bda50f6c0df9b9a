package send_test

import (
	"context"
	"encoding/hex"
	"testing"

	"damselfly/fixtures"
	"damselfly/internal/send"
	"damselfly/internal/wire"
)

// TestSign: what is signed here, another implementation verifies, with all of Sec's
// values that modifiers are searched for; and it refuses it where any bit of what the
// signature covers is another.
func TestSign(t *testing.T) {
	t.Parallel()
	s := fixtures.SignersFor(t)
	for _, tt := range []struct {
		bits, sec, count int
		nonce            string
	}{{1024, 0, 0, ""}, {1024, 1, 1, "0e010102030405 06"}, {2048, 1, 2, "0e02" + "0102030405060708090a0b0c0d0e"}, {1536, 0, 0, "0e01a1a2a3a4a5a6"}} {
		key, file := newKey(t, tt.bits)
		m, err := key.FindModifier(context.Background(), uint8(tt.sec))
		if err != nil {
			t.Fatal(err)
		}
		id := send.NewIdentity(key, m, uint8(tt.count), nil)
		// Without Sec bits a modifier may pay for some by chance.
		if got := int(send.SecOf(id.Address)); got < tt.sec {
			t.Errorf("%+v: Sec of %v is %d", tt, id.Address, got)
		}
		nonce := unspaced(t, tt.nonce)
		frame := advert(t, id, nonce)
		v, err := s.Verify(frame)
		if err != nil {
			t.Fatalf("%+v: refused: %v", tt, err)
		}
		want := append([]int{1, 11, 13}, []int{14}[:min(len(nonce), 1)]...)
		want = append(want, 12)
		if v.Bits != tt.bits || int64(v.Stamp) != now.Unix() || len(nonce) > 0 && v.Nonce != hex.EncodeToString(nonce[2:]) || !equal(v.Options, want) {
			t.Errorf("%+v: read as %+v", tt, v)
		}
		other, err := s.New(fixtures.SignerKind{PEM: string(file)})
		if err != nil {
			t.Fatal(err)
		}
		if h := key.Hash(); !contains(frame, h[:]) || string(other.Public) == "" || !contains(frame, other.Public) {
			t.Error("the key is not in the frame as the other program has it")
		}
		if tt.bits > 1024 {
			continue
		}
		for at := wire.HeadersLen; at < len(frame); at += 5 {
			bad := append([]byte(nil), frame...)
			bad[at] ^= 1 << (at % 8)
			if at == 56 || at == 57 {
				continue // the checksum is made anew
			}
			wire.FinishICMPv6(bad)
			if v, err := s.Verify(bad); err == nil && v.Signed && !reserved(frame, at) {
				t.Errorf("octet %d of %d changed and verified all the same", at, len(frame))
			}
		}
	}
}

// reserved reports whether an octet of the frame is one that receivers ignore: behind
// the key hash's option header.
func reserved(frame []byte, at int) bool {
	signature := len(frame) - (4 + 16 + 128 + 4)
	return at == signature+2 || at == signature+3
}

// TestKeys: which keys a router may have.
func TestKeys(t *testing.T) {
	t.Parallel()
	for _, bits := range []int{1024, 2048} {
		newKey(t, bits)
	}
	if _, err := send.ParseKey([]byte("nothing")); err == nil {
		t.Error("a key of nothing")
	}
	for _, file := range []string{shortKey, curveKey} {
		if _, err := send.ParseKey([]byte(file)); err == nil {
			t.Errorf("taken: %s", file)
		}
	}
}

func unspaced(t testing.TB, s string) []byte {
	t.Helper()
	out := ""
	for _, r := range s {
		if r != ' ' {
			out += string(r)
		}
	}
	return unhex(t, out)
}
