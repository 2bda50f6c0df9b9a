package dhcpv6_test

import (
	"net/netip"
	"strings"
	"testing"

	client "github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/internal/topology"
)

// crowded has two subnets with fixed and reserved addresses on both, and room in
// the pools for two of each kind.
func crowded(s *topology.Spec) {
	n := &s.Networks[0]
	n.Subnets[0].Pools[0].Last = addr("fd00:b1::101")
	n.Subnets = append(n.Subnets, topology.SubnetSpec{
		Prefix: netip.MustParsePrefix("fd00:b2::/64"), Mode: topology.DHCPv6Stateful, Preferred: hours(2), Valid: hours(4),
		Pools:        []topology.AddrRange{{First: addr("fd00:b2::100"), Last: addr("fd00:b2::101")}},
		Reservations: []topology.Reservation{{DUID: string(duidOf("reserved").ToBytes()), Addresses: []netip.Addr{addr("fd00:b2::77")}}},
	})
	n.Delegations[0].Length, n.Delegations[0].Exclude = 57, nil
	s.Ports[1].Addresses = append(s.Ports[1].Addresses, addr("fd00:b2::22"))
}

// TestSeveralIAs: what an Advertise offers to several IAs is what a Request for
// the same gets (RFC 9915 section 18.3.9), and no two IAs get the same: the first
// what is the client's by configuration, the others one address of a pool each.
func TestSeveralIAs(t *testing.T) {
	t.Parallel()
	five := []client.Modifier{na(1), na(2), na(3), na(4), na(5), na(6)}
	for _, tt := range []struct {
		port, duid string
		ias        []client.Modifier
		// addresses are how many each IA gets.
		addresses []int
	}{
		{"vm1", "a", five, []int{1, 1, 1, 1, 0, 0}},
		{"fixed", "a", five, []int{3, 1, 1, 1, 1, 0}},
		{"vm1", "reserved", five, []int{2, 1, 1, 1, 1, 0}},
		{"fixed", "reserved", five, []int{3, 2, 1, 1, 1, 1}},
		{"vm1", "a", []client.Modifier{pd(1), pd(2), pd(3)}, []int{1, 1, 0}},
		{"vm1", "reserved", []client.Modifier{na(1), pd(1), na(2), pd(2)}, []int{2, 1, 1, 1}},
		{"vm1", "a", []client.Modifier{na(1, "fd00:b2::100"), na(2, "fd00:b2::100"), na(3)}, []int{1, 1, 1}},
		{"vm1", "a", []client.Modifier{pd(1, "2001:db8:100:80::/57"), pd(2, "2001:db8:100:80::/57")}, []int{1, 1}},
	} {
		w := newWorld(t, crowded)
		offer := strings.TrimSuffix(w.ask(tt.port, message(solicit, tt.duid, tt.ias...)), " 7=c8")
		got := w.ask(tt.port, message(request, tt.duid, append([]client.Modifier{toUs}, tt.ias...)...))
		if strings.TrimPrefix(offer, "advertise") != strings.TrimPrefix(got, "reply") {
			t.Errorf("%s %s: %s, then %s", tt.port, tt.duid, offer, got)
		}
		again := strings.TrimSuffix(w.ask(tt.port, message(solicit, tt.duid, tt.ias...)), " 7=c8")
		if again != offer {
			t.Errorf("%s %s: %s, once bound %s", tt.port, tt.duid, offer, again)
		}
		seen := map[string]bool{}
		for i, ia := range strings.Split(got, ")")[:len(tt.addresses)] {
			count := 0
			for word := range strings.FieldsSeq(ia) {
				if _, err := netip.ParsePrefix(word); err != nil && !strings.Contains(word, "::") {
					continue
				}
				if count++; seen[word] {
					t.Errorf("%s %s: %s twice in %s", tt.port, tt.duid, word, got)
				}
				seen[word] = true
			}
			if count != tt.addresses[i] {
				t.Errorf("%s %s: IA %d gets %d, want %d: %s", tt.port, tt.duid, i+1, count, tt.addresses[i], got)
			}
		}
	}
}
