package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// indexOf is the number of a guest's interface.
func indexOf(t *testing.T, g *lab.Guest) (index int) {
	t.Helper()
	if err := g.Within(func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err == nil {
			index = eth0.Index
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return index
}

// first returns the number that a pattern finds in a text.
func first(t *testing.T, pattern *regexp.Regexp, text string) int {
	t.Helper()
	m := pattern.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("nothing like %v in %q", pattern, text)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var (
	portCount     = regexp.MustCompile(`rx pkts=(\d+)`)
	hitCount      = regexp.MustCompile(`hit:(\d+)`)
	missedCount   = regexp.MustCompile(`missed:(\d+)`)
	nconnsCount   = regexp.MustCompile(`(\d+)`)
	overflowCount = regexp.MustCompile(`rconn_overflow.*total: (\d+)`)
	memoryCount   = regexp.MustCompile(`VmRSS:\s*(\d+) kB`)
)

func (o *ordeal) appctl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := o.Appctl(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// received is how many frames came in by a port, lost ones included.
func (o *ordeal) received(t *testing.T, port string) int {
	t.Helper()
	out, err := o.Ofctl("dump-ports", stage.Bridge, port)
	if err != nil {
		t.Fatal(err)
	}
	return first(t, portCount, out)
}

// lookups is how many frames the datapath looked up.
func (o *ordeal) lookups(t *testing.T) int {
	t.Helper()
	out := o.appctl(t, "dpctl/show", "-s")
	return first(t, hitCount, out) + first(t, missedCount, out)
}

// connections is how many are tracked.
func (o *ordeal) connections(t *testing.T) int {
	t.Helper()
	return first(t, nconnsCount, o.appctl(t, "dpctl/ct-get-nconns"))
}

// overflowed is how many messages Open vSwitch had no room for on their way to
// Damselfly.
func (o *ordeal) overflowed(t *testing.T) int {
	t.Helper()
	if m := overflowCount.FindStringSubmatch(o.appctl(t, "coverage/show")); m != nil {
		return first(t, overflowCount, m[0])
	}
	return 0 // not a single time
}

// loadAverage is that of the machine in the last minute: what the times are worth.
func loadAverage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))[0]
}

// memory is how many octets of Damselfly's are in memory.
func (o *ordeal) memory(t *testing.T) int { return resident(t, o.daemon.PID()) }

// switchMemory is the same of ovs-vswitchd.
func (o *ordeal) switchMemory(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(o.RunDir, "ovs-vswitchd.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return resident(t, pid)
}

func resident(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	return first(t, memoryCount, string(text)) << 10
}
