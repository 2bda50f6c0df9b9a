package topology

import (
	"testing"
	"time"
)

// TestQueryInterval: a querier asks as often as its Queries say, the field of which has five bits and
// an exponent from 128 s on (RFC 9777 section 5.1.9), and never less often.
func TestQueryInterval(t *testing.T) {
	t.Parallel()
	for configured, want := range map[time.Duration]time.Duration{
		1: 1, 125: 125, 127: 127, 128: 128, 135: 128, 136: 136, 255: 248, 256: 256, 300: 288, 600: 576, 31743: 30720, 31744: 31744,
	} {
		configured *= time.Second
		m := multicastOf(&MulticastSpec{Querier: true, QueryInterval: &configured})
		if m.QueryInterval != want*time.Second {
			t.Errorf("%s: each %s, want %s", configured, m.QueryInterval, want*time.Second)
		}
	}
}
