package send_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"damselfly/internal/send"

	"pgregory.net/rapid"
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
		// signature is 1 for that of the last message.
		signature uint64
		want      send.Fault
	}{
		{"new, in time", false, 0, 0, 0, 0, 2, send.FaultNone},
		{"new, 299 s late", false, 0, 0, 0, -299 * time.Second, 2, send.FaultNone},
		{"new, 300 s late", false, 0, 0, 0, -300 * time.Second, 2, send.FaultTimestamp},
		{"new, 299 s early", false, 0, 0, 0, 299 * time.Second, 2, send.FaultNone},
		{"new, 300 s early", false, 0, 0, 0, 300 * time.Second, 2, send.FaultTimestamp},
		{"new, from 1970", false, 0, 0, 0, -now.Sub(time.Unix(0, 0)), 2, send.FaultTimestamp},
		{"known, later", true, 0, 0, time.Second, 0, 2, send.FaultNone},
		{"known, the same once more at once", true, 0, 0, 0, 0, 1, send.FaultReplay},
		{"known, another of the same moment", true, 0, 0, 0, 0, 2, send.FaultNone},
		{"known, one that was overtaken by a second", true, 0, 0, 0, -time.Second, 2, send.FaultNone},
		{"known, the same after a second", true, 0, 0, time.Second, -time.Second, 1, send.FaultReplay},
		{"known, the same after an hour", true, 0, 0, time.Hour, -time.Hour, 1, send.FaultReplay},
		{"known, older than the last by more than twice the fuzz", true, 0, 0, 0, -2100 * time.Millisecond, 2, send.FaultReplay},
		{"known, a clock that is far off but goes on", true, 0, 290 * time.Second, time.Minute, 290 * time.Second, 2, send.FaultNone},
		{"known, a clock that drifts by 0.9 % in an hour", true, 0, 0, time.Hour, -32 * time.Second, 2, send.FaultNone},
		{"known, a clock that lags by 20 s of four minutes", true, 0, 0, 4 * time.Minute, -20 * time.Second, 2, send.FaultReplay},
		{"known, a clock that lags by 2 % of an hour, as if it were new", true, 0, 0, time.Hour, -72 * time.Second, 2, send.FaultNone},
		{"known, a clock that lags by 10 % of an hour", true, 0, 0, time.Hour, -6 * time.Minute, 2, send.FaultReplay},
		{"known, a clock that was set ahead", true, 0, 0, time.Minute, 59 * time.Minute, 2, send.FaultNone},
		{"known, a clock that was set farther ahead than anything is remembered", true, 0, 0, time.Minute, time.Hour, 2, send.FaultTimestamp},
		{"known, a clock that was 2 minutes ahead and is right again", true, 0, 2 * time.Minute, 6 * time.Minute, 0, 2, send.FaultReplay},
		{"known, the same 7 minutes later", true, 0, 2 * time.Minute, 7 * time.Minute, 0, 2, send.FaultNone},
		{"known, a clock that is a day behind and goes on", true, 0, -24 * time.Hour, time.Minute, -24 * time.Hour, 2, send.FaultNone},
		{"known, a clock that is a day behind and gains 0.9 % in an hour", true, 0, -24 * time.Hour, time.Hour, -24*time.Hour + 32*time.Second, 2, send.FaultNone},
		{"known, a clock that is a day behind and right again", true, 0, -24 * time.Hour, time.Minute, -299 * time.Second, 2, send.FaultNone},
		{"known, a clock that is a day behind, and what it said six minutes ago, when it was right", true, 0, -24 * time.Hour, time.Minute, -6 * time.Minute, 2, send.FaultTimestamp},
		{"known, a clock that is a day behind, and what it said a day ago, when it was right", true, 0, -24 * time.Hour, time.Minute, -24*time.Hour + 3*time.Second, 2, send.FaultTimestamp},
		{"known, what a clock said that was ahead, when its time has come", true, 0, 50 * time.Minute, 50 * time.Minute, 0, 1, send.FaultReplay},
	} {
		c := send.NewPeers()
		if tt.known {
			if f := c.Accept(at(tt.last), peer, send.Stamp(at(tt.last+tt.lastOff)), 1, "vm1"); f != send.FaultNone {
				t.Fatal(f)
			}
		}
		if got := c.Check(at(tt.came), peer, send.Stamp(at(tt.came+tt.off)), tt.signature); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	for _, stamp := range []uint64{0, 1 << 63, 1<<64 - 1, farAhead} {
		if got := send.NewPeers().Check(now, peer, stamp, 1); got != send.FaultTimestamp {
			t.Errorf("timestamp %#x: %v", stamp, got)
		}
	}
	c := send.NewPeers()
	_ = c.Accept(now, peer, send.Stamp(now), 1, "vm1")
	if got := c.Check(now, peer, 1<<64-1, 1); got != send.FaultTimestamp {
		t.Errorf("the largest timestamp of who is known: %v", got)
	}
}

// TestSameTimestamp: a clock that stands still is told by the first message that had its
// time: "if the above inequality holds and TSnew > TSlast, the receiver SHOULD update
// RDlast and TSlast. Otherwise, the receiver MUST NOT update RDlast or TSlast" (RFC 3971
// section 5.3.4.2).
func TestSameTimestamp(t *testing.T) {
	t.Parallel()
	c, peer, stamp := send.NewPeers(), send.Peer{Network: "blue", Addr: netip.MustParseAddr("fe80::1")}, send.Stamp(now)
	for i, tt := range []struct {
		came time.Duration
		want send.Fault
	}{
		{0, send.FaultNone},
		{1900 * time.Millisecond, send.FaultNone}, // 1 > 1.9 x 0.99 - 1
		{3 * time.Second, send.FaultReplay},       // 1 < 3 x 0.99 - 1
	} {
		if got := c.Check(at(tt.came), peer, stamp, uint64(i)); got != tt.want {
			t.Errorf("after %v: %v, want %v", tt.came, got, tt.want)
		}
		_ = c.Accept(at(tt.came), peer, stamp, uint64(i), "vm1")
	}
}

// TestTaken: whatever order a peer's messages come in, and however many there are, none
// is taken twice, not even after its peer is forgotten.
func TestTaken(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := send.NewPeers()
		peer := send.Peer{Network: "blue", Addr: netip.MustParseAddr("fe80::1")}
		type message struct{ stamp, signature uint64 }
		var said []message
		taken := map[message]bool{}
		came := now
		for i := range rapid.IntRange(1, 300).Draw(t, "steps") {
			came = came.Add(time.Duration(rapid.Int64Range(0, int64(rapid.SampledFrom([]time.Duration{time.Millisecond, 100 * time.Millisecond, 10 * time.Minute, 2 * time.Hour}).Draw(t, "pace"))).Draw(t, "passes")))
			c.Expire(came)
			var m message
			if len(said) > 0 && rapid.Bool().Draw(t, "again") {
				m = said[rapid.IntRange(max(0, len(said)-100), len(said)-1).Draw(t, "which")]
			} else {
				off := time.Duration(rapid.Int64Range(-3*int64(time.Second), 3*int64(time.Second)).Draw(t, "off"))
				if rapid.IntRange(0, 9).Draw(t, "jumps") == 0 {
					off = time.Duration(rapid.Int64Range(-int64(time.Hour), 2*int64(time.Hour)).Draw(t, "far off"))
				}
				m = message{send.Stamp(came.Add(off)), uint64(i)}
				said = append(said, m)
			}
			if c.Check(came, peer, m.stamp, m.signature) != send.FaultNone {
				continue
			}
			if taken[m] {
				t.Fatalf("%+v was taken twice", m)
			}
			taken[m] = true
			if f := c.Accept(came, peer, m.stamp, m.signature, "vm1"); f != send.FaultNone {
				t.Fatal(f)
			}
		}
	})
}

// farAhead is the first second that no arithmetic is done with.
const farAhead = 1 << 40 << 16

// TestPeersBounded: one port that signs from ever new addresses loses its own, not
// those of others, and an older message never takes the place of a newer.
func TestPeersBounded(t *testing.T) {
	t.Parallel()
	c := send.NewPeers()
	other := send.Peer{Network: "blue", Addr: netip.MustParseAddr("fe80::1")}
	_ = c.Accept(now, other, send.Stamp(now), 1, "vm1")
	var last send.Peer
	for i := range 10 * send.MaxPortPeers {
		last = send.Peer{Network: "blue", Addr: netip.MustParseAddr(fmt.Sprintf("fe80::2:%x", i))}
		if f := c.Accept(at(time.Duration(i)*time.Second), last, send.Stamp(now), 1, "vm2"); f != send.FaultNone {
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
	_ = c.Accept(at(time.Second), other, send.Stamp(at(-time.Minute)), 1, "vm1")
	if got := c.Check(at(time.Second), other, send.Stamp(now), 1); got != send.FaultReplay {
		t.Errorf("the newest message once more after an older one: %v", got)
	}
	_ = c.Accept(at(time.Hour), other, send.Stamp(at(time.Hour)), 1, "vm3")
	if port, _ := c.Port(other); port != "vm3" {
		t.Errorf("it spoke from %s", port)
	}
	c.Revise(func(_ send.Peer, port string) bool { return port == "vm3" })
	if _, known := c.Port(last); known || c.Len() != 1 {
		t.Errorf("%d are left", c.Len())
	}
}
