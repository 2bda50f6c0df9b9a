package explain

import (
	"slices"

	"damselfly/flows"
	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

// Step is one table that a frame came to, and the flow that it met there.
type Step struct {
	Table    uint8  `json:"table"`
	Name     string `json:"name"`
	Priority uint16 `json:"priority"`
	// Match is the flow's, as the switch writes it.
	Match  string `json:"match,omitempty"`
	Cookie uint64 `json:"cookie"`
	// Role is the flow's, "" if it is none of Damselfly's.
	Role string `json:"role,omitempty"`
	// Object is what the flow stands for, such as "port vm1"; "" if for nothing.
	Object string `json:"object,omitempty"`
	// Does continues "the frame ", RFC is the clause that has the flow do so.
	Does string `json:"does"`
	RFC  string `json:"rfc,omitempty"`

	role flows.Role
}

// how says in what way a frame, or a copy of it, ends.
type how uint8

const (
	dropped how = iota
	delivered
	answered // by a flow
	handed   // to Damselfly
	lost     // in a group without a live bucket, or a table without a flow
)

// end is one end of a way. A flooded frame has several.
type end struct {
	how how
	// step is the index of the step that decided, -1 for none.
	step int
	// port is where it is delivered to.
	port uint32
	// class is what it is handed to Damselfly as, trouble why, for class Error.
	class   punt.Class
	trouble punt.Trouble
}

// way is how a frame went through the tables.
type way struct {
	steps []Step
	ends  []end
	notes []string
	// shared says that it takes one of several ways on, which are all in it.
	shared bool
}

// add appends a step. Of those that lead down a tree of MACs the last stands for
// all.
func (w *way) add(s Step) {
	if n := len(w.steps); n > 0 && w.at(s.Table) && w.steps[n-1].role == s.role && (s.Table == flows.TableSwitch || s.Table == flows.TableSource) {
		w.steps = w.steps[:n-1]
	}
	w.steps = append(w.steps, s)
}

// at reports whether the last step was in a table.
func (w *way) at(table uint8) bool { return len(w.steps) > 0 && w.steps[len(w.steps)-1].Table == table }

// end appends an end at the last step. A drop that was only counted by the last
// table was decided in the one before.
func (w *way) end(h how, port uint32) {
	at := len(w.steps) - 1
	if h == dropped && at > 0 && w.steps[at].Table == flows.TableDropped {
		at--
	}
	w.ends = append(w.ends, end{how: h, step: at, port: port})
}

// ended reports whether some end is of this kind.
func (w *way) ended(h how) (end, bool) {
	for _, e := range w.ends {
		if e.how == h {
			return e, true
		}
	}
	return end{}, false
}

// index finds the part of the topology that a flow was made for.
type index map[place][]candidate

// place is what a trace and a compiled flow share.
type place struct {
	table    uint8
	priority uint16
	cookie   flows.Cookie
}

type candidate struct {
	match  string
	object string
}

// add indexes the flows that a snapshot wants.
func (x index) add(p *flows.Pieces, s *topology.Snapshot) {
	for id, piece := range p.Each {
		object := ""
		if !id.Base() {
			object = id.In(s)
		}
		for _, f := range piece.Set().Flows {
			at := place{f.Table, f.Priority, f.Cookie}
			if c := (candidate{f.Match.String(), object}); !slices.Contains(x[at], c) {
				x[at] = append(x[at], c)
			}
		}
	}
}

// find returns what the flow stands for. Where several have the same place, the
// match decides; ok is false for a flow that is not wanted.
func (x index) find(at place, match string) (object string, ok bool) {
	list := x[at]
	for _, c := range list {
		if c.match == match {
			return c.object, true
		}
	}
	for i, c := range list {
		if i > 0 && c.object != list[0].object {
			return "", true // of one of several
		}
	}
	if len(list) == 0 {
		return "", false
	}
	return list[0].object, true
}
