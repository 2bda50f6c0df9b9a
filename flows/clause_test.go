package flows

import (
	"regexp"
	"strings"
	"testing"
)

// ownRules are the drops that no RFC asks for.
var ownRules = RolesOf(RoleDropTagged, RoleDropEtherType, RoleDropAway, RoleDropUnknownMAC, RoleDropUnbound,
	RoleDropDefault, RoleDropUnsorted, RoleDropState, RoleDropDenied, RoleDropDHCPv4Server, RoleDropPuntPort, RoleDropMetadata, RoleDropMetadataCaller)

// TestClauses: every role says what it does, and every drop which RFC has it do so.
func TestClauses(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^RFC [0-9]{4,5} section [0-9]+(\.[0-9]+)*$`)
	for r := range roles {
		c := r.Clause()
		if c.Text == "" {
			t.Errorf("%s: nothing says what it does", r)
		}
		if c.RFC != "" && !form.MatchString(c.RFC) {
			t.Errorf("%s: %q does not name a section of an RFC", r, c.RFC)
		}
		if r.Drop() && (c.RFC == "") != ownRules.Has(r) {
			t.Errorf("%s: RFC %q; a rule of Damselfly's own: %v", r, c.RFC, ownRules.Has(r))
		}
		if r.Drop() && r != RoleDropUnsorted && !strings.HasPrefix(c.Text, "is dropped: ") {
			t.Errorf("%s: %q does not say that the frame is dropped, and why", r, c.Text)
		}
	}
	if got := roles.Clause().Text; !strings.Contains(got, "another version") {
		t.Errorf("a role of tomorrow: got %q", got)
	}
}
