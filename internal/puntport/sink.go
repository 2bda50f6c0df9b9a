package puntport

import (
	"encoding/binary"
	"errors"
	"sync"

	"damselfly/internal/pulse"
	"damselfly/internal/punt"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Sink is a pipeline.Sink to the punt port of a Lane. What cannot go there leaves
// by another Sink: replies to nobody whose key is known, to a whole network, or
// from a key without a tag, and all of them while the port is not used. Any
// number of goroutines may use it; there is one lock per batch of replies.
type Sink struct {
	lane *Lane
	rest pipeline.Sink

	mu     sync.Mutex
	from   *port             // guarded by mu; what writer writes to
	writer *pulse.Writer     // guarded by mu
	buf    []byte            // guarded by mu
	frames [][]byte          // guarded by mu
	others *pipeline.Replies // guarded by mu
}

// NewSink returns a Sink to the port of l; rest is for what cannot go there.
func (l *Lane) NewSink(rest pipeline.Sink) *Sink {
	return &Sink{lane: l, rest: rest, others: pipeline.NewReplies(0)}
}

// WriteReplies implements pipeline.Sink.
func (s *Sink) WriteReplies(r *pipeline.Replies) error {
	p := s.lane.port.Load()
	if p == nil || !s.lane.Used() {
		return s.rest.WriteReplies(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from != p {
		s.from, s.writer = p, p.tap.NewWriter()
	}
	s.compose(r)
	var byPort, other error
	if len(s.frames) > 0 {
		failed, err := s.writer.Write(s.frames)
		if errors.Is(err, pulse.ErrOver) {
			return s.rest.WriteReplies(r)
		}
		s.lane.replies.Add(uint64(len(s.frames) - failed))
		s.lane.refused.Add(uint64(failed))
		byPort = err
	}
	if len(s.others.List()) > 0 {
		other = s.rest.WriteReplies(s.others)
	}
	return errors.Join(byPort, other)
}

// compose parts the replies into frames with a tag and others.
func (s *Sink) compose(r *pipeline.Replies) {
	s.frames, s.buf = s.frames[:0], s.buf[:0]
	s.others.Reset()
	list := r.List()
	for i := range list {
		reply := &list[i]
		tag, ok := tagOf(reply)
		if !ok {
			s.others.Pass(*reply)
			continue
		}
		start := len(s.buf)
		s.buf = append(s.buf, reply.Data[:tagAt]...)
		s.buf = binary.BigEndian.AppendUint16(s.buf, wire.EtherTypeVLAN)
		s.buf = binary.BigEndian.AppendUint16(s.buf, tag)
		s.buf = append(s.buf, reply.Data[tagAt:]...)
		// A buffer that grows leaves the frames before it where they were.
		s.frames = append(s.frames, s.buf[start:])
	}
}

// tagOf is the tag that sends a reply where it is to go.
func tagOf(reply *pipeline.Reply) (tag uint16, ok bool) {
	if reply.Port == 0 || len(reply.Data) < wire.EthernetLen {
		return 0, false
	}
	tag, ok = punt.Tag(reply.Port)
	if reply.Out == 0 {
		tag |= punt.TagThrough
	}
	return tag, ok
}
