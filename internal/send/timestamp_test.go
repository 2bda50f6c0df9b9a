package send_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"damselfly/internal/send"
)

func at(d time.Duration) time.Time { return now.Add(d) }

// TestTimestamps holds Peers to RFC 3971 section 5.3.4.2: of who is new the clock
// must be near, of who is known it must go on.
func TestTimestamps(t *testing.T) {
	t.Parallel()
	peer := send.Peer{Network: "blue", Addr: netip.MustParseAddr("fe80::1")}
	for _, tt := range []struct {
		name string
		// last is when the last message came, and lastOff how far its clock was then;
		// none where there was none.
		known         bool
		last, lastOff time.Duration
		came, off     time.Duration
		want          send.Fault
	}{
		{"new, in time", false, 0, 0, 0, 0, send.FaultNone},
		{"new, 299 s late", false, 0, 0, 0, -299 * time.Second, send.FaultNone},
		{"new, 300 s late", false, 0, 0, 0, -300 * time.Second, send.FaultTimestamp},
		{"new, 299 s early", false, 0, 0, 0, 299 * time.Second, send.FaultNone},
		{"new, 300 s early", false, 0, 0, 0, 300 * time.Second, send.FaultTimestamp},
		{"new, from 1970", false, 0, 0, 0, -now.Sub(time.Unix(0, 0)), send.FaultTimestamp},
		{"known, later", true, 0, 0, time.Second, 0, send.FaultNone},
		{"known, the same once more at once", true, 0, 0, 0, 0, send.FaultReplay},
		{"known, the same after a second", true, 0, 0, time.Second, -time.Second, send.FaultReplay},
		{"known, the same after an hour", true, 0, 0, time.Hour, -time.Hour, send.FaultReplay},
		{"known, older than the last by more than twice the fuzz", true, 0, 0, 0, -2100 * time.Millisecond, send.FaultReplay},
		{"known, a clock that is far off but goes on", true, 0, 290 * time.Second, time.Minute, 290 * time.Second, send.FaultNone},
		{"known, a clock that drifts by 0.9 % in an hour", true, 0, 0, time.Hour, -32 * time.Second, send.FaultNone},
		{"known, a clock that lags by 2 % of an hour", true, 0, 0, time.Hour, -72 * time.Second, send.FaultReplay},
		{"known, a clock that was set far ahead", true, 0, 0, time.Minute, 100 * time.Hour, send.FaultNone},
	} {
		c := send.NewPeers()
		if tt.known {
			if f := c.Accept(at(tt.last), peer, send.Stamp(at(tt.last+tt.lastOff)), "vm1"); f != send.FaultNone {
				t.Fatal(f)
			}
		}
		if got := c.Check(at(tt.came), peer, send.Stamp(at(tt.came+tt.off))); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	for _, stamp := range []uint64{0, 1 << 63, 1<<64 - 1, farAhead} {
		if got := send.NewPeers().Check(now, peer, stamp); got != send.FaultTimestamp {
			t.Errorf("timestamp %#x: %v", stamp, got)
		}
	}
	c := send.NewPeers()
	_ = c.Accept(now, peer, send.Stamp(now), "vm1")
	if got := c.Check(now, peer, 1<<64-1); got != send.FaultTimestamp {
		t.Errorf("the largest timestamp of who is known: %v", got)
	}
}

// farAhead is the first second that no arithmetic is done with.
const farAhead = 1 << 40 << 16

// TestPeersBounded: one port that signs from ever new addresses loses its own, not
// those of others, and an older message never takes the place of a newer.
func TestPeersBounded(t *testing.T) {
	t.Parallel()
	c := send.NewPeers()
	other := send.Peer{Network: "blue", Addr: netip.MustParseAddr("fe80::1")}
	_ = c.Accept(now, other, send.Stamp(now), "vm1")
	var last send.Peer
	for i := range 10 * send.MaxPortPeers {
		last = send.Peer{Network: "blue", Addr: netip.MustParseAddr(fmt.Sprintf("fe80::2:%x", i))}
		if f := c.Accept(at(time.Duration(i)*time.Second), last, send.Stamp(now), "vm2"); f != send.FaultNone {
			t.Fatal(f)
		}
	}
	if c.Len() != 1+send.MaxPortPeers {
		t.Errorf("%d peers are remembered", c.Len())
	}
	for _, p := range []send.Peer{other, last} {
		if _, known := c.Port(p); !known {
			t.Errorf("%v is forgotten", p)
		}
	}
	_ = c.Accept(at(time.Second), other, send.Stamp(at(-time.Minute)), "vm1")
	if got := c.Check(at(time.Second), other, send.Stamp(now)); got != send.FaultReplay {
		t.Errorf("the newest message once more after an older one: %v", got)
	}
	_ = c.Accept(at(time.Hour), other, send.Stamp(at(time.Hour)), "vm3")
	if port, _ := c.Port(other); port != "vm3" {
		t.Errorf("it spoke from %s", port)
	}
	c.Revise(func(_ send.Peer, port string) bool { return port == "vm3" })
	if _, known := c.Port(last); known || c.Len() != 1 {
		t.Errorf("%d are left", c.Len())
	}
}
