package capture

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/pcapgo"

	"damselfly/pipeline"
)

// seen is one packet as gopacket reads it back.
type seen struct {
	Link, Comment, Data string
	Out                 bool
}

func readBack(t *testing.T, path string) (list []seen) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, info, options, err := r.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("after %d packets: %v", len(list), err)
		}
		link, err := r.Interface(info.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, seen{
			Link: link.Name, Comment: strings.Join(options.Comments, "|"), Data: string(data),
			Out: options.Flags != nil && options.Flags.Direction == pcapgo.NgEpbFlagDirectionOutbound,
		})
	}
}

func frame(port uint32, data string) pipeline.Frame {
	return pipeline.Frame{InPort: port, Data: []byte(data)}
}

func TestReadBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tap.pcapng")
	tap, err := Start(path, Config{
		Reason: func(r pipeline.Reason) string { return map[pipeline.Reason]string{3: "answered", 4: "hop limit"}[r] },
		Port: func(p uint32, vlan uint16) string {
			return map[[2]uint32]string{{7, 0}: "vm1", {7, 100}: "sub1"}[[2]uint32{p, uint32(vlan)}]
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	octets := []byte("frame one")
	tap.Batch(
		[]pipeline.Frame{{InPort: 7, Data: octets}, frame(8, "frame two!")}, []pipeline.Reason{3, 4},
		[]pipeline.Reply{{Out: 7, Data: []byte("answer")}, {InPort: 8, Network: 5, Data: []byte("onward")}},
	)
	clear(octets) // the pipeline uses them again
	tap.Batch(nil, nil, nil)
	tap.Batch([]pipeline.Frame{frame(7, "three")}, []pipeline.Reason{3}, nil)
	if err := tap.Close(); err != nil {
		t.Fatal(err)
	}
	want := []seen{
		{Link: "vm1", Comment: "answered", Data: "frame one"},
		{Link: "port 8", Comment: "hop limit", Data: "frame two!"},
		{Link: "vm1", Data: "answer", Out: true},
		{Link: "network 5", Data: "onward", Out: true},
		{Link: "vm1", Comment: "answered", Data: "three"},
	}
	if diff := cmp.Diff(want, readBack(t, path)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if tap.Lost() != 0 {
		t.Errorf("lost %d", tap.Lost())
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestStartRefused(t *testing.T) {
	t.Parallel()
	if _, err := Start(filepath.Join(t.TempDir(), "no", "such"), Config{}); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("error %v", err)
	}
}

func TestMaxSize(t *testing.T) {
	t.Parallel()
	for _, size := range []int64{1000, 10000, 10001, 10002, 10003} {
		path := filepath.Join(t.TempDir(), "tap.pcapng")
		tap, err := Start(path, Config{MaxSize: size})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			tap.Batch([]pipeline.Frame{frame(uint32(i+1), strings.Repeat("x", 200)), frame(1, "y")}, []pipeline.Reason{3, 4}, nil)
		}
		if err := tap.Close(); err != nil {
			t.Error(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Size() > size || info.Size() < size-400 {
			t.Errorf("%d octets, %v; want at most %d", info.Size(), err, size)
		}
		if n := len(readBack(t, path)); n < int(size/400) {
			t.Errorf("%d packets in %d octets", n, size)
		}
	}
}

// stuck is a file that waits in Write until it is let go.
type stuck struct {
	mu      sync.Mutex
	release chan struct{}
	first   bool // the header, which is let through
	octets  int
}

func (s *stuck) Write(b []byte) (int, error) {
	if s.first {
		<-s.release
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.first = true
	s.octets += len(b)
	return len(b), nil
}

func (s *stuck) Truncate(int64) error { return nil }
func (s *stuck) Close() error         { return nil }

// With a disk that stands still the packet path does not: what does not fit is
// counted, also what is too much for one batch.
func TestNeverWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &stuck{release: make(chan struct{})}
		tap, err := start(f, Config{})
		if err != nil {
			t.Fatal(err)
		}
		one := []pipeline.Frame{frame(1, "frame")}
		var workers sync.WaitGroup
		for range 4 {
			workers.Go(func() {
				for range 1000 {
					tap.Batch(one, []pipeline.Reason{3}, nil)
				}
			})
		}
		workers.Wait()
		if want := uint64(4000 - batches); tap.Lost() != want {
			t.Errorf("lost %d, want %d", tap.Lost(), want)
		}
		close(f.release)
		synctest.Wait()
		before := tap.Lost()
		large := frame(1, strings.Repeat("x", batchOctets))
		tap.Batch([]pipeline.Frame{large, large}, []pipeline.Reason{3, 3}, nil)
		if n := tap.Lost() - before; n != 1 {
			t.Errorf("lost %d of a batch that is one frame too large", n)
		}
		if err := tap.Close(); err != nil {
			t.Error(err)
		}
		if f.octets < batchOctets {
			t.Errorf("%d octets written", f.octets)
		}
	})
}

func TestNoAllocation(t *testing.T) {
	// Without a writer: what it allocates is off the packet path.
	tap := &Tap{free: make(chan *batch, 1), full: make(chan *batch, 1)}
	tap.free <- &batch{}
	frames, reasons := []pipeline.Frame{frame(1, "frame")}, []pipeline.Reason{3}
	replies := []pipeline.Reply{{Out: 1, Data: []byte("answer")}}
	if n := testing.AllocsPerRun(1000, func() {
		tap.Batch(frames, reasons, replies)
		tap.free <- <-tap.full
	}); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

// TestFullDisk fills a small file system: the capture ends with one error and
// leaves a file that reads to its end.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a tmpfs takes root: run the tests as root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("damselfly-test", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("no tmpfs to be had here: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	}()
	path := filepath.Join(dir, "tap.pcapng")
	tap, err := Start(path, Config{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		tap.Batch([]pipeline.Frame{frame(1, fmt.Sprintf("%01000d", i))}, []pipeline.Reason{3}, nil)
		tap.free <- <-tap.free // waits until one is free, so that none is lost
	}
	if err := tap.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v, want ENOSPC", err)
	}
	list := readBack(t, path)
	if len(list) < 40 || len(list) > 64 {
		t.Errorf("%d packets of 1,000 octets on a disk of 64 KiB", len(list))
	}
	for i, s := range list {
		if s.Data != fmt.Sprintf("%01000d", i) {
			t.Fatalf("packet %d is %.20s...", i, s.Data)
		}
	}
}
