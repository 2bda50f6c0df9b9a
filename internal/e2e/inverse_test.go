package e2e

import (
	"fmt"
	"testing"

	"damselfly/fixtures"

	"github.com/google/go-cmp/cmp"
)

// runInverseCases has a guest ask all that scapy wrote of Inverse Neighbor Discovery
// on a real bridge: it alone gets scapy's answers, and nobody anything else.
// Wireshark, too, has nothing to say against them.
func runInverseCases(t *testing.T, p *ndPlay) {
	var answers [][]byte
	wanted := 0
	for _, c := range fixtures.InverseCases() {
		seen := p.send(t, &p.Asker, c.Frame)
		end, err := endOf(seen)
		if ok := end == c.Reason; err != nil || ok == c.Refused {
			t.Errorf("%s: ended as %s, %v; want %s (by a flow: %v)", c.Name, end, err, c.Reason, c.Refused)
		}
		want := map[string][][]byte{}
		if c.Answer != nil {
			wanted++
			want[p.Asker.Port] = [][]byte{c.Answer}
			answers = append(answers, seen.Received[p.Asker.Port]...)
		}
		if d := cmp.Diff(want, seen.Received); d != "" {
			t.Errorf("%s: received (-want +got):\n%s", c.Name, d)
		}
	}
	dissected(t, wanted, answers)
}

// endOf is the one way a frame ended: a reason of Damselfly's, or the role of a flow
// that drops it.
func endOf(seen ndSeen) (string, error) {
	drops := dropRoles(seen.Roles)
	delete(drops, "drop-uplink") // of Router Advertisements that nobody asked for
	switch {
	case len(seen.Reasons) == 1 && len(drops) == 0:
		for why, n := range seen.Reasons {
			if n == 1 {
				return why, nil
			}
		}
	case len(seen.Reasons) == 0 && len(drops) == 1 && drops["drop-default"] == 0:
		for role := range drops {
			return role, nil
		}
	}
	return "", fmt.Errorf("reasons %v, flows %v", seen.Reasons, drops)
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
