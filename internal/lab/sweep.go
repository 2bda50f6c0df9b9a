package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Sweep removes what the labs of dead processes left: processes, namespaces
// and run directories, each found by a name that carries the owner. What
// belongs to a living process stays. New sweeps by itself.
func Sweep() error {
	var errs []error
	// Namespaces first: their processes write into the run directories.
	for _, name := range leftovers(namespaceDir, namespacePrefix) {
		errs = append(errs, removeNamespace(name))
	}
	for _, name := range leftovers(os.TempDir(), runDirPrefix) {
		errs = append(errs, os.RemoveAll(filepath.Join(os.TempDir(), name)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("sweeping up after dead labs: %w", err)
	}
	return nil
}

// leftovers lists the names in dir whose owner is gone. A folder that is not
// there holds none.
func leftovers(dir, prefix string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if o, ok := parseOwner(prefix, e.Name()); ok && !o.alive() {
			names = append(names, e.Name())
		}
	}
	return names
}
