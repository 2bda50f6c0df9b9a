package topology

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/ndp"

	"damselfly/internal/wire"
)

func metadataSpec() *Spec {
	return &Spec{
		Networks: []NetworkSpec{
			{Name: "blue", Metadata: &MetadataSpec{}, Subnets: []SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:b1::/64")}, {Prefix: netip.MustParsePrefix("2001:db8::/48"), Mode: DHCPv6Stateful}}},
			{Name: "red", Metadata: &MetadataSpec{}},
			{Name: "bare"},
		},
		Ports: []PortSpec{
			{Name: "vm1", Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0, 0x11}, Addresses: []netip.Addr{netip.MustParseAddr("2001:db8:0:7::11"), netip.MustParseAddr("192.0.2.11"), netip.MustParseAddr("192.0.2.12")},
				Pairs: []AddressPair{{Prefix: netip.MustParsePrefix("2001:db8:0:8::1/128")}, {Prefix: netip.MustParsePrefix("2001:db8:0:9::/64")}}},
			{Name: "vm2", Network: "red", MAC: wire.MAC{2, 0, 0, 0, 0, 0x11}, Instance: &InstanceSpec{}},
			{Name: "vm3", Network: "bare", MAC: wire.MAC{2, 0, 0, 0, 0, 0x13}},
		},
	}
}

func metadataSnapshot(t *testing.T, spec *Spec) *Snapshot {
	t.Helper()
	k := Keys{Networks: map[string]uint16{}, Ports: map[string]uint16{}}
	for i, n := range spec.Networks {
		k.Networks[n.Name] = uint16(i + 1)
	}
	for i, p := range spec.Ports {
		k.Ports[p.Name] = uint16(i + 1)
	}
	s, problems := new(Builder).Build(Input{Spec: spec, Keys: k})
	if s == nil || len(problems) > 0 {
		t.Fatalf("problems: %v", problems)
	}
	return s
}

// TestCallers: each caller's address on the way to the service leads back to the
// port and the address it was made of, and no other does.
func TestCallers(t *testing.T) {
	t.Parallel()
	s := metadataSnapshot(t, metadataSpec())
	n := s.Network(1)
	var prefixes []string
	for _, c := range n.Metadata.Callers {
		prefixes = append(prefixes, c.Prefix.String())
		out, id, key := netip.MustParseAddr("::1:2:3:4").As16(), CallerFrom(c.ID).As16(), CallerPort(1).As16()
		copy(out[:8], id[:])
		copy(out[:4], key[:])
		a := netip.AddrFrom16(out)
		p, from := s.Caller(a)
		want := c.Prefix.Addr().As16()
		copy(want[8:], out[8:])
		if p == nil || p.Name != "vm1" || from != netip.AddrFrom16(want) {
			t.Errorf("%s of %s: %v %s", a, c.Prefix, p, from)
		}
		if got, ok := CallerKey(a); !ok || got != 1 {
			t.Errorf("%s: key %d", a, got)
		}
	}
	if want := []string{"2001:db8:0:7::/64", "2001:db8:0:8::/64", "fd00:b1::/64", "fe80::/64"}; !slices.Equal(prefixes, want) {
		t.Errorf("prefixes %v, want %v", prefixes, want)
	}
	for i, a := range []string{"192.0.2.11", "192.0.2.12"} {
		if p, from := s.Caller(CallerIPv4(1, i)); p == nil || p.Name != "vm1" || from.String() != a {
			t.Errorf("%s: %v %s", a, p, from)
		}
	}
	if p, from := s.Caller(netip.AddrFrom16(CallerIPv4(1, 1).As16())); p == nil || from.String() != "192.0.2.12" {
		t.Errorf("IPv4 in IPv6's clothes: %v %s", p, from)
	}
	if p, _ := s.Caller(CallerIPv4(16000, maxCallers4-1)); p != nil {
		t.Errorf("nobody: %v", p)
	}
	if got, ok := CallerKey(CallerIPv4(16000, maxCallers4-1)); !ok || got != 16000 {
		t.Errorf("the highest key: %d %v", got, ok)
	}
	for _, a := range []netip.Addr{CallerPort(1), CallerPort(3), CallerPort(9), CallerIPv4(1, 2), CallerIPv4(3, 0), netip.MustParseAddr("fe80::1"), netip.MustParseAddr("11.0.4.0")} {
		if p, from := s.Caller(a); p != nil {
			t.Errorf("%s is %s's %s", a, p.Name, from)
		}
	}
	if i := s.Port(2).Instance; i == nil || i.ID != "vm2" || i.Hostname != "vm2" {
		t.Errorf("defaults: %+v", i)
	}
}

// TestCallerIDsStay: what comes beside a prefix does not change what stands for it.
func TestCallerIDsStay(t *testing.T) {
	t.Parallel()
	before := metadataSnapshot(t, metadataSpec()).Network(1).Metadata.Callers
	spec := metadataSpec()
	spec.Networks[0].Subnets = append([]SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:a0::/64")}}, spec.Networks[0].Subnets...)
	after := metadataSnapshot(t, spec).Network(1).Metadata.Callers
	for _, c := range before {
		if !slices.Contains(after, c) {
			t.Errorf("%v is not in %v", c, after)
		}
	}
}

// TestMetadataIsNobodys: the service's addresses are its own, where it is.
func TestMetadataIsNobodys(t *testing.T) {
	t.Parallel()
	spec := metadataSpec()
	in := Input{Spec: spec, Keys: Keys{Networks: map[string]uint16{"blue": 1, "red": 2, "bare": 3}, Ports: map[string]uint16{"vm1": 1, "vm2": 2, "vm3": 3}},
		Learned: map[string][]HeldAddress{"red": {{Addr: MetadataAddresses[0], Port: 2}}, "bare": {{Addr: MetadataAddresses[0], Port: 3}}}}
	s, _ := new(Builder).Build(in)
	if o, ok := s.Network(2).Owner(MetadataAddresses[0]); !ok || o.Port != nil || o.MAC != s.Network(2).Metadata.MAC || o.Router {
		t.Errorf("with the service it is %+v's", o)
	}
	if o, ok := s.Network(3).Owner(MetadataAddresses[0]); !ok || o.Port == nil || s.Network(3).OfMetadata(MetadataAddresses[0]) {
		t.Errorf("without it, it is a guest's like any other: %+v", o)
	}
}

// TestMetadataRoute: guests are told a route to the address on none of their links
// where the router is no default router, and that it is gone at the end.
func TestMetadataRoute(t *testing.T) {
	t.Parallel()
	route := func(list []Advert) (found []time.Duration) {
		for _, a := range list {
			m, err := ndp.ParseMessage(a.Body)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range m.(*ndp.RouterAdvertisement).Options {
				if r, ok := o.(*ndp.RouteInformation); ok && r.PrefixLength == 128 && r.Prefix == MetadataRouted {
					found = append(found, r.RouteLifetime)
				}
			}
		}
		return found
	}
	n := metadataSnapshot(t, metadataSpec()).Network(1)
	if got := route(n.Adverts); len(got) != 1 || got[0] != 1800*time.Second {
		t.Errorf("without a router: %v", got)
	}
	if got := route(FinalAdvert(n)); len(got) != 1 || got[0] != 0 {
		t.Errorf("at the end: %v", got)
	}
	spec := metadataSpec()
	spec.Routers = []RouterSpec{{Name: "r1", Networks: []PresenceSpec{{Network: "blue"}}}}
	if got := route(metadataSnapshot(t, spec).Network(1).Adverts); len(got) != 0 {
		t.Errorf("by a default router: %v", got)
	}
}

// TestMetadataMistakes: what cannot be is refused, with its place.
func TestMetadataMistakes(t *testing.T) {
	t.Parallel()
	upstream := func(u string) func(*Spec) {
		return func(s *Spec) {
			s.Networks[0].Metadata = &MetadataSpec{Upstream: u, Secret: "s"}
			s.Ports[0].Instance = &InstanceSpec{ID: "i"}
		}
	}
	for name, c := range map[string]struct {
		change func(*Spec)
		want   string // "" for none
	}{
		"as it is":              {func(*Spec) {}, ""},
		"http":                  {upstream("http://127.0.0.1:8775"), ""},
		"https with a path":     {upstream("https://nova.example.test/metadata"), ""},
		"a socket":              {upstream("unix:/run/nova/metadata.sock"), ""},
		"ftp":                   {upstream("ftp://nova"), "networks[0].metadata.upstream: "},
		"no host":               {upstream("http:///x"), "networks[0].metadata.upstream: "},
		"a relative socket":     {upstream("unix:run/x"), "networks[0].metadata.upstream: "},
		"a user":                {upstream("http://a:b@nova"), "networks[0].metadata.upstream: "},
		"a query":               {upstream("http://nova?x"), "networks[0].metadata.upstream: "},
		"no secret":             {func(s *Spec) { upstream("http://nova")(s); s.Networks[0].Metadata.Secret = "" }, "networks[0].metadata.secret_file: is missing"},
		"a secret for nobody":   {func(s *Spec) { s.Networks[0].Metadata.Secret = "s" }, "networks[0].metadata: without an upstream"},
		"a certificate by http": {func(s *Spec) { upstream("http://nova")(s); s.Networks[0].Metadata.CA = "x" }, "networks[0].metadata.upstream: certificates are for https"},
		"a CA that is none":     {func(s *Spec) { upstream("https://nova")(s); s.Networks[0].Metadata.CA = "x" }, "networks[0].metadata.ca_file: holds no certificate"},
		"half a pair":           {func(s *Spec) { upstream("https://nova")(s); s.Networks[0].Metadata.Key = "x" }, "networks[0].metadata.certificate_file: "},
		"no time":               {func(s *Spec) { d := time.Duration(0); s.Networks[0].Metadata.Timeout = &d }, "networks[0].metadata.timeout: "},
		"no id for an upstream": {func(s *Spec) { upstream("http://nova")(s); s.Ports[0].Instance.ID = "" }, "ports[0].metadata.instance_id: is missing"},
		"an id of two lines":    {func(s *Spec) { s.Ports[1].Instance.ID = "a\r\nX-Tenant-ID: p9" }, "ports[1].metadata.instance_id: "},
		"a project of two":      {func(s *Spec) { s.Ports[1].Project = "a b" }, "ports[1].project: "},
		"a host's name":         {func(s *Spec) { s.Ports[1].Instance.Hostname = "a b" }, "ports[1].metadata.hostname: "},
		"no key":                {func(s *Spec) { s.Ports[1].Instance.Keys = []string{"ssh-rsa A", "x"} }, "ports[1].metadata.ssh_keys[1]: "},
		"its address":           {func(s *Spec) { s.Ports[0].Addresses = []netip.Addr{MetadataAddresses[0]} }, "ports[0].addresses[0]: fe80::a9fe:a9fe is already the metadata service's"},
		"its IPv4 address":      {func(s *Spec) { s.Ports[0].Addresses = []netip.Addr{MetadataAddresses[2]} }, "ports[0].addresses[0]: 169.254.169.254 is already the metadata service's"},
		"its address as a pair": {func(s *Spec) { s.Ports[0].Pairs = []AddressPair{{Prefix: netip.PrefixFrom(MetadataAddresses[0], 128)}} }, "ports[0].allowed_address_pairs[0].address: fe80::a9fe:a9fe is the metadata service's"},
		"its address elsewhere": {func(s *Spec) { s.Ports[2].Addresses = []netip.Addr{MetadataAddresses[0]} }, ""},
	} {
		spec := metadataSpec()
		c.change(spec)
		got := ""
		for _, p := range Validate(spec) {
			got += p.String() + "\n"
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) || strings.Count(got, "\n") > 1 {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
