package slowlane

import (
	"encoding/binary"
	"runtime"
	"sync"
	"testing"
	"time"

	"damselfly/pipeline"
)

func wakeChan() chan struct{} { return make(chan struct{}, 1) }

func frame(port uint16, n uint32) *pipeline.Frame {
	return &pipeline.Frame{Data: binary.BigEndian.AppendUint32(nil, n), InPort: uint32(port) + 100, Port: port, Network: 7, Class: 5}
}

// TestRing: what goes in comes out, in order, whole, as a copy; a full ring
// refuses and takes again after Free, not after Pop.
func TestRing(t *testing.T) {
	t.Parallel()
	r := NewRing(4, 1, wakeChan())
	at := time.Unix(1, 2)
	f := frame(3, 0)
	for n := range uint32(4) {
		binary.BigEndian.PutUint32(f.Data, n)
		if !r.Push(f, at) {
			t.Fatalf("frame %d refused", n)
		}
	}
	if r.Push(f, at) {
		t.Fatal("a full ring took a frame")
	}
	binary.BigEndian.PutUint32(f.Data, 99) // the caller's octets are its own again
	var batch [8]Request
	if n := r.Pop(batch[:3]); n != 3 {
		t.Fatalf("%d popped, want 3", n)
	}
	if r.Push(f, at) {
		t.Fatal("a place was used again while its request is being decided")
	}
	if n := r.Pop(batch[3:]); n != 1 {
		t.Fatalf("%d popped, want 1", n)
	}
	for i, q := range batch[:4] {
		if binary.BigEndian.Uint32(q.Data) != uint32(i) || q.InPort != 103 || q.Port != 3 || q.Network != 7 || q.Class != 5 || q.At != at {
			t.Errorf("request %d is %+v", i, q)
		}
	}
	r.Free()
	if !r.Push(f, at) {
		t.Error("an empty ring refused a frame")
	}
}

// TestShare: one port gets its part of the places and no more, others what is
// left; what is freed counts back.
func TestShare(t *testing.T) {
	t.Parallel()
	r := NewRing(16, 4, wakeChan())
	push := func(port uint16) (n int) {
		for r.Push(frame(port, 0), time.Time{}) {
			n++
		}
		return n
	}
	var batch [16]Request
	for round := range 3 {
		if a, b, c := push(1), push(16000), push(2); a != 4 || b != 4 || c != 4 {
			t.Fatalf("round %d: ports got %d, %d and %d places, want 4 each", round, a, b, c)
		}
		if n := r.Pop(batch[:6]); n != 6 { // port 1's and half of port 16000's
			t.Fatalf("%d popped", n)
		}
		if n := push(1); n != 0 {
			t.Fatalf("round %d: port 1 got %d places before they were free", round, n)
		}
		r.Free()
		if a, b := push(1), push(16000); a != 4 || b != 2 {
			t.Fatalf("round %d: after Free the ports got %d and %d places, want 4 and 2", round, a, b)
		}
		if n := push(3); n != 4 { // 4+2 taken again, 4 of port 2, 2 of port 16000
			t.Fatalf("round %d: port 3 got %d places, want 4", round, n)
		}
		if push(4) != 0 {
			t.Fatal("more places than there are")
		}
		if n := r.Pop(batch[:]); n != 16 {
			t.Fatalf("round %d: %d popped, want 16", round, n)
		}
		r.Free()
	}
}

// TestRingRaces: one side pushes, the other pops; every frame that was taken
// comes out once, in the order of its port.
func TestRingRaces(t *testing.T) {
	t.Parallel()
	const frames, ports = 200_000, 5
	r := NewRing(64, 4, wakeChan())
	var taken [ports]uint32
	var worker sync.WaitGroup
	worker.Go(func() {
		for i := range frames {
			port := i % ports
			if r.Push(frame(uint16(port), taken[port]), time.Time{}) {
				taken[port]++
			}
			if i%32 == 0 {
				r.Wake()
				runtime.Gosched()
			}
		}
		r.Wake()
	})
	stopped := make(chan struct{})
	go func() { worker.Wait(); close(stopped) }()
	var seen [ports]uint32
	var batch [24]Request
	drain := func() {
		for n := r.Pop(batch[:]); n > 0; n = r.Pop(batch[:]) {
			for _, q := range batch[:n] {
				if got := binary.BigEndian.Uint32(q.Data); got != seen[q.Port] {
					t.Fatalf("port %d: frame %d came where %d was next", q.Port, got, seen[q.Port])
				}
				seen[q.Port]++
			}
			r.Free()
		}
	}
	for open := true; open; {
		select {
		case <-r.wake:
		case <-stopped:
			open = false
		}
		drain()
	}
	if seen != taken {
		t.Errorf("came out %v, went in %v", seen, taken)
	}
}

// TestNoAllocations: a warm ring allocates nothing, on neither side.
func TestNoAllocations(t *testing.T) {
	r, f := NewRing(128, 1, wakeChan()), frame(3, 0)
	f.Data = make([]byte, 300)
	var batch [64]Request
	turn := func() {
		for range len(batch) {
			r.Push(f, time.Time{})
		}
		r.Wake()
		<-r.wake
		if n := r.Pop(batch[:]); n != len(batch) {
			t.Errorf("%d popped", n)
		}
		r.Free()
	}
	turn()
	turn() // every place has its buffer
	if n := testing.AllocsPerRun(100, turn); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// BenchmarkRing is what handing over costs a frame of 130 octets, both sides.
func BenchmarkRing(b *testing.B) {
	r, f := NewRing(128, 1, wakeChan()), frame(3, 0)
	f.Data = make([]byte, 130)
	var batch [64]Request
	b.ReportAllocs()
	for b.Loop() {
		for range len(batch) {
			r.Push(f, time.Time{})
		}
		r.Wake()
		<-r.wake
		r.Pop(batch[:])
		r.Free()
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N*len(batch)), "ns/frame")
}
