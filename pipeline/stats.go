package pipeline

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Stats counts how frames ended. Each worker writes a part of its own; readers
// add the parts up and take no lock, so a sum may miss what is being counted.
type Stats struct {
	reasons, classes int
	shards           []shard
}

// shard is one worker's counts. Only that worker writes; readers load.
type shard struct {
	reasons, classes int

	byClass []atomic.Uint64 // class*reasons + reason
	ports   atomic.Pointer[portTable]
	unsent  atomic.Uint64
	buckets [latencyBuckets]atomic.Uint64
	nanos   atomic.Uint64
	_       [64]byte // keeps two workers' counts off one cache line
}

// portTable holds the counts of each port seen, by key. It grows by doubling:
// a reader that still holds the one before misses only ports that are new.
type portTable []atomic.Pointer[portCounts]

// portCounts is one port's counts by reason.
type portCounts struct{ reasons []atomic.Uint64 }

// latencyBuckets is the number of histogram buckets: bucket i counts frames
// whose batch took less than 2^i microseconds; the last has no bound.
const latencyBuckets = 16

// NewStats returns counters for a number of lanes, classes and reasons, the
// pipeline's own reasons included.
func NewStats(lanes, classes, reasons int) *Stats {
	s := &Stats{reasons: reasons, classes: classes, shards: make([]shard, lanes)}
	for i := range s.shards {
		s.shards[i].reasons, s.shards[i].classes = reasons, classes
		s.shards[i].byClass = make([]atomic.Uint64, classes*reasons)
		s.shards[i].ports.Store(new(portTable))
	}
	return s
}

func (s *Stats) shard(i int) *shard { return &s.shards[i] }

// Count returns the frames of a class that ended with a reason, 0 for those
// that NewStats was not told of.
func (s *Stats) Count(class uint8, r Reason) (n uint64) {
	if int(class) >= s.classes || int(r) >= s.reasons {
		return 0
	}
	for i := range s.shards {
		n += s.shards[i].byClass[int(class)*s.reasons+int(r)].Load()
	}
	return n
}

// PortCount returns the frames from a port that ended with a reason, 0 for a
// port that sent none.
func (s *Stats) PortCount(port uint16, r Reason) (n uint64) {
	if int(r) >= s.reasons {
		return 0
	}
	for i := range s.shards {
		if p := s.shards[i].ports.Load().get(port); p != nil {
			n += p.reasons[r].Load()
		}
	}
	return n
}

// Unsent returns the replies the sinks refused.
func (s *Stats) Unsent() (n uint64) {
	for i := range s.shards {
		n += s.shards[i].unsent.Load()
	}
	return n
}

// Latency is a histogram of the time a frame spent between the read of its batch
// and the write of the batch's replies.
type Latency struct {
	// Buckets[i] counts frames that took less than Bound(i), and not less than
	// Bound(i-1).
	Buckets [latencyBuckets]uint64
	// Sum is the time of all frames together.
	Sum time.Duration
}

// Bound returns the upper bound of bucket i; the last bucket has none and
// returns a negative duration.
func (Latency) Bound(i int) time.Duration {
	if i == latencyBuckets-1 {
		return -1
	}
	return time.Microsecond << i
}

// Latency returns the histogram of a lane.
func (s *Stats) Latency(lane int) (l Latency) {
	from := &s.shards[lane]
	for b := range l.Buckets {
		l.Buckets[b] = from.buckets[b].Load()
	}
	l.Sum = time.Duration(from.nanos.Load())
	return l
}

// known reports whether there are counters for a class.
func (s *shard) known(class uint8) bool { return int(class) < s.classes }

// add counts one frame of a known class. The worker is the only writer, so a
// load and a store suffice where a locked add would cost more. A reason that
// there is no counter for is the Handler's fault, like none at all.
func (s *shard) add(port uint16, class uint8, r Reason) {
	if int(r) >= s.reasons {
		r = Unset
	}
	bump(&s.byClass[int(class)*s.reasons+int(r)], 1)
	bump(&s.port(port).reasons[r], 1)
}

func (s *shard) count(batch []Frame, reasons []Reason) {
	for i := range batch {
		if reasons[i] != Deferred {
			s.add(batch[i].Port, batch[i].Class, reasons[i])
		}
	}
}

// Add counts one frame that a Handler deferred. Each shard beyond those of the
// lanes belongs to one goroutine that decides such frames.
func (s *Stats) Add(shard int, port uint16, class uint8, r Reason) {
	s.shards[shard].add(port, class, r)
}

func (s *shard) lost(n int) { bump(&s.unsent, uint64(n)) }

func (s *shard) latency(frames int, d time.Duration) {
	if frames == 0 {
		return
	}
	i := min(bits.Len64(uint64(d/time.Microsecond)), latencyBuckets-1)
	bump(&s.buckets[i], uint64(frames))
	bump(&s.nanos, uint64(frames)*uint64(d))
}

// get returns the counts of a port, nil if it sent nothing.
func (t *portTable) get(port uint16) *portCounts {
	if int(port) >= len(*t) {
		return nil
	}
	return (*t)[port].Load()
}

// port returns the counts of a port, made when it is first seen.
func (s *shard) port(port uint16) *portCounts {
	t := s.ports.Load()
	if p := t.get(port); p != nil {
		return p
	}
	if int(port) >= len(*t) {
		grown := make(portTable, max(2*len(*t), int(port)+1))
		for i := range *t {
			grown[i].Store((*t)[i].Load())
		}
		t = &grown
		s.ports.Store(t)
	}
	p := &portCounts{reasons: make([]atomic.Uint64, s.reasons)}
	(*t)[port].Store(p)
	return p
}

func bump(c *atomic.Uint64, n uint64) { c.Store(c.Load() + n) }
