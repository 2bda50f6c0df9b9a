package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// TestBounds gives Load what would cost a careless reader its memory, its stack or its time.
func TestBounds(t *testing.T) {
	t.Parallel()
	huge := filepath.Join(t.TempDir(), "huge.yaml")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 1<<30); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(t.TempDir(), "pipe.yaml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	var bomb strings.Builder
	bomb.WriteString("a: &a [x]\n")
	for c := 'b'; c < 'z'; c++ {
		fmt.Fprintf(&bomb, "%c: &%c [%s]\n", c, c, strings.Repeat("*"+string(c-1)+", ", 9))
	}
	var subnets, nested strings.Builder
	subnets.WriteString("bridge: br0\nnetworks:\n- name: n\n  subnets:\n")
	for i := range 20000 {
		fmt.Fprintf(&subnets, "  - prefix: fd00:%x::/64\n", i)
	}
	var ports strings.Builder
	ports.WriteString("bridge: br0\nnetworks: [{name: n}]\nports:\n")
	for i := range 1001 {
		fmt.Fprintf(&ports, "- {name: vm%d, network: n, mac: \"02:00:00:00:%02x:%02x\"}\n", i, i>>8, i&0xff)
	}
	for i := range 2000 {
		fmt.Fprintf(&nested, "%sa:\n", strings.Repeat(" ", i))
	}
	tests := []struct{ name, path, want string }{
		{"1 GB", huge, "longer than 16777216 octets"},
		{"pipe", pipe, "no regular file"},
		{"device", "/dev/zero", "no regular file"},
		{"absent", "testdata/absent.yaml", "no such file"},
		{"brackets", write(t, strings.Repeat("[", 100000)), "nest deeper"},
		{"braces", write(t, strings.Repeat("{a: ", 100000)), "nest deeper"},
		{"dashes", write(t, strings.Repeat("- ", 100000)), "nest deeper"},
		{"question marks", write(t, strings.Repeat("? ", 100000)), "plain words"},
		{"blocks", write(t, nested.String()), "the line begins in column 129"},
		{"aliases", write(t, bomb.String()), "anchors"},
		{"long key", write(t, strings.Repeat("k", 1<<20)+": 1"), "is no key"},
		{"many keys", write(t, "bridge: br0\n"+strings.Repeat("x: 1\n", 1<<16)), "more than 256 keys"},
		{"many keys in braces", write(t, "bridge: br0\nids: {"+strings.Repeat("x: 1, ", 10000)+"}"), "is there a second time"},
		{"many colons", write(t, strings.Repeat("a: ", 1<<16)), "nest deeper"},
		{"many entries", write(t, "ports:\n"+strings.Repeat("- {name: a}\n", 1<<14)), "there is another port"},
		{"many flow entries", write(t, "ports: ["+strings.Repeat("a,", 1<<19)+"]"), "more words"},
		{"many documents", write(t, strings.Repeat("---\n", 1<<16)), "bridge: is missing"},
		{"many comments", write(t, strings.Repeat("# x\n", 1<<16)), "bridge: is missing"},
		{"comments in a map", write(t, strings.Repeat("# x\n", 1<<16)+"x: 1\n"+strings.Repeat("# x\n", 1<<16)), "is no key"},
		{"many ports of a network", write(t, ports.String()), "ports[1000].network: network n has more than 1000 ports"},
		{"many subnets", write(t, subnets.String()), "the list has 20000 entries"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(tt.path)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %.200v, want %q", err, tt.want)
			}
		})
	}
}

// FuzzLoad holds what Load takes against the library's own strict decoder: it
// must take it, too, and agree on the scalars that need no interpretation.
func FuzzLoad(f *testing.F) {
	f.Add(Reference)
	f.Add(Minimal)
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, name := range files {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(string(b))
		}
	}
	type named struct {
		Name string `yaml:"name"`
		MTU  int    `yaml:"mtu"`
	}
	f.Fuzz(func(t *testing.T, text string) {
		watchdog := time.AfterFunc(10*time.Second, func() { panic(fmt.Sprintf("no end with %q", text)) })
		defer watchdog.Stop()
		c, mistakes := newDecoder().decode("x.yaml", []file{{"x.yaml", []byte(text)}})
		for _, m := range mistakes {
			if m.File != "x.yaml" || m.Message == "" {
				t.Errorf("a mistake without place or message: %+v", m)
			}
		}
		again, _ := newDecoder().decode("x.yaml", []file{{"x.yaml", []byte(text)}})
		if diff := cmp.Diff(c, again, byValue); diff != "" {
			t.Fatalf("the same text is another configuration:\n%s", diff)
		}
		if len(mistakes) > 0 {
			return
		}
		var want, got struct {
			Bridge   string  `yaml:"bridge"`
			Networks []named `yaml:"networks"`
			Ports    []named `yaml:"ports"`
		}
		if err := yaml.Unmarshal([]byte(text), &want); err != nil {
			t.Fatalf("Load takes what the library does not: %v", err)
		}
		got.Bridge = c.Bridge
		for _, n := range c.Topology.Networks {
			got.Networks = append(got.Networks, named{n.Name, n.MTU})
		}
		for _, p := range c.Topology.Ports {
			got.Ports = append(got.Ports, named{Name: p.Name})
		}
		if len(want.Networks) == 0 {
			want.Networks = nil
		}
		if len(want.Ports) == 0 {
			want.Ports = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("names (-library +Load):\n%s", diff)
		}
	})
}
