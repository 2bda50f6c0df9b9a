package pipeline

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestArenaGrowth: replies keep their octets when the arena grows behind them,
// and room that was used before is zeroed.
func TestArenaGrowth(t *testing.T) {
	f := &Frame{InPort: 7, Network: 3}
	r := NewReplies(16)
	for round := range 3 {
		r.Reset()
		for i := range 40 {
			room := r.Back(f, 5+i)
			if !bytes.Equal(room, make([]byte, 5+i)) {
				t.Fatalf("round %d: the room of reply %d is not zeroed: %x", round, i, room)
			}
			for j := range room {
				room[j] = byte(i + 1)
			}
		}
		for i, reply := range r.List() {
			if !bytes.Equal(reply.Data, bytes.Repeat([]byte{byte(i + 1)}, 5+i)) {
				t.Fatalf("round %d: reply %d was overwritten: %x", round, i, reply.Data)
			}
		}
	}
}

// TestReplyKeepsToItsRoom: a handler that appends to its room does not reach
// the next reply's.
func TestReplyKeepsToItsRoom(t *testing.T) {
	r := NewReplies(64)
	first := r.To(1, 0, 4)
	second := r.To(2, 0, 4)
	_ = append(first, 0xff)
	if !bytes.Equal(second, make([]byte, 4)) {
		t.Errorf("the second reply reads %x", second)
	}
}

// TestDestinations: the four ways a reply can go.
func TestDestinations(t *testing.T) {
	f := &Frame{InPort: 7, Network: 3}
	r := NewReplies(64)
	r.Back(f, 1)
	r.Onward(f, 1)
	r.Into(5, 1)
	r.To(9, 0, 1)
	want := []Reply{{Data: []byte{0}, Out: 7}, {Data: []byte{0}, InPort: 7, Network: 3}, {Data: []byte{0}, Network: 5}, {Data: []byte{0}, Out: 9}}
	if diff := cmp.Diff(want, r.List()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
