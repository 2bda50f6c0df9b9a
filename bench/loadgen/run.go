package loadgen

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Plan says how much a run asks, and for how long.
type Plan struct {
	// Outstanding is how many exchanges there may be at once, 0 for all slots.
	Outstanding int
	// Rate is how many exchanges a second are begun, evenly spaced; 0 begins one
	// whenever there may be one more.
	Rate float64
	// Count and Time end the run, whichever is first; one must be given.
	Count uint64
	Time  time.Duration
	// Patience is after how long an exchange counts as lost, 0 for five seconds.
	Patience time.Duration
}

// pollTime bounds one wait for answers.
const pollTime = 50 * time.Millisecond

// Run begins exchanges as p says, waits for those that are outstanding then, and
// tells what became of all. A wrong answer is an error, and so is no answer at all,
// or none for twice the patience. It ends early, without error, when
// ctx does.
func (l *Load) Run(ctx context.Context, p Plan) (*Result, error) {
	if p.Count == 0 && p.Time == 0 {
		return nil, errors.New("a run needs an end: a count or a time")
	}
	if p.Patience == 0 {
		p.Patience = 5 * time.Second
	}
	if p.Outstanding == 0 {
		for _, s := range l.stations {
			p.Outstanding += len(s.slots)
		}
	}
	// The timers of this thread must be better than what is measured.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("timer slack: %w", err)
	}
	l.plan, l.result = p, &Result{}
	for _, s := range l.mix {
		l.result.Kinds = append(l.result.Kinds, Tally{Kind: s.Kind})
	}
	// A run that ended by an error left some outstanding.
	for _, s := range l.stations {
		for _, t := range s.slots {
			if t.out {
				l.end(t)
			}
		}
	}
	begin := time.Since(l.start)
	l.last = begin
	if err := l.issue(ctx, begin); err != nil {
		return nil, err
	}
	for l.out > 0 {
		if err := l.turn(pollTime); err != nil {
			return nil, err
		}
	}
	if sum := l.result.Total(); sum.Answered == 0 && sum.Lost > 0 {
		return nil, fmt.Errorf("no answer to any of %d exchanges", sum.Asked)
	}
	l.result.Took = l.last - begin
	return l.result, nil
}

// issue begins exchanges until the plan's end.
func (l *Load) issue(ctx context.Context, begin time.Duration) error {
	p := &l.plan
	var gap time.Duration
	if p.Rate > 0 {
		gap = time.Duration(float64(time.Second) / p.Rate)
	}
	share, due := l.choose(), begin
	for n := uint64(0); ctx.Err() == nil; {
		now := time.Since(l.start)
		for l.out < p.Outstanding && l.idle[share].n > 0 && due <= now {
			if p.Count > 0 && n == p.Count || p.Time > 0 && due >= begin+p.Time {
				return l.flush()
			}
			if gap == 0 {
				due = now
			}
			l.begin(share, due)
			n++
			due += gap
			share = l.choose()
		}
		if p.Time > 0 && now >= begin+p.Time && (gap == 0 || due >= begin+p.Time) {
			return l.flush()
		}
		if p.Time > 0 && now >= begin+p.Time+p.Patience {
			// What could not begin in all this time has no answer either.
			for ; due < begin+p.Time && (p.Count == 0 || n < p.Count); n++ {
				l.result.Kinds[share].Asked++
				l.result.Kinds[share].Lost++
				due += gap
				share = l.choose()
			}
			return l.flush()
		}
		limit := pollTime
		if gap > 0 && l.out < p.Outstanding && l.idle[share].n > 0 {
			limit = min(limit, max(due-time.Since(l.start), 0))
		}
		if err := l.turn(limit); err != nil {
			return err
		}
	}
	return l.flush()
}

// choose tells the share whose turn it is: each has as many as its weight, spread
// evenly.
func (l *Load) choose() (best int) {
	total := 0
	for i, m := range l.mix {
		l.credit[i] += m.Weight
		total += m.Weight
		if l.credit[i] > l.credit[best] {
			best = i
		}
	}
	l.credit[best] -= total
	return best
}

// turn sends what is queued, waits for answers no longer than limit, and takes
// those that have come.
func (l *Load) turn(limit time.Duration) error {
	if err := l.flush(); err != nil {
		return err
	}
	t := unix.NsecToTimespec(int64(limit))
	if _, err := unix.Ppoll(l.polls, &t, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("waiting for answers: %w", err)
	}
	if err := l.collect(); err != nil {
		return err
	}
	if silent := 2 * l.plan.Patience; l.out > 0 && time.Since(l.start)-l.last > silent {
		sum := l.result.Total()
		return fmt.Errorf("no answer for %v; of %d exchanges %d were answered before, %d lost", silent, sum.Asked, sum.Answered, sum.Lost)
	}
	return nil
}
