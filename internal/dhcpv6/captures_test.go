package dhcpv6

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"damselfly/internal/wire"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

const captures = "../../../shared/captures/tcpdump"

// What tshark says of the messages in each capture, one line a message: type
// and transaction id; here with the outcome of the gate.
var captured = map[string][]string{
	"dhcpv4v6-rfc5970-rfc8572.pcap": {"solicit 6aebe6 none", "solicit aca407 none", "advertise aca407 server-message", "request 5f98e6 none",
		"reply 5f98e6 server-message", "solicit 28792a none", "advertise 654242 server-message", "request becafa none", "reply becafa server-message",
		"information-request 0b5fcf none"},
	"dhcpv6-AFTR-Name-RFC6334.pcap": {"solicit d81eb8 none", "advertise d81eb8 server-message", "request 1e291d none", "reply 1e291d server-message"},
	"dhcpv6-domain-list.pcap":       {"reply aa56ce server-message"},
	"dhcpv6-ia-na.pcap":             {"solicit 90b45c none", "advertise 90b45c server-message", "request 2ffdd1 none", "reply 2ffdd1 server-message"},
	"dhcpv6-ia-pd.pcap":             {"solicit e1e093 none", "advertise e1e093 server-message", "request 12b08a none", "reply 12b08a server-message"},
	"dhcpv6-ia-ta.pcap":             {"solicit 28b040 none", "advertise 28b040 server-message", "request 2b0e45 none", "reply 2b0e45 server-message"},
	"dhcpv6-mud.pcap": {"solicit 78244b none", "solicit 78244b none", "solicit 78244b none", "solicit 78244b none",
		"solicit 78244b none"},
	"dhcpv6-ntp-server.pcap":                  {"reply f69b57 server-message"},
	"dhcpv6-rfc6355-duid-uuid.pcap":           {"renew 09f56b none", "reply 09f56b server-message"},
	"dhcpv6-rfc8415-duid-type2.pcap":          {"request e4a4a3 none"},
	"dhcpv6-sip-server-d.pcap":                {"reply 6890d8 server-message"},
	"dhcpv6-vendor-specific-information.pcap": {"request d98c5d none"},
}

func TestCaptures(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(captures, "*dhc*.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no captures in %s: put tcpdump's test captures there to have their messages read", captures)
	}
	for _, name := range files {
		var got []string
		for _, data := range datagrams(t, name) {
			var r Request
			f := readAsMeant(data, &r)
			if len(r.Message) < MessageLen {
				got = append(got, f.String())
				continue
			}
			got = append(got, r.Type().String()+" "+hex24(r.TransactionID())+" "+f.String())
			if f == FaultNone {
				agreesWithInsomniac(t, &r)
				agreesWithMdlayher(t, &r)
			}
		}
		want, ok := captured[filepath.Base(name)]
		if !ok {
			t.Logf("%s: %q", filepath.Base(name), got)
			continue
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func hex24(n uint32) string {
	const digits = "0123456789abcdef"
	var b [6]byte
	for i := range b {
		b[i] = digits[n>>(20-4*i)&15]
	}
	return string(b[:])
}

// datagrams gives what the UDP datagrams of an Ethernet capture carry to or from a DHCPv6 port.
func datagrams(t *testing.T, name string) (out [][]byte) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, _, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Logf("%s: %v", name, err)
			return out
		}
		if r.LinkType() != layers.LinkTypeEthernet {
			data = append(make([]byte, wire.EthernetLen), data...)
			data[12], data[13], data[6] = 0x86, 0xdd, 2
		}
		var p wire.Packet
		if f := wire.Cut(data, &p); f != wire.FaultNone || p.Protocol != wire.ProtocolUDP {
			// What others' fuzzers found breaks headers too; the message behind them is read all the same.
			if f != wire.FaultNone && f != wire.FaultNotIPv6 && len(data) > FrameHeaderLen {
				out = append(out, data[FrameHeaderLen:])
			}
			continue
		}
		u := wire.UDP(p.Payload)
		for _, port := range []uint16{u.SourcePort(), u.DestinationPort()} {
			if port == ClientPort || port == ServerPort {
				out = append(out, u.Data())
				break
			}
		}
	}
}
