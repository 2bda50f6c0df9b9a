package wire

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The getters against what scapy was told to write.
func TestViews(t *testing.T) {
	t.Parallel()
	cut := func(s string) (p Packet) {
		if f := Cut(frame(s), &p); f != FaultNone {
			t.Fatal(f)
		}
		return p
	}
	nsP, naP, rsP, raP, echoP := cut(nsHex), cut(naHex), cut(rsHex), cut(raHex), cut(echoHex)
	ns, _ := CheckNeighborSolicit(&nsP)
	na, _ := CheckNeighborAdvert(&naP)
	rs, _ := CheckRouterSolicit(&rsP)
	ra, _ := CheckRouterAdvert(&raP)
	echo, _ := CheckEchoRequest(&echoP)
	mac := func(m MAC, ok bool) string {
		if !ok {
			return "none"
		}
		return m.String()
	}
	tests := []struct {
		name      string
		got, want any
	}{
		{"Ethernet destination", nsP.Ethernet.Destination().String(), "33:33:ff:00:00:12"},
		{"Ethernet source", nsP.Ethernet.Source().String(), "02:00:00:00:00:11"},
		{"EtherType", nsP.Ethernet.EtherType(), uint16(0x86dd)},
		{"Ethernet payload", len(nsP.Ethernet.Payload()), 72},
		{"source", nsP.IPv6.Source(), guest1},
		{"destination", nsP.IPv6.Destination(), netip.MustParseAddr("ff02::1:ff00:12")},
		{"payload length", nsP.IPv6.PayloadLength(), 32},
		{"hop limit", echoP.IPv6.HopLimit(), uint8(64)},
		{"link-local source", rsP.IPv6.SourceLinkLocal(), true},
		{"global source", nsP.IPv6.SourceLinkLocal(), false},
		{"multicast", nsP.IPv6.DestinationMulticast(), true},
		{"unicast", naP.IPv6.DestinationMulticast(), false},
		{"NS target", ns.Target(), guest2},
		{"NS SLLA", mac(ns.SourceLinkLayer()), "02:00:00:00:00:11"},
		{"NA target", na.Target(), guest1},
		{"NA flags", na.Flags(), uint8(FlagSolicited | FlagOverride)},
		{"NA TLLA", mac(na.TargetLinkLayer()), "02:00:00:00:00:11"},
		{"RS SLLA", mac(rs.SourceLinkLayer()), "02:00:00:00:00:11"},
		{"RA hop limit", ra.HopLimit(), uint8(64)},
		// scapy's default preference is high: 01.
		{"RA flags", ra.Flags(), uint8(FlagManaged | FlagOther | 0x08)},
		{"RA lifetime", ra.Lifetime(), 30 * time.Minute},
		{"RA reachable time", ra.ReachableTime(), 30 * time.Second},
		{"RA retransmission timer", ra.RetransTimer(), time.Second},
		{"RA SLLA", mac(ra.SourceLinkLayer()), "02:00:00:00:00:11"},
		{"RA MTU option", []byte(ra.Options().Find(OptionMTU)), []byte{5, 1, 0, 0, 0, 0, 5, 0xa2}},
		{"no TLLA in RA", mac(ra.Options().Find(OptionTargetLinkLayer).LinkLayer()), "none"},
		{"echo identifier", echo.Identifier(), uint16(0x1234)},
		{"echo sequence", echo.Sequence(), uint16(7)},
		{"echo data", string(echo.Data()), "odd data!"},
		{"traffic class", IPv6([]byte{0x6a, 0xb1, 0x23, 0x45}).TrafficClass(), uint8(0xab)},
		{"flow label", IPv6([]byte{0x6a, 0xb1, 0x23, 0x45}).FlowLabel(), uint32(0x12345)},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, tt.got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestNonce(t *testing.T) {
	t.Parallel()
	var p Packet
	if f := Cut(edit(dadHex, behind(14, 1, 1, 2, 3, 4, 5, 6)), &p); f != FaultNone {
		t.Fatal(f)
	}
	ns, f := CheckNeighborSolicit(&p)
	if f != FaultNone {
		t.Fatal(f)
	}
	n, ok := ns.Nonce()
	if diff := cmp.Diff([]byte{1, 2, 3, 4, 5, 6}, n); !ok || diff != "" {
		t.Errorf("nonce found %v (-want +got):\n%s", ok, diff)
	}
	if m, ok := ns.SourceLinkLayer(); ok {
		t.Errorf("SLLA %v found where there is none", m)
	}
}
