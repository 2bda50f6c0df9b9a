package loadgen

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"damselfly/bench/mmsg"
)

// Share is the part of a kind in a mix.
type Share struct {
	Kind   Kind
	Weight int
}

// Load is a site's guests at work. It is for one goroutine.
type Load struct {
	site     Site
	mix      []Share
	stations []*station
	polls    []unix.PollFd
	start    time.Time

	idle   []queue // slots of each share that ask nothing, the longest idle first
	credit []int   // of each share, see choose
	out    int     // exchanges outstanding
	swept  time.Duration
	last   time.Duration // when the last answer came
	plan   Plan
	result *Result

	clients uint32            // of DHCPv6 that were made
	leased  map[[16]byte]bool // addresses that were leased to one of them
}

// station is one guest at work.
type station struct {
	socket *mmsg.Socket
	places map[key]*slot
	slots  []*slot
	guest  *Guest
	queued int // frames in socket.out
	owned  int // of them, answers to others' questions
}

// slot is one exchange at a time.
type slot struct {
	exchange
	station *station
	share   int           // of the mix
	out     bool          // begun and not ended
	due     time.Duration // since Load.start: when it was begun, or was to be
}

// queue is slots, first in, first out.
type queue struct {
	slots []*slot
	first int
	n     int
}

func (q *queue) push(s *slot) {
	q.slots[(q.first+q.n)%len(q.slots)] = s
	q.n++
}

func (q *queue) pop() *slot {
	s := q.slots[q.first]
	q.first = (q.first + 1) % len(q.slots)
	q.n--
	return s
}

// New opens the sockets of a site's guests, with so many slots of each kind of the
// mix at each guest. The caller must Close it.
func New(site Site, each int, mix ...Share) (*Load, error) {
	if len(mix) == 0 || len(site.Guests) == 0 || each < 1 {
		return nil, errors.New("a load needs a guest, a slot and a kind at least")
	}
	l := &Load{site: site, mix: mix, start: time.Now(), idle: make([]queue, len(mix)), credit: make([]int, len(mix)), leased: map[[16]byte]bool{}}
	for i := range l.idle {
		l.idle[i].slots = make([]*slot, each*len(site.Guests))
	}
	for g := range site.Guests {
		if err := l.addStation(g, each); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	// The guests take turns.
	for n := range each * len(mix) {
		for _, s := range l.stations {
			l.idle[s.slots[n].share].push(s.slots[n])
		}
	}
	return l, nil
}

func (l *Load) addStation(g, each int) error {
	guest := &l.site.Guests[g]
	s := &station{places: map[key]*slot{}, guest: guest}
	for share, m := range l.mix {
		if m.Weight < 1 {
			return fmt.Errorf("%s has a weight of %d in the mix", m.Kind, m.Weight)
		}
		list, keys, err := l.exchanges(m.Kind, g, each, share*each)
		if err != nil {
			return err
		}
		for i, x := range list {
			if s.places[keys[i]] != nil {
				return fmt.Errorf("%s is twice in the mix", m.Kind)
			}
			t := &slot{exchange: x, station: s, share: share}
			s.slots = append(s.slots, t)
			s.places[keys[i]] = t
		}
	}
	open := func() (err error) {
		s.socket, err = mmsg.Open(guest.Interface, len(s.slots)+spareRoom)
		return err
	}
	within := guest.Within
	if within == nil {
		within = func(f func() error) error { return f() }
	}
	if err := within(open); err != nil {
		return fmt.Errorf("guest %d: %w", g, err)
	}
	l.stations = append(l.stations, s)
	l.polls = append(l.polls, unix.PollFd{Fd: int32(s.socket.FD), Events: unix.POLLIN})
	return nil
}

// Close closes the sockets.
func (l *Load) Close() error {
	var errs []error
	for _, s := range l.stations {
		errs = append(errs, s.socket.Close())
	}
	l.stations = nil
	return errors.Join(errs...)
}

// begin has an idle slot of a share begin an exchange that was due at a time.
func (l *Load) begin(share int, due time.Duration) {
	t := l.idle[share].pop()
	t.out, t.due = true, due
	l.out++
	l.result.Kinds[share].Asked++
	t.station.send(t.exchange.begin())
}

// send queues a frame, of which there is room for one a slot, and spareRoom.
func (s *station) send(frame []byte) {
	s.socket.Out.Set(s.queued, frame)
	s.queued++
}

// flush sends what is queued.
func (l *Load) flush() error {
	for _, s := range l.stations {
		n := s.queued
		s.queued, s.owned = 0, 0
		if err := s.socket.Write(n); err != nil {
			return err
		}
	}
	return nil
}

// collect takes what has come.
func (l *Load) collect() error {
	for k, s := range l.stations {
		if l.polls[k].Revents == 0 {
			continue
		}
		n, err := s.socket.Read()
		if err != nil {
			return fmt.Errorf("reading answers: %w", err)
		}
		now := time.Since(l.start)
		for f := range n {
			if err := l.take(s, s.socket.Received(f), now); err != nil {
				return err
			}
		}
	}
	// What is queued must be sent before its slot can ask something else.
	if err := l.flush(); err != nil {
		return err
	}
	if now := time.Since(l.start); now-l.swept > l.plan.Patience/10 {
		l.swept = now
		l.sweep(now)
	}
	return nil
}

// take judges one frame.
func (l *Load) take(s *station, frame []byte, now time.Duration) error {
	k, ok := keyOf(frame)
	if !ok {
		l.own(s, frame)
		return nil
	}
	t := s.places[k]
	if t == nil {
		return nil
	}
	tally := &l.result.Kinds[t.share]
	if !t.out {
		tally.Strays++
		return nil
	}
	next, v, err := t.exchange.take(frame)
	switch {
	case err != nil:
		return fmt.Errorf("wrong answer to %s: %x: %w", tally.Kind, frame, err)
	case v == stray:
		tally.Strays++
	case next != nil:
		s.send(next)
	default:
		tally.Answered++
		tally.Times.Add(now - t.due)
		l.last = now
		l.end(t)
	}
	return nil
}

func (l *Load) end(t *slot) {
	t.out = false
	l.out--
	l.idle[t.share].push(t)
}

// sweep gives up exchanges that have waited too long.
func (l *Load) sweep(now time.Duration) {
	for _, s := range l.stations {
		for _, t := range s.slots {
			if t.out && now-t.due > l.plan.Patience {
				l.result.Kinds[t.share].Lost++
				l.end(t)
			}
		}
	}
}
