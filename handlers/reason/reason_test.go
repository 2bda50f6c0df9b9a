package reason

import (
	"regexp"
	"testing"

	"damselfly/internal/dhcpv6"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

func TestEveryReasonIsExplained(t *testing.T) {
	t.Parallel()
	kebab := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := map[string]pipeline.Reason{}
	if Count > 256 {
		t.Fatalf("%d reasons do not fit pipeline.Reason", Count)
	}
	for i := range Count {
		r := pipeline.Reason(i)
		name := Name(r)
		if !kebab.MatchString(name) {
			t.Errorf("reason %d: name %q is not kebab case", i, name)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("reasons %d and %d are both named %q", other, i, name)
		}
		seen[name] = r
		if Explain(r) == "" {
			t.Errorf("reason %d, %s: no explanation", i, name)
		}
	}
	if got := Name(pipeline.Reason(Count)); got != "unknown" {
		t.Errorf("name behind the last reason: got %q, want unknown", got)
	}
	if got := Explain(pipeline.Reason(Count)); got != "" {
		t.Errorf("explanation behind the last reason: got %q, want none", got)
	}
}

func TestEveryFaultHasItsReason(t *testing.T) {
	t.Parallel()
	seen := map[pipeline.Reason]wire.Fault{}
	for f := wire.FaultNone + 1; int(f) < wire.Faults; f++ {
		r := OfFault(f)
		if other, ok := seen[r]; ok || r < firstFault || r >= firstDHCPv6 {
			t.Errorf("%v: reason %d is %v's or out of range", f, r, other)
		}
		seen[r] = f
		if Name(r) != f.String() {
			t.Errorf("%v: its reason is named %q", f, Name(r))
		}
		if Replies(r) {
			t.Errorf("%v: counts as answered", f)
		}
	}
}

func TestEveryDHCPv6FaultHasItsReason(t *testing.T) {
	t.Parallel()
	for f := dhcpv6.FaultNone + 1; int(f) < dhcpv6.Faults; f++ {
		r := OfDHCPv6(f)
		if r < firstDHCPv6 || int(r) >= Count || dhcpv6Fault(r) != f {
			t.Errorf("%v: reason %d is out of range or another's", f, r)
		}
		if got, want := Name(r), "dhcpv6-"+f.String(); got != want {
			t.Errorf("%v: its reason is named %q, want %q", f, got, want)
		}
		if Replies(r) {
			t.Errorf("%v: counts as answered", f)
		}
	}
}

// TestClauses: what an RFC has a frame end for is named by section, and every
// malformed frame that one forbids says which.
func TestClauses(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^RFC [0-9]{3,5} section [0-9]+(\.[0-9]+)*$`)
	named := 0
	for i := range Count {
		rfc := RFC(pipeline.Reason(i))
		if rfc != "" && !form.MatchString(rfc) {
			t.Errorf("%s: %q does not name a section of an RFC", Name(pipeline.Reason(i)), rfc)
		}
		if rfc != "" {
			named++
		}
	}
	if named < 60 {
		t.Errorf("only %d of %d reasons name an RFC", named, Count)
	}
	for f, want := range map[wire.Fault]string{
		wire.FaultHopLimit: "RFC 4861 section 7.1.1", wire.FaultFragment: "RFC 6980 section 5", wire.FaultChainTruncated: "RFC 7112 section 5",
	} {
		if got := RFC(OfFault(f)); got != want {
			t.Errorf("%s: got %q, want %q", f, got, want)
		}
	}
	if got := RFC(pipeline.Reason(Count)); got != "" {
		t.Errorf("behind the last reason: got %q, want none", got)
	}
}

// TestDrops: what was sent on or waits was not dropped.
func TestDrops(t *testing.T) {
	t.Parallel()
	for r, want := range map[pipeline.Reason]bool{
		Answered: false, Defended: false, Relayed: false, HandedOver: false, DHCPv6Forwarded: false, pipeline.Unset: false,
		GuestRA: true, OwnAddress: true, pipeline.OverLimit: true, OfFault(wire.FaultChecksum): true,
	} {
		if got := Drops(r); got != want {
			t.Errorf("%s: %v, want %v", Name(r), got, want)
		}
	}
}
