package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// tracer is a strace at a running Damselfly.
type tracer struct {
	cmd *exec.Cmd
	out string
}

// trace attaches to all threads and follows the calls that read, write and sync;
// inject, if any, is what else to do to syncs.
func trace(t *testing.T, d *stage.Daemon, inject string) *tracer {
	t.Helper()
	needs(t, "strace")
	tr := &tracer{out: filepath.Join(t.TempDir(), "strace")}
	args := []string{"-f", "-xx", "-s", "4096", "-o", tr.out, "-p", fmt.Sprint(d.PID()),
		"-e", "trace=fdatasync,fsync,read,recvfrom,recvmsg,write,writev,sendto,sendmsg"}
	if inject != "" {
		args = append(args, "-e", "inject=fdatasync,fsync:"+inject)
	}
	tr.cmd = exec.Command("strace", args...)
	said, err := tr.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.stop(t) })
	late := time.AfterFunc(patience, func() { _ = tr.cmd.Process.Kill() })
	defer late.Stop()
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.Contains(line, "Operation not permitted"):
			tr.stop(t)
			t.Skipf("strace may not look at another process here: %s", line)
		case strings.Contains(line, "attached"):
			go func() {
				for lines.Scan() {
				}
			}()
			return tr
		}
	}
	t.Fatal("strace did not attach")
	return nil
}

// stop detaches and returns what was seen.
func (tr *tracer) stop(t *testing.T) string {
	t.Helper()
	if tr.cmd.ProcessState == nil {
		if err := tr.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
		late := time.AfterFunc(patience, func() {
			t.Error("strace does not end")
			_ = tr.cmd.Process.Kill()
		})
		_ = tr.cmd.Wait() // it ends as if by the signal
		late.Stop()
	}
	text, err := os.ReadFile(tr.out)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	return string(text)
}

// journal is the file that leases are written to before their replies leave.
const journal = "state.journal-0"

// stateFile is the number that a process has its journal open under.
func stateFile(t *testing.T, d *stage.Daemon) string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", d.PID())
	fds, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && filepath.Base(to) == journal {
			return fd.Name()
		}
	}
	t.Fatal(journal + " is not open")
	return ""
}

// escaped is octets as strace -xx writes them.
func escaped(octets ...byte) string {
	var b strings.Builder
	for _, o := range octets {
		fmt.Fprintf(&b, `\x%02x`, o)
	}
	return b.String()
}

// syncBetween counts the syncs of a file that began after a request was read and
// ended before its reply was written; err says what is missing.
func syncBetween(text, fd string, request, reply string) (syncs int, err error) {
	began := regexp.MustCompile(`^(\d+) +f(?:data)?sync\(` + fd + `[ )]`)
	ended := regexp.MustCompile(`^(\d+) +(?:f(?:data)?sync\(` + fd + `\)|<\.\.\. f(?:data)?sync resumed>\)) += 0`)
	asked := false
	under := map[string]bool{} // threads that sync the file
	for line := range strings.Lines(text) {
		switch {
		case !asked:
			asked = strings.Contains(line, request)
		case strings.Contains(line, reply):
			return syncs, nil
		default:
			if m := began.FindStringSubmatch(line); m != nil {
				under[m[1]] = true
			}
			if m := ended.FindStringSubmatch(line); m != nil && under[m[1]] {
				delete(under, m[1])
				syncs++
			}
		}
	}
	if !asked {
		return 0, errors.New("the request was not read")
	}
	return 0, errors.New("no reply was written")
}

// TestDHCPv6SyncsFirst looks at the system calls of one exchange: the lease is
// on disk before its reply leaves, a slow disk delays the reply, and one that
// fails refuses it.
func TestDHCPv6SyncsFirst(t *testing.T) {
	t.Parallel()
	s := newStage(t, true, stateful)
	d := serve(t, s)
	vm2 := addGuest(t, s, lab.GuestOptions{Name: "vm2", MAC: "02:00:00:00:00:12"})
	linkReady(t, vm2)
	a := newAsker(t, vm2, 546)

	tr := trace(t, d, "")
	request := rapid(t, clientOf(1))
	if !addressIn(a.ask(t, request)).IsValid() {
		t.Fatal("nothing was given")
	}
	xid := request.TransactionID
	syncs, err := syncBetween(tr.stop(t), stateFile(t, d), escaped(1, xid[0], xid[1], xid[2]), escaped(7, xid[0], xid[1], xid[2]))
	if err != nil || syncs == 0 {
		t.Errorf("%d syncs of %s between request and reply, %v", syncs, journal, err)
	}

	const delay = 400 * time.Millisecond
	tr = trace(t, d, fmt.Sprintf("delay_enter=%d", delay.Microseconds()))
	begun := time.Now()
	if m := a.once(t, rapid(t, clientOf(2)), patience); !addressIn(m).IsValid() || time.Since(begun) < delay {
		t.Errorf("with syncs of %v the answer came after %v: %v", delay, time.Since(begun), m)
	}
	tr.stop(t)

	tr = trace(t, d, "error=EIO")
	refused(t, d, a, 3)
	tr.stop(t)
	recovered(t, d, a, 4)
}

// refused asks while nothing can be written: silence, a reason, an alarm.
func refused(t *testing.T, d *stage.Daemon, a *asker, client int) {
	t.Helper()
	request := rapid(t, clientOf(client))
	a.send(t, request.ToBytes())
	waitMetric(t, d, endedFor("not-durable"), 1)
	// What would have been sent is underway by now.
	if m, _ := a.receive(t, 100*time.Millisecond, answers(request)); m != nil {
		t.Errorf("answered all the same: %s", m.Summary())
	}
	if st, err := d.Status(); err != nil || st.LeaseError == "" {
		t.Errorf("status has no lease_error: %v", err)
	}
	for _, l := range leasesOf(t, d) {
		if l.DUID == duidText(clientOf(client)) {
			t.Errorf("listed, though it was never given: %+v", l)
		}
	}
}

// recovered asks once it can be written again.
func recovered(t *testing.T, d *stage.Daemon, a *asker, client int) {
	t.Helper()
	if !addressIn(a.ask(t, rapid(t, clientOf(client)))).IsValid() {
		t.Error("nothing is given after the disk is well again")
	}
	if st, err := d.Status(); err != nil || st.LeaseError != "" {
		t.Errorf("the alarm stays: %q %v", st.LeaseError, err)
	}
}

// TestDHCPv6FullDisk fills the disk of `state` until a lease does not fit.
func TestDHCPv6FullDisk(t *testing.T) {
	t.Parallel()
	s := newStage(t, true, openMeters+strings.Replace(stateful, `"02:00:00:00:00:12"}`, `"02:00:00:00:00:12", limits: {leases: none}}`, 1))
	state := filepath.Join(s.RunDir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", state, "tmpfs", 0, "size=4m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(state, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	d := serve(t, s)
	vm2 := addGuest(t, s, lab.GuestOptions{Name: "vm2", MAC: "02:00:00:00:00:12"})
	linkReady(t, vm2)
	a := newAsker(t, vm2, 546)
	if !addressIn(a.ask(t, rapid(t, clientOf(1)))).IsValid() {
		t.Fatal("nothing was given")
	}

	ballast := filepath.Join(state, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for octets := bytes.Repeat([]byte{1}, 4096); err == nil; {
		_, err = f.Write(octets)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	// What the file has already may hold some more leases.
	given := map[int]bool{}
	full := 0
	for n := 2; full == 0; n++ {
		if n > 1000 {
			t.Fatal("a thousand leases were given on a full disk")
		}
		switch {
		case addressIn(a.once(t, rapid(t, clientOf(n)), time.Second)).IsValid():
			given[n] = true
		case metrics(t, d)[endedFor("not-durable")] > 0: // else the answer is late
			full = n
		}
	}
	refused(t, d, a, full)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	recovered(t, d, a, full)
	held := map[string]bool{}
	for _, l := range leasesOf(t, d) {
		held[l.DUID] = true
	}
	for n := range given {
		if !held[duidText(clientOf(n))] {
			t.Errorf("client %d was given a lease that is gone", n)
		}
	}
	t.Logf("the disk was full after %d more leases", len(given))
}
