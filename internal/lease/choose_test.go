package lease

import (
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"testing"
	"testing/quick"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"damselfly/internal/topology"
)

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestChooseOrder: fixed addresses, reservations, what the IA has, the hint, pools.
func TestChooseOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := blue(t, func(n *topology.Network) {
		n.Subnets[0].Pools = []topology.AddrRange{pool("fd00:b1::50", "fd00:b1::5f")}
		n.DHCPv6.Reservations = []topology.Reservation{{DUID: "r", Addresses: addrs("fd00:b1::51", "fd00:b1::70")}}
		n.Ports[0].Fixed = addrs("fd00:b1::11", "fd00:b1::12f", "fd00:b2::11")
	})
	w.bind(start(), address("vm3", "has", "fd00:b1::55", time.Hour), address("vm1", "firmware", "fd00:b1::11", time.Hour))
	tests := []struct {
		name string
		port int
		duid string
		iaid uint32
		hint string
		want []netip.Addr
	}{
		{"fixed, one held by another client of the port", 0, "x", 0, "", addrs("fd00:b1::11", "fd00:b1::12f")},
		{"fixed before hint", 0, "x", 0, "fd00:b1::56", addrs("fd00:b1::11", "fd00:b1::12f")},
		{"fixed, held by another IA of the client", 0, "firmware", 9, "", addrs("fd00:b1::12f")},
		{"reserved", 2, "r", 0, "", addrs("fd00:b1::51", "fd00:b1::70")},
		{"fixed before reserved", 1, "r", 0, "", addrs("fd00:b1::12")},
		{"what it has", 2, "has", 0, "fd00:b1::56", addrs("fd00:b1::55")},
		{"hint", 2, "x", 0, "fd00:b1::56", addrs("fd00:b1::56")},
	}
	for _, tt := range tests {
		var hint netip.Addr
		if tt.hint != "" {
			hint = netip.MustParseAddr(tt.hint)
		}
		got, err := w.book.Begin(start()).Choose(Ask{Network: n, Port: n.Ports[tt.port], DUID: []byte(tt.duid), IAID: tt.iaid}, &n.Subnets[0], hint)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		equal(t, tt.name, got, tt.want)
	}
	for _, hint := range []string{"fd00:b1::55", "fd00:b1::51", "fd00:b1::60", "fd00:b1::12", "fd00:b3::1"} {
		got, err := w.book.Begin(start()).Choose(Ask{Network: n, Port: n.Ports[2], DUID: []byte("x"), IAID: 0}, &n.Subnets[0], netip.MustParseAddr(hint))
		if err != nil || got[0] == netip.MustParseAddr(hint) || !n.Subnets[0].Pools[0].Contains(got[0]) {
			t.Errorf("hint %s, which is taken, reserved or in no pool: %v, %v", hint, got, err)
		}
	}
}

// TestExhausted: every address of a small pool is given, once, and none that is
// somebody's; what becomes free is given again.
func TestExhausted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := blue(t, func(n *topology.Network) {
		n.Subnets[0].Pools = []topology.AddrRange{pool("fd00:b1::", "fd00:b1::1f")} // with the anycast address and both fixed ones
		n.DHCPv6.Reservations = []topology.Reservation{{DUID: "r", Addresses: addrs("fd00:b1::5")}}
	})
	now := start()
	want := map[netip.Addr]bool{}
	for a := n.Subnets[0].Pools[0].First; n.Subnets[0].Pools[0].Contains(a); a = a.Next() {
		want[a] = true
	}
	for _, a := range addrs("fd00:b1::", "fd00:b1::11", "fd00:b1::12", "fd00:b1::5") {
		delete(want, a)
	}
	for round := range 3 {
		got := map[netip.Addr]bool{}
		for i := 0; ; i++ {
			ask := Ask{Network: n, Port: n.Ports[2], DUID: fmt.Appendf(nil, "client %d", i)}
			tx := w.book.Begin(now)
			for tx.Expire(100) > 0 {
			}
			list, err := tx.Choose(ask, &n.Subnets[0], netip.Addr{})
			if errors.Is(err, ErrNoAddress) {
				w.commit(tx)
				break
			}
			if err != nil || got[list[0]] {
				t.Fatalf("round %d: %v, %v", round, list, err)
			}
			got[list[0]] = true
			g := address("vm3", string(ask.DUID), list[0].String(), time.Minute)
			g.Limit = 100
			if err := tx.Bind(g); err != nil {
				t.Fatal(err)
			}
			if again, err := tx.Choose(ask, &n.Subnets[0], netip.Addr{}); err != nil || !slices.Equal(again, list) {
				t.Fatalf("asked again: %v, %v, want %v", again, err, list)
			}
			if i%3 == 2 {
				delete(got, list[0]) // the transaction is given up: nothing may be lost by it
				continue
			}
			w.commit(tx)
		}
		equal(t, "given", got, want)
		if round == 0 {
			w.restart(now)
		}
		now = later(now, time.Minute)
	}
	if _, err := w.book.Begin(start()).Choose(Ask{Network: n, Port: n.Ports[2], DUID: []byte("x"), IAID: 0}, &topology.Subnet{Prefix: netip.MustParsePrefix("fd00:b1::/64")}, netip.Addr{}); !errors.Is(err, ErrNoPool) {
		t.Errorf("a subnet without pools: %v, want ErrNoPool", err)
	}
}

// TestChooseStable: a client gets the same address again after a release and
// after a restart, another server another one, and pools of any size do.
func TestChooseStable(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t)
	for _, r := range []topology.AddrRange{
		pool("fd00:b1::1:0", "fd00:b1::1:ffff"), pool("fd00:b1::", "fd00:b1::ffff:ffff:ffff:ffff"), pool("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
	} {
		n := blue(t, func(n *topology.Network) {
			n.Subnets[0].Prefix = netip.MustParsePrefix("::/0")
			n.Subnets[0].Pools = []topology.AddrRange{r}
		})
		choose := func(w *world, duid string, iaid uint32) netip.Addr {
			list, err := w.book.Begin(start()).Choose(Ask{Network: n, Port: n.Ports[2], DUID: []byte(duid), IAID: iaid}, &n.Subnets[0], netip.Addr{})
			if err != nil || len(list) != 1 || !r.Contains(list[0]) {
				t.Fatalf("%v: %v, %v", r, list, err)
			}
			return list[0]
		}
		first := choose(w, "x", 0)
		w.bind(start(), address("vm3", "x", first.String(), time.Hour))
		tx := w.book.Begin(start())
		tx.Release("vm3", []byte("x"), Address, 0, netip.PrefixFrom(first, 128))
		w.commit(tx)
		w.restart(start())
		if again := choose(w, "x", 0); again != first {
			t.Errorf("%v: %v, then %v", r, first, again)
		}
		if a, b, c := choose(w, "x", 1), choose(w, "y", 0), choose(other, "x", 0); a == first || b == first || c == first {
			t.Errorf("%v: %v for another IA (%v), client (%v) or server (%v)", r, first, a, b, c)
		}
	}
}

// TestChoosePrefix: hints after RFC 8168, then stable choice, exactly until none
// is left.
func TestChoosePrefix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := blue(t, func(n *topology.Network) {
		n.Subnets[0].Prefix = netip.MustParsePrefix("2001:db8:0:100::/64") // within the first pool's second prefix
		n.DHCPv6.Delegations = []topology.Delegation{
			{Pool: netip.MustParsePrefix("2001:db8::/54"), Length: 56},
			{Pool: netip.MustParsePrefix("2001:db8:1::/48"), Length: 60},
			{Pool: netip.MustParsePrefix("2001:db8:2::/47"), Length: 48},
		}
	})
	w.bind(start(), delegated("vm3", "old", "2001:db8:0:200::/56", time.Hour))
	ask := func(hint string) (netip.Prefix, int) {
		var p netip.Prefix
		if hint != "" {
			p = netip.MustParsePrefix(hint)
		}
		got, d, err := w.book.Begin(start()).ChoosePrefix(Ask{Network: n, Port: n.Ports[2], DUID: []byte("x"), IAID: 0}, p)
		if err != nil || got.Bits() != d.Length || !d.Pool.Contains(got.Addr()) {
			t.Fatalf("hint %s: %v of %v, %v", hint, got, d, err)
		}
		return got, got.Bits()
	}
	for _, hint := range []string{"2001:db8::/56", "2001:db8:1:ff0::/60", "2001:db8:3::/48"} {
		if got, _ := ask(hint); got != netip.MustParsePrefix(hint) {
			t.Errorf("hint %s, which is free: got %v", hint, got)
		}
	}
	for hint, want := range map[string]int{
		"": 56, "::/0": 56, "::/56": 56, "::/60": 60, "::/64": 60, "::/128": 60, "::/59": 56, "::/50": 48, "::/32": 48,
		"2001:db8:0:200::/56": 56, "2001:db8:0:100::/56": 56, "3fff::/60": 60,
	} {
		if got, length := ask(hint); length != want || got.String() == hint {
			t.Errorf("hint %s: %v, want another of length %d", hint, got, want)
		}
	}
	n.DHCPv6.Delegations = n.DHCPv6.Delegations[:1]
	var given []string
	tx := w.book.Begin(start())
	for i := 0; ; i++ {
		duid := fmt.Sprint(i)
		p, _, err := tx.ChoosePrefix(Ask{Network: n, Port: n.Ports[2], DUID: []byte(duid), IAID: 0}, netip.Prefix{})
		if errors.Is(err, ErrNoPrefix) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		given = append(given, p.String())
		if err := tx.Bind(delegated("vm3", duid, p.String(), time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(given)
	equal(t, "given", given, []string{"2001:db8:0:300::/56", "2001:db8::/56"})
	if _, _, err := w.book.Begin(start()).ChoosePrefix(Ask{Network: &topology.Network{Name: "blue"}}, netip.Prefix{}); !errors.Is(err, ErrNoPool) {
		t.Errorf("a network that delegates nothing: %v", err)
	}
}

// TestWide holds the 128-bit numbers against math/big.
func TestWide(t *testing.T) {
	t.Parallel()
	number := func(x wide) *big.Int { o := x.octets(); return new(big.Int).SetBytes(o[:]) }
	mask := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))
	check := func(a, b, c, d uint64, n uint8, narrow bool) bool {
		x, y := wide{a, b}, wide{c, d}
		if narrow {
			y.hi >>= n % 64
			y.lo >>= n % 64
		}
		n %= 129
		ok := number(x.plus(y)).Cmp(new(big.Int).And(mask, new(big.Int).Add(number(x), number(y)))) == 0 &&
			number(x.minus(y)).Cmp(new(big.Int).And(mask, new(big.Int).Sub(number(x), number(y)))) == 0 &&
			number(x.shifted(n)).Cmp(new(big.Int).And(mask, new(big.Int).Lsh(number(x), uint(n)))) == 0 &&
			x.less(y) == (number(x).Cmp(number(y)) < 0)
		return ok && (y == wide{} || number(x.mod(y)).Cmp(new(big.Int).Mod(number(x), number(y))) == 0)
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 20000}); err != nil {
		t.Error(err)
	}
}

// TestScarcePrefixes: in a pool that is searched, prefixes of a former, other
// length are in the way as long as they last.
func TestScarcePrefixes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := blue(t, func(n *topology.Network) {
		n.DHCPv6.Delegations = []topology.Delegation{{Pool: netip.MustParsePrefix("2001:db8::/55"), Length: 56}}
	})
	ask := Ask{Network: n, Port: n.Ports[2], DUID: []byte("x"), IAID: 0}
	w.bind(start(), delegated("vm3", "a", "2001:db8:0:10::/60", time.Hour), delegated("vm3", "b", "2001:db8:0:100::/56", 2*time.Hour))
	choose := func() (string, error) {
		p, _, err := w.book.Begin(start()).ChoosePrefix(ask, netip.Prefix{})
		return p.String(), err
	}
	for range 2 {
		if p, err := choose(); !errors.Is(err, ErrNoPrefix) {
			t.Fatalf("%v, %v, want none", p, err)
		}
	}
	tx := w.book.Begin(start())
	tx.Release("vm3", []byte("a"), Prefix, 0, netip.MustParsePrefix("2001:db8:0:10::/60"))
	w.commit(tx)
	if p, err := choose(); err != nil || p != "2001:db8::/56" {
		t.Errorf("%v, %v, want the prefix that the /60 was in", p, err)
	}
	tx = w.book.Begin(start())
	if err := tx.Bind(delegated("vm3", "c", "2001:db8::/54", time.Hour)); !errors.Is(err, ErrTaken) {
		t.Errorf("a prefix around another: %v", err)
	}
}
