package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/internal/wire"

	"github.com/google/go-cmp/cmp"
)

// TestNeighborDiscovery runs every case on real bridges. Each says beforehand
// which path it takes, which the packet counts of flows and the number of
// packet-ins prove. Where one datapath answers by flow and the other by punt,
// the answers are the same, octet by octet.
func TestNeighborDiscovery(t *testing.T) {
	t.Parallel()
	var ext, plain map[string][]byte
	t.Run("datapaths", func(t *testing.T) {
		t.Run("nd_ext", func(t *testing.T) {
			t.Parallel()
			ext = runNDCases(t, newNDPlay(t, true), func(c fixtures.NDCase) fixtures.Path { return c.Ext })
		})
		t.Run("plain", func(t *testing.T) {
			t.Parallel()
			plain = runNDCases(t, newNDPlay(t, false), func(c fixtures.NDCase) fixtures.Path { return c.Plain })
		})
		// Where groups go to listeners alone, neighbours find each other as without.
		t.Run("snooping", func(t *testing.T) {
			t.Parallel()
			runNDCases(t, newNDPlayWith(t, false, snooped), func(c fixtures.NDCase) fixtures.Path { return c.Plain })
		})
	})
	both := 0
	for _, c := range fixtures.NDCases() {
		if ext[c.Name] == nil || plain[c.Name] == nil {
			continue // silent, or failed above
		}
		if c.Ext == fixtures.Flow && c.Plain == fixtures.Punt {
			both++
		}
		if d := cmp.Diff(fmt.Sprintf("%x", plain[c.Name]), fmt.Sprintf("%x", ext[c.Name])); d != "" {
			t.Errorf("%s: the answers of the two datapaths differ (-plain +nd_ext):\n%s", c.Name, d)
		}
	}
	if !t.Failed() && !t.Skipped() && both < 6 && ext != nil {
		t.Errorf("only %d cases were answered by flow on one datapath and by punt on the other", both)
	}
}

// runNDCases runs the table and gives the answers by the names of the cases.
func runNDCases(t *testing.T, p *ndPlay, path func(fixtures.NDCase) fixtures.Path) map[string][]byte {
	answers := map[string][]byte{}
	for _, c := range fixtures.NDCases() {
		t.Run(c.Name, func(t *testing.T) {
			p.another()
			from, frame := c.From(p.NDWorld), c.Frame(p.NDWorld)
			seen := p.send(t, from, frame)
			checkNDPath(t, c, path(c), frame, seen)
			answers[c.Name] = p.checkNDOutcome(t, c, path(c), frame, seen)
		})
	}
	t.Run("inverse", func(t *testing.T) { runInverseCases(t, p) })
	return answers
}

// checkNDPath holds the counts of one case against the path it must take.
func checkNDPath(t *testing.T, c fixtures.NDCase, path fixtures.Path, frame []byte, seen ndSeen) {
	t.Helper()
	wantReasons := map[string]int{}
	switch path {
	case fixtures.Punt:
		wantReasons[handlers.ReasonName(c.Reason)] = 1
	case fixtures.Flow:
		// Only together with no packet-in: behind a measurement of the length,
		// Open vSwitch credits the flows of both branches.
		if role := ndRole(c, frame); seen.Roles[role] != 1 {
			t.Errorf("flows: got %v, want 1 packet of %s", seen.Roles, role)
		}
	case fixtures.Refuse:
		if drops := dropRoles(seen.Roles); len(drops) != 1 || drops["drop-default"] != 0 {
			t.Errorf("flows: got %v, want one named drop", seen.Roles)
		}
	}
	if d := cmp.Diff(wantReasons, seen.Reasons); d != "" {
		t.Errorf("path %v: packet-ins by how they ended (-want +got):\n%s", path, d)
	}
}

// ndRole is the role of the flow that answers or forwards a case's frame.
func ndRole(c fixtures.NDCase, frame []byte) string {
	if c.Outcome == fixtures.Relay || c.Outcome == fixtures.Drop && frame[54] == wire.TypeNeighborAdvert {
		return "nd-forward"
	}
	return "nd-answer"
}

// dropRoles are the roles that end frames.
func dropRoles(roles map[string]int) map[string]int {
	out := map[string]int{}
	for role, n := range roles {
		if strings.HasPrefix(role, "drop-") {
			out[role] = n
		}
	}
	return out
}

// checkNDOutcome holds what all ports received against the case and gives the
// answer, if there is one.
func (p *ndPlay) checkNDOutcome(t *testing.T, c fixtures.NDCase, path fixtures.Path, frame []byte, seen ndSeen) []byte {
	t.Helper()
	from := c.From(p.NDWorld)
	blind := c.Blind && path == fixtures.Flow
	switch {
	case c.Outcome == fixtures.Relay, blind && frame[54] == wire.TypeNeighborAdvert:
		p.checkRelayed(t, from, frame, seen)
	case c.Outcome == fixtures.Answer, blind:
		answer := onlyAnswer(t, from, seen)
		if answer == nil {
			return nil
		}
		if blind { // whatever it says, it is an advertisement and goes to who asked
			if answer[54] != wire.TypeNeighborAdvert || !bytes.Equal(answer[:6], frame[6:12]) {
				t.Errorf("blind answer: got %x", answer)
			}
			return nil
		}
		if err := fixtures.CheckReply(answer, c.Advert(p.NDWorld).Is); err != nil {
			t.Error(err)
		}
		p.checkInProcess(t, from, frame, answer)
		return answer
	default:
		if len(seen.Received) != 0 {
			t.Errorf("received, want nothing anywhere:\n%v", seen)
		}
	}
	return nil
}

// onlyAnswer is the one frame that the sender, and nobody else, received.
func onlyAnswer(t *testing.T, from *fixtures.Party, seen ndSeen) []byte {
	t.Helper()
	got := seen.Received[from.Port]
	if len(seen.Received) != 1 || len(got) != 1 {
		t.Errorf("received, want one frame at %s alone:\n%v", from.Port, seen)
		return nil
	}
	return got[0]
}

// checkInProcess compares an answer of the switch with the handlers' own.
func (p *ndPlay) checkInProcess(t *testing.T, from *fixtures.Party, frame, answer []byte) {
	t.Helper()
	want := p.handle(from, frame)
	if len(want) != 1 {
		t.Fatalf("the handlers make %d replies of it", len(want))
	}
	if d := cmp.Diff(fmt.Sprintf("%x", want[0]), fmt.Sprintf("%x", answer)); d != "" {
		t.Errorf("answer (-handlers +switch):\n%s", d)
	}
}

// checkRelayed wants the frame unchanged where its destination says: at all
// other ports, or at the one with that MAC.
func (p *ndPlay) checkRelayed(t *testing.T, from *fixtures.Party, frame []byte, seen ndSeen) {
	t.Helper()
	want := map[string][][]byte{}
	for _, g := range p.Guests() {
		if p.guests[g.Port] != nil && g != from && (frame[0]&1 != 0 || bytes.Equal(frame[:6], g.MAC[:])) {
			want[g.Port] = [][]byte{frame}
		}
	}
	if d := cmp.Diff(want, seen.Received); d != "" {
		t.Errorf("received (-want +got):\n%s", d)
	}
}
