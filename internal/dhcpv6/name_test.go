package dhcpv6

import (
	"encoding/hex"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	t.Parallel()
	label63 := strings.Repeat("a", 63)
	good := []struct{ text, want string }{
		{"example.com", "076578616d706c6503636f6d00"},
		{"example.com.", "076578616d706c6503636f6d00"},
		{"_x-1", "045f782d3100"},
		{label63, "3f" + strings.Repeat("61", 63) + "00"},
	}
	for _, tt := range good {
		b, err := AppendName([]byte{0xff}, tt.text)
		if err != nil || hex.EncodeToString(b) != "ff"+tt.want {
			t.Errorf("%q: %x %v", tt.text, b, err)
		}
		if n, rest, f := NextName(append(b[1:], 9)); f != FaultNone || n.String() != strings.TrimSuffix(tt.text, ".") || len(rest) != 1 {
			t.Errorf("%q: %v", tt.text, f)
		}
	}
	for _, text := range []string{"", ".", "a..b", ".a", label63 + "a", "a b", `a\.b`, "ä.de", strings.Repeat("a.", 127) + "a"} {
		if b, err := AppendName(nil, text); err == nil {
			t.Errorf("%q: %x", text, b)
		}
	}
	for _, wire := range []string{"", "01", "0161", "c000", "4061", "016101", strings.Repeat("0161", 127) + "016100"} {
		if n, _, f := NextName(octets(wire)); f != FaultName {
			t.Errorf("%s: %v %v", wire, n, f)
		}
	}
	if s := Name(octets("03612e62 0120 00")).String(); s != `a\046b.\032` {
		t.Errorf("escaped as %s", s)
	}
}

func TestNumbersHaveNames(t *testing.T) {
	t.Parallel()
	for typ := range MessageType(255) {
		known := typ.FromClient() || typ.FromServer() || typ == RelayForward
		if known == (typ.String() == "unknown-message") || typ.FromClient() && typ.FromServer() {
			t.Errorf("type %d: %v", typ, typ)
		}
	}
	names := map[string]bool{}
	for _, s := range []Status{StatusSuccess, StatusUnspecFail, StatusNoAddrsAvail, StatusNoBinding, StatusNotOnLink, StatusNoPrefixAvail, 5} {
		names[s.String()] = true
	}
	if len(names) != 7 || Fault(255).String() != "unknown-fault" {
		t.Errorf("names %v", names)
	}
}
