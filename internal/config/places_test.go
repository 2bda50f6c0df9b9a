package config

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPlaces: keys are found over several files, and what is not written where
// it would be.
func TestPlaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.yaml": "bridge: br0\nnetworks:\n  - name: blue\n    subnets:\n      - prefix: fd00:b1::/64\nports:\n  - {name: vm1, network: blue, mac: 02:00:00:00:00:11}\n",
		"b.yaml": "ports:\n  - name: vm2\n    network: blue\n    addresses:\n      - fd00:b1::12\n      - fd00:b1::13\n    router: true\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, places, err := LoadPlaced(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Topology.Ports) != 2 || c.Topology.Ports[1].Name != "vm2" {
		t.Fatalf("ports %+v", c.Topology.Ports)
	}
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	for object, want := range map[string]Place{
		"networks[0].subnets[0].prefix": {a, 5, "networks[0].subnets[0].prefix", true},
		"ports[0]":                      {a, 7, "ports[0]", true},
		"ports[0].router":               {a, 7, "ports[0].router", false},
		"ports[1].addresses[1]":         {b, 6, "ports[0].addresses[1]", true},
		"ports[1].router":               {b, 7, "ports[0].router", true},
		"limits.ns":                     {dir, 0, "limits.ns", false},
	} {
		if diff := cmp.Diff(want, places.Of(object)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", object, diff)
		}
	}
	if got := places.Of("ports[1].router").String(); got != b+":7" {
		t.Errorf("got %s", got)
	}
	if got := places.Of("limits").String(); got != dir {
		t.Errorf("got %s", got)
	}
}
