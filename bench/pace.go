package bench

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Latencies are the times of answers, in order, shortest first.
type Latencies []time.Duration

// Quantile returns the time that a share q of the answers, 0 to 1, did not
// exceed; 0 if there were none.
func (l Latencies) Quantile(q float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[min(int(q*float64(len(l))), len(l)-1)]
}

// Pace asks rate requests a second, evenly spaced, for a while, and returns how
// long each took from the moment it was due, whether or not it could be asked
// then: a stall is told by all requests that it held up, not by one. Requests
// that were lost are in l.Lost.
func (l *Load) Pace(rate float64, d time.Duration) (Latencies, error) {
	if err := l.Drain(); err != nil {
		return nil, err
	}
	// The timers of this thread must be better than what is measured.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("timer slack: %w", err)
	}
	l.latencies, l.record = make(Latencies, 0, int(rate*d.Seconds())), true
	defer func() { l.record = false }()

	type place struct {
		s *station
		i int
	}
	var idle []place // the longest idle first
	for i := range l.Outstanding() {
		// Take turns among the stations.
		s := l.stations[i%len(l.stations)]
		idle = append(idle, place{s, i / len(l.stations)})
	}
	begin, gap := time.Since(l.start), time.Duration(float64(time.Second)/rate)
	due := begin
	free := func(s *station, i int, _ time.Duration) { idle = append(idle, place{s, i}) }
	for due < begin+d {
		now := time.Since(l.start)
		for ; due <= now && len(idle) > 0; due += gap {
			idle[0].s.ask(idle[0].i, due)
			idle = idle[1:]
		}
		if err := l.flush(); err != nil {
			return nil, err
		}
		if err := l.waitUntil(due, len(idle) > 0); err != nil {
			return nil, err
		}
		if err := l.collect(free); err != nil {
			return nil, err
		}
	}
	if err := l.Drain(); err != nil {
		return nil, err
	}
	slices.Sort(l.latencies)
	return l.latencies, nil
}

// waitUntil waits for answers, and for no longer than a time if something can be
// asked then.
func (l *Load) waitUntil(due time.Duration, idle bool) error {
	limit := pollTime
	if idle {
		limit = min(limit, max(due-time.Since(l.start), 0))
	}
	t := unix.NsecToTimespec(int64(limit))
	if _, err := unix.Ppoll(l.polls, &t, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("waiting for answers: %w", err)
	}
	return nil
}
