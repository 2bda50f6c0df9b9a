package store

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
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
	boot, err := thisBoot()
	return Clock{Wall: time.Now(), Uptime: time.Duration(ts.Nano()), Boot: boot}, err
}

// thisBoot is the boot that this process lives in, read once.
var thisBoot = sync.OnceValues(func() (id BootID, err error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return id, fmt.Errorf("store: cannot tell this boot from others: %w; mount /proc", err)
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err != nil || len(raw) != len(id) {
		return id, fmt.Errorf("store: boot_id is %q, want a UUID", text)
	}
	copy(id[:], raw)
	return id, nil
})
