package store

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMulticastRouters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := mustOpen(t, dir)
	blue := MulticastRouter{Network: "blue", LinkLocal: netip.MustParseAddr("fe80::a"), MAC: [6]byte{2, 0, 0, 0, 0, 1}}
	red, green := blue, blue
	red.Network, red.LinkLocal, green.Network = "red", netip.MustParseAddr("fe80::b"), "green"
	old := blue
	old.LinkLocal = red.LinkLocal
	if err := s.RecordMulticastRouters([]MulticastRouter{old, red, green}); err != nil {
		t.Fatal(err)
	}
	if err := s.RecordMulticastRouters([]MulticastRouter{blue}, "green", "never"); err != nil {
		t.Fatal(err)
	}
	bad := blue
	bad.LinkLocal = netip.MustParseAddr("2001:db8::1")
	if s.RecordMulticastRouters([]MulticastRouter{bad}) == nil {
		t.Error("kept with an address that is not link-local")
	}
	if err := s.Update(func(tx *Tx) error { return tx.Put(BucketMulticastRouters, networkKey("cut"), []byte{1}) }); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	s, _ = mustOpen(t, dir)
	got, err := s.MulticastRouters()
	if d := cmp.Diff([]string{"red fe80::b", "blue fe80::a"}, names(got)); d != "" || err != nil {
		t.Errorf("%v, after a restart (-want +got):\n%s", err, d)
	}
}

func names(list []MulticastRouter) (out []string) {
	for _, r := range list {
		out = append(out, r.Network+" "+r.LinkLocal.String())
	}
	return out
}
