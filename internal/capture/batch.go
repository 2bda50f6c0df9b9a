package capture

import (
	"time"

	"damselfly/pipeline"
)

// record is one frame of a batch: its octets are batch.octets[from:to].
type record struct {
	from, to int
	reply    bool
	reason   pipeline.Reason // of a frame
	port     uint32          // the switch's number; 0 with a reply to a network
	vlan     uint16          // that port's, 0 for none
	network  uint16          // of a reply without a port
}

// batch is one hand-over. It is used again once written, so its memory is
// allocated once.
type batch struct {
	at      time.Time
	records []record
	octets  []byte
}

func (b *batch) reset(at time.Time) {
	b.at, b.records, b.octets = at, b.records[:0], b.octets[:0]
}

// add copies one frame and tells whether there was room for it.
func (b *batch) add(data []byte, r record) bool {
	if len(b.octets)+len(data) > batchOctets {
		return false
	}
	r.from = len(b.octets)
	b.octets = append(b.octets, data...)
	r.to = len(b.octets)
	b.records = append(b.records, r)
	return true
}

const (
	// batches is how many wait for the file at most.
	batches = 64
	// batchOctets bounds the frames and replies of one: 64 frames of the largest
	// usual size with an answer each. All together hold 16 MiB at most.
	batchOctets = 256 << 10
)
