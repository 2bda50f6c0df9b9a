package e2e

import (
	"testing"

	"damselfly/fixtures"
	"damselfly/handlers"

	"github.com/google/go-cmp/cmp"
)

// runInverseCases runs the cases of Inverse Neighbor Discovery on a real bridge.
// Wireshark, too, has nothing to say against the answers.
func runInverseCases(t *testing.T, p *ndPlay) {
	var answers [][]byte
	wanted := 0
	for _, c := range fixtures.InverseCases() {
		from, frame := c.From(p.NDWorld), c.Frame(p.NDWorld)
		seen := p.send(t, from, frame)
		wantReasons := map[string]int{handlers.ReasonName(c.Reason): 1}
		if c.Refused {
			wantReasons = map[string]int{}
			if drops := dropRoles(seen.Roles); len(drops) != 1 || drops["drop-default"] != 0 {
				t.Errorf("%s: flows: got %v, want one named drop", c.Name, seen.Roles)
			}
		}
		if d := cmp.Diff(wantReasons, seen.Reasons); d != "" {
			t.Errorf("%s: packet-ins by how they ended (-want +got):\n%s", c.Name, d)
		}
		if c.Of == nil {
			if len(seen.Received) != 0 {
				t.Errorf("%s: received, want nothing anywhere:\n%v", c.Name, seen)
			}
			continue
		}
		wanted++
		answer := onlyAnswer(t, from, seen)
		if answer == nil {
			continue
		}
		list := p.snapshot.NetworkNamed(p.Network).AddressesOf(c.Of(p.NDWorld).MAC)
		if err := fixtures.CheckReply(answer, fixtures.InverseAnswer(p.NDWorld, c.Of(p.NDWorld), list)); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		p.checkInProcess(t, from, frame, answer)
		answers = append(answers, answer)
	}
	dissected(t, wanted, answers)
}

// dissected has tshark read frames: it finds nothing worth a warning in them, and
// there are as many as are wanted.
func dissected(t *testing.T, wanted int, frames [][]byte) {
	t.Helper()
	list, err := fixtures.Dissect(t.TempDir(), frames)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != wanted {
		t.Errorf("tshark dissected %d replies, want %d", len(list), wanted)
	}
	for _, d := range list {
		if d.Warnings != "" {
			t.Errorf("tshark on a reply of type %s: %s", d.Type, d.Warnings)
		}
	}
}
