package flows

import (
	"fmt"
	"testing"

	"damselfly/internal/topology"
)

// perFlow reports how many flows a second an operation got through.
func perFlow(b *testing.B, flows int) {
	b.ReportMetric(float64(flows)*float64(b.N)/b.Elapsed().Seconds(), "flows/s")
}

// BenchmarkCompile compiles a whole topology from nothing.
func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("ports=%d", n), func(b *testing.B) {
			s := build(bigSpec(n), nil)
			flows := 0
			b.ReportAllocs()
			for b.Loop() {
				flows = len(Compile(s, envs["ndext-pulse"]).Flows)
			}
			perFlow(b, flows)
		})
	}
}

// BenchmarkUpdate changes one port and makes the delta, as a running Damselfly
// does.
func BenchmarkUpdate(b *testing.B) {
	for _, n := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("ports=%d", n), func(b *testing.B) {
			spec := bigSpec(n)
			var builder topology.Builder
			var snapshots [2]*topology.Snapshot
			for i := range snapshots {
				snapshots[i], _ = builder.Build(input(spec, map[string]uint32{spec.Ports[n/2].Name: uint32(60000 + i)}))
			}
			compiler := NewCompiler(envs["ndext-pulse"])
			have := compiler.Update(snapshots[0])
			mods, i := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				i++
				want := compiler.Update(snapshots[i%2])
				d := DiffPieces(have, want)
				have, mods = want, d.Mods()
			}
			b.ReportMetric(float64(mods), "mods/op")
		})
	}
}

// BenchmarkDiff compares two full sets of 5,000 ports, as after a reconnect.
func BenchmarkDiff(b *testing.B) {
	s := build(bigSpec(5_000), nil)
	have, want := Compile(s, envs["ndext-pulse"]), Compile(s, envs["ndext-pulse"])
	b.ReportAllocs()
	for b.Loop() {
		if d := Diff(have, want); !d.Empty() {
			b.Fatal("equal sets differ")
		}
	}
	perFlow(b, len(want.Flows))
}

// BenchmarkFirstDiff makes the delta that fills an empty switch, as the first
// install does.
func BenchmarkFirstDiff(b *testing.B) {
	for _, n := range []int{1_000, 5_000} {
		b.Run(fmt.Sprintf("ports=%d", n), func(b *testing.B) {
			want := Compile(build(bigSpec(n), nil), envs["ndext-pulse"])
			b.ReportAllocs()
			for b.Loop() {
				if d := Diff(NewSet(), want); d.FlowMods() != len(want.Flows) {
					b.Fatal("not every flow comes")
				}
			}
			perFlow(b, len(want.Flows))
		})
	}
}
