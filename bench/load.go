package bench

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// patience is after how long a request without an answer counts as lost.
const patience = 5 * time.Second

// Ask is one request and how its answer is known.
type Ask struct {
	// Frame is the request.
	Frame []byte
	// Check says what is wrong with its answer. It is asked once: every later
	// answer must be the same octets.
	Check func(answer []byte) error
}

// Station is what one guest asks, from its own packet socket.
type Station struct {
	// Interface is the index of the guest's interface.
	Interface int
	// Within calls f in the guest's network namespace.
	Within func(f func() error) error
	// Asks are the requests; all may be outstanding at once.
	Asks []Ask
	// Which tells which of Asks a frame answers, -1 for none.
	Which func(frame []byte) int
}

// Load keeps the requests of stations outstanding and checks every answer. It
// is for one goroutine.
type Load struct {
	stations []*station
	polls    []unix.PollFd
	start    time.Time
	swept    time.Duration
	ready    int // answers that Next has not returned yet

	record    bool // answers' times go to latencies
	latencies Latencies

	// Answers were right; Lost requests had no answer for five seconds; Strays
	// came twice or too late.
	Answers, Lost, Strays uint64
}

// station is a Station at work.
type station struct {
	Station
	socket *socket
	slots  []slot
	queued int // frames in socket.out
}

// slot is the state of one request.
type slot struct {
	out     bool          // asked and not yet answered
	due     time.Duration // since Load.start: when it was asked, or was to be
	pattern []byte        // the answer, once it was checked
}

// NewLoad opens the stations' sockets. The caller must Close it.
func NewLoad(stations []Station) (*Load, error) {
	l := &Load{start: time.Now()}
	for _, s := range stations {
		st := &station{Station: s, slots: make([]slot, len(s.Asks))}
		err := s.Within(func() (err error) {
			st.socket, err = openSocket(s.Interface, len(s.Asks))
			return err
		})
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.stations = append(l.stations, st)
		l.polls = append(l.polls, unix.PollFd{Fd: int32(st.socket.fd), Events: unix.POLLIN})
	}
	return l, nil
}

// Close closes the sockets.
func (l *Load) Close() error {
	var errs []error
	for _, s := range l.stations {
		errs = append(errs, s.socket.close())
	}
	l.stations = nil
	return errors.Join(errs...)
}

// Outstanding returns how many requests there may be at once.
func (l *Load) Outstanding() (n int) {
	for _, s := range l.stations {
		n += len(s.slots)
	}
	return n
}

// Next returns once there is another right answer, with every request asked
// again as soon as it is answered or lost. A wrong answer is an error, and so is
// a time in which no answer comes at all.
func (l *Load) Next() error {
	for silent := 0; l.ready == 0; {
		before := l.Answers
		if err := l.turn(func(s *station, i int, now time.Duration) { s.ask(i, now) }); err != nil {
			return err
		}
		l.ready += int(l.Answers - before)
		if l.ready > 0 {
			break
		}
		if silent++; silent > int(2*patience/pollTime) {
			return fmt.Errorf("no answer for %v; %d requests were answered before, %d lost", 2*patience, l.Answers, l.Lost)
		}
	}
	l.ready--
	return nil
}

// Fill asks everything that is not outstanding.
func (l *Load) Fill() error {
	now := time.Since(l.start)
	for _, s := range l.stations {
		for i := range s.slots {
			if !s.slots[i].out {
				s.ask(i, now)
			}
		}
	}
	return l.flush()
}

// Drain takes answers, asking nothing more, until none is outstanding.
func (l *Load) Drain() error {
	for l.waiting() {
		if err := l.turn(func(*station, int, time.Duration) {}); err != nil {
			return err
		}
	}
	l.ready = 0
	return nil
}

func (l *Load) waiting() bool {
	for _, s := range l.stations {
		for i := range s.slots {
			if s.slots[i].out {
				return true
			}
		}
	}
	return false
}

// pollTime bounds one wait for answers.
const pollTime = 50 * time.Millisecond

// turn waits for answers and takes those that have come. free is told of every
// request that may be asked again.
func (l *Load) turn(free func(s *station, i int, now time.Duration)) error {
	if err := l.waitUntil(0, false); err != nil {
		return err
	}
	return l.collect(free)
}

// collect takes what has come and sends what free asks.
func (l *Load) collect(free func(s *station, i int, now time.Duration)) error {
	now := time.Since(l.start)
	for k, s := range l.stations {
		if l.polls[k].Revents != 0 {
			n, err := s.socket.read()
			if err != nil {
				return fmt.Errorf("reading answers: %w", err)
			}
			for f := range n {
				if err := l.take(s, s.socket.received(f), now, free); err != nil {
					return err
				}
			}
		}
	}
	if now-l.swept > patience/10 {
		l.swept = now
		l.sweep(now, free)
	}
	return l.flush()
}

// flush sends what is queued.
func (l *Load) flush() error {
	for _, s := range l.stations {
		n := s.queued
		s.queued = 0
		if err := s.socket.write(n); err != nil {
			return err
		}
	}
	return nil
}

// take checks one frame.
func (l *Load) take(s *station, frame []byte, now time.Duration, free func(*station, int, time.Duration)) error {
	i := s.Which(frame)
	if i < 0 || i >= len(s.slots) {
		return nil
	}
	t := &s.slots[i]
	if t.pattern == nil {
		if err := s.Asks[i].Check(frame); err != nil {
			return fmt.Errorf("wrong answer %x: %w", frame, err)
		}
		t.pattern = bytes.Clone(frame)
	} else if !bytes.Equal(frame, t.pattern) {
		return fmt.Errorf("wrong answer: %x came after %x", frame, t.pattern)
	}
	if !t.out {
		l.Strays++
		return nil
	}
	t.out = false
	l.Answers++
	if l.record {
		l.latencies = append(l.latencies, now-t.due)
	}
	free(s, i, now)
	return nil
}

// sweep gives up requests that have waited too long.
func (l *Load) sweep(now time.Duration, free func(*station, int, time.Duration)) {
	for _, s := range l.stations {
		for i := range s.slots {
			if t := &s.slots[i]; t.out && now-t.due > patience {
				t.out = false
				l.Lost++
				free(s, i, now)
			}
		}
	}
}

// ask queues request i, due at a time.
func (s *station) ask(i int, due time.Duration) {
	s.slots[i].out, s.slots[i].due = true, due
	s.socket.out.set(s.queued, s.Asks[i].Frame)
	s.queued++
}
