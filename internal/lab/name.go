package lab

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// Names of a lab's namespaces and run directory. What follows the prefix is
// the identity of the owner, see owner.String, and then what tells the lab's
// things apart.
const (
	namespacePrefix = "dfly-"
	runDirPrefix    = "dfly-lab-"
)

// labCount tells the labs of one process apart.
var labCount atomic.Uint64

// owner is the process a lab belongs to. The start time makes it unique where
// the process id is used again.
type owner struct {
	pid   int
	start uint64 // clock ticks after boot, field 22 of /proc/PID/stat
}

// self is this process as an owner.
func self() (owner, error) {
	start, alive := startTime(os.Getpid())
	if !alive {
		return owner{}, fmt.Errorf("reading /proc/%d/stat: is /proc mounted?", os.Getpid())
	}
	return owner{os.Getpid(), start}, nil
}

// String is PID-START, as names carry it.
func (o owner) String() string { return fmt.Sprintf("%d-%d", o.pid, o.start) }

// alive says whether that very process still runs.
func (o owner) alive() bool {
	start, alive := startTime(o.pid)
	return alive && start == o.start
}

// parseOwner reads the owner out of a name made with prefix; false where the
// name is not one of a lab.
func parseOwner(prefix, name string) (owner, bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return owner{}, false
	}
	parts := strings.SplitN(rest, "-", 3)
	if len(parts) < 3 {
		return owner{}, false
	}
	pid, err1 := strconv.Atoi(parts[0])
	start, err2 := strconv.ParseUint(parts[1], 10, 64)
	return owner{pid, start}, err1 == nil && err2 == nil && pid > 0
}

// startTime is when a process started. A zombie counts as gone: it holds
// nothing and only waits for its parent.
func startTime(pid int) (ticks uint64, alive bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// Field 2 is the program's name in parentheses and may hold anything;
	// the fields after its last parenthesis start with the state, field 3.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return 0, false
	}
	ticks, err = strconv.ParseUint(fields[19], 10, 64)
	return ticks, err == nil
}
