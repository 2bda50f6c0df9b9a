package store

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestDeadline(t *testing.T) {
	t.Parallel()
	d := NewDeadline(clockAt(0), time.Hour)
	turned := func(passed, step time.Duration, boot byte) Clock {
		c := clockAt(passed)
		c.Wall, c.Boot = c.Wall.Add(step), BootID{boot}
		return c
	}
	otherBoot := turned(10*time.Minute, 0, 2)
	otherBoot.Uptime = time.Minute
	tests := []struct {
		what string
		now  Clock
		want time.Duration
	}{
		{"at once", turned(0, 0, 1), time.Hour},
		{"later", turned(10*time.Minute, 0, 1), 50 * time.Minute},
		{"past", turned(2*time.Hour, 0, 1), 0},
		{"clock stepped on", turned(10*time.Minute, 48*time.Hour, 1), 50 * time.Minute},
		{"clock stepped back", turned(10*time.Minute, -48*time.Hour, 1), 50 * time.Minute},
		{"after a reboot", otherBoot, 50 * time.Minute},
		{"after a reboot, clock on", turned(0, 2*time.Hour, 2), 0},
		{"after a reboot, clock lost", turned(0, -1e6*time.Hour, 2), time.Hour},
	}
	for _, tt := range tests {
		stored, err := parseDeadline(d.append(nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := stored.Remaining(tt.now); got != tt.want {
			t.Errorf("%s: remaining %v, want %v", tt.what, got, tt.want)
		}
	}
	if got := NewDeadline(clockAt(0), Infinite).Remaining(turned(0, 1e6*time.Hour, 3)); got != Infinite {
		t.Errorf("infinite: %v", got)
	}
	if got := (Deadline{}).Remaining(Clock{}); got != 0 {
		t.Errorf("zero value: %v", got)
	}
}

func TestReadClock(t *testing.T) {
	t.Parallel()
	a, errA := ReadClock()
	b, errB := ReadClock()
	if errA != nil || errB != nil || a.Boot != b.Boot || a.Boot == (BootID{}) || b.Uptime < a.Uptime || a.Uptime <= 0 {
		t.Errorf("%+v, %v; %+v, %v", a, errA, b, errB)
	}
}

func TestAdvertised(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := mustOpen(t, dir)
	prefix := func(network, p string, valid time.Duration) AdvertisedPrefix {
		return AdvertisedPrefix{Network: network, Prefix: netip.MustParsePrefix(p), OnLink: true, Autonomous: network == "blue",
			ValidUntil: NewDeadline(clockAt(0), valid), PreferredUntil: NewDeadline(clockAt(0), valid/2)}
	}
	b1, b2 := prefix("blue", "fd00:b1::/64", time.Hour), prefix("blue", "fd00:b2::/64", Infinite)
	other := prefix("blue2", "fd00:b1::/64", time.Minute)
	if err := s.RecordAdvertised(b2, b1, other); err != nil {
		t.Fatal(err)
	}
	b1.OnLink = false
	if err := s.RecordAdvertised(b1); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []AdvertisedPrefix{{Network: "x"}, {Network: "x", Prefix: netip.MustParsePrefix("10.0.0.0/8")},
		{Network: "x", Prefix: netip.MustParsePrefix("fd00::1/64")}, {Prefix: b1.Prefix}} {
		if s.RecordAdvertised(bad) == nil {
			t.Errorf("recorded %+v", bad)
		}
	}
	_ = s.Close()
	s, _ = mustOpen(t, dir)
	got, err := s.Advertised("blue")
	if diff := cmp.Diff([]AdvertisedPrefix{b1, b2}, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if err := s.Forget("blue", b1.Prefix); err != nil {
		t.Fatal(err)
	}
	got, err = s.AllAdvertised()
	if diff := cmp.Diff([]AdvertisedPrefix{b2, other}, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" || err != nil {
		t.Errorf("all: %v (-want +got):\n%s", err, diff)
	}
}

func TestRouters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := mustOpen(t, dir)
	blue := RouterIdentity{Network: "blue", LinkLocal: netip.MustParseAddr("fe80::1"), MAC: [6]byte{2, 0, 0, 0, 0, 1}, Default: true}
	red := RouterIdentity{Network: "red", LinkLocal: netip.MustParseAddr("fe80::2")}
	for _, r := range []RouterIdentity{red, blue, blue} {
		if err := s.RecordRouters(r); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []RouterIdentity{{Network: "x"}, {LinkLocal: red.LinkLocal}, {Network: "x", LinkLocal: netip.MustParseAddr("fe80::1%eth0")}} {
		if s.RecordRouters(bad) == nil {
			t.Errorf("recorded %+v", bad)
		}
	}
	_ = s.Close()
	s, _ = mustOpen(t, dir)
	if err := s.ForgetRouter("nobody"); err != nil {
		t.Error(err)
	}
	got, err := s.Routers()
	// Shorter names come first: the key starts with their length.
	if diff := cmp.Diff([]RouterIdentity{red, blue}, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
