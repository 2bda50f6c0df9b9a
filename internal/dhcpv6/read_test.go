package dhcpv6

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFaults(t *testing.T) {
	t.Parallel()
	solicit := message(Solicit, cid)
	deep := solicit
	for i := range MaxRelays {
		deep = relay(uint8(i), deep)
	}
	tests := []struct {
		name string
		data []byte
		want Fault
	}{
		{"empty", nil, FaultShort},
		{"three octets", octets("01abcd"), FaultShort},
		{"type 0", message(0, cid), FaultUnknownType},
		{"lease query", message(14, cid), FaultUnknownType},
		{"advertise", message(Advertise, cid, sid), FaultServerMessage},
		{"reply", message(Reply, cid, sid), FaultServerMessage},
		{"reconfigure", message(Reconfigure, cid, sid), FaultServerMessage},
		{"relay-reply", message(RelayReply), FaultServerMessage},
		{"registration reply", message(AddrRegReply), FaultServerMessage},
		{"advertise in relay", relay(0, message(Advertise, cid, sid)), FaultServerMessage},

		{"header of one octet", message(Solicit, cid, "00"), FaultOptionHeader},
		{"header of three octets", message(Solicit, cid, "000e00"), FaultOptionHeader},
		{"length past the end", message(Solicit, cid, "00170010 2001"), FaultOptionLength},
		{"nested length past the end", message(Solicit, cid, "0003001400000001 00000000 00000000 0005ffff 00000000"), FaultNestedOption},
		{"nested header", message(Solicit, cid, "0003000e00000001 00000000 00000000 0005"), FaultNestedOption},
		{"nested in address", message(Solicit, cid, "00030029 00000001 00000000 00000000 00050019 20010db8000000000000000000000001 00000000 00000000 ff"), FaultNestedOption},
		{"nested in prefix", message(Solicit, cid, "0019002a 00000001 00000000 00000000 001a001a 00000000 00000000 38 00000000000000000000000000000000 ff"), FaultNestedOption},
		{"address on its own", message(Solicit, cid, addr), FaultMisplacedOption},
		{"prefix on its own", message(Solicit, cid, "001a0019 00000000 00000000 38 00000000000000000000000000000000"), FaultMisplacedOption},
		{"address in IA_PD", message(Solicit, cid, strings.Replace(iana, "0003", "0019", 1)), FaultMisplacedOption},
		{"two elapsed times", message(Solicit, cid, "000800020000 000800020000"), FaultDuplicateOption},
		{"two option requests", message(Solicit, cid, "000600020017 000600020018"), FaultDuplicateOption},
		{"two names", message(Solicit, cid, "00270002 0000 00270002 0000"), FaultDuplicateOption},

		{"relay short", octets("0c00" + strings.Repeat("00", 31)), FaultShort},
		{"hop count 9", relay(9, solicit), FaultRelayHops},
		{"ten relays", relay(8, deep), FaultRelayHops},
		{"relay without message", relay(0, nil)[:RelayLen], FaultNoRelayMessage},
		{"relay of nothing", relay(0, nil), FaultShort},
		{"two relay messages", append(relay(0, solicit), relay(0, solicit)[RelayLen:]...), FaultDuplicateOption},
		{"two interface ids", relay(0, solicit, "00120000 00120000"), FaultDuplicateOption},
		{"two remote ids", relay(0, solicit, "0025000400000001 0025000400000001"), FaultDuplicateOption},
		{"short remote id", relay(0, solicit, "00250003000000"), FaultRelayOption},
		{"short link-layer address", relay(0, solicit, "004f000100"), FaultRelayOption},
		{"relay option past the end", relay(0, solicit, "0012ffff"), FaultOptionLength},

		{"no client id", message(Solicit), FaultNoClientID},
		{"request without client id", message(RequestMessage, sid), FaultNoClientID},
		{"short client id", message(Solicit, "000100020003"), FaultClientIDLength},
		{"empty client id", message(Solicit, "00010000"), FaultClientIDLength},
		{"long client id", message(Solicit, "00010083"+strings.Repeat("00", 131)), FaultClientIDLength},
		{"two client ids", message(Solicit, cid, cid), FaultDuplicateClientID},
		{"request without server id", message(RequestMessage, cid), FaultNoServerID},
		{"renew without server id", message(Renew, cid), FaultNoServerID},
		{"release without server id", message(Release, cid), FaultNoServerID},
		{"decline without server id", message(Decline, cid), FaultNoServerID},
		{"short server id", message(Renew, cid, "000200020003"), FaultServerIDLength},
		{"two server ids", message(Renew, cid, sid, sid), FaultDuplicateServerID},
		{"solicit with server id", message(Solicit, cid, sid), FaultUnexpectedServerID},
		{"confirm with server id", message(Confirm, cid, sid, iana), FaultUnexpectedServerID},
		{"rebind with server id", message(Rebind, cid, sid, iana), FaultUnexpectedServerID},
		{"request to another", message(RequestMessage, cid, sid2), FaultWrongServerID},
		{"renew to another", message(Renew, cid, sid2), FaultWrongServerID},
		{"release to another", message(Release, cid, sid2), FaultWrongServerID},
		{"decline to another", message(Decline, cid, sid2), FaultWrongServerID},
		{"information-request to another", message(InformationRequest, sid2), FaultWrongServerID},
		{"information-request with IA", message(InformationRequest, iana), FaultIAInInformationRequest},
		{"information-request with IA_TA", message(InformationRequest, "0004000400000001"), FaultIAInInformationRequest},

		{"short IA", message(Solicit, cid, "0003000b0000000100000000000000"), FaultIALength},
		{"short IA_PD", message(Solicit, cid, "0019000000030000"), FaultIALength},
		{"one IAID twice", message(Solicit, cid, iana, iana), FaultDuplicateIAID},
		{"seventeen IAs", message(Solicit, cid, manyIAs(17)), FaultTooManyIAs},
		{"short address", message(Solicit, cid, "0003002700000000 00000000 00000000 0005001720010db8000000000000000000000001 00000000 000000"), FaultAddressLength},
		{"short prefix", message(Solicit, cid, "0019002800000000 00000000 00000000 001a0018 00000000 00000000 38 000000000000000000000000000000"), FaultPrefixLength},
		{"prefix of 129 bits", message(Solicit, cid, "0019002900000000 00000000 00000000 001a0019 00000000 00000000 81 00000000000000000000000000000000"), FaultPrefixBits},
		{"33 addresses", message(Solicit, cid, manyAddresses(33)), FaultTooManyHints},
		{"confirm without IA", message(Confirm, cid), FaultNoAddress},
		{"confirm without address", message(Confirm, cid, "0003000c0000000100000000 00000000"), FaultNoAddress},

		{"odd option request", message(Solicit, cid, "00060003001700"), FaultORO},
		{"elapsed time of 1", message(Solicit, cid, "0008000100"), FaultElapsedTime},
		{"rapid commit with body", message(Solicit, cid, "000e000100"), FaultRapidCommit},
		{"reconfigure accept with body", message(Solicit, cid, "0014000100"), FaultReconfAccept},
		{"status of 1", message(Solicit, cid, "000d000100"), FaultStatusCode},
		{"nested status of 1", message(Solicit, cid, "0003001100000000 00000000 00000000 000d000100"), FaultStatusCode},
		{"short authentication", message(Solicit, cid, "000b000103"), FaultAuth},
		{"user class past its end", message(Solicit, cid, "000f00030005aa"), FaultUserClass},
		{"no user class", message(Solicit, cid, "000f0000"), FaultUserClass},
		{"vendor class past its end", message(Solicit, cid, "001000060000000900ff"), FaultVendorClass},
		{"vendor class without number", message(Solicit, cid, "00100003000000"), FaultVendorClass},
		{"vendor options past their end", message(Solicit, cid, "0011000800000009 0001ffff"), FaultVendorOpts},
		{"name without flags", message(Solicit, cid, "00270000"), FaultFQDN},
		{"compressed name", message(Solicit, cid, "0027000300c000"), FaultFQDN},
		{"two names in one", message(Solicit, cid, "002700070001610001 6200"), FaultFQDN},
		{"label past the end", message(Solicit, cid, "00270003000561"), FaultFQDN},
		{"name of 256", message(Solicit, cid, "00270101 00"+strings.Repeat("0161", 127)+"0161"), FaultFQDN},

		{"registration without client id", message(AddrRegInform, addr), FaultNoClientID},
		{"registration with server id", message(AddrRegInform, cid, sid, addr), FaultUnexpectedServerID},
		{"registration of nothing", message(AddrRegInform, cid), FaultRegistration},
		{"registration of two", message(AddrRegInform, cid, addr, addr), FaultRegistration},
		{"registration with option request", message(AddrRegInform, cid, addr, "000600020017"), FaultRegistration},
		{"registration with IA", message(AddrRegInform, cid, iana), FaultRegistration},
		{"registration of another's", message(AddrRegInform, cid, addr), FaultRegistrationSource},
		{"relayed registration of another's", relay(0, message(AddrRegInform, cid, addr)), FaultRegistrationSource},
	}
	seen := map[Fault]bool{FaultNone: true, FaultNotMulticast: true, FaultName: true} // the last two have tests of their own
	for _, tt := range tests {
		seen[tt.want] = true
		if got := new(Request).Read(tt.data, onLink()); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	for f := range Fault(Faults) {
		if !seen[f] {
			t.Errorf("no message ends in %v", f)
		}
		if f.String() == "" || f.String() == "unknown-fault" {
			t.Errorf("fault %d has no name", f)
		}
	}
}

func manyIAs(n int) string {
	var s strings.Builder
	for i := range n {
		fmt.Fprintf(&s, "0003000c%08x0000000000000000", i)
	}
	return s.String()
}

func manyAddresses(n int) string {
	return fmt.Sprintf("0003%04x000000010000000000000000", 12+28*n) + strings.Repeat("0005001820010db8000000000000000000000001 00000000 00000000", n)
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	registrant := *onLink()
	registrant.Source = netip.MustParseAddr("2001:db8::1%eth0")
	unicast := *onLink()
	unicast.Multicast = false
	tests := []struct {
		name string
		data []byte
		c    *Context
	}{
		{"solicit", message(Solicit, cid), onLink()},
		{"request", message(RequestMessage, cid, sid), onLink()},
		{"confirm", message(Confirm, cid, iana), onLink()},
		{"renew", message(Renew, cid, sid, iana), onLink()},
		{"rebind", message(Rebind, cid, iana), onLink()},
		{"release", message(Release, cid, sid, iana), onLink()},
		{"decline", message(Decline, cid, sid, iana), onLink()},
		{"information-request", message(InformationRequest), onLink()},
		{"information-request to us", message(InformationRequest, cid, sid), onLink()},
		{"registration", message(AddrRegInform, cid, addr), &registrant},
		{"relayed, to a unicast address", relay(0, message(Solicit, cid)), &unicast},
		{"longest client id", message(Solicit, "00010082"+strings.Repeat("00", 130)), onLink()},
		{"one IAID for address and prefix", message(Solicit, cid, "0003000c00000001 00000000 00000000 0019000c00000001 00000000 00000000"), onLink()},
		{"sixteen IAs", message(Solicit, cid, manyIAs(16)), onLink()},
		{"32 addresses", message(Solicit, cid, manyAddresses(32)), onLink()},
		{"temporary address passed over", message(Solicit, cid, "0004000400000001"), onLink()},
		{"unknown option", message(Solicit, cid, "fffe0003aabbcc"), onLink()},
		{"empty name", message(Solicit, cid, "0027000101"), onLink()},
	}
	for _, tt := range tests {
		if f := new(Request).Read(tt.data, tt.c); f != FaultNone {
			t.Errorf("%s: %v", tt.name, f)
		}
	}
	for _, typ := range []MessageType{Solicit, RequestMessage, Confirm, Renew, Rebind, Release, Decline, InformationRequest, AddrRegInform} {
		if f := new(Request).Read(message(typ, cid), &unicast); f != FaultNotMulticast {
			t.Errorf("%v to a unicast address: %v", typ, f)
		}
	}
}

// The fields of these are tshark's reading of the captures they come from.
func TestRequestFields(t *testing.T) {
	t.Parallel()
	r := mustRead(t, octets(requestNA), onLink())
	if r.Type() != RequestMessage || r.TransactionID() != 0x2ffdd1 || hex.EncodeToString(r.ClientID) != clientDUID ||
		hex.EncodeToString(r.ServerID) != serverDUID || r.Elapsed != 0 || r.RapidCommit || len(r.Relays()) != 0 {
		t.Errorf("request: %+v", r.head)
	}
	if !r.Requested(OptionDNSServers) || !r.Requested(OptionDomainList) || r.Requested(OptionNTPServer) || r.ORO.Len() != 2 || r.ORO.Code(1) != 24 {
		t.Errorf("option request: %x", r.ORO)
	}
	ia := &r.IAs()[0]
	if len(r.IAs()) != 1 || ia.Code != OptionIANA || ia.ID != 0x02030405 || ia.T1 != 3600 || ia.T2 != 5400 {
		t.Errorf("IA: %+v", r.IAs())
	}
	want := []Hint{{Address: netip.MustParseAddr("2a00:1:1:200:38e6:b22e:c440:acdf"), Preferred: 7200, Valid: 7500, Bits: 128}}
	if d := cmp.Diff(want, r.Hints(ia), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Error(d)
	}

	c := onLink()
	c.ServerID = octets("00010001184649990011223344 55")
	r = mustRead(t, octets(requestPD), c)
	hint := &r.Hints(&r.IAs()[0])[0]
	if r.IAs()[0].Code != OptionIAPD || hint.Prefix() != netip.MustParsePrefix("2a00:1:1:100::/56") || hint.LengthOnly() {
		t.Errorf("prefix: %+v", hint)
	}

	r = mustRead(t, octets(relayed), onLink())
	hops := r.Relays()
	if len(hops) != 1 || hops[0].Relay.HopCount() != 0 || hops[0].Relay.LinkAddress() != netip.MustParseAddr("2001:8a8:1006:3:225:84ff:fedb:2380") ||
		hops[0].Relay.PeerAddress() != netip.MustParseAddr("fe80::ba27:ebff:feb8:53c8") || hex.EncodeToString(hops[0].InterfaceID.Body()) != "00000008" {
		t.Errorf("relay: %+v", hops)
	}
	class, _, _ := r.VendorClass.Classes().Next()
	if !r.RapidCommit || !r.ReconfAccept || r.FQDN.Flags() != FQDNServerUpdates || r.FQDN.Name().String() != "raspberrypi" || r.FQDN.Name().Complete() ||
		r.VendorClass.Enterprise() != 40712 || string(class) != "dhcpcd-6.11.5:Linux-4.1.18-v7+:armv7l:BCM2709" || !r.Requested(83) {
		t.Errorf("dhcpcd: %+v", r.head)
	}
}

func TestRequestOddities(t *testing.T) {
	t.Parallel()
	r := mustRead(t, message(Solicit, cid, "00080002ffff", "0006000401000017",
		"000f00060001aa0001bb", "0011000a00000009 00070002cafe", "000b000b 03 01 00 0000000000000007",
		"0019002900000000 00000000 00000000 001a0019 00000000 00000000 3c 20010db8ffffffffffffffffffffffff"), onLink())
	if r.Elapsed != 655350*time.Millisecond || !r.Requested(256) || !r.Requested(23) || r.Requested(0) || r.Requested(257) {
		t.Errorf("elapsed %v, requested %x", r.Elapsed, r.ORO)
	}
	if h := r.Hints(&r.IAs()[0])[0]; h.Prefix() != netip.MustParsePrefix("2001:db8:ffff:fff0::/60") {
		t.Errorf("bits behind a prefix count: %v", h)
	}
	class, rest, ok := r.UserClass.Next()
	if !ok || class[0] != 0xaa || len(rest) != 3 {
		t.Errorf("user class %x", r.UserClass)
	}
	if r.VendorOpts.Enterprise() != 9 || r.VendorOpts.Options().Find(7) == nil || r.Auth.Replay() != 7 {
		t.Errorf("vendor options %x, authentication %x", r.VendorOpts, r.Auth)
	}
	// The next datagram finds nothing of this one.
	if f := r.Read(message(Solicit, cid), onLink()); f != FaultNone || r.Requested(23) || r.UserClass != nil || len(r.IAs()) != 0 || r.Elapsed != 0 {
		t.Errorf("left over: %+v", r.head)
	}
}
