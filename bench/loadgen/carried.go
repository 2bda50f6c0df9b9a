package loadgen

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"damselfly/bench/mmsg"
)

// beat is how often a Carrier sends: a rate is so many frames each.
const beat = time.Millisecond

// Carrier sends frames from one station to another and counts what arrives at
// both, whoever sent it. It is for one goroutine.
type Carrier struct {
	ends   [2]*mmsg.Socket
	frames [][]byte
	next   int
	counts [2]func(frame []byte) bool

	// Sent is frames sent; Delivered those that counted at either end.
	Sent, Delivered uint64
}

// End is one of the two stations of a Carrier.
type End struct {
	// Interface is the index of the guest's interface.
	Interface int
	// Within calls f in the guest's network namespace.
	Within func(f func() error) error
	// Counts tells of a frame that arrived whether it counts.
	Counts func(frame []byte) bool
}

// NewCarrier opens the sockets of two stations; the first will send frames in
// turn, none if they send by themselves. The caller must Close it.
func NewCarrier(ends [2]End, frames [][]byte) (*Carrier, error) {
	c := &Carrier{frames: frames}
	for i, e := range ends {
		c.counts[i] = e.Counts
		err := e.Within(func() (err error) {
			c.ends[i], err = mmsg.Open(e.Interface, carrierBurst)
			return err
		})
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// carrierBurst is how many frames a system call moves at most.
const carrierBurst = 64

// Close closes the sockets.
func (c *Carrier) Close() error {
	var errs []error
	for _, s := range c.ends {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// Run sends rate frames a second for a while, as many each millisecond, and
// then takes what is still on its way.
func (c *Carrier) Run(rate int, d time.Duration) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("timer slack: %w", err)
	}
	start := time.Now()
	for at := time.Duration(0); at < d; at += beat {
		if wait := at - time.Since(start); wait > 0 {
			t := unix.NsecToTimespec(int64(wait))
			_ = unix.Nanosleep(&t, nil) // cut short, the next beat makes up for it
		}
		if err := c.send(rate * int(beat) / int(time.Second)); err != nil {
			return err
		}
		if err := c.collect(); err != nil {
			return err
		}
	}
	return c.settle()
}

// quietTime is how long nothing must arrive for all to have.
const quietTime = 50 * time.Millisecond

// settle collects until nothing arrives any more.
func (c *Carrier) settle() error {
	for quiet := time.Now(); time.Since(quiet) < quietTime; time.Sleep(beat) {
		before := c.Delivered
		if err := c.collect(); err != nil {
			return err
		}
		if c.Delivered > before {
			quiet = time.Now()
		}
	}
	return nil
}

// send sends the next n frames.
func (c *Carrier) send(n int) error {
	if len(c.frames) == 0 {
		return nil
	}
	out := &c.ends[0].Out
	for n > 0 {
		now := min(n, len(out.Headers))
		for i := range now {
			out.Set(i, c.frames[c.next%len(c.frames)])
			c.next++
		}
		if err := c.ends[0].Write(now); err != nil {
			return err
		}
		c.Sent, n = c.Sent+uint64(now), n-now
	}
	return nil
}

// collect counts what has arrived.
func (c *Carrier) collect() error {
	for i, s := range c.ends {
		for {
			n, err := s.Read()
			if err != nil {
				return err
			}
			for f := range n {
				if c.counts[i](s.Received(f)) {
					c.Delivered++
				}
			}
			if n < len(s.Out.Headers) {
				break
			}
		}
	}
	return nil
}
