package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of the times in /proc/PID/stat, USER_HZ of proc(5), the same
// on every architecture that Open vSwitch runs on.
const tick = 10 * time.Millisecond

// CPU returns the processor time a process and its threads have used so far, in
// user and kernel mode together, to the hundredth of a second (proc(5), fields
// utime and stime of /proc/PID/stat).
func CPU(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, field 2, may hold spaces and parentheses; what follows does not.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	const utime, stime = 14 - 3, 15 - 3
	if len(fields) <= stime {
		return 0, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(fields))
	}
	u, err := strconv.ParseUint(string(fields[utime]), 10, 64)
	if err != nil {
		return 0, err
	}
	s, err := strconv.ParseUint(string(fields[stime]), 10, 64)
	if err != nil {
		return 0, err
	}
	return time.Duration(u+s) * tick, nil
}

// ExactCPU returns what CPU does, to the nanosecond: the clock of the process
// that clock_getcpuclockid(3) names. It is for what takes less than a second.
func ExactCPU(pid int) (time.Duration, error) {
	const scheduled = 2 // the scheduler's count, of the whole process
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0, fmt.Errorf("the clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}
