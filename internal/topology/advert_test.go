package topology

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"

	"damselfly/internal/wire"
)

func ptr[T any](v T) *T { return &v }

// everything is a network whose advertisements have every field and option.
func everything() Input {
	spec := &Spec{
		Networks: []NetworkSpec{{
			Name: "blue", MTU: 1442,
			RouterAdvertisement: AdvertSpec{
				Interval: ptr(600 * time.Second), MinInterval: ptr(200 * time.Second), Lifetime: ptr(65535 * time.Second), Preference: High,
				HopLimit: ptr(63), ReachableTime: 30 * time.Second, RetransTimer: 1500 * time.Millisecond,
				PREF64: prefix("64:ff9b::/96"), CaptivePortal: "https://portal.example.test",
				Routes:       []RouteSpec{{prefix("2001:db8:7::/48"), Low}, {prefix("2001:db8:8::8/128"), Medium}},
				EncryptedDNS: []EncryptedDNSSpec{{Name: "dns.example.test", Addresses: []netip.Addr{addr("2001:db8::53")}}},
			},
			Subnets: []SubnetSpec{
				{Prefix: prefix("fd00:b1::/64"), DNS: []netip.Addr{addr("2001:db8::53"), addr("2001:db8::54")}, Search: []string{"Example.test.", "b.test"}, PDPreferred: true},
				{Prefix: prefix("fd00:b2::/64"), Mode: DHCPv6Stateless, DNS: []netip.Addr{addr("2001:db8::53")}, Search: []string{"example.test"}},
				{Prefix: prefix("fd00:b3::/80"), Mode: DHCPv6Stateful, OnLink: ptr(false), Preferred: ptr(time.Hour), Valid: ptr(2 * time.Hour)},
			},
		}},
		Routers: []RouterSpec{{Name: "r1", Networks: []PresenceSpec{{Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0xa, 1}}}}},
	}
	in := Input{Spec: spec, Deprecated: map[string][]Deprecated{"blue": {
		{Prefix: prefix("fd00:b9::/64"), OnLink: true, Autonomous: true, ValidUntil: time.Unix(5000, 0)},
		{Prefix: prefix("fd00:b1::/64"), OnLink: true, Autonomous: true, ValidUntil: time.Unix(5000, 0)},
	}}}
	in.Keys = keysFor(in)
	return in
}

// build makes the first network of an Input.
func build(t testing.TB, in Input) *Network {
	t.Helper()
	in.Keys = keysFor(in)
	s, problems := new(Builder).Build(in)
	if len(problems) > 0 {
		t.Fatalf("problems: %v", problems)
	}
	return s.Networks[0]
}

// parse reads an advertisement back with the library. Its decoder of routes
// loses the last partial octet, so lengths here are whole ones.
func parse(t testing.TB, a Advert) *ndp.RouterAdvertisement {
	t.Helper()
	m, err := ndp.ParseMessage(a.Body)
	if err != nil {
		t.Fatalf("parsing %x: %v", a.Body, err)
	}
	if a.Body[2] != 0 || a.Body[3] != 0 || a.Sum != wire.SumBody(a.Body) {
		t.Errorf("checksum field %x and sum %x are not those of a body to complete", a.Body[2:4], a.Sum)
	}
	return m.(*ndp.RouterAdvertisement)
}

// dnr is the option that the library lacks, laid out by hand from RFC 9463
// section 6.1: type, length, priority, lifetime 1800, the name, one address,
// and the service parameter alpn (1) with "dot".
const dnr = "9007" + "0001" + "%08x" + "0012" + "03646e73076578616d706c65047465737400" +
	"0010" + "20010db8000000000000000000000053" + "0008" + "0001" + "0004" + "03646f74"

func dnrOption(t testing.TB, lifetime uint32) *ndp.RawOption {
	t.Helper()
	b, err := hex.DecodeString(fmt.Sprintf(dnr, lifetime))
	if err != nil || len(b) != 56 {
		t.Fatalf("%d octets, %v", len(b), err)
	}
	return &ndp.RawOption{Type: b[0], Length: b[1], Value: b[2:]}
}

func TestAdvert(t *testing.T) {
	t.Parallel()
	n := build(t, everything())
	if len(n.Adverts) != 1 {
		t.Fatalf("%d advertisements", len(n.Adverts))
	}
	want := &ndp.RouterAdvertisement{
		CurrentHopLimit: 63, ManagedConfiguration: true, OtherConfiguration: true, RouterSelectionPreference: ndp.High,
		RouterLifetime: 65535 * time.Second, ReachableTime: 30 * time.Second, RetransmitTimer: 1500 * time.Millisecond,
		Options: []ndp.Option{
			&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: net.HardwareAddr{2, 0, 0, 0, 0xa, 1}},
			ndp.NewMTU(1442),
			&ndp.PrefixInformation{Prefix: addr("fd00:b1::"), PrefixLength: 64, OnLink: true, AutonomousAddressConfiguration: true, PreferredLifetime: 4 * time.Hour, ValidLifetime: 24 * time.Hour},
			&ndp.PrefixInformation{Prefix: addr("fd00:b2::"), PrefixLength: 64, OnLink: true, AutonomousAddressConfiguration: true, PreferredLifetime: 4 * time.Hour, ValidLifetime: 24 * time.Hour},
			&ndp.PrefixInformation{Prefix: addr("fd00:b3::"), PrefixLength: 80, PreferredLifetime: time.Hour, ValidLifetime: 2 * time.Hour},
			&ndp.PrefixInformation{Prefix: addr("fd00:b9::"), PrefixLength: 64, OnLink: true, AutonomousAddressConfiguration: true},
			&ndp.RecursiveDNSServer{Lifetime: 1800 * time.Second, Servers: []netip.Addr{addr("2001:db8::53"), addr("2001:db8::54")}},
			&ndp.DNSSearchList{Lifetime: 1800 * time.Second, DomainNames: []string{"example.test", "b.test"}},
			&ndp.RouteInformation{Prefix: addr("2001:db8:7::"), PrefixLength: 48, Preference: ndp.Low, RouteLifetime: 1800 * time.Second},
			&ndp.RouteInformation{Prefix: addr("2001:db8:8::8"), PrefixLength: 128, RouteLifetime: 1800 * time.Second},
			&ndp.PREF64{Prefix: prefix("64:ff9b::/96"), Lifetime: 1800 * time.Second},
			&ndp.CaptivePortal{URI: "https://portal.example.test"},
			dnrOption(t, 1800),
		},
	}
	if diff := cmp.Diff(want, parse(t, n.Adverts[0]), content); diff != "" {
		t.Errorf("advertisement (-want +got):\n%s", diff)
	}
	c := n.Adverts[0].Countdowns
	if len(c) != 1 || !c[0].Until.Equal(time.Unix(5000, 0)) {
		t.Fatalf("countdowns %v", c)
	}
	body := slices.Clone(n.Adverts[0].Body)
	binary.BigEndian.PutUint32(body[c[0].Offset:], 77)
	got := parse(t, Advert{Body: body, Sum: wire.SumBody(body)}).Options[5].(*ndp.PrefixInformation)
	if got.ValidLifetime != 77*time.Second || got.PreferredLifetime != 0 {
		t.Errorf("with 77 s left: %+v", got)
	}
	if n.Advertising != (Advertising{200 * time.Second, 600 * time.Second}) {
		t.Errorf("timing %v", n.Advertising)
	}
}

func TestFinalAdvert(t *testing.T) {
	t.Parallel()
	final := FinalAdvert(build(t, everything()))
	if len(final) != 1 {
		t.Fatalf("%d advertisements", len(final))
	}
	want := &ndp.RouterAdvertisement{
		CurrentHopLimit: 63, ManagedConfiguration: true, OtherConfiguration: true, ReachableTime: 30 * time.Second, RetransmitTimer: 1500 * time.Millisecond,
		Options: []ndp.Option{
			&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: net.HardwareAddr{2, 0, 0, 0, 0xa, 1}},
			&ndp.PrefixInformation{Prefix: addr("fd00:b1::"), PrefixLength: 64, OnLink: true, AutonomousAddressConfiguration: true, ValidLifetime: 2 * time.Hour},
			&ndp.PrefixInformation{Prefix: addr("fd00:b2::"), PrefixLength: 64, OnLink: true, AutonomousAddressConfiguration: true, ValidLifetime: 2 * time.Hour},
			&ndp.PrefixInformation{Prefix: addr("fd00:b3::"), PrefixLength: 80, ValidLifetime: 2 * time.Hour},
			&ndp.PrefixInformation{Prefix: addr("fd00:b9::"), PrefixLength: 64, OnLink: true, AutonomousAddressConfiguration: true},
			&ndp.RecursiveDNSServer{Servers: []netip.Addr{addr("2001:db8::53"), addr("2001:db8::54")}},
			&ndp.DNSSearchList{DomainNames: []string{"example.test", "b.test"}},
			&ndp.RouteInformation{Prefix: addr("2001:db8:7::"), PrefixLength: 48, Preference: ndp.Low},
			&ndp.RouteInformation{Prefix: addr("2001:db8:8::8"), PrefixLength: 128},
			&ndp.PREF64{Prefix: prefix("64:ff9b::/96")},
			dnrOption(t, 0),
		},
	}
	if diff := cmp.Diff(want, parse(t, final[0]), content); diff != "" {
		t.Errorf("final advertisement (-want +got):\n%s", diff)
	}
	if len(final[0].Countdowns) != 1 {
		t.Errorf("countdowns %v", final[0].Countdowns)
	}
	if got := FinalAdvert(build(t, Input{Spec: &Spec{Networks: []NetworkSpec{{Name: "plain"}}}})); got != nil {
		t.Errorf("a network that was not advertised ends with %v", got)
	}
}

func TestAdvertDefaults(t *testing.T) {
	t.Parallel()
	router := []RouterSpec{{Name: "r", Networks: []PresenceSpec{{Network: "n"}}}}
	tests := []struct {
		name     string
		network  NetworkSpec
		routers  []RouterSpec
		lifetime time.Duration
		timing   Advertising
		none     bool
	}{
		{name: "plain L2", network: NetworkSpec{Name: "n"}, none: true},
		{name: "router alone", network: NetworkSpec{Name: "n"}, routers: router, lifetime: 1800 * time.Second, timing: Advertising{198 * time.Second, 600 * time.Second}},
		{name: "prefix without router", network: NetworkSpec{Name: "n", Subnets: []SubnetSpec{{Prefix: prefix("fd00::/64")}}}, timing: Advertising{198 * time.Second, 600 * time.Second}},
		{name: "fast", network: NetworkSpec{Name: "n", RouterAdvertisement: AdvertSpec{Interval: ptr(4 * time.Second)}}, routers: router,
			lifetime: 1800 * time.Second, timing: Advertising{3 * time.Second, 4 * time.Second}},
		{name: "slow", network: NetworkSpec{Name: "n", RouterAdvertisement: AdvertSpec{Interval: ptr(time.Hour)}}, routers: router,
			lifetime: 3 * time.Hour, timing: Advertising{1188 * time.Second, time.Hour}},
		{name: "slowest", network: NetworkSpec{Name: "n", RouterAdvertisement: AdvertSpec{Interval: ptr(65535 * time.Second)}}, routers: router,
			lifetime: 65535 * time.Second, timing: Advertising{65535 * time.Second * 33 / 100, 65535 * time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := build(t, Input{Spec: &Spec{Networks: []NetworkSpec{tt.network}, Routers: tt.routers}})
			if tt.none {
				if n.Router != nil || n.Adverts != nil || n.Advertising != (Advertising{}) {
					t.Errorf("is advertised: %+v", n)
				}
				return
			}
			if ra := parse(t, n.Adverts[0]); ra.RouterLifetime != tt.lifetime || ra.CurrentHopLimit != 64 || ra.RouterSelectionPreference != ndp.Medium {
				t.Errorf("advertisement %+v, want lifetime %s", ra, tt.lifetime)
			}
			if n.Advertising != tt.timing {
				t.Errorf("timing %v, want %v", n.Advertising, tt.timing)
			}
		})
	}
}

// TestAdvertSplits holds the parts of what does not fit against the whole.
func TestAdvertSplits(t *testing.T) {
	t.Parallel()
	for _, mtu := range []int{0, 1280, 1442, 9000} {
		net := NetworkSpec{Name: "n", MTU: mtu}
		for i := range 60 {
			s := SubnetSpec{Prefix: prefix(fmt.Sprintf("fd00:0:0:%x::/64", i))}
			for j := range 3 {
				s.DNS = append(s.DNS, addr(fmt.Sprintf("2001:db8::%x:%x", i+1, j)))
				s.Search = append(s.Search, fmt.Sprintf("d%d-%d.%s.test", i, j, strings.Repeat("x", 40)))
			}
			net.Subnets = append(net.Subnets, s)
		}
		n := build(t, Input{Spec: &Spec{Networks: []NetworkSpec{net}, Routers: []RouterSpec{{Name: "r", Networks: []PresenceSpec{{Network: "n"}}}}}})
		limit := map[int]int{0: 1280, 1280: 1280, 1442: 1442, 9000: 1500}[mtu] - wire.IPv6Len
		prefixes, servers, domains := 0, 0, 0
		for i, a := range n.Adverts {
			if len(a.Body) > limit {
				t.Errorf("MTU %d: advertisement %d has %d octets of %d", mtu, i, len(a.Body), limit)
			}
			ra := parse(t, a)
			if _, ok := ra.Options[0].(*ndp.LinkLayerAddress); !ok || ra.RouterLifetime != 1800*time.Second {
				t.Errorf("MTU %d: advertisement %d lacks the router's MAC or lifetime", mtu, i)
			}
			for _, o := range ra.Options {
				switch o := o.(type) {
				case *ndp.PrefixInformation:
					prefixes++
				case *ndp.RecursiveDNSServer:
					servers += len(o.Servers)
				case *ndp.DNSSearchList:
					domains += len(o.DomainNames)
				}
			}
		}
		if prefixes != 60 || servers != 180 || domains != 180 || len(n.Adverts) < 2 {
			t.Errorf("MTU %d: %d advertisements with %d prefixes, %d servers, %d domains", mtu, len(n.Adverts), prefixes, servers, domains)
		}
	}
}

func TestLongOptions(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("a", 63)
	long := strings.Join([]string{label, label, label, label[:61]}, ".")
	uri := "https://portal.example.test/" + strings.Repeat("p", 227)
	n := build(t, Input{Spec: &Spec{
		Networks: []NetworkSpec{{Name: "n", RouterAdvertisement: AdvertSpec{CaptivePortal: uri}, Subnets: []SubnetSpec{{Prefix: prefix("fd00::/64"), Search: []string{long}}}}},
	}})
	var domain, portal bool
	for o := wire.Options(n.Adverts[0].Body[wire.RouterAdvertLen:]); len(o) > 0; {
		option, rest, fault := o.Next()
		if fault != wire.FaultNone {
			t.Fatal(fault)
		}
		o = rest
		switch option.Type() {
		case wire.OptionDNSSL:
			domain = len(option) == 264 && option[8] == 63 && bytes.Contains(option, []byte(label[:61]+"\x00"))
		case 37:
			portal = len(option) == 264 && bytes.Contains(option, []byte(uri))
		}
	}
	if !domain || !portal {
		t.Errorf("domain of 255 octets %v, URI of 255 octets %v", domain, portal)
	}
}

func TestFormerRouters(t *testing.T) {
	t.Parallel()
	in := everything()
	old := FormerRouter{MAC: wire.MAC{2, 0, 0, 0, 0xa, 9}, LinkLocal: addr("fe80::9")}
	now := FormerRouter{MAC: wire.MAC{2, 0, 0, 0, 0xa, 1}, LinkLocal: addr("fe80::1")}
	in.FormerRouters = map[string][]FormerRouter{"blue": {old, now}}
	n := build(t, in)
	if len(n.Former) != 1 || n.Former[0].MAC != old.MAC || n.Former[0].LinkLocal != old.LinkLocal {
		t.Fatalf("former identities: %+v", n.Former)
	}
	want := &ndp.RouterAdvertisement{CurrentHopLimit: 63, Options: []ndp.Option{
		&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: old.MAC[:]}}}
	if diff := cmp.Diff(want, parse(t, n.Former[0].Adverts[0])); diff != "" {
		t.Errorf("advertisement (-want +got):\n%s", diff)
	}
}

// TestAdvertByWireshark has the advertisement read by a decoder that shares
// nothing with the library.
func TestAdvertByWireshark(t *testing.T) {
	t.Parallel()
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("tshark is not installed: apt-get install tshark")
	}
	n := build(t, everything())
	a := n.Adverts[0]
	path := filepath.Join(t.TempDir(), "ra.pcap")
	if err := os.WriteFile(path, capture(n.Router.LinkLocal, a), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tshark, "-n", "-r", path, "-T", "json", "--no-duplicate-keys", "-J", "icmpv6")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var packets []struct {
		Source struct {
			Layers struct{ ICMPv6 map[string]any }
		} `json:"_source"`
	}
	if err := json.Unmarshal(out, &packets); err != nil || len(packets) != 1 {
		t.Fatalf("%d packets, %v", len(packets), err)
	}
	got := make(map[string][]string)
	flatten(got, "", packets[0].Source.Layers.ICMPv6)
	for field, want := range map[string][]string{
		"icmpv6.type":                                 {"134"},
		"icmpv6.checksum.status":                      {"1"},
		"icmpv6.nd.ra.cur_hop_limit":                  {"63"},
		"icmpv6.nd.ra.flag.m":                         {"1"},
		"icmpv6.nd.ra.flag.o":                         {"1"},
		"icmpv6.nd.ra.flag.prf":                       {"1"},
		"icmpv6.nd.ra.router_lifetime":                {"65535"},
		"icmpv6.nd.ra.reachable_time":                 {"30000"},
		"icmpv6.nd.ra.retrans_timer":                  {"1500"},
		"icmpv6.opt.type":                             {"1", "5", "3", "3", "3", "3", "25", "31", "24", "24", "38", "37", "144"},
		"icmpv6.opt.src_linkaddr":                     {"02:00:00:00:0a:01"},
		"icmpv6.opt.mtu":                              {"1442"},
		"icmpv6.opt.prefix":                           {"fd00:b1::", "fd00:b2::", "fd00:b3::", "fd00:b9::", "2001:db8:7::", "2001:db8:8::8"},
		"icmpv6.opt.prefix.length":                    {"64", "64", "80", "64", "48", "128"},
		"icmpv6.opt.prefix.flag.l":                    {"1", "1", "0", "1"},
		"icmpv6.opt.prefix.flag.a":                    {"1", "1", "0", "1"},
		"icmpv6.opt.prefix.flag.reserved":             {"16", "0", "0", "0"}, // P is 0x10
		"icmpv6.opt.prefix.valid_lifetime":            {"86400", "86400", "7200", "0"},
		"icmpv6.opt.prefix.preferred_lifetime":        {"14400", "14400", "3600", "0"},
		"icmpv6.opt.rdnss.lifetime":                   {"1800"},
		"icmpv6.opt.rdnss":                            {"2001:db8::53", "2001:db8::54"},
		"icmpv6.opt.dnssl.lifetime":                   {"1800"},
		"icmpv6.opt.dnssl":                            {"example.test", "b.test"},
		"icmpv6.opt.route_info.flag.route_preference": {"3", "0"},
		"icmpv6.opt.route_lifetime":                   {"1800", "1800"},
		"icmpv6.opt.pref64.scaled_lifetime":           {"225"},
		"icmpv6.opt.pref64.plc":                       {"0x0000"},
		"icmpv6.opt.pref64.prefix":                    {"64:ff9b::"},
		"icmpv6.opt.captive_portal":                   {"https://portal.example.test"},
	} {
		if diff := cmp.Diff(want, got[field]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", field, diff)
		}
	}
	if bytes.Contains(out, []byte("malformed")) {
		t.Errorf("malformed: %s", out)
	}
	if t.Failed() {
		t.Logf("%s", out)
	}
}

// flatten collects the values of a field wherever it stands, in order.
func flatten(to map[string][]string, name string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			flatten(to, k, x)
		}
	case []any:
		for _, x := range v {
			flatten(to, name, x)
		}
	case string:
		to[name] = append(to[name], v)
	}
}

// capture is a pcap file of one raw IPv6 packet (LINKTYPE_RAW) with the advertisement.
func capture(source netip.Addr, a Advert) []byte {
	ip := make([]byte, wire.IPv6Len, wire.IPv6Len+len(a.Body))
	ip[0], ip[6], ip[7] = 0x60, wire.ProtocolICMPv6, wire.MaxHopLimit
	binary.BigEndian.PutUint16(ip[4:], uint16(len(a.Body)))
	copy(ip[8:], source.AsSlice())
	copy(ip[24:], wire.AllNodes.AsSlice())
	sum := wire.PseudoSum(wire.IPv6(ip), wire.ProtocolICMPv6, len(a.Body)) + a.Sum
	ip = append(ip, a.Body...)
	binary.BigEndian.PutUint16(ip[wire.IPv6Len+2:], sum.Checksum())

	var b []byte
	for _, v := range []uint32{0xa1b2c3d4, 0x00040002, 0, 0, 65535, 101, 0, 0, uint32(len(ip)), uint32(len(ip))} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return append(b, ip...)
}
