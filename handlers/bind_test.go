package handlers_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"damselfly/handlers"
	"damselfly/handlers/reason"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

func TestBindLoadsOncePerBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	data := solicitation(&w.Asker, w.Asker.LinkLocal).Bytes()
	snapshots, times := 0, 0
	h := handlers.Bind(
		func() *topology.Snapshot { snapshots++; return w.Snapshot },
		func() time.Time { times++; return now },
		slog.New(slog.DiscardHandler))
	batch := make([]pipeline.Frame, pipeline.MaxBatch)
	for i := range batch {
		batch[i] = w.frame(&w.Asker, data)
	}
	reasons := make([]pipeline.Reason, len(batch))
	r := pipeline.NewReplies(0)
	h(batch, r, reasons)
	if snapshots != 1 || times != 1 {
		t.Errorf("got %d snapshots and %d times for one batch, want 1 and 1", snapshots, times)
	}
	if len(r.List()) != len(batch) {
		t.Errorf("got %d replies, want %d", len(r.List()), len(batch))
	}
	for i, why := range reasons {
		if why != reason.Answered {
			t.Errorf("frame %d: got %s, want answered", i, handlers.ReasonName(why))
		}
	}
}

// TestNoSnapshot: frames that come before there is a topology end by name.
func TestNoSnapshot(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.frame(&w.Asker, solicitation(&w.Asker, w.Asker.LinkLocal).Bytes())
	r := pipeline.NewReplies(0)
	if why := handlers.Dispatch(nil, now, &f, r); why != reason.UnknownPort || len(r.List()) != 0 {
		t.Errorf("got %s and %d replies, want unknown-port and none", handlers.ReasonName(why), len(r.List()))
	}
}

// TestBindKeepsPanicsToTheirFrame breaks a network so that one kind of frame
// makes its handler panic.
func TestBindKeepsPanicsToTheirFrame(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	n := w.blue()
	n.Adverts[0].Countdowns = []topology.Countdown{{Offset: 1 << 20, Until: now}}
	rs := w.frame(&w.Asker, solicitation(&w.Asker, w.Asker.LinkLocal).Bytes())
	echo := w.frame(&w.Asker, ping(&w.Asker, w.Router.MAC, w.Asker.Global, w.Router.Global, 8).Bytes())
	var log strings.Builder
	at := now
	h := handlers.Bind(func() *topology.Snapshot { return w.Snapshot }, func() time.Time { return at },
		slog.New(slog.NewTextHandler(&log, nil)))
	batch := []pipeline.Frame{echo, rs, echo, rs, rs, echo}
	want := []pipeline.Reason{reason.Answered, pipeline.Panicked, reason.Answered, pipeline.Panicked, pipeline.Panicked, reason.Answered}
	run := func() {
		reasons := make([]pipeline.Reason, len(batch))
		h(batch, pipeline.NewReplies(0), reasons)
		for i := range want {
			if reasons[i] != want[i] {
				t.Errorf("frame %d: got %s, want %s", i, handlers.ReasonName(reasons[i]), handlers.ReasonName(want[i]))
			}
		}
	}
	run()
	if got := strings.Count(log.String(), "level=ERROR"); got != 1 {
		t.Errorf("log entries after the first batch: got %d, want 1", got)
	}
	if !strings.Contains(log.String(), "ra/build.go") {
		t.Errorf("the log does not say where it happened: %s", log.String())
	}
	at = at.Add(time.Minute)
	run()
	if got := strings.Count(log.String(), "level=ERROR"); got != 2 || !strings.Contains(log.String(), "unlogged=2") {
		t.Errorf("log after a minute: got %d entries, want 2, the second with unlogged=2", got)
	}
}

// TestUnknownPlace punts frames as flows of an older topology would.
func TestUnknownPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(in *topology.Input) {
		in.Spec.Networks = append(in.Spec.Networks, topology.NetworkSpec{Name: "other"})
		in.Keys.Networks["other"] = blueKey + 1
	})
	good := w.frame(&w.Asker, solicitation(&w.Asker, w.Asker.LinkLocal).Bytes())
	for _, tt := range []struct {
		name   string
		change func(*pipeline.Frame)
		want   pipeline.Reason
	}{
		{"as it is", func(*pipeline.Frame) {}, reason.Answered},
		{"network not said", func(f *pipeline.Frame) { f.Network = 0 }, reason.Answered},
		{"no port", func(f *pipeline.Frame) { f.Port = 0 }, reason.UnknownPort},
		{"port gone", func(f *pipeline.Frame) { f.Port = 99 }, reason.UnknownPort},
		{"port beyond all", func(f *pipeline.Frame) { f.Port = 0xffff }, reason.UnknownPort},
		{"by its key alone", func(f *pipeline.Frame) { f.InPort, f.Network = 0, 0 }, reason.Answered},
		{"no switch port", func(f *pipeline.Frame) { f.InPort, f.Port = 0, w.frame(&w.Absent, nil).Port }, reason.UnknownPort},
		{"network gone", func(f *pipeline.Frame) { f.Network = blueKey + 2 }, reason.UnknownNetwork},
		{"port on another network", func(f *pipeline.Frame) { f.Network = blueKey + 1 }, reason.UnknownNetwork},
		{"empty", func(f *pipeline.Frame) { f.Data = nil }, reason.OfFault(wire.FaultTruncated)},
	} {
		f := good
		tt.change(&f)
		r := pipeline.NewReplies(0)
		if why := handlers.Dispatch(w.Snapshot, now, &f, r); why != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, handlers.ReasonName(why), handlers.ReasonName(tt.want))
		}
		if (len(r.List()) > 0) != reason.Replies(tt.want) {
			t.Errorf("%s: got %d replies", tt.name, len(r.List()))
		}
	}
}
