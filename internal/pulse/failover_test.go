package pulse

import (
	"strings"
	"testing"
)

func (n namespace) ofctl(command string, args ...string) {
	n.t.Helper()
	if _, err := n.Ofctl(append([]string{command, n.Mgmt("br0")}, args...)...); err != nil {
		n.t.Fatal(err)
	}
}

func (n namespace) vsctl(args ...string) string {
	n.t.Helper()
	out, err := n.Vsctl(args...)
	if err != nil {
		n.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// A fast-failover group that watches the pulse port serves by its first bucket
// while the holder lives, by its second when it is gone.
func TestGroupFollowsPulse(t *testing.T) {
	t.Parallel()
	s := newNamespace(t)
	if err := s.AddBridge("br0", "fail_mode=secure"); err != nil {
		t.Fatal(err)
	}
	h := s.hold("dfp-br0")
	if got := h.line(); got != "open dfp-br0" {
		t.Fatal(got)
	}
	s.vsctl("add-port", "br0", "dfp-br0", "--", "set", "Interface", "dfp-br0", "ofport_request=5")
	// Every bucket of a fast-failover group must watch something. Group 2
	// watches nothing and so always lives.
	s.ofctl("add-group", "group_id=2,type=indirect,bucket=actions=resubmit(,11)")
	s.ofctl("add-group", "group_id=1,type=fast_failover,bucket=watch_port:5,actions=resubmit(,10),bucket=watch_group:2,actions=group:2")
	s.ofctl("add-flow", "table=0,icmp6,actions=group:1")
	s.ofctl("add-flow", "table=10,actions=drop")
	s.ofctl("add-flow", "table=11,actions=drop")
	// The trace tells by the table it reaches which bucket was taken.
	servedBy := func(table string) func() bool {
		return func() bool {
			trace, err := s.Appctl("ofproto/trace", "br0", "in_port=LOCAL,icmp6")
			if err != nil {
				t.Fatal(err)
			}
			return strings.Contains(trace, "\n"+table+". ") || strings.Contains(trace, " "+table+". ")
		}
	}
	linkState := func(want string) func() bool {
		return func() bool { return s.vsctl("get", "Interface", "dfp-br0", "link_state") == want }
	}
	s.eventually("link_state up", linkState("up"))
	s.eventually("Damselfly serves", servedBy("10"))
	h.kill()
	s.eventually("the guests serve each other", servedBy("11"))
	s.eventually("link_state down", linkState("down"))
	if got := s.hold("dfp-br0").line(); got != "open dfp-br0" {
		t.Fatal(got)
	}
	s.eventually("Damselfly serves again", servedBy("10"))
	s.eventually("link_state up again", linkState("up"))
}
