package store

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// BootID names one boot of the machine; the zero value names none.
type BootID [16]byte

// Clock is one moment in both times the machine knows. It is passed as a
// value, so that nothing here looks at a clock on its own.
type Clock struct {
	Wall   time.Time     // may step when somebody sets it
	Boot   BootID        // the boot that Uptime counts from
	Uptime time.Duration // CLOCK_BOOTTIME: never steps, runs on in suspend
}

// ReadClock returns this moment. It fails only where /proc is not mounted.
func ReadClock() (Clock, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return Clock{}, fmt.Errorf("store: read CLOCK_BOOTTIME: %w", err)
	}
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Clock{}, fmt.Errorf("store: cannot tell this boot from others: %w; mount /proc", err)
	}
	c := Clock{Wall: time.Now(), Uptime: time.Duration(ts.Nano())}
	raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err != nil || len(raw) != len(c.Boot) {
		return Clock{}, fmt.Errorf("store: boot_id is %q, want a UUID", text)
	}
	copy(c.Boot[:], raw)
	return c, nil
}
