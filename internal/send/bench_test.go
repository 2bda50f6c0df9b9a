package send_test

import (
	"testing"

	"damselfly/fixtures"
	"damselfly/internal/send"
	"damselfly/internal/wire"
)

// BenchmarkSign is one signed Router Advertisement.
func BenchmarkSign(b *testing.B) {
	for name, file := range map[string][]byte{"2048": fixtures.RouterKey} {
		key, err := send.ParseKey(file)
		if err != nil {
			b.Fatal(err)
		}
		id := send.NewIdentity(key, send.Modifier{}, 0, nil)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				advert(b, id, nil)
			}
		})
	}
}

// BenchmarkVerify is one signed message, all of its checks but that of time.
func BenchmarkVerify(b *testing.B) {
	s := fixtures.SignersFor(b)
	for name, k := range map[string]fixtures.SignerKind{"1024": {}, "2048": {PEM: string(fixtures.RouterKey)}, "4096": {PEM: longKey}} {
		p, err := s.New(k)
		if err != nil {
			b.Fatal(err)
		}
		a, _, err := p.Address(prefix, 0)
		if err != nil {
			b.Fatal(err)
		}
		frame, err := p.Sign(fixtures.SignedMessage{Type: 133, From: wire.MAC{2, 1}, Source: a, Destination: wire.AllRouters, Nonce: make([]byte, 6)})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if f := judge(frame, send.DefaultMinBits); f != send.FaultNone {
					b.Fatal(f)
				}
			}
		})
	}
}
