package config

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txt")

// write puts a configuration into a folder of its own.
func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "damselfly.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func ptr[T any](v T) *T { return &v }

var byValue = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func TestReference(t *testing.T) {
	t.Parallel()
	got, err := Load("reference.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Bridge: "br-dfly", State: "/var/lib/damselfly", API: "127.0.0.1:8686", IDs: IDs{Groups: 0xdf000000},
		Topology: &topology.Spec{
			Limits: topology.DefaultLimits(), MaxLeases: ptr(16), MaxAddresses: ptr(32), MaxNeighbors: ptr(64), MaxGroups: ptr(64), MaxConnections: ptr(64),
			Networks: []topology.NetworkSpec{
				{Name: "blue", MTU: 1442, Limits: topology.Limits{punt.NS: {Rate: 400, Burst: 800}},
					RouterAdvertisement: topology.AdvertSpec{
						Interval: ptr(600 * time.Second), MinInterval: ptr(198 * time.Second), Lifetime: ptr(1800 * time.Second),
						HopLimit: ptr(64), PREF64: netip.MustParsePrefix("64:ff9b::/96"), CaptivePortal: "https://portal.example.test/api",
						Routes:       []topology.RouteSpec{{Destination: netip.MustParsePrefix("2001:db8:7::/48"), Preference: topology.Low}},
						EncryptedDNS: []topology.EncryptedDNSSpec{{Name: "dns.example.test", Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::53")}, ALPN: []string{"dot", "doq"}}},
					},
					Subnets: []topology.SubnetSpec{{
						Prefix: netip.MustParsePrefix("fd00:b1::/64"), Gateway: netip.MustParseAddr("fd00:b1::1"),
						DNS: []netip.Addr{netip.MustParseAddr("2001:db8::53")}, Search: []string{"example.test"},
						Autonomous: ptr(true), OnLink: ptr(true), Preferred: ptr(4 * time.Hour), Valid: ptr(24 * time.Hour),
					}, {
						Prefix: netip.MustParsePrefix("2001:db8:b1::/64"), Mode: topology.DHCPv6Stateful, RapidCommit: true,
						Pools:        []topology.AddrRange{{First: netip.MustParseAddr("2001:db8:b1::1:0"), Last: netip.MustParseAddr("2001:db8:b1::1:ffff")}},
						Reservations: []topology.Reservation{{DUID: "\x00\x03\x00\x01\x02\x00\x00\x00\x00\x12", Addresses: []netip.Addr{netip.MustParseAddr("2001:db8:b1::50")}}},
						Options: []topology.OptionSpec{{Code: 56, Texts: []string{"2001:db8::123", "ntp.example.test"}},
							{Code: 42, Texts: []string{"Europe/Zurich"}}, {Code: 7, Number: 255}},
					}},
					Multicast: &topology.MulticastSpec{Snooping: true, Querier: true, RouterDiscovery: true, QueryInterval: ptr(125 * time.Second),
						ResponseInterval: ptr(10 * time.Second), LastListenerInterval: ptr(time.Second), Robustness: ptr(2)},
					Options: []topology.OptionSpec{
						{Code: 23, Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::54")}},
						{Code: 32, Number: 14400},
						{Code: 60, Texts: []string{"root=/dev/vda", "ro"}},
						{Code: 144, Resolvers: []topology.EncryptedDNSSpec{{Name: "dns.example.test", Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::53")}, ALPN: []string{"dot"}}}},
						{Code: 17, Vendors: []topology.VendorSpec{{Enterprise: 32473, Options: []topology.SubOptionSpec{{Code: 1, Data: []byte{1, 2}}}}}},
						{Code: 94, Raw: []byte{0, 1}},
					},
					Delegations: []topology.DelegationSpec{{Pool: netip.MustParsePrefix("2001:db8:8000::/40"), Length: 56,
						Exclude: &topology.ExcludeSpec{Length: 64}, Preferred: ptr(4 * time.Hour), Valid: ptr(24 * time.Hour)}},
					Metadata: &topology.MetadataSpec{},
				},
				{Name: "ext", Multicast: &topology.MulticastSpec{Snooping: true}, Metadata: &topology.MetadataSpec{Upstream: "https://nova.example.test:8775", Secret: "meiquoh2Ohs6ne", Timeout: ptr(30 * time.Second)}, Uplink: &topology.UplinkSpec{Interface: "eth1", VLAN: 100, AcceptRA: true}, Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("2001:db8:1::/64"), Mode: topology.DHCPv6Stateful,
					RelayTo: netip.MustParseAddr("2001:db8::547")}}},
			},
			Routers: []topology.RouterSpec{{Name: "r1", Networks: []topology.PresenceSpec{
				{Network: "blue"},
				{Network: "ext", LinkLocal: netip.MustParseAddr("fe80::a"), MAC: wire.MAC{2, 0, 0, 0, 0xa, 1}, Addresses: []netip.Prefix{netip.MustParsePrefix("2001:db8:1::2/64")}},
			}, Routes: []topology.StaticRouteSpec{
				{Destination: netip.MustParsePrefix("::/0"), NextHops: []netip.Addr{netip.MustParseAddr("fe80::99")}, Network: "ext"},
				{Destination: netip.MustParsePrefix("2001:db8:9::/48"), NextHops: []netip.Addr{netip.MustParseAddr("fd00:b1::12"), netip.MustParseAddr("fd00:b1::13")}},
				{Destination: netip.MustParsePrefix("2001:db8:dead::/48"), Type: topology.Blackhole},
			}, Multicast: &topology.RouterMulticastSpec{Upstream: "ext", Boundary: 5}}},
			Ports: []topology.PortSpec{{Name: "vm1", Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0, 0x11}, Addresses: []netip.Addr{netip.MustParseAddr("fd00:b1::11"), netip.MustParseAddr("192.0.2.11")},
				PortSecurity: ptr(true), MaxAddresses: ptr(64), Pairs: []topology.AddressPair{
					{Prefix: netip.MustParsePrefix("fd00:b1::50/128"), MAC: wire.MAC{0, 0, 0x5e, 0, 2, 1}},
					{Prefix: netip.MustParsePrefix("fd00:b1:0:0:f::/80")}},
				Limits: topology.Limits{punt.NS: topology.Unlimited, punt.RS: {Rate: 40, Burst: 80}}, MaxLeases: ptr(4),
				Multicast:      &topology.PortMulticastSpec{Groups: []netip.Addr{netip.MustParseAddr("ff15::1234")}, FastLeave: ptr(true)},
				SecurityGroups: []string{"web", "default"}, Project: "p1",
				Instance: &topology.InstanceSpec{ID: "i-1", Hostname: "vm1",
					Keys:     []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDcX0ZXgBCwSTYtNAX6PX1JGmsXTqyTQMMnYuNQ5PTrh me@example.test"},
					UserData: "#cloud-config\ntimezone: Europe/Zurich\n", VendorData: "{\"cloud-init\": \"#cloud-config\\nlocale: C.UTF-8\\n\"}\n"},
				Options: []topology.OptionSpec{{Code: 56, Texts: []string{"2001:db8::124"}}}},
				{Name: "vm1-backup", Network: "ext", MAC: wire.MAC{2, 0, 0, 0, 0, 0x11}, Parent: "vm1", VLAN: 100}},
			Groups: []topology.SecurityGroupSpec{{Name: "web", Rules: []topology.RuleSpec{
				{Family: topology.IPv6, Protocol: 6, Ports: &topology.PortRange{First: 80, Last: 443}, RemotePrefix: netip.MustParsePrefix("::/0")},
				{Protocol: 58, ICMP: &topology.ICMPMatch{Type: 128, HasCode: true}, RemoteGroup: "web"},
				{Protocol: 6, Ports: &topology.PortRange{First: 23, Last: 23}, Reject: true, Log: true},
			}}},
			Floating: []topology.FloatingSpec{
				{Address: netip.MustParseAddr("2001:db8:1::10"), Network: "ext", Port: "vm1", Fixed: netip.MustParsePrefix("fd00:b1::11/128")},
				{Form: topology.NATForm, Address: netip.MustParseAddr("2001:db8:1::11"), Network: "ext", Port: "vm1", Fixed: netip.MustParsePrefix("fd00:b1::11/128")},
				{Form: topology.NPTv6Form, Prefix: netip.MustParsePrefix("2001:db8:f::/48"), Network: "ext", Fixed: netip.MustParsePrefix("fd00:b2::/48")},
			},
		},
	}
	if diff := cmp.Diff(want, got, byValue); diff != "" {
		t.Errorf("reference.yaml (-want +got):\n%s", diff)
	}
}

// TestAddressesNeedNoQuotes writes addresses wherever YAML allows them plain.
func TestAddressesNeedNoQuotes(t *testing.T) {
	t.Parallel()
	c, err := Load(write(t, `bridge: br0
networks: [{name: n, subnets: [{prefix: fd00:b1::/64, dns: [2001:db8::1,2001:db8::2 , fd00:b1::3]}]}]
ports:
  - {name: a, network: n, mac: 02:00:00:00:00:12, addresses: [fd00:b1::12, "fd00:b1::13"]}
  - name: b
    network: n
    addresses: [fd00:b1::14]
  - name: c
    network: n
    addresses:
      - fd00:b1::15
`))
	if err != nil {
		t.Fatal(err)
	}
	got := c.Topology.Networks[0].Subnets[0].DNS
	for _, p := range c.Topology.Ports {
		got = append(got, p.Addresses...)
	}
	var want []netip.Addr
	for _, a := range []string{"2001:db8::1", "2001:db8::2", "fd00:b1::3", "fd00:b1::12", "fd00:b1::13", "fd00:b1::14", "fd00:b1::15"} {
		want = append(want, netip.MustParseAddr(a))
	}
	if diff := cmp.Diff(want, got, byValue); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

// TestReferenceIsDefaults holds the comments of reference.yaml, which call
// values defaults, against what leaving them out does.
func TestReferenceIsDefaults(t *testing.T) {
	t.Parallel()
	load := func(text string) *topology.Network {
		t.Helper()
		here, err := filepath.Abs("reference")
		if err != nil {
			t.Fatal(err)
		}
		c, err := Load(write(t, strings.ReplaceAll(text, " reference/", " "+here+"/")))
		if err != nil {
			t.Fatal(err)
		}
		s, problems := new(topology.Builder).Build(topology.Input{Spec: c.Topology, Keys: topology.Keys{
			Networks: map[string]uint16{"blue": 1, "ext": 2},
			Ports:    map[string]uint16{"vm1": 1, "vm1-backup": 2, topology.UplinkName("ext"): 3}}})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return s.Network(1)
	}
	var kept []string
	for line := range strings.Lines(Reference) {
		key, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		if strings.Contains(line, "# default") && !slices.Contains([]string{"alpn", "mac", "preference", "type"}, key) {
			continue
		}
		if slices.Contains([]string{"ids", "limits"}, key) && !strings.Contains(line, "{") {
			continue
		}
		kept = append(kept, line)
	}
	if len(kept) > strings.Count(Reference, "\n")-15 {
		t.Fatalf("only %d lines are left out", strings.Count(Reference, "\n")-len(kept))
	}
	want, got := load(Reference), load(strings.Join(kept, ""))
	if diff := cmp.Diff(want.Adverts, got.Adverts); diff != "" {
		t.Errorf("advertisements (-with defaults written +left out):\n%s", diff)
	}
	if want.Advertising != got.Advertising {
		t.Errorf("timing %v, want %v", got.Advertising, want.Advertising)
	}
	if diff := cmp.Diff(want.DHCPv6, got.DHCPv6, byValue, cmp.AllowUnexported(topology.DHCPv6{})); diff != "" {
		t.Errorf("DHCPv6 (-with defaults written +left out):\n%s", diff)
	}
	if diff := cmp.Diff(want.Ports[0].Options, got.Ports[0].Options); diff != "" || want.Ports[0].MaxLeases != 4 {
		t.Errorf("options (-with defaults written +left out):\n%s", diff)
	}
	if diff := cmp.Diff(want.Ports[0].Limits, got.Ports[0].Limits); diff != "" {
		t.Errorf("limits (-with defaults written +left out):\n%s", diff)
	}
}

func TestMinimal(t *testing.T) {
	t.Parallel()
	c, err := Load("minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if c.State != DefaultState || c.API != DefaultAPI || c.IDs != (IDs{Groups: DefaultGroups}) || c.Punt != PuntAuto || Minimal == "" {
		t.Errorf("defaults: %+v", c)
	}
}

// TestReferenceNamesEveryKey takes the keys from the schema itself.
func TestReferenceNamesEveryKey(t *testing.T) {
	t.Parallel()
	text := " " + strings.NewReplacer("{", " ", "}", " ", ",", " ", "\n", " ").Replace(Reference)
	for name, built := range map[string][]string{
		"the file":  builtKeys(func(*int) reader { return func(v value) { v.fields((&draft{}).top()) } }),
		"a network": builtKeys(network), "advertisements": builtKeys(advert), "a subnet": builtKeys(subnet),
		"a router": builtKeys(router), "a presence": builtKeys(presence), "a port": builtKeys(port),
		"limits": builtKeys(func(to *topology.Limits) reader {
			return limits(to, bounds{new(*int), new(*int), new(*int), new(*int), new(*int)})
		}),
		"options": builtKeys(option), "a delegation": builtKeys(delegation), "a reservation": builtKeys(reservation), "a vendor": builtKeys(vendor), "a pair": builtKeys(addressPair),
		"an uplink": builtKeys(uplink), "multicast": builtKeys(multicast), "multicast of a port": builtKeys(portMulticast), "multicast of a router": builtKeys(routerMulticast),
		"the metadata service": builtKeys(metadata), "an instance": builtKeys(instance),
		"a security group": builtKeys(securityGroup), "a rule": builtKeys(rule), "Secure Neighbor Discovery": builtKeys(secure),
	} {
		if len(built) < 2 {
			t.Errorf("%s: found only the keys %v", name, built)
		}
		for _, key := range built {
			if !strings.Contains(text, " "+key+":") {
				t.Errorf("reference.yaml does not name %s of %s", key, name)
			}
		}
	}
}

// builtKeys takes the names from the Mistake that an unknown key makes.
func builtKeys[T any](r func(*T) reader) []string {
	node, _ := guard(file{"x", []byte("{an_unknown_key_far_from_all_others: 1}")})
	d := &decoder{places: map[string]place{}}
	value{d: d, node: node}.read(r(new(T)))
	_, names, _ := strings.Cut(d.mistakes[0].Message, "known are ")
	return strings.Split(names, ", ")
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	folders, _ := filepath.Glob("testdata/*.d")
	for _, path := range append(files, folders...) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			_, err := Load(path)
			var mistakes Mistakes
			if !errors.As(err, &mistakes) {
				t.Fatalf("error %v, want Mistakes", err)
			}
			got, golden := err.Error()+"\n", strings.TrimSuffix(path, filepath.Ext(path))+".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("mistakes (-want +got):\n%s", diff)
			}
		})
	}
}
