package send_test

import (
	"net/netip"
	"testing"

	"damselfly/internal/send"
)

// TestPortAllocates: looking a signer up costs a worker nothing.
func TestPortAllocates(t *testing.T) {
	c := send.NewPeers()
	p := send.Peer{Network: "blue", Addr: netip.MustParseAddr("fe80::1")}
	q := send.Peer{Network: "blue", Addr: netip.MustParseAddr("fe80::2")}
	_ = c.Accept(now, p, send.Stamp(now), 1, "vm1")
	if n := testing.AllocsPerRun(100, func() {
		_, known := c.Port(p)
		_, unknown := c.Port(q)
		if !known || unknown {
			t.Fatal("it is not the right one that is known")
		}
	}); n != 0 {
		t.Errorf("%v allocations for two lookups", n)
	}
}
