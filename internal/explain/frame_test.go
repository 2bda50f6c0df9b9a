package explain

import (
	"encoding/hex"
	"regexp"
	"testing"

	"damselfly/fixtures"
)

// inBrackets are what is said of a frame's MAC addresses.
var inBrackets = regexp.MustCompile(` \(([0-9a-f]{2}:){5}[0-9a-f]{2}\)`)

// TestFrameNames: messages of Multicast Listener and Router Discovery, as scapy wrote them, of
// Inverse Neighbor Discovery and Secure ND are called by their names.
func TestFrameNames(t *testing.T) {
	t.Parallel()
	frames := map[string]string{}
	for _, c := range fixtures.ListenerCases() {
		if frames[c.Name] == "" {
			frames[c.Name] = hex.EncodeToString(c.Frame)
		}
	}
	from := "020000000011" + "86dd" + "6000000000183aff" + ll(0x11)
	const rest = "00000000" + "0102020000000011" + "0202020000000012"
	frames["inverse solicitation"] = "333300000001" + from + group(1) + "8d000000" + rest
	frames["inverse advertisement"] = "020000000012" + from + ll(0x12) + "8e000000" + rest
	frames["path solicitation"] = "333300000002" + from + group(2) + "94000000" + rest
	frames["path advertisement"] = "333300000001" + from + group(1) + "95000000" + rest
	for name, want := range map[string]string{
		"report IS_EX":          "a Multicast Listener Report from fe80::ff:fe00:11 to ff02::16",
		"report v1":             "a Multicast Listener Report (version 1) from fe80::ff:fe00:11 to ff15::1234",
		"done":                  "a Multicast Listener Done from fe80::ff:fe00:11 to ff02::2",
		"query":                 "a Multicast Listener Query from fe80::ff:fe00:13 to ff02::1",
		"advertisement":         "a Multicast Router Advertisement from fe80::ff:fe00:13 to ff02::6a",
		"solicitation":          "a Multicast Router Solicitation from fe80::ff:fe00:11 to ff02::2",
		"termination":           "a Multicast Router Termination from fe80::ff:fe00:13 to ff02::6a",
		"inverse solicitation":  "an Inverse Neighbor Discovery Solicitation from fe80::ff:fe00:11 to ff02::1",
		"inverse advertisement": "an Inverse Neighbor Discovery Advertisement from fe80::ff:fe00:11 to fe80::ff:fe00:12",
		"path solicitation":     "a Certification Path Solicitation from fe80::ff:fe00:11 to ff02::2",
		"path advertisement":    "a Certification Path Advertisement from fe80::ff:fe00:11 to ff02::1",
	} {
		data, err := hex.DecodeString(frames[name])
		if err != nil || len(data) == 0 {
			t.Fatalf("%s: %v", name, err)
		}
		if got := inBrackets.ReplaceAllString(look(data).text, ""); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
