package capture

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"damselfly/pipeline"
)

// file is what a capture is written to: an *os.File.
type file interface {
	io.WriteCloser
	Truncate(size int64) error
}

// errFull ends a capture that has reached its size.
var errFull = errors.New("the capture has reached its size")

// linkKey is what the capture shows as one interface: a port, or a network that
// replies were sent into.
type linkKey struct {
	port    uint32
	vlan    uint16
	network uint16
}

// writer turns batches into pcapng. Blocks are made in buf and reach the file
// whole, so that it stays readable whatever happens.
type writer struct {
	c     Config
	f     file
	buf   bytes.Buffer
	ng    *pcapgo.NgWriter
	links map[linkKey]int // interface numbers in the file
	size  int64           // of the file
}

func newWriter(f file, c Config) (*writer, error) {
	w := &writer{c: c, f: f, links: make(map[linkKey]int)}
	options := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "damselfly"}}
	// A pcapng writer has an interface from the start; replies into network 0
	// do not exist, so it stands for what came without a port.
	first := pcapgo.NgInterface{Name: "unknown", LinkType: layers.LinkTypeEthernet}
	var err error
	if w.ng, err = pcapgo.NewNgWriterInterface(&w.buf, first, options); err != nil {
		return nil, err
	}
	w.links[linkKey{}] = 0
	if err := w.ng.Flush(); err != nil {
		return nil, err
	}
	return w, w.flush()
}

// run writes until Close, or until the file takes no more.
func (t *Tap) run(w *writer) {
	defer close(t.done)
	for {
		select {
		case b := <-t.full:
			t.take(w, b)
			continue
		default:
		}
		select {
		case b := <-t.full:
			t.take(w, b)
		case <-t.quit:
			for len(t.full) > 0 {
				t.take(w, <-t.full)
			}
			t.over.Store(true)
			if err := w.f.Close(); err != nil && t.err == nil {
				t.err = fmt.Errorf("capture: %w", err)
			}
			return
		}
	}
}

// take writes one batch and gives it back; the first failure is the last try.
func (t *Tap) take(w *writer, b *batch) {
	defer func() { t.free <- b }()
	if t.over.Load() {
		return
	}
	err := w.batch(b)
	if err == nil {
		return
	}
	t.over.Store(true)
	if errors.Is(err, errFull) {
		w.c.Log.Info("the capture has reached its size and ends", slog.Int64("octets", w.size))
		return
	}
	t.err = fmt.Errorf("capture: %w", err)
	w.c.Log.Error("the capture ends: it cannot be written; the service goes on", "error", err)
}

// batch writes the records of b that fit.
func (w *writer) batch(b *batch) error {
	for i := range b.records {
		before := w.buf.Len()
		if err := w.record(b, &b.records[i]); err != nil {
			return err
		}
		if w.c.MaxSize > 0 && w.size+int64(w.buf.Len()) > w.c.MaxSize {
			w.buf.Truncate(before)
			return errors.Join(w.flush(), errFull)
		}
	}
	return w.flush()
}

// record appends the blocks of one frame to buf.
func (w *writer) record(b *batch, r *record) error {
	link, err := w.link(linkKey{port: r.port, vlan: r.vlan, network: r.network})
	if err != nil {
		return err
	}
	data := b.octets[r.from:r.to]
	info := gopacket.CaptureInfo{Timestamp: b.at, CaptureLength: len(data), Length: len(data), InterfaceIndex: link}
	options := pcapgo.NgPacketOptions{Flags: &pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionInbound}}
	if r.reply {
		options.Flags.Direction = pcapgo.NgEpbFlagDirectionOutbound
	} else {
		options.Comments = []string{w.reason(r.reason)}
	}
	if err := w.ng.WritePacketWithOptions(info, data, options); err != nil {
		return err
	}
	return w.ng.Flush()
}

// link is the number of an interface in the file, described there when it is new.
func (w *writer) link(k linkKey) (int, error) {
	if n, known := w.links[k]; known {
		return n, nil
	}
	name := fmt.Sprintf("network %d", k.network)
	if k.port != 0 {
		name = ""
		if w.c.Port != nil {
			name = w.c.Port(k.port, k.vlan)
		}
		if name == "" {
			name = fmt.Sprintf("port %d", k.port)
		}
	}
	n, err := w.ng.AddInterface(pcapgo.NgInterface{Name: name, LinkType: layers.LinkTypeEthernet})
	if err != nil {
		return 0, err
	}
	w.links[k] = n
	return n, nil
}

func (w *writer) reason(r pipeline.Reason) string {
	if w.c.Reason == nil {
		return fmt.Sprintf("reason %d", r)
	}
	return w.c.Reason(r)
}

// flush writes buf to the file. When only a part of it could be written the
// file is cut back to its last whole block.
func (w *writer) flush() error {
	n, err := w.f.Write(w.buf.Bytes())
	w.buf.Reset()
	if err != nil {
		if n > 0 {
			err = errors.Join(err, w.f.Truncate(w.size))
		}
		return err
	}
	w.size += int64(n)
	return nil
}
