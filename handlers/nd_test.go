package handlers_test

import (
	"bytes"
	"testing"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/pipeline"
)

// TestNeighborDiscovery runs every case as if it were punted.
func TestNeighborDiscovery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, c := range fixtures.NDCases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			from, data := c.From(w.NDWorld), c.Frame(w.NDWorld)
			sent := bytes.Clone(data)
			why, replies := w.dispatch(from, data)
			if why != c.Reason {
				t.Errorf("reason: got %s, want %s", handlers.ReasonName(why), handlers.ReasonName(c.Reason))
			}
			if !bytes.Equal(data, sent) {
				t.Error("the punted frame was written to")
			}
			if c.Outcome == fixtures.Drop {
				if len(replies) != 0 {
					t.Errorf("got %d replies, want none", len(replies))
				}
				return
			}
			if len(replies) != 1 {
				t.Fatalf("got %d replies, want 1", len(replies))
			}
			f := w.frame(from, data)
			got := replies[0]
			if c.Outcome == fixtures.Relay {
				checkPlace(t, got, pipeline.Reply{InPort: f.InPort, Network: blueKey})
				if !bytes.Equal(got.Data, sent) {
					t.Errorf("relayed frame:\n got %x\nwant %x", got.Data, sent)
				}
				return
			}
			checkPlace(t, got, pipeline.Reply{Out: f.InPort})
			if err := fixtures.CheckReply(got.Data, c.Advert(w.NDWorld).Is); err != nil {
				t.Error(err)
			}
		})
	}
}

// checkPlace compares where a reply goes.
func checkPlace(t *testing.T, got, want pipeline.Reply) {
	t.Helper()
	if got.Out != want.Out || got.InPort != want.InPort || got.Network != want.Network {
		t.Errorf("place: got out %d, in %d, network %d; want out %d, in %d, network %d",
			got.Out, got.InPort, got.Network, want.Out, want.InPort, want.Network)
	}
}

// TestNDCasesDiffer guards the table itself: names are unique and the outcome agrees with the rest.
func TestNDCasesDiffer(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, c := range fixtures.NDCases() {
		if names[c.Name] {
			t.Errorf("%s: there twice", c.Name)
		}
		names[c.Name] = true
		if (c.Outcome == fixtures.Answer) != (c.Advert != nil) {
			t.Errorf("%s: outcome %v, but Advert set: %v", c.Name, c.Outcome, c.Advert != nil)
		}
		if c.Outcome == fixtures.Drop && c.Ext == fixtures.Flow && !c.Blind {
			t.Errorf("%s: a flow that answers or forwards cannot drop", c.Name)
		}
	}
}
