package wire

import (
	"net/netip"
	"testing"

	"github.com/mdlayher/ndp"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	addr := netip.MustParseAddr
	mac := func(s string) MAC {
		m, err := ParseMAC(s)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	tests := []struct {
		name      string
		got, want any
	}{
		{"solicited node, RFC 4291 section 2.7.1", SolicitedNode(addr("4037::01:800:200e:8c6c")), addr("ff02::1:ff0e:8c6c")},
		{"multicast MAC, RFC 2464 section 7", MulticastMAC(addr("ff02::1:ff0e:8c6c")), mac("33:33:ff:0e:8c:6c")},
		{"EUI-64, RFC 4291 appendix A", EUI64(netip.MustParsePrefix("2001:db8::/64"), mac("34:56:78:9a:bc:de")), addr("2001:db8::3656:78ff:fe9a:bcde")},
		{"EUI-64 masks the prefix", EUI64(netip.MustParsePrefix("2001:db8:1:2:3:4:5:6/64"), mac("34:56:78:9a:bc:de")), addr("2001:db8:1:2:3656:78ff:fe9a:bcde")},
		{"link-local, RFC 2464 section 5", LinkLocal(mac("34:56:78:9a:bc:de")), addr("fe80::3656:78ff:fe9a:bcde")},
		{"all nodes", AllNodes, addr("ff02::1")},
		{"all routers", AllRouters, addr("ff02::2")},
		{"all nodes MAC", AllNodesMAC, MulticastMAC(AllNodes)},
		{"all routers MAC", AllRoutersMAC, MulticastMAC(AllRouters)},
		{"MAC string", mac("02-00-5E-10-00-01").String(), "02:00:5e:10:00:01"},
		{"group bit", mac("33:33:00:00:00:01").IsMulticast(), true},
		{"no group bit", mac("02:00:00:00:00:01").IsMulticast(), false},
		{"zero", MAC{}.IsZero(), true},
		{"not zero", MAC{5: 1}.IsZero(), false},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	for _, s := range []string{"", "02:00:00:00:00", "02:00:00:00:00:00:00:01", "nonsense"} {
		if m, err := ParseMAC(s); err == nil {
			t.Errorf("ParseMAC(%q) = %v, want an error", s, m)
		}
	}
}

func TestSolicitedNodeAgreesWithNDP(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"fd00:b1::11", "fe80::1", "2001:db8::ffff:ffff:ffff", "::"} {
		a := netip.MustParseAddr(s)
		want, err := ndp.SolicitedNodeMulticast(a)
		if err != nil {
			t.Fatal(err)
		}
		if got := SolicitedNode(a); got != want {
			t.Errorf("SolicitedNode(%s) = %s, ndp %s", a, got, want)
		}
		if b := SolicitedNode(a).As16(); !isSolicitedNode(b[:]) {
			t.Errorf("%s not taken for a solicited-node address", SolicitedNode(a))
		}
	}
}

func TestFaultNames(t *testing.T) {
	t.Parallel()
	seen := map[string]Fault{}
	for i := range Faults {
		name := Fault(i).String()
		if name == "" {
			t.Errorf("fault %d has no name", i)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("faults %d and %d share the name %q", i, other, name)
		}
		seen[name] = Fault(i)
	}
	if got := Fault(Faults).String(); got != "unknown-fault" {
		t.Errorf("beyond the last: %q", got)
	}
}
