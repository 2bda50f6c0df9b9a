package lease

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// held are the addresses of View.Held by port, as text.
func (w *world) held() map[string][]string {
	out := map[string][]string{}
	w.book.View().Held(func(port string, a HeldAddress) {
		out[port] = append(out[port], a.Network+" "+a.Addr.String())
	})
	for _, list := range out {
		slices.Sort(list)
	}
	return out
}

// TestHeld follows addresses through grants, renewals, declines and a restart:
// prefixes and registrations are none, a renewal moves nothing.
func TestHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	registered := address("vm2", "y", "fd00::3", time.Hour)
	registered.Kind = Registration
	w.bind(start(), address("vm1", "x", "fd00::1", time.Hour), address("vm1", "x", "fd00::2", time.Hour),
		delegated("vm1", "x", "fd01::/56", time.Hour), registered)
	v := w.book.View()
	equal(t, "granted", w.held(), map[string][]string{"vm1": {"blue fd00::1", "blue fd00::2"}})
	equal(t, "moved", v.Moved(), []string{"vm1"})
	equal(t, "moved since", v.Moved(), []string{})

	w.bind(later(start(), time.Minute), address("vm1", "x", "fd00::1", time.Hour))
	equal(t, "moved by a renewal", v.Moved(), []string{})

	tx := w.book.Begin(start())
	if !tx.Decline("vm1", []byte("x"), 0, netip.MustParseAddr("fd00::2"), time.Hour) {
		t.Fatal("not declined")
	}
	w.commit(tx)
	equal(t, "declined", w.held(), map[string][]string{"vm1": {"blue fd00::1"}})
	equal(t, "moved by a decline", v.Moved(), []string{"vm1"})

	w.restart(later(start(), time.Minute))
	equal(t, "after a restart", w.held(), map[string][]string{"vm1": {"blue fd00::1"}})
	tx = w.book.Begin(later(start(), 2*time.Hour))
	for tx.Expire(100) > 0 {
	}
	w.commit(tx)
	equal(t, "expired", w.held(), map[string][]string{})
}

// TestHeldOfARelay: a port behind which there is no end of clients is followed
// no further, until it holds nothing.
func TestHeldOfARelay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var grants []Grant
	for i := range mostFollowed + 1 {
		a := netip.MustParseAddr("fd00::1:0").As16()
		binary.BigEndian.PutUint16(a[14:], uint16(i))
		g := address("relay", "x", netip.AddrFrom16(a).String(), time.Hour)
		g.IAID, g.Limit = uint32(i), 1<<20
		grants = append(grants, g)
	}
	w.bind(start(), append(grants, address("vm1", "y", "fd00::1", time.Hour))...)
	equal(t, "too many", w.held(), map[string][]string{"vm1": {"blue fd00::1"}})
	tx := w.book.Begin(start())
	tx.Revoke(Filter{Port: "relay"})
	w.commit(tx)
	w.bind(start(), address("relay", "x", "fd00::2", time.Hour))
	equal(t, "followed again", w.held(), map[string][]string{"vm1": {"blue fd00::1"}, "relay": {"blue fd00::2"}})
}
