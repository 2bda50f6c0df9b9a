package wire

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// packetReader is what pcapgo's readers of both formats have in common.
type packetReader interface {
	ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
	LinkType() layers.LinkType
}

// Hostile and odd frames of others: each ends in an outcome, whatever it is, and never in a panic.
func TestCaptures(t *testing.T) {
	t.Parallel()
	const root = "../../../shared/captures"
	var files []string
	for _, pattern := range []string{"*.pcap", "*/*.pcap", "*/*.pcapng"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Skipf("no captures in %s: put pcap files there to have their frames cut", root)
	}
	outcomes := map[Fault]int{}
	for _, name := range files {
		for _, data := range readCapture(t, name) {
			outcomes[verdict(data)]++
			var p Packet
			if Cut(data, &p) == FaultNone {
				passes(&p)
			}
		}
	}
	t.Logf("%d files: %v", len(files), outcomes)
}

// readCapture gives the frames of an Ethernet capture, and those of a raw IPv6 one behind an Ethernet header.
func readCapture(t *testing.T, name string) (frames [][]byte) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r packetReader
	if filepath.Ext(name) == ".pcapng" {
		r, err = pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	} else {
		r, err = pcapgo.NewReader(f)
	}
	if err != nil {
		t.Logf("%s: %v", name, err)
		return nil
	}
	for {
		data, _, err := r.ReadPacketData()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Logf("%s: %v", name, err)
			}
			return frames
		}
		switch r.LinkType() {
		case layers.LinkTypeRaw, layers.LinkTypeIPv6, 12, 14:
			data = append(frame(nsHex)[:EthernetLen], data...)
		}
		frames = append(frames, data)
	}
}
