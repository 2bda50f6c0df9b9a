// Package replay puts captured frames through the handlers that a running
// Damselfly uses, without a switch: one verdict a frame.
package replay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
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
	// RFC is the clause behind it, "" where it is Damselfly's own rule.
	RFC string `json:"rfc,omitempty"`
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
// in memory and has the server DUID that the capture's clients speak to. Addresses
// are learned, and who listens to multicast groups, by the same clock, beginning with none.
func Run(spec *topology.Spec, in io.Reader, out io.Writer) ([]Verdict, error) {
	r, err := openEthernet(in)
	if err != nil {
		return nil, err
	}
	w := pcapgo.NewWriterNanos(out)
	if err := w.WriteFileHeader(1<<16, layers.LinkTypeEthernet); err != nil {
		return nil, err
	}
	frames, ended := readAll(r)
	bench, err := newLearningBench(spec, frames)
	if err != nil {
		return nil, err
	}
	var verdicts []Verdict
	for i := range frames {
		v, replies := bench.Judge(bench.sender(frames[i].Data), punt.None, 0, frames[i])
		v.Frame = i + 1
		verdicts = append(verdicts, v)
		for _, reply := range replies {
			info := gopacket.CaptureInfo{Timestamp: frames[i].At, CaptureLength: len(reply.Data), Length: len(reply.Data)}
			if err := w.WritePacket(info, reply.Data); err != nil {
				return verdicts, err
			}
		}
	}
	return verdicts, ended
}

// Frame is one of a capture.
type Frame struct {
	Data []byte
	At   time.Time
}

// Read reads the frames of a pcap or pcapng capture of Ethernet. Where it cannot
// be read any further, the frames before are returned with the error.
func Read(in io.Reader) ([]Frame, error) {
	r, err := openEthernet(in)
	if err != nil {
		return nil, err
	}
	return readAll(r)
}

// readAll reads the frames up to the capture's end, or to where it cannot be
// read any further.
func readAll(r capture) (frames []Frame, err error) {
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
		frames = append(frames, Frame{data, ci.Timestamp})
	}
}

// capture is what the readers of both formats give.
type capture interface {
	ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
	LinkType() layers.LinkType
}

func openEthernet(in io.Reader) (capture, error) {
	r, err := open(in)
	if err != nil {
		return nil, err
	}
	if lt := r.LinkType(); lt != layers.LinkTypeEthernet {
		return nil, fmt.Errorf("the capture is of link type %v, not Ethernet: capture on the guest's interface", lt)
	}
	return r, nil
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
