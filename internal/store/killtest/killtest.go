// Package killtest kills a writer of durable state at any moment, so that tests
// of a store can judge what is left. The writer is the test's own program, which
// its TestMain turns into one where an environment variable says so.
package killtest

import (
	"bufio"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"
)

// Run starts this program anew for each round with one more variable, given as
// NAME=VALUE, in its environment. The child prints the number of what it has made
// durable last, line by line, and is killed soon after one of the first thirty
// lines: somewhere inside one of the next commits. check is told the last number
// that was printed. The same rng gives the same delays.
func Run(t testing.TB, variable string, rounds int, rng *rand.Rand, check func(round int, acked uint64)) {
	t.Helper()
	for round := range rounds {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), variable)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		// One that stands still is killed too, and its test fails.
		stuck := time.AfterFunc(time.Minute, func() { _ = child.Process.Kill() })
		lines, acked := bufio.NewScanner(out), uint64(0)
		left, delay := 1+rng.IntN(30), time.Duration(rng.IntN(3000))*time.Microsecond
		for lines.Scan() {
			if acked, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
				t.Errorf("child printed %q", lines.Text())
			}
			if left--; left == 0 {
				time.AfterFunc(delay, func() { _ = child.Process.Kill() })
			}
		}
		_ = child.Wait()
		stuck.Stop()
		if left > 0 {
			t.Fatalf("round %d: the child ended by itself, or stood still for a minute", round)
		}
		check(round, acked)
	}
}
