package wire

import "testing"

// What a worker does with every frame costs no allocation.
func TestNoAllocations(t *testing.T) {
	ns, chain, na, rs, ra, echo, udp := frame(nsHex), frame(nsChainHex), frame(naHex), frame(rsHex), frame(raHex), frame(echoHex), frame(udpHex)
	body := frame(raHex)[HeadersLen:]
	sum := SumBody(body)
	out := make([]byte, 256)
	var p Packet
	tests := []struct {
		name string
		run  func() Fault
	}{
		{"NS to NA", func() Fault { return answerNS(ns, out, &p) }},
		{"NS behind headers", func() Fault { return answerNS(chain, out, &p) }},
		{"echo", func() Fault { return answerEcho(echo, out, &p) }},
		{"RS to RA", func() Fault { return answerRS(rs, out, body, sum, &p) }},
		{"NA", func() Fault {
			return cutAnd(na, &p, func(p *Packet) Fault { _, f := CheckNeighborAdvert(p); return f })
		}},
		{"RA", func() Fault { return cutAnd(ra, &p, func(p *Packet) Fault { _, f := CheckRouterAdvert(p); return f }) }},
		{"UDP", func() Fault { return cutAnd(udp, &p, func(p *Packet) Fault { _, _, f := CheckUDP(p); return f }) }},
		{"build NS", func() Fault {
			PutNeighborSolicit(out, &Headers{guestMAC, guest2MAC, guest1, guest2, MaxHopLimit}, guest2)
			return FaultNone
		}},
	}
	for _, tt := range tests {
		if f := tt.run(); f != FaultNone {
			t.Errorf("%s: %v", tt.name, f)
		}
		if n := testing.AllocsPerRun(100, func() { tt.run() }); n != 0 {
			t.Errorf("%s: %v allocations a frame, want none", tt.name, n)
		}
	}
}

func cutAnd(data []byte, p *Packet, gate func(*Packet) Fault) Fault {
	if f := Cut(data, p); f != FaultNone {
		return f
	}
	return gate(p)
}

func answerNS(data, out []byte, p *Packet) Fault {
	if f := Cut(data, p); f != FaultNone {
		return f
	}
	ns, f := CheckNeighborSolicit(p)
	if f != FaultNone {
		return f
	}
	h := Headers{guest2MAC, p.Ethernet.Source(), ns.Target(), p.IPv6.Source(), MaxHopLimit}
	PutNeighborAdvert(out, &h, ns.Target(), guest2MAC, FlagSolicited|FlagOverride)
	return FaultNone
}

func answerRS(data, out, body []byte, sum Sum, p *Packet) Fault {
	if f := Cut(data, p); f != FaultNone {
		return f
	}
	if _, f := CheckRouterSolicit(p); f != FaultNone {
		return f
	}
	PutICMPv6(out, &Headers{routerMAC, p.Ethernet.Source(), router, p.IPv6.Source(), MaxHopLimit}, body, sum)
	return FaultNone
}

func answerEcho(data, out []byte, p *Packet) Fault {
	if f := Cut(data, p); f != FaultNone {
		return f
	}
	e, f := CheckEchoRequest(p)
	if f != FaultNone {
		return f
	}
	PutEchoReply(out, &Headers{routerMAC, p.Ethernet.Source(), p.IPv6.Destination(), p.IPv6.Source(), 64}, p, e)
	return FaultNone
}

func BenchmarkCut(b *testing.B) {
	for _, bb := range []struct{ name, frame string }{{"ns", nsHex}, {"chain", nsChainHex}, {"udp", udpHex}} {
		b.Run(bb.name, func(b *testing.B) {
			data := frame(bb.frame)
			var p Packet
			b.ReportAllocs()
			for b.Loop() {
				if f := Cut(data, &p); f != FaultNone {
					b.Fatal(f)
				}
			}
		})
	}
}

func BenchmarkAnswer(b *testing.B) {
	ns, rs, echo := frame(nsHex), frame(rsHex), frame(echoHex)
	body, out := frame(raHex)[HeadersLen:], make([]byte, 256)
	sum := SumBody(body)
	var p Packet
	for _, bb := range []struct {
		name string
		run  func() Fault
	}{
		{"ns", func() Fault { return answerNS(ns, out, &p) }},
		{"rs", func() Fault { return answerRS(rs, out, body, sum, &p) }},
		{"echo", func() Fault { return answerEcho(echo, out, &p) }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if f := bb.run(); f != FaultNone {
					b.Fatal(f)
				}
			}
		})
	}
}

func BenchmarkPutNeighborAdvert(b *testing.B) {
	out := make([]byte, NeighborAdvertFrameLen)
	h := Headers{guestMAC, guest2MAC, guest1, guest2, MaxHopLimit}
	b.ReportAllocs()
	for b.Loop() {
		PutNeighborAdvert(out, &h, guest1, guestMAC, FlagSolicited|FlagOverride)
	}
}

func BenchmarkSumBody(b *testing.B) {
	for _, bb := range []struct {
		name string
		n    int
	}{{"32", 32}, {"1440", 1440}} {
		b.Run(bb.name, func(b *testing.B) {
			data := make([]byte, bb.n)
			b.SetBytes(int64(bb.n))
			for b.Loop() {
				SumBody(data)
			}
		})
	}
}
