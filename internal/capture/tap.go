package capture

import (
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"damselfly/pipeline"
)

// Config is what a capture needs beside its file.
type Config struct {
	// Reason names how a frame ended; nil writes its number.
	Reason func(pipeline.Reason) string
	// Port names a port by the switch's number and its VLAN, 0 for none; "" if it
	// cannot; nil or "" give `port N`. Called by the writing goroutine, once a port.
	Port func(port uint32, vlan uint16) string
	// MaxSize is the most octets the file may have; 0 means no bound. The
	// capture stops in front of the first frame that does not fit.
	MaxSize int64
	// Log reports the end of a capture that nobody asked for; nil discards.
	Log *slog.Logger
}

// Tap is a running capture. Its Batch is the pipeline's Tap.
type Tap struct {
	free, full chan *batch
	quit, done chan struct{}
	over       atomic.Bool // nothing is written any more
	lost       atomic.Uint64
	err        error // of the writer; read it after done
}

// Start begins a capture into a new file at path, mode 0600 since it holds
// guests' traffic; what was there is replaced.
func Start(path string, c Config) (*Tap, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("capture: %w; name a file in a directory that this user may write", err)
	}
	t, err := start(f, c)
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("capture: %s: %w", path, err)
	}
	return t, nil
}

func start(f file, c Config) (*Tap, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	w, err := newWriter(f, c)
	if err != nil {
		return nil, err
	}
	t := &Tap{
		free: make(chan *batch, batches), full: make(chan *batch, batches),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	for range batches {
		t.free <- &batch{}
	}
	go t.run(w)
	return t, nil
}

// Batch copies a batch and hands it to the writer. It does not wait and may be
// called by several workers at once.
func (t *Tap) Batch(frames []pipeline.Frame, reasons []pipeline.Reason, replies []pipeline.Reply) {
	if t.over.Load() || len(frames)+len(replies) == 0 {
		return
	}
	var b *batch
	select {
	case b = <-t.free:
	default:
		t.lost.Add(uint64(len(frames) + len(replies)))
		return
	}
	b.reset(time.Now())
	lost := 0
	for i := range frames {
		if !b.add(frames[i].Data, record{reason: reasons[i], port: frames[i].InPort, vlan: frames[i].VLAN}) {
			lost++
		}
	}
	for _, r := range replies {
		if !b.add(r.Data, record{reply: true, port: r.Out, vlan: r.VLAN, network: r.Network}) {
			lost++
		}
	}
	if lost > 0 {
		t.lost.Add(uint64(lost))
	}
	// There is room: no more batches exist than full holds.
	t.full <- b
}

// Lost returns how many frames and replies were not written because the file
// did not keep up.
func (t *Tap) Lost() uint64 { return t.lost.Load() }

// Close writes what was handed over, closes the file and returns the error that
// ended the capture early, if one did. Call it once, after the pipeline has
// stopped.
func (t *Tap) Close() error {
	close(t.quit)
	<-t.done
	return t.err
}
