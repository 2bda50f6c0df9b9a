package openflow

import (
	"io"
	"net"
)

// streamRoom is how much a stream reads at once, in octets: the longest message
// twice, so that a whole message always fits behind the rest of another.
const streamRoom = 2 * (maxMessage + 1)

// stream cuts the octets of one socket into messages. It is used by one
// goroutine.
type stream struct {
	nc   net.Conn
	buf  []byte
	r, w int // buf[r:w] has been read from the socket and not yet cut
}

func newStream(nc net.Conn) *stream {
	return &stream{nc: nc, buf: make([]byte, streamRoom)}
}

// next returns the next message that has arrived whole, nil if there is none.
// It points into the stream's buffer and is valid until fill.
func (s *stream) next() (Message, error) {
	m, err := Frame(s.buf[s.r:s.w])
	s.r += len(m)
	return m, err
}

// fill waits for octets. Messages returned before are no longer valid.
func (s *stream) fill() error {
	if s.r > 0 {
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	n, err := s.nc.Read(s.buf[s.w:])
	s.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// read returns the next message, waiting for it.
func (s *stream) read() (Message, error) {
	for {
		if m, err := s.next(); m != nil || err != nil {
			return m, err
		}
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}
