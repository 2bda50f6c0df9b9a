package dhcpv6_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	client "github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/handlers/reason"
	"damselfly/internal/lease"
	"damselfly/internal/topology"
)

// roomy has more to give than fits into any answer.
func roomy(s *topology.Spec) {
	n, many := &s.Networks[0], topology.UnlimitedLeases
	s.MaxLeases = &many
	n.Subnets[0].Pools[0].Last = addr("fd00:b1::1ff")
	n.Delegations[0].Length, n.Delegations[0].Exclude.Subnet = 60, 15
	for i := range 3 {
		sub := topology.SubnetSpec{Prefix: netip.MustParsePrefix(fmt.Sprintf("fd00:c%d::/64", i)), Mode: topology.DHCPv6Stateful, Preferred: hours(2), Valid: hours(4)}
		n.Subnets = append(n.Subnets, sub)
	}
	for i := range 60 {
		s.Ports[1].Addresses = append(s.Ports[1].Addresses, addr(fmt.Sprintf("fd00:c%d::%x", i%3, 0x10+i)))
	}
}

// told are the addresses and prefixes that an answer gives.
func told(t *testing.T, d client.DHCPv6) map[netip.Prefix]bool {
	t.Helper()
	m, err := d.GetInnerMessage()
	if err != nil {
		t.Fatal(err)
	}
	all := map[netip.Prefix]bool{}
	for _, ia := range m.Options.IANA() {
		for _, a := range ia.Options.Addresses() {
			at, _ := netip.AddrFromSlice(a.IPv6Addr)
			p := netip.PrefixFrom(at, 128)
			all[p] = all[p] || a.ValidLifetime > 0 // an IA that wanted another's may hear 0
		}
	}
	for _, ia := range m.Options.IAPD() {
		for _, p := range ia.Options.Prefixes() {
			bits, _ := p.Prefix.Mask.Size()
			at, _ := netip.AddrFromSlice(p.Prefix.IP)
			q := netip.PrefixFrom(at, bits)
			all[q] = all[q] || p.ValidLifetime > 0
		}
	}
	return all
}

// TestRoom: whatever is asked and through whichever relays, the client is told
// of just what is bound for it.
func TestRoom(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 11))
	answered, refused := 0, 0
	for range 100 {
		w := newWorld(t, roomy)
		mods := []client.Modifier{toUs, option(20), oro(67, 23, 24)}
		hints := 32
		for i := range rng.IntN(17) {
			var addrs []string
			for range rng.IntN(min(hints, 4) + 1) {
				addrs = append(addrs, fmt.Sprintf("fd00:b1::%x", 0x100+rng.IntN(256)))
				hints--
			}
			if rng.IntN(3) == 0 {
				mods = append(mods, pd(byte(i)))
			} else {
				mods = append(mods, na(byte(i), addrs...))
			}
		}
		port := "fixed"
		typ := []client.MessageType{request, rebind}[rng.IntN(2)]
		if typ == rebind {
			mods = mods[1:]
		}
		data := message(typ, "a", mods...).ToBytes()
		if rng.IntN(2) == 0 {
			port, data = "relay", relayForward("fd00:b1::1", data, client.WithOption(client.OptInterfaceID(make([]byte, rng.IntN(1200)))))
		}
		why, replies := w.serve(port, of(port, data).bytes())
		held := w.book.View().Leases(lease.Filter{}, w.clock)
		if why == reason.DHCPv6TooLarge {
			if refused++; len(held) > 0 {
				t.Errorf("no answer, and %d leases", len(held))
			}
			continue
		}
		if why != reason.Answered {
			t.Fatal(reason.Name(why))
		}
		answered++
		o := open(t, replies[0].Data)
		got := told(t, o.message(t))
		for i := range held {
			if !got[held[i].Prefix] {
				t.Errorf("%v is bound and not told", held[i].Prefix)
			}
			delete(got, held[i].Prefix)
		}
		for p, given := range got {
			if given {
				t.Errorf("%v is told and not bound", p)
			}
		}
	}
	if answered < 40 || refused < 5 {
		t.Errorf("%d answered, %d refused: the test tests nothing", answered, refused)
	}
}

// TestManyFixed: a port with more addresses than fit gets those that do.
func TestManyFixed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, roomy)
	for _, typ := range []client.MessageType{solicit, request, solicit} {
		m := message(typ, "a", na(1), na(2))
		if typ == request {
			toUs(m)
		}
		why, replies := w.serve("fixed", of("fixed", m.ToBytes()).bytes())
		if why != reason.Answered {
			t.Fatalf("%v: %s", typ, reason.Name(why))
		}
		o := open(t, replies[0].Data)
		if n := len(told(t, o.message(t))); n < 35 || n > 41 {
			t.Errorf("%v: %d addresses", typ, n)
		}
	}
}
