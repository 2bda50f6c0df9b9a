package replay_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/internal/replay"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// start is the time of the first frame; each further one is a second later.
var start = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

func at(i int) time.Time { return start.Add(time.Duration(i) * time.Second) }

func info(i int, frame []byte) gopacket.CaptureInfo {
	return gopacket.CaptureInfo{Timestamp: at(i), CaptureLength: len(frame), Length: len(frame)}
}

// pcap is a capture as gopacket writes it.
func pcap(t *testing.T, link layers.LinkType, frames ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriterNanos(&b)
	err := w.WriteFileHeader(1<<16, link)
	for i, f := range frames {
		err = errors.Join(err, w.WritePacket(info(i, f), f))
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pcapng is the same in the other format.
func pcapng(t *testing.T, link layers.LinkType, frames ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriter(&b, link)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range frames {
		err = errors.Join(err, w.WritePacket(info(i, f), f))
	}
	if err := errors.Join(err, w.Flush()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// sent is a frame of the table of cases.
func sent(t *testing.T, w *fixtures.NDWorld, name string) (frame []byte, c fixtures.NDCase) {
	t.Helper()
	for _, c := range fixtures.NDCases() {
		if c.Name == name {
			return c.Frame(w), c
		}
	}
	t.Fatalf("no case is called %q", name)
	return nil, c
}

// TestRun replays five frames in both formats.
func TestRun(t *testing.T) {
	t.Parallel()
	w := fixtures.NewNDWorld()
	question, answered := sent(t, w, "NS multicast for a guest")
	probe, _ := sent(t, w, "DAD for an unknown address")
	bad, _ := sent(t, w, "NS checksum")
	stranger := bytes.Clone(question)
	copy(stranger[6:], []byte{2, 9, 9, 9, 9, 9})
	frames := [][]byte{question, probe, bad, stranger, question[:10]}
	want := []replay.Verdict{
		{Frame: 1, Time: at(0), Port: "vm1", Reason: "answered", Replies: 1},
		{Frame: 2, Time: at(1), Port: "vm1", Reason: "relayed", RFC: "RFC 4861 section 7.2", Replies: 1},
		{Frame: 3, Time: at(2), Port: "vm1", Reason: "checksum", RFC: "RFC 4443 section 2.3"},
		{Frame: 4, Time: at(3), Reason: "unknown-port"},
		{Frame: 5, Time: at(4), Reason: "unknown-port"},
	}
	for name, capture := range map[string][]byte{
		"pcap":   pcap(t, layers.LinkTypeEthernet, frames...),
		"pcapng": pcapng(t, layers.LinkTypeEthernet, frames...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			got, err := replay.Run(w.Spec(), bytes.NewReader(capture), &out)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got, cmpopts.IgnoreFields(replay.Verdict{}, "Explanation"), cmpopts.EquateApproxTime(time.Microsecond)); d != "" {
				t.Errorf("verdicts (-want +got):\n%s", d)
			}
			if got := got[3].String(); !strings.Contains(got, " ? ") || !strings.Contains(got, "source MAC") {
				t.Errorf("a frame of no port: got %q, want a ? for the port and what that means", got)
			}
			r, err := pcapgo.NewReader(&out)
			if err != nil {
				t.Fatal(err)
			}
			reply := next(t, r, at(0))
			if err := fixtures.CheckReply(reply, answered.Advert(w).Is); err != nil {
				t.Error(err)
			}
			if relayed := next(t, r, at(1)); !bytes.Equal(relayed, probe) {
				t.Errorf("relayed frame: got %x, want %x", relayed, probe)
			}
			if _, _, err := r.ReadPacketData(); !errors.Is(err, io.EOF) {
				t.Errorf("behind the replies: got %v, want the end", err)
			}
		})
	}
}

// next reads one reply and its time, which pcapng keeps to the microsecond.
func next(t *testing.T, r *pcapgo.Reader, want time.Time) []byte {
	t.Helper()
	data, ci, err := r.ReadPacketData()
	if err != nil {
		t.Fatal(err)
	}
	if d := ci.Timestamp.Sub(want).Abs(); d > time.Microsecond {
		t.Errorf("time of a reply: got %v, want %v", ci.Timestamp, want)
	}
	return data
}

// TestRunRefuses holds that what cannot be replayed is refused with what to do,
// and that the frames before it are judged.
func TestRunRefuses(t *testing.T) {
	t.Parallel()
	w := fixtures.NewNDWorld()
	question, _ := sent(t, w, "NS multicast for a guest")
	whole := pcap(t, layers.LinkTypeEthernet, question, question)
	ng := pcapng(t, layers.LinkTypeEthernet, question, question)
	lying := bytes.Clone(whole)
	lying[24+8+3] = 0x7f // the first frame's captured length, most significant octet
	for _, tt := range []struct {
		name    string
		capture []byte
		judged  int
		want    string
	}{
		{"empty file", nil, 0, "capture on the guest's interface"},
		{"three octets", whole[:3], 0, "save it anew"},
		{"no capture", []byte("bridge: br-dfly\nnetworks:\n  - name: blue\n"), 0, "save it anew"},
		{"header cut short", whole[:20], 0, "save it anew"},
		{"raw IPv6", pcap(t, layers.LinkTypeIPv6, question[14:]), 0, "capture on the guest's interface"},
		{"raw IPv6 as pcapng", pcapng(t, layers.LinkTypeIPv6, question[14:]), 0, "capture on the guest's interface"},
		{"frame cut short", whole[:len(whole)-1], 1, "ends within frame 2: let"},
		{"frame's header cut short", whole[:len(whole)-len(question)-4], 1, "ends within frame 2: let"},
		{"pcapng cut short", ng[:len(ng)-30], 1, "ends within frame 2: let"},
		{"length beyond the limit", lying, 0, "frame 1 cannot be read: save the capture anew"},
		{"only a header", whole[:24], 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			verdicts, err := replay.Run(w.Spec(), bytes.NewReader(tt.capture), io.Discard)
			if len(verdicts) != tt.judged {
				t.Errorf("frames judged: got %d, want %d", len(verdicts), tt.judged)
			}
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("error: got %v, want none", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error: got %v, want one that says %q", err, tt.want)
			}
		})
	}
}

// TestRunBadConfiguration: a topology that cannot be built is no empty one.
func TestRunBadConfiguration(t *testing.T) {
	t.Parallel()
	spec := fixtures.NewNDWorld().Spec()
	spec.Ports[0].Network = "red"
	_, err := replay.Run(spec, bytes.NewReader(pcap(t, layers.LinkTypeEthernet)), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "red") {
		t.Errorf("got %v, want an error that names the network", err)
	}
}

// TestRunUnwritable: replies that cannot be written are not passed over.
func TestRunUnwritable(t *testing.T) {
	t.Parallel()
	w := fixtures.NewNDWorld()
	question, _ := sent(t, w, "NS multicast for a guest")
	full := errors.New("no space left")
	for _, room := range []int{0, 1} { // for the capture's header; for no reply either way
		_, err := replay.Run(w.Spec(), bytes.NewReader(pcap(t, layers.LinkTypeEthernet, question)), &disk{room: room, full: full})
		if err == nil || !strings.Contains(err.Error(), full.Error()) {
			t.Errorf("room for %d writes: got %v, want %v", room, err, full)
		}
	}
}

// disk takes some writes before it is full.
type disk struct {
	room int
	full error
}

// Write implements io.Writer.
func (d *disk) Write(b []byte) (int, error) {
	if d.room--; d.room < 0 {
		return 0, d.full
	}
	return len(b), nil
}
