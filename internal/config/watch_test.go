package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// reload is what one call of Watch's function brought.
type reload struct {
	config *Config
	err    error
}

// watching runs Watch for the test's time.
func watching(t *testing.T, path string) <-chan reload {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	reloads, done := make(chan reload, 16), make(chan error, 1)
	go func() { done <- Watch(ctx, path, func(c *Config, err error) { reloads <- reload{c, err} }) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Watch: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Watch does not return")
		}
	})
	return reloads
}

func next(t *testing.T, reloads <-chan reload) reload {
	t.Helper()
	select {
	case r := <-reloads:
		return r
	case <-time.After(10 * time.Second):
		t.Fatal("no reload")
		return reload{}
	}
}

// eventually changes the file until Watch, which starts meanwhile, has seen it.
func eventually(t *testing.T, reloads <-chan reload, change func()) reload {
	t.Helper()
	for range 100 {
		change()
		select {
		case r := <-reloads:
			return r
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatal("no reload")
	return reload{}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	// Every text is as long as the one before it at least, so that Watch, whenever it
	// looks, finds a whole one.
	put := func(path, text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteString(text)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		path := write(t, "bridge: br0\n")
		reloads := watching(t, path)
		n := 0
		r := eventually(t, reloads, func() { n++; put(path, "bridge: br1 "+strings.Repeat("#", n)+"\n") })
		if r.err != nil || r.config.Bridge != "br1" {
			t.Fatalf("written in place: %+v", r)
		}
		put(path+".new", "bridge: br2\n")
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		for r = next(t, reloads); r.err == nil && r.config.Bridge == "br1"; r = next(t, reloads) {
		}
		if r.err != nil || r.config.Bridge != "br2" {
			t.Fatalf("renamed into place: %+v", r)
		}
		put(path, "bridge: [br\n")
		if r := next(t, reloads); r.err == nil {
			t.Fatalf("a bad file: %+v", r)
		}
		// What holds the same makes no reload: the next one is of what follows.
		put(path, "bridge: [br\n")
		put(path, "bridge: br3\n")
		if r := next(t, reloads); r.err != nil || r.config.Bridge != "br3" {
			t.Fatalf("mended: %+v", r)
		}
	})
	t.Run("folder", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Dir(write(t, "bridge: br0\n"))
		reloads := watching(t, dir)
		n := 0
		r := eventually(t, reloads, func() {
			n++
			put(filepath.Join(dir, "more.yaml"), "networks: [{name: blue}] "+strings.Repeat("#", n)+"\n")
		})
		if r.err != nil || len(r.config.Topology.Networks) != 1 {
			t.Fatalf("a file more: %+v", r)
		}
		if err := os.Remove(filepath.Join(dir, "more.yaml")); err != nil {
			t.Fatal(err)
		}
		for r = next(t, reloads); r.err == nil && len(r.config.Topology.Networks) == 1; r = next(t, reloads) {
		}
		if r.err != nil || len(r.config.Topology.Networks) != 0 {
			t.Fatalf("a file less: %+v", r)
		}
	})
	t.Run("link to elsewhere", func(t *testing.T) {
		t.Parallel()
		target := write(t, "bridge: br0\n")
		path := filepath.Join(t.TempDir(), "damselfly.yaml")
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		reloads := watching(t, path)
		n := 0
		r := eventually(t, reloads, func() { n++; put(target, "bridge: br1 "+strings.Repeat("#", n)+"\n") })
		if r.err != nil || r.config.Bridge != "br1" {
			t.Fatalf("%+v", r)
		}
	})
}
