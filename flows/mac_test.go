package flows

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// TestMACs holds the trees of MACs against a list: whatever MACs a network and a
// port have, just these are told from all others, one bit beside them included.
func TestMACs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		macs := rapid.SliceOfNDistinct(macGenerator(), 1, 6, rapid.ID[wire.MAC]).Draw(t, "MACs")
		spec := &topology.Spec{Networks: []topology.NetworkSpec{{Name: "wire"}}}
		for i, m := range macs {
			spec.Ports = append(spec.Ports, topology.PortSpec{Name: fmt.Sprintf("vm%d", i), Network: "wire", MAC: m})
		}
		sw := &fakeSwitch{Set: Compile(build(spec, nil), Env{})}
		near := func() wire.MAC {
			m := slices.Clone(macs[rapid.IntRange(0, len(macs)-1).Draw(t, "near")][:])
			if bit := rapid.IntRange(0, 48).Draw(t, "bit"); bit < 48 && bit != 7 {
				m[bit/8] ^= 0x80 >> (bit % 8)
			}
			return wire.MAC(m)
		}
		in := rapid.IntRange(0, len(macs)-1).Draw(t, "in")
		src, dst := near(), near()
		want := "drop-unknown-mac"
		switch to := slices.Index(macs, dst); {
		case src != macs[in]:
			want = "drop-spoofed"
		case to == in:
			want = ""
		case to >= 0:
			want = fmt.Sprint("out ", to+1)
		}
		if got := sw.run(frame(uint32(in+1), src, dst, ethTypeIPv4)); got != want {
			t.Fatalf("from %s to %s of %v by port %d: %q, want %q", src, dst, macs, in+1, got, want)
		}
	})
}

// macGenerator makes MACs that are often alike for a while.
func macGenerator() *rapid.Generator[wire.MAC] {
	return rapid.Custom(func(t *rapid.T) (m wire.MAC) {
		m = wire.MAC{0x02, 0x11, 0x22, 0x33, 0x44, 0x55}
		for i := rapid.IntRange(0, 5).Draw(t, "alike"); i < 6; i++ {
			m[i] = rapid.Byte().Draw(t, "octet")
		}
		m[0] &^= 1
		return m
	})
}

// TestMACTreeFlows: a tree of MACs of one maker costs a flow a MAC and what
// tells them apart; another MAC changes few of them.
func TestMACTreeFlows(t *testing.T) {
	t.Parallel()
	spec := func(n int) *topology.Spec {
		s := &topology.Spec{Networks: []topology.NetworkSpec{{Name: "wire"}}}
		for i := range n {
			x := uint32(i+1) * 2654435761 // Knuth's multiplier scatters the last octets
			s.Ports = append(s.Ports, topology.PortSpec{Name: fmt.Sprintf("vm%04d", i), Network: "wire", MAC: wire.MAC{0xfa, 0x16, 0x3e, byte(x >> 24), byte(x >> 16), byte(x >> 8)}})
		}
		return s
	}
	for _, tt := range []struct{ ports, most int }{{1, 1}, {50, 85}, {999, 1500}} {
		c := NewCompiler(Env{})
		before := c.Update(build(spec(tt.ports), nil))
		steps := 0
		for _, f := range before.Set().Flows {
			if f.Table == TableSwitch && f.Priority == switchKnown {
				steps++
			}
		}
		d := DiffPieces(before, c.Update(build(spec(tt.ports+1), nil)))
		more := 0
		for _, f := range slices.Concat(d.AddFlows, d.DelFlows) {
			if f.Table == TableSwitch && f.Priority == switchKnown {
				more++
			}
		}
		t.Logf("%d ports: %d flows, another one changes %d", tt.ports, steps, more)
		if steps > tt.most {
			t.Errorf("%d ports: %d flows, want %d at most", tt.ports, steps, tt.most)
		}
	}
}
