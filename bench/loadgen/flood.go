package loadgen

import (
	"bytes"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"damselfly/bench/mmsg"
)

// Flood is one guest that sends frames as fast as the machine can.
type Flood struct {
	// Interface is the index of the guest's interface.
	Interface int
	// Within calls f in the guest's network namespace.
	Within func(f func() error) error
	// Frame is what is sent, and Vary makes the next one of a copy of it; nil
	// sends the same again and again.
	Frame []byte
	Vary  func(frame []byte)
	// Rate is how many frames a second are sent at most; 0 is all that go.
	Rate int
}

// floodBurst is how many frames go in one system call.
const floodBurst = 64

// Run sends until stop closes and returns how many frames the kernel took.
func (f Flood) Run(stop <-chan struct{}) (sent uint64, err error) {
	var s *mmsg.Socket
	if err := f.Within(func() (err error) {
		s, err = mmsg.Open(f.Interface, floodBurst)
		return err
	}); err != nil {
		return 0, err
	}
	defer s.Close()
	for i := range floodBurst {
		s.Out.Set(i, bytes.Clone(f.Frame))
	}
	for began := time.Now(); ; {
		select {
		case <-stop:
			return sent, nil
		default:
		}
		if ahead := f.ahead(sent, time.Since(began)); ahead > 0 {
			time.Sleep(ahead)
			continue
		}
		for i := range s.Out.Frames {
			if f.Vary != nil {
				f.Vary(s.Out.Frames[i])
			}
		}
		n, err := mmsg.Send(s.FD, s.Out.Headers)
		switch {
		case err == nil:
			sent += uint64(n)
		case errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			// The other end has no room: what is lost there is nobody's loss.
		default:
			return sent, err
		}
	}
}

// ahead is how long to wait where more was sent than the rate allows.
func (f Flood) ahead(sent uint64, since time.Duration) time.Duration {
	if f.Rate == 0 {
		return 0
	}
	return time.Duration(sent)*time.Second/time.Duration(f.Rate) - since
}
