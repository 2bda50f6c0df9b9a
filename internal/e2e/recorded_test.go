package e2e

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"damselfly/internal/lab"
	"damselfly/internal/stage"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// record has tests write what their guests sent as captures, which are then
// replayed against goldens by package fixtures.
var record = flag.Bool("capture", false, "write the captures of DHCPv6 clients in fixtures anew")

// captureFolder holds one folder for each configuration that captures are made with.
const captureFolder = "../../fixtures/captures"

// topologyOf is the configuration of a folder of captures; the stage names its
// own bridge.
func topologyOf(t *testing.T, folder string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(captureFolder, folder, "damselfly.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, topology, ok := strings.Cut(string(text), "bridge: "+stage.Bridge+"\n")
	if !ok {
		t.Fatalf("%s does not begin with the bridge", folder)
	}
	return topology
}

// keep ends captures of what guests and Damselfly said to each other, judges that
// by the table's rows for a capture, and writes it if captures are to be written.
func keep(t *testing.T, ndExt bool, name string, captures ...*lab.Capture) {
	t.Helper()
	frames := heardBy(t, captures...)
	judge(t, name, frames)
	write(t, ndExt, name, frames)
}

// heardBy gives all that was captured, in the order of time.
func heardBy(t *testing.T, captures ...*lab.Capture) (frames []lab.Frame) {
	t.Helper()
	for _, c := range captures {
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
		frames = append(frames, c.Frames()...)
	}
	slices.SortStableFunc(frames, func(a, b lab.Frame) int { return a.Time.Compare(b.Time) })
	return frames
}

// write writes the frames that a guest sent, if captures are to be written; one
// of the two datapaths is enough.
func write(t *testing.T, ndExt bool, name string, frames []lab.Frame) {
	t.Helper()
	if !*record || !ndExt || t.Failed() {
		return
	}
	f, err := os.Create(filepath.Join(captureFolder, name+".pcap"))
	if err != nil {
		t.Fatal(err)
	}
	w := pcapgo.NewWriterNanos(f)
	err = w.WriteFileHeader(1<<16, layers.LinkTypeEthernet)
	for _, frame := range frames {
		if frame.Sent && err == nil {
			info := gopacket.CaptureInfo{Timestamp: frame.Time, CaptureLength: len(frame.Data), Length: len(frame.Data)}
			err = w.WritePacket(info, frame.Data)
		}
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		t.Fatal(err)
	}
}
