package store

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Infinite is the lifetime that never ends, 0xffffffff on the wire (RFC 4861
// section 4.6.2).
const Infinite = time.Duration(math.MaxInt64)

// deadlineSize is the length of an encoded Deadline, in bytes.
const deadlineSize = 8 + 8 + 16 + 8

// Deadline is the instant at which a lifetime ends, in both times of a Clock.
// Within the boot it was made in, uptime decides and a step of the wall clock
// changes nothing; in another boot wall time is all there is. The zero value
// has passed.
type Deadline struct {
	Lifetime time.Duration // what was granted; Remaining is never more
	Wall     time.Time     // UTC, whole milliseconds; zero where Lifetime is Infinite
	Boot     BootID
	Uptime   time.Duration
}

// NewDeadline returns the end of a lifetime that starts now. A lifetime below
// zero counts as zero.
func NewDeadline(now Clock, lifetime time.Duration) Deadline {
	lifetime = max(lifetime, 0)
	if lifetime == Infinite {
		return Deadline{Lifetime: Infinite}
	}
	uptime := now.Uptime + lifetime
	if uptime < now.Uptime {
		uptime = math.MaxInt64
	}
	return Deadline{Lifetime: lifetime, Wall: wallTime(now.Wall.Add(lifetime).UnixMilli()), Boot: now.Boot, Uptime: uptime}
}

// Remaining returns how long the lifetime still lasts, from 0 to Lifetime, or
// Infinite. The bound holds when a wall clock lost years over a reboot.
func (d Deadline) Remaining(now Clock) time.Duration {
	if d.Lifetime == Infinite {
		return Infinite
	}
	left := d.Wall.Sub(now.Wall)
	if d.Boot == now.Boot && d.Boot != (BootID{}) {
		left = d.Uptime - now.Uptime
	}
	return min(max(left, 0), d.Lifetime)
}

// append encodes d behind b: lifetime and wall time (milliseconds since 1970),
// boot, uptime; times in nanoseconds unless said, all big endian.
func (d Deadline) append(b []byte) []byte {
	var wall int64
	if !d.Wall.IsZero() {
		wall = d.Wall.UnixMilli()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(d.Lifetime))
	b = binary.BigEndian.AppendUint64(b, uint64(wall))
	b = append(b, d.Boot[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(d.Uptime))
}

// parseDeadline decodes exactly what append made.
func parseDeadline(b []byte) (Deadline, error) {
	if len(b) != deadlineSize {
		return Deadline{}, fmt.Errorf("store: a deadline of %d octets, want %d", len(b), deadlineSize)
	}
	d := Deadline{
		Lifetime: time.Duration(binary.BigEndian.Uint64(b)),
		Wall:     wallTime(int64(binary.BigEndian.Uint64(b[8:]))),
		Uptime:   time.Duration(binary.BigEndian.Uint64(b[32:])),
	}
	copy(d.Boot[:], b[16:])
	if d.Lifetime < 0 || d.Uptime < 0 {
		return Deadline{}, fmt.Errorf("store: a deadline with the negative time %v or %v", d.Lifetime, d.Uptime)
	}
	if d.Lifetime == Infinite && d != (Deadline{Lifetime: Infinite}) {
		return Deadline{}, fmt.Errorf("store: an infinite deadline with the end %v", d.Wall)
	}
	return d, nil
}

// wallTime is the time at ms milliseconds after 1970; 0 stands for no time.
func wallTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
