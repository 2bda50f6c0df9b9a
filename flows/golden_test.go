package flows

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/topology"
)

var update = flag.Bool("update", false, "rewrite golden files and the generated document")

// golden compares got with a file, or writes the file with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run the test with -update to write it", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s is not what is compiled now; if it should be, run the test with -update (-want +got):\n%s", path, diff)
	}
}

// TestGolden keeps what a switch is given for each small topology in a file.
func TestGolden(t *testing.T) {
	each(t, func(t *testing.T, s *topology.Snapshot, env Env) {
		name := strings.TrimPrefix(t.Name(), "TestGolden/")
		if !slices.Contains([]string{"router-ndext", "router-pulse", "router-port", "trunk-port"}, name) &&
			!strings.HasSuffix(name, "-ndext-pulse") && !strings.HasSuffix(name, "-plain") {
			return // the two ends show what env changes; one topology has all five
		}
		set := Compile(s, env)
		if name != "l2-plain" { // how MACs are compared is the same everywhere: one file tells it
			maps.DeleteFunc(set.Flows, func(_ Key, f *Flow) bool { return comparesMAC(f) })
		}
		golden(t, filepath.Join("..", "fixtures", "flows", name+".txt"), set.String())
	})
}

// comparesMAC reports whether a flow looks at one bit of a MAC.
func comparesMAC(f *Flow) bool {
	_, high := f.Match.Get(regMACHigh)
	low, ok := f.Match.Get(regMACLow)
	return high || ok && low.Mask.Uint(4)&macStage == 0
}

// TestDeterministic compiles the same thing again and again: nothing may depend
// on the order of a map.
func TestDeterministic(t *testing.T) {
	each(t, func(t *testing.T, s *topology.Snapshot, env Env) {
		want := Compile(s, env).String()
		for range 5 {
			if diff := cmp.Diff(want, Compile(s, env).String()); diff != "" {
				t.Fatalf("two compilations differ:\n%s", diff)
			}
		}
	})
}
