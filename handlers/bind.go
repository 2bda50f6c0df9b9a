package handlers

import (
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"damselfly/handlers/dhcpv6"
	"damselfly/handlers/reason"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// ReasonName returns the stable name of r in kebab case, as metrics label it.
func ReasonName(r pipeline.Reason) string { return reason.Name(r) }

// Explain returns what r tells an operator, one line.
func Explain(r pipeline.Reason) string { return reason.Explain(r) }

// RFC returns the clause behind r, "" where it is a rule of Damselfly's own.
func RFC(r pipeline.Reason) string { return reason.RFC(r) }

// ExplainName is Explain by the reason's name; "" if there is no such reason.
func ExplainName(name string) string {
	for r := range pipeline.Reason(reason.Count) {
		if reason.Name(r) == name {
			return reason.Explain(r)
		}
	}
	return ""
}

// panicLogInterval is the least time between two stacks in the log: a guest
// that found a mistake must not fill the disk with it.
const panicLogInterval = time.Minute

// Bind is Services.Bind without any service: any number of workers may call the
// Handler at once.
func Bind(snapshot func() *topology.Snapshot, now func() time.Time, log *slog.Logger) pipeline.Handler {
	return new(Services).Bind(snapshot, now, log)
}

// Bind returns the Handler that serves what snapshot gives, by the clock now;
// both are asked once per batch. It is for one worker, as its services are.
//
// A panic ends in pipeline.Panicked for its frame alone, with a stack in log at
// most once a minute.
func (v *Services) Bind(snapshot func() *topology.Snapshot, now func() time.Time, log *slog.Logger) pipeline.Handler {
	p := &panics{log: log}
	return func(batch []pipeline.Frame, r *pipeline.Replies, reasons []pipeline.Reason) {
		s, t := snapshot(), now()
		for done := 0; done < len(batch); {
			done = v.serve(s, t, batch, done, r, reasons, p)
		}
	}
}

// serve handles batch from first on until the end or a panic, and returns how
// many frames are done. One recover thus covers many frames.
func (v *Services) serve(s *topology.Snapshot, now time.Time, batch []pipeline.Frame, first int,
	r *pipeline.Replies, reasons []pipeline.Reason, p *panics) (done int) {
	done = first
	made := len(r.List())
	defer func() {
		if fault := recover(); fault != nil {
			r.Undo(made) // half a reply is none
			reasons[done] = pipeline.Panicked
			p.report(fault, &batch[done], now)
			done++
		}
	}()
	for ; done < len(batch); done++ {
		made = len(r.List())
		reasons[done] = v.Dispatch(s, now, &batch[done], r)
	}
	return done
}

// Decider is the slow lane's side of Services: it decides what Dispatch handed
// over. It is for one goroutine.
type Decider struct {
	services Services
	panics   panics
}

// NewDecider returns a Decider with services of its own.
func NewDecider(v Services, log *slog.Logger) *Decider {
	return &Decider{services: v, panics: panics{log: log}}
}

// Decide is Services.Decide, and a panic ends in pipeline.Panicked for its frame
// alone.
func (d *Decider) Decide(s *topology.Snapshot, now time.Time, c dhcpv6.Changes, f *pipeline.Frame, r *pipeline.Replies) (why pipeline.Reason) {
	defer d.rescue(now, f, r, len(r.List()), &why)
	return d.services.Decide(s, now, c, f, r)
}

// DecideAddress is Services.DecideAddress, panics kept to their frame too.
func (d *Decider) DecideAddress(s *topology.Snapshot, now time.Time, f *pipeline.Frame, r *pipeline.Replies) (why pipeline.Reason) {
	defer d.rescue(now, f, r, len(r.List()), &why)
	return d.services.DecideAddress(s, now, f, r)
}

// rescue is deferred: it takes back what a panic left of its frame's replies.
func (d *Decider) rescue(now time.Time, f *pipeline.Frame, r *pipeline.Replies, made int, why *pipeline.Reason) {
	if fault := recover(); fault != nil {
		r.Undo(made)
		*why = pipeline.Panicked
		d.panics.report(fault, f, now)
	}
}

// panics logs recovered panics of all workers.
type panics struct {
	log    *slog.Logger
	last   atomic.Int64 // UnixNano of the last one logged
	silent atomic.Int64 // how many were not since then
}

func (p *panics) report(v any, f *pipeline.Frame, now time.Time) {
	last, t := p.last.Load(), now.UnixNano()
	if last != 0 && t-last < int64(panicLogInterval) || !p.last.CompareAndSwap(last, t) {
		p.silent.Add(1)
		return
	}
	p.log.Error("a frame made a handler panic and was dropped; please report the stack",
		"panic", v, "port", f.Port, "network", f.Network, "class", f.Class, "length", len(f.Data),
		"unlogged", p.silent.Swap(0), "stack", string(debug.Stack()))
}
