package bridge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLock: one bridge has one holder, whose process id the refusal names.
func TestLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := TakeLock(dir, "br")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := TakeLock(dir, "br"); !errors.Is(err, ErrServed) || !strings.Contains(err.Error(), fmt.Sprintf("process %d ", os.Getpid())) {
		t.Errorf("the second lock: %v", err)
	}
	other, err := TakeLock(dir, "other")
	if err != nil {
		t.Fatalf("another bridge: %v", err)
	}
	if err := errors.Join(first.Release(), other.Release()); err != nil {
		t.Fatal(err)
	}
	again, err := TakeLock(dir, "br")
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	defer again.Release()
	if _, err := TakeLock(filepath.Join(dir, "none"), "br"); err == nil || errors.Is(err, ErrServed) {
		t.Errorf("a folder that is not there: %v", err)
	}
}
