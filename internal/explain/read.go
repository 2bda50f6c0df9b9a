package explain

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"damselfly/flows"
	"damselfly/internal/punt"
)

// met is a line of a trace that names the flow met in a table.
var met = regexp.MustCompile(`^(\d+)\. (?:(.*), )?priority (\d+)(?:, cookie (0x[0-9a-f]+))?$`)

// missed is a line that says that there was none.
var missed = regexp.MustCompile(`^(\d+)\. No match\.`)

// larger is a check of the frame's length.
var larger = regexp.MustCompile(`^check_pkt_larger\((\d+)\)->NXM_NX_(REG\d+)\[(\d+)\]$`)

// written is an action that writes a register; other fields are not needed.
var written = regexp.MustCompile(`^set_field:(0x[0-9a-f]+|\d+)(?:/(0x[0-9a-f]+))?->(reg\d+|metadata)$`)

// resubmitted is a look-up in another table.
var resubmitted = regexp.MustCompile(`^resubmit\(,(\d+)\)$`)

// registers are their values by name, as the frame has them.
type registers map[string]uint64

// set takes a line that may write one.
func (r registers) set(line string) {
	m := written.FindStringSubmatch(line)
	if m == nil {
		return
	}
	value, _ := strconv.ParseUint(m[1], 0, 64) // the pattern has checked it
	mask := ^uint64(0)
	if m[2] != "" {
		mask, _ = strconv.ParseUint(m[2], 0, 64)
	}
	r[m[3]] = r[m[3]]&^mask | value&mask
}

// classRegister holds the class of what is handed over, troubleRegister why a
// router could not carry it on.
var (
	classRegister   = fmt.Sprintf("reg%d", punt.RegClass)
	troubleRegister = fmt.Sprintf("reg%d", punt.RegTrouble)
)

// resume is where a trace has to be taken up again: what the registers hold and
// the table that comes next.
type resume struct {
	registers registers
	addresses addresses
	table     uint8
	// tracked says that connection tracking has seen the frame.
	tracked bool
}

// addresses are the IPv6 addresses of the packet that a router has translated, by
// field, as the switch writes them.
type addresses map[string]string

// translated is an action that replaces an address, or its prefix.
var translated = regexp.MustCompile(`^set_field:([0-9a-f:/]+)->(ipv6_src|ipv6_dst)$`)

// set takes a line that may replace one.
func (a addresses) set(line string) {
	if m := translated.FindStringSubmatch(line); m != nil {
		a[m[2]] = m[1]
	}
}

// tracking is an action that sends the frame through connection tracking and on
// to a table.
var tracking = regexp.MustCompile(`^ct\(.*table=(\d+)`)

// reader goes over what one ofproto/trace printed.
type reader struct {
	way    *way
	index  index
	groups map[uint32]*flows.Group
	octets int // of the frame
	// puntPort is the switch's number of the port that frames are handed over by,
	// 0 for none.
	puntPort uint32

	registers registers
	addresses addresses
	scopes    []scope
	group     uint32 // the last one named
	// tracked are the ways on behind connection tracking, one a copy of the frame,
	// and those of which it takes one.
	tracked []resume
	// forked says that the last action was one of connection tracking, behind
	// which the switch writes a drop that is none.
	forked bool
}

// scope is a group's bucket: what it writes is undone behind it.
type scope struct {
	indent int
	before registers
}

// read takes a trace in and says where it has to go on, nil if it is whole.
func (r *reader) read(text string) *resume {
	lines := strings.Split(text, "\n")
	for i, raw := range lines {
		line := strings.TrimSpace(raw)
		indent := len(raw) - len(strings.TrimLeft(raw, " "))
		r.leave(indent, line)
		switch {
		case line == "" || strings.HasPrefix(line, "Flow:") || strings.HasPrefix(line, "Final flow:") ||
			strings.HasPrefix(line, "Megaflow:") || strings.HasPrefix(line, "Datapath actions:"):
		case r.table(line):
		case strings.HasPrefix(line, "bucket "):
			r.scopes = append(r.scopes, scope{indent, r.copyRegisters()})
		case strings.HasPrefix(line, "group:"):
			n, _ := strconv.ParseUint(line[len("group:"):], 10, 32) // 0, no group of ours, if it is none
			r.group = uint32(n)
		case line == "-> no live bucket":
			if to, ok := r.recirculates(); ok {
				return &resume{registers: r.registers, addresses: r.addresses, table: to}
			}
			if list := r.choices(); len(list) > 0 {
				r.way.shared = len(list) > 1
				r.tracked = append(r.tracked, list...)
				return nil
			}
			r.way.end(lost, 0)
		case strings.HasPrefix(line, "check_pkt_larger"):
			if next := r.measured(lines[i:]); next != nil {
				return next
			}
			r.way.notes = append(r.way.notes, "both ways of a check of the length are shown: "+line)
		case strings.Contains(line, "resume conntrack"):
			// From here on the switch goes on by itself, without knowing what
			// connection tracking would: that is asked anew.
			if note := "connection tracking is taken to see the first packet of a connection"; !slices.Contains(r.way.notes, note) {
				r.way.notes = append(r.way.notes, note)
			}
			return nil
		case strings.HasPrefix(line, ">>>>") || strings.HasPrefix(line, "Translation failed"):
			r.way.notes = append(r.way.notes, "the switch says: "+strings.Trim(line, "<> "))
		case strings.HasPrefix(line, "output:") && i+1 < len(lines) && strings.Contains(lines[i+1], ">> skipping output to input port"):
			if n := len(r.way.steps); n > 0 {
				r.way.steps[n-1].Does = "is not delivered: it would go back to its sender"
			}
		default:
			r.action(line)
		}
	}
	return nil
}

// leave undoes the registers of buckets that a line is behind of.
func (r *reader) leave(indent int, line string) {
	for n := len(r.scopes); n > 0 && line != "" && indent <= r.scopes[n-1].indent; n-- {
		r.registers = r.scopes[n-1].before
		r.scopes = r.scopes[:n-1]
	}
}

func (r *reader) copyRegisters() registers {
	out := make(registers, len(r.registers))
	for name, v := range r.registers {
		out[name] = v
	}
	return out
}

// table takes a line that names a table.
func (r *reader) table(line string) bool {
	if m := missed.FindStringSubmatch(line); m != nil {
		n, _ := strconv.ParseUint(m[1], 10, 8) // the switch has no more than 255
		r.way.add(Step{Table: uint8(n), Name: flows.TableName(uint8(n)), Does: "meets no flow"})
		r.way.end(lost, 0)
		return true
	}
	m := met.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	n, _ := strconv.ParseUint(m[1], 10, 8)
	priority, _ := strconv.ParseUint(m[3], 10, 16)
	cookie, _ := strconv.ParseUint(strings.TrimPrefix(m[4], "0x"), 16, 64) // none is 0
	r.way.add(r.step(uint8(n), uint16(priority), flows.Cookie(cookie), m[2]))
	return true
}

// step tells what a flow is.
func (r *reader) step(table uint8, priority uint16, cookie flows.Cookie, match string) Step {
	s := Step{Table: table, Name: flows.TableName(table), Priority: priority, Match: match, Cookie: uint64(cookie)}
	if !cookie.Ours() {
		s.Does = "meets a flow that is none of Damselfly's"
		return s
	}
	if table == flows.TableDropped {
		s.role, s.Role, s.Does = flows.RoleDropUnsorted, cookie.Role().String(), flows.RoleDropUnsorted.Clause().Text
		return s
	}
	clause := cookie.Role().Clause()
	s.role, s.Role, s.Does, s.RFC = cookie.Role(), cookie.Role().String(), clause.Text, clause.RFC
	switch table {
	case flows.TableNDReply:
		s.Does = "gets the flags and options of the answer"
	case flows.TableReturn:
		s.Does = "goes back by the port that asked"
	}
	object, wanted := r.index.find(place{table, priority, cookie}, match)
	s.Object = object
	if !wanted {
		s.Does += ", by a flow that this configuration does not want: damselfly runs with another one, or not yet with this"
	}
	return s
}

// action takes a line that is an action.
func (r *reader) action(line string) {
	forked := r.forked
	r.forked = false
	switch {
	case strings.HasPrefix(line, "ct("):
		r.forked = true
		if m := tracking.FindStringSubmatch(line); m != nil {
			n, _ := strconv.ParseUint(m[1], 10, 8) // the switch has no more than 255
			r.tracked = append(r.tracked, resume{registers: r.copyRegisters(), addresses: maps.Clone(r.addresses), table: uint8(n), tracked: true})
		}
	case line == "drop" && forked:
	case line == "drop":
		r.way.end(dropped, 0)
	case line == "IN_PORT" && r.way.at(flows.TableOutput):
		r.way.end(delivered, flows.ToInPort) // to another sub-port of the same trunk port
	case line == "IN_PORT":
		r.way.end(answered, 0)
	case line == "LOCAL":
		r.way.end(delivered, flows.Local)
	case strings.HasPrefix(line, "controller("), strings.HasPrefix(line, "CONTROLLER"):
		r.handed()
	case strings.HasPrefix(line, "output:"):
		n, err := strconv.ParseUint(line[len("output:"):], 10, 32)
		switch {
		case err != nil:
		case r.puntPort != 0 && uint32(n) == r.puntPort:
			r.handed()
		default:
			r.way.end(delivered, uint32(n))
		}
	default:
		r.registers.set(line)
		r.addresses.set(line)
	}
}

// handed ends the way in Damselfly's hands.
func (r *reader) handed() {
	r.way.end(handed, 0)
	at := &r.way.ends[len(r.way.ends)-1]
	at.class, at.trouble = punt.Class(r.registers[classRegister]), punt.Trouble(r.registers[troubleRegister])
}

// recirculates returns the table that the last group goes on in, if it is one
// that takes the frame round again: ofproto/trace does not follow.
func (r *reader) recirculates() (table uint8, ok bool) {
	g := r.groups[r.group]
	if g == nil || g.Type != flows.Select || len(g.Buckets) != 1 || len(g.Buckets[0].Actions) != 1 {
		return 0, false
	}
	to, ok := g.Buckets[0].Actions[0].(flows.Resubmit)
	return to.Table, ok
}

// measured does what checks of the length and the look-up behind them do, which
// ofproto/trace shows both ways. nil if there is something else among them.
func (r *reader) measured(lines []string) *resume {
	next := r.copyRegisters()
	for _, raw := range lines {
		line := strings.TrimSpace(raw)
		if m := resubmitted.FindStringSubmatch(line); m != nil {
			n, err := strconv.ParseUint(m[1], 10, 8)
			if err != nil {
				return nil
			}
			return &resume{registers: next, addresses: r.addresses, table: uint8(n)}
		}
		m := larger.FindStringSubmatch(line)
		if m == nil {
			return nil
		}
		octets, err := strconv.Atoi(m[1])
		bit, err2 := strconv.Atoi(m[3])
		if err != nil || err2 != nil || bit > 31 {
			return nil
		}
		name := strings.ToLower(m[2])
		next[name] &^= 1 << bit
		if r.octets > octets {
			next[name] |= 1 << bit
		}
	}
	return nil
}
