package openflow

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPacketInMetadata has registers in pairs, of which only the bits under the
// mask count.
func TestPacketInMetadata(t *testing.T) {
	t.Parallel()
	pair := func(b []byte, header uint32, v, mask uint64) []byte { return put64(put64(put32(b, header), v), mask) }
	tests := map[string]struct {
		metadata []byte
		want     [16]uint32
	}{
		"pair under a mask":  {pair(nil, 0x80010110, 0xaaaaaaaa00000007, 0xffffffff), [16]uint32{1: 7}},
		"half under a mask":  {pair(nil, 0x80010110, 0x00000004aaaaaaaa, 0xffffffff00000000), [16]uint32{0: 4}},
		"whole pair":         {put64(put32(nil, 0x80010e08), 5<<32|6), [16]uint32{14: 5, 15: 6}},
		"unknown in between": {pair(put32(put32(nil, 0x00014204), 1), 0x80010110, 3, 0xffffffff), [16]uint32{1: 3}},
	}
	for name, tt := range tests {
		b := appendProp(appendNicira(nil, nxPacketIn2, 0), pinPacket, 1, 2, 3)
		var p PacketIn
		if !p.Decode(finish(appendProp(b, pinMetadata, tt.metadata...), 0)) {
			t.Errorf("%s: not decoded", name)
			continue
		}
		if diff := cmp.Diff(tt.want, p.Regs); diff != "" {
			t.Errorf("%s: registers (-want +got):\n%s", name, diff)
		}
	}
}
