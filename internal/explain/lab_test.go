package explain

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"damselfly/fixtures"
	"damselfly/internal/lab"
	"damselfly/internal/unixctl"
)

// macs are the addresses of an Ethernet header.
const macs = "020000000012020000000011"

// others are frames of every kind that Open vSwitch writes in words of its own.
func others() map[string]string {
	six := func(next byte, payload string) string {
		return macs + "86dd" + fmt.Sprintf("60000000%04x%02x40", len(payload)/2, next) +
			"fd0000b1000000000000000000000011" + "fd0000b1000000000000000000000012" + payload
	}
	four := func(protocol byte, payload string) string {
		return macs + "0800" + fmt.Sprintf("4500%04x0000000040%02x0000", 20+len(payload)/2, protocol) + "c0000201" + "c0000202" + payload
	}
	const udp, tcp = "0001000200080000", "000100020000000100000000500220000000" + "0000"
	return map[string]string{
		"tcp syn": four(6, tcp), "tcp6 ack psh": six(6, "0001000200000001000000015018200000000000"),
		"udp6": six(17, udp), "sctp6": six(132, "00010002"+"00000000"+"00000000"), "gre": four(47, "00000800"),
		"esp": six(50, "0000000100000001"), "icmp": four(1, "0800000000010001"),
		"igmp":           four(2, "2200f9fc0000000104000000e00000fb"),
		"arp":            macs + "0806" + "0001080006040001" + "020000000011c0000201" + "000000000000c0000202",
		"first fragment": six(44, "1100000100000001"+udp), "later fragment": six(44, "1100005000000001"+udp),
		"hop-by-hop": six(0, "1100010400000000"+udp),
		"labelled":   strings.Replace(six(17, udp), "86dd60000000", "86dd6b912345", 1),
		"mld report": six(0, "3a00050200000100"+"8f00000000000000"), "rs": six(58, "8500000000000000"),
		"redirect":    six(58, "8900000000000000"+strings.Repeat("fe", 32)),
		"unreachable": six(58, "0101000000000000"),
		"tagged":      strings.Replace(six(17, udp), "86dd", "8100000586dd", 1), "priority tag": strings.Replace(six(17, udp), "86dd", "8100600086dd", 1),
		"two tags": strings.Replace(six(17, udp), "86dd", "88a800058100000686dd", 1),
		"mpls":     macs + "8847" + "000101ff60" + strings.Repeat("00", 39),
		"lldp":     "0180c200000e020000000011" + "88cc" + "020704616263646566",
		"802.3":    "0180c2000000020000000011" + "0026" + "424203" + strings.Repeat("00", 35),
		"cut ipv6": macs + "86dd" + "600000", "bare": macs + "86dd",
	}
}

// TestHeaders: whatever a switch reads of a frame it understands again. Frames
// are of every kind and those of the table of Neighbor Discovery.
func TestHeaders(t *testing.T) {
	t.Parallel()
	l := lab.Start(t)
	if err := l.AddBridge("br-x", "fail_mode=secure"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Ofctl("add-flow", "br-x", "table=0,priority=1,actions=resubmit(,1)"); err != nil {
		t.Fatal(err)
	}
	frames := map[string][]byte{}
	for name, digits := range others() {
		frame, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		frames[name] = frame
	}
	world := fixtures.NewNDWorld()
	for _, c := range fixtures.NDCases() {
		frames[c.Name] = c.Frame(world)
	}
	path, err := unixctl.Find(l.RunDir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := unixctl.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, frame := range frames {
		text, err := c.Call(t.Context(), "ofproto/trace-packet-out", "br-x", "in_port=LOCAL", hex.EncodeToString(frame), nothing)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		headers, err := headersOf(text, frame)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again, err := c.Call(t.Context(), "ofproto/trace", "br-x", headers)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		first, _, _ := strings.Cut(text, "\n")
		second, _, _ := strings.Cut(again, "\n")
		if first != second && name != "igmp" && name != "two tags" { // which have more than can be matched
			t.Errorf("%s: read as\n%s\nand again as\n%s", name, first, second)
		}
	}
}
