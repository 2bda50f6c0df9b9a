package lab

import "testing"

// BenchmarkStart is what a test pays for a lab with one bridge.
func BenchmarkStart(b *testing.B) {
	if err := Available(); err != nil {
		b.Skip(err)
	}
	for b.Loop() {
		l, err := New(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := l.AddBridge("br0"); err != nil {
			b.Fatal(err)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGuest is what a test pays for a guest.
func BenchmarkGuest(b *testing.B) {
	l := Start(b)
	if err := l.AddBridge("br0"); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		g, err := l.AddGuest(GuestOptions{Name: "g", Bridge: "br0"})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := g.Remove(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
