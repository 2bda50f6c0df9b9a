package wire

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
)

// TestFindProblem: the cases are written by RFC 8200 sections 4.1 to 4.5 and RFC
// 4443 section 3.4, octet for octet.
func TestFindProblem(t *testing.T) {
	t.Parallel()
	const udp = "00090009000800000000000000000000" // 16 octets
	tests := []struct {
		name    string
		next    uint8
		headers string
		to      string
		want    Problem
		verdict Verdict
	}{
		{"UDP", 17, udp, "", Problem{}, Processable},
		{"no next header", 59, "", "", Problem{}, Processable},
		{"SCTP", 132, udp, "", Problem{1, 6}, Report},
		{"protocol 253", 253, udp, "", Problem{1, 6}, Report},
		{"protocol 253 behind destination options", 60, "fd00010400000000" + udp, "", Problem{1, 40}, Report},
		{"AH", 51, "1104000000000001" + udp, "", Problem{1, 6}, Report},
		{"padding", 0, "1100010400000000" + udp, "", Problem{}, Processable},
		{"Pad1", 0, "1100000000000000" + udp, "", Problem{}, Processable},
		{"router alert is skipped", 0, "1100050200000100" + udp, "", Problem{}, Processable},
		{"action 01", 0, "1100450400000000" + udp, "", Problem{}, Discard},
		{"action 10", 0, "1100850400000000" + udp, "", Problem{2, 42}, Report},
		{"action 10 behind padding", 60, "1100010085020000" + udp, "", Problem{2, 44}, Report},
		{"action 10 to a group", 0, "1100850400000000" + udp, "ff02000000000000000000000000" + "0001", Problem{2, 42}, Report},
		{"action 11", 0, "1100c20400000000" + udp, "", Problem{2, 42}, Report},
		{"action 11 to a group", 0, "1100c20400000000" + udp, "ff02000000000000000000000000" + "0001", Problem{}, Discard},
		{"an option that goes beyond its header", 0, "1100010500000000" + udp, "", Problem{}, Discard},
		{"a header that goes beyond the packet", 60, "1105010400000000" + udp, "", Problem{}, Discard},
		{"hop-by-hop behind another", 60, "0000010400000000" + "1100010400000000" + udp, "", Problem{1, 40}, Report},
		{"routing type 0, none left", 43, "1100000000000000" + udp, "", Problem{}, Processable},
		{"routing type 0, one left", 43, "1102000100000000" + strings.Repeat("00", 16) + udp, "", Problem{0, 42}, Report},
		{"routing type 4 behind options, one left", 60, "2b00010400000000" + "1100040100000000" + udp, "", Problem{0, 50}, Report},
		{"an atomic fragment", 44, "1100000000000001" + udp, "", Problem{}, Processable},
		{"a first fragment", 44, "1100000100000001" + udp, "", Problem{}, Discard},
		{"a fragment that is no multiple of 8", 44, "1100000100000001" + udp + "00", "", Problem{0, 4}, Report},
		{"a last fragment need not be", 44, "1100000800000001" + udp + "00", "", Problem{}, Discard},
		{"a fragment beyond what can be", 44, "1100fff800000001" + udp, "", Problem{0, 42}, Report},
		{"too many headers", 60, strings.Repeat("3c00010400000000", 12) + udp, "", Problem{}, Discard},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body, err := hex.DecodeString(tt.headers)
			if err != nil {
				t.Fatal(err)
			}
			to := tt.to
			if to == "" {
				to = "20010db8000000000000000000000002"
			}
			addresses, err := hex.DecodeString("20010db8000000000000000000000001" + to)
			if err != nil {
				t.Fatal(err)
			}
			ip := append([]byte{0x60, 0, 0, 0, 0, 0, tt.next, 64}, addresses...)
			binary.BigEndian.PutUint16(ip[4:], uint16(len(body)))
			ip = append(ip, body...)
			if got, verdict := FindProblem(ip); got != tt.want || verdict != tt.verdict {
				t.Errorf("%+v, verdict %d; want %+v, verdict %d", got, verdict, tt.want, tt.verdict)
			}
		})
	}
}

// FuzzFindProblem: whatever the headers say, a problem is within the packet.
func FuzzFindProblem(f *testing.F) {
	f.Add(uint8(60), []byte{253, 0, 1, 4, 0, 0, 0, 0})
	f.Add(uint8(44), []byte{17, 0, 0, 1, 0, 0, 0, 1, 0})
	f.Fuzz(func(t *testing.T, next uint8, body []byte) {
		ip := make([]byte, IPv6Len, IPv6Len+len(body))
		ip[0], ip[6] = 0x60, next
		ip = append(ip, body...)
		if p, v := FindProblem(ip); v == Report && int(p.Pointer) >= len(ip) {
			t.Errorf("points at %d of %d", p.Pointer, len(ip))
		}
	})
}
