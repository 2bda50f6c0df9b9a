// Package replay puts captured frames through the handlers that a running
// Damselfly uses, without a switch: one verdict a frame.
package replay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"damselfly/handlers"
	"damselfly/handlers/reason"
	"damselfly/internal/lease"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Verdict is how one frame of a capture ended.
type Verdict struct {
	// Frame counts the capture's frames from 1, as Wireshark does.
	Frame int `json:"frame"`
	// Time is that of the capture.
	Time time.Time `json:"time"`
	// Port is the port that the frame's source MAC belongs to, "" if none does.
	Port string `json:"port,omitempty"`
	// Reason is how it ended, Explanation what that means.
	Reason      string `json:"reason"`
	Explanation string `json:"explanation"`
	// Replies are the frames that were sent for it.
	Replies int `json:"replies"`
}

// String is the verdict in one line.
func (v Verdict) String() string {
	port := v.Port
	if port == "" {
		port = "?"
	}
	return fmt.Sprintf("%5d  %-12s %-24s replies=%d  %s", v.Frame, port, v.Reason, v.Replies, v.Explanation)
}

// Run reads a pcap or pcapng capture and writes the replies as pcap, each with
// the time of the frame it answers. A capture does not say through which port a
// frame came: it is the one whose MAC the frame has as source; all ports count
// as bound; what comes from no port but from a server that a subnet is relayed to
// is that server's answer. DHCPv6 begins without a lease, goes by the capture's clock, commits
// in memory and has the server DUID that the capture's clients speak to.
func Run(spec *topology.Spec, in io.Reader, out io.Writer) ([]Verdict, error) {
	r, err := open(in)
	if err != nil {
		return nil, err
	}
	if lt := r.LinkType(); lt != layers.LinkTypeEthernet {
		return nil, fmt.Errorf("the capture is of link type %v, not Ethernet: capture on the guest's interface", lt)
	}
	w := pcapgo.NewWriterNanos(out)
	if err := w.WriteFileHeader(1<<16, layers.LinkTypeEthernet); err != nil {
		return nil, err
	}
	frames, ended := readAll(r)
	bench, err := newBench(spec, identityOf(frames))
	if err != nil {
		return nil, err
	}
	var verdicts []Verdict
	for i := range frames {
		v, replies := bench.judge(frames[i].data, frames[i].at)
		v.Frame = i + 1
		verdicts = append(verdicts, v)
		for _, reply := range replies {
			info := gopacket.CaptureInfo{Timestamp: frames[i].at, CaptureLength: len(reply.Data), Length: len(reply.Data)}
			if err := w.WritePacket(info, reply.Data); err != nil {
				return verdicts, err
			}
		}
	}
	return verdicts, ended
}

// frame is one of a capture.
type frame struct {
	data []byte
	at   time.Time
}

// readAll reads the frames up to the capture's end, or to where it cannot be
// read any further.
func readAll(r capture) (frames []frame, err error) {
	for {
		data, ci, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return frames, nil
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return frames, fmt.Errorf("the capture ends within frame %d: let whoever writes it finish, and try again: %w", len(frames)+1, err)
		}
		if err != nil {
			return frames, fmt.Errorf("frame %d cannot be read: save the capture anew, with tcpdump -w or in Wireshark: %w", len(frames)+1, err)
		}
		frames = append(frames, frame{data, ci.Timestamp})
	}
}

// capture is what the readers of both formats give.
type capture interface {
	ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
	LinkType() layers.LinkType
}

func open(in io.Reader) (r capture, err error) {
	b := bufio.NewReader(in)
	magic, err := b.Peek(4)
	if len(magic) == 0 && errors.Is(err, io.EOF) {
		return nil, errors.New("the capture is empty: it has not even a header, so nothing was captured; capture on the guest's interface")
	}
	if string(magic) == "\x0a\x0d\x0d\x0a" {
		r, err = pcapgo.NewNgReader(b, pcapgo.DefaultNgReaderOptions)
	} else {
		r, err = pcapgo.NewReader(b)
	}
	if err != nil {
		return nil, fmt.Errorf("no pcap or pcapng capture, or one cut short: save it anew, with tcpdump -w or in Wireshark: %w", err)
	}
	return r, nil
}

// bench is the handlers set up without a switch.
type bench struct {
	snap    *topology.Snapshot
	handler pipeline.Handler
	now     time.Time
	replies *pipeline.Replies
	ports   map[wire.MAC]*topology.Port
	leases  *leases
}

// newBench builds the snapshot with keys in the order of the names and every
// port bound; DHCPv6 answers under id.
func newBench(spec *topology.Spec, id lease.Identity) (*bench, error) {
	in := topology.Input{Spec: spec, Keys: topology.Keys{Networks: map[string]uint16{}, Ports: map[string]uint16{}}}
	for i := range spec.Networks {
		in.Keys.Networks[spec.Networks[i].Name] = uint16(i + 1)
	}
	for i := range spec.Ports {
		name, n := spec.Ports[i].Name, i+1
		in.Keys.Ports[name] = uint16(n)
		in.Bindings = append(in.Bindings, topology.Binding{Interface: name, OFPort: uint32(n)})
	}
	var builder topology.Builder
	snap, problems := builder.Build(in)
	if snap == nil {
		return nil, fmt.Errorf("configuration: %v", problems)
	}
	b := &bench{snap: snap, replies: pipeline.NewReplies(1 << 16), ports: map[wire.MAC]*topology.Port{}}
	for _, p := range snap.Ports {
		b.ports[p.MAC] = p
	}
	var err error
	if b.leases, err = openLeases(id, b.replies); err != nil {
		return nil, err
	}
	services := handlers.Services{DHCPv6: b.leases.server}
	b.handler = services.Bind(
		func() *topology.Snapshot { return b.snap },
		func() time.Time { return b.now },
		slog.New(slog.DiscardHandler))
	return b, nil
}

// judge puts one frame through the handlers. The replies are valid until the
// next call.
func (b *bench) judge(data []byte, at time.Time) (Verdict, []pipeline.Reply) {
	frame := pipeline.Frame{Data: data}
	v := Verdict{Time: at}
	if len(data) >= wire.EthernetLen {
		if p := b.ports[wire.Ethernet(data).Source()]; p != nil {
			frame.Port, frame.Network, frame.InPort = p.Key, p.Network.Key, p.OFPort
			v.Port = p.Name
		}
	}
	b.now = at
	b.leases.at(at)
	b.replies.Reset()
	reasons := make([]pipeline.Reason, 1)
	if why, ok := answered(b.snap, data, b.replies); ok && frame.Port == 0 {
		reasons[0] = why
	} else if b.handler([]pipeline.Frame{frame}, b.replies, reasons); reasons[0] == reason.HandedOver {
		reasons[0] = b.leases.decide(b.snap, &frame, b.replies)
	}
	v.Reason, v.Explanation = handlers.ReasonName(reasons[0]), handlers.Explain(reasons[0])
	if v.Port == "" && reasons[0] == reason.UnknownPort {
		v.Explanation = "no port of the configuration has the frame's source MAC"
	}
	v.Replies = len(b.replies.List())
	return v, b.replies.List()
}
