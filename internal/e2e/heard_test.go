package e2e

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"damselfly/internal/lab"
)

// heard is the file where the script of a client writes what it is told.
type heard struct{ said string }

// told waits until the script was called for a reason more often than before.
func (h heard) told(t *testing.T, reason string, before int) {
	t.Helper()
	lab.WaitFor(t, patience, "the client's script to be told "+reason, func() error {
		if h.times(reason) <= before {
			return errors.New("not yet")
		}
		return nil
	})
}

// times counts how often the script was called for a reason.
func (h heard) times(reason string) int {
	text, _ := os.ReadFile(h.said) // nothing said yet
	return strings.Count(string(text), "reason="+reason+"\n")
}

// env is what the script was told last under a name.
func (h heard) env(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(h.said)
	if err != nil {
		t.Fatal(err)
	}
	value := ""
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			value = v
		}
	}
	return value
}

// waits for a name's value, and gives the first that fits.
func (h heard) waits(t *testing.T, name string, fits func(string) bool) (value string) {
	t.Helper()
	lab.WaitFor(t, patience, "the client's script to be told "+name, func() error {
		if _, err := os.Stat(h.said); err != nil {
			return err
		}
		if value = h.env(t, name); !fits(value) {
			return fmt.Errorf("it was told %q", value)
		}
		return nil
	})
	return value
}
