package metadata

import (
	"maps"
	"time"
)

// Visits are what one port did.
type Visits struct {
	// Key is the port's.
	Key uint16
	// Open are its connections now; Refused those that were too many, Limited the
	// requests that were too many.
	Open             int
	Refused, Limited uint64
	// Requests are all of its requests, by status.
	Requests map[int]uint64
	// Last is when the last one came.
	Last time.Time
}

// Failures are what an upstream did not answer.
type Failures struct {
	Requests uint64
	// Last says why the last one was not answered, "" if none.
	Last string
}

// Visits returns what each port did that is there, in no order.
func (s *Server) Visits() (list []Visits) {
	snap := s.snapshot()
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	for key, v := range s.door.ports {
		if snap != nil && snap.Port(key) == nil {
			if v.open == 0 {
				delete(s.door.ports, key) // its key may be another's, in time
			}
			continue
		}
		list = append(list, Visits{
			Key: key, Open: v.open, Refused: v.refused, Limited: v.limited, Requests: maps.Clone(v.requests), Last: v.last,
		})
	}
	return list
}

// Failures returns what the upstream of each network did not answer, by the
// network's name.
func (s *Server) Failures() map[string]Failures {
	out := map[string]Failures{}
	snap := s.snapshot()
	if snap == nil {
		return out
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range snap.Networks {
		if n.Metadata == nil || n.Metadata.Upstream == "" {
			continue
		}
		f := Failures{}
		if u := s.upstreams[n.Metadata.MetadataSpec]; u != nil {
			f.Requests = u.failed.Load()
			if text := u.lastError.Load(); text != nil {
				f.Last = *text
			}
		}
		out[n.Name] = f
	}
	return out
}
