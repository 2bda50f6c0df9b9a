package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// packages are Debian's, by the program that is needed of them. They are unpacked
// and not installed: installed ones would start services of the host's.
var packages = map[string][]string{
	"ovn-controller": {"ovn-host", "ovn-common", "ovn-central"},
	"radvd":          {"radvd"},
}

// program finds a program on the path or in what was unpacked, which it does where
// that is needed, and returns its path and the root it is under.
func program(ctx context.Context, name string) (path, root string, err error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, "/", nil
	}
	list := packages[name]
	if list == nil {
		return "", "", fmt.Errorf("%s is not installed", name)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", err
	}
	root = filepath.Join(cache, "damselfly", "peers")
	find := func() string {
		for _, dir := range []string{"usr/bin", "usr/sbin"} {
			if p := filepath.Join(root, dir, name); exec.Command("test", "-x", p).Run() == nil {
				return p
			}
		}
		return ""
	}
	if path = find(); path != "" {
		return path, root, nil
	}
	if err := unpack(ctx, root, list); err != nil {
		return "", "", err
	}
	if path = find(); path == "" {
		return "", "", fmt.Errorf("%v have no %s", list, name)
	}
	return path, root, nil
}

// unpack fetches packages and unpacks them under root.
func unpack(ctx context.Context, root string, list []string) error {
	debs, err := os.MkdirTemp("", "dfly-peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(debs)
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	get := exec.CommandContext(ctx, "apt-get", append([]string{"download", "-q"}, list...)...)
	get.Dir = debs
	if out, err := get.CombinedOutput(); err != nil {
		return fmt.Errorf("fetching %v: %w: %s", list, err, out)
	}
	files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if out, err := exec.CommandContext(ctx, "dpkg", "-x", f, root).CombinedOutput(); err != nil {
			return fmt.Errorf("unpacking %s: %w: %s", filepath.Base(f), err, out)
		}
	}
	return nil
}
