package wire

import (
	"slices"
	"testing"
)

// TestRoutingHeader: behind a Routing header of type 0 no gate lets a message
// pass, wherever in the chain it is and whether it has addresses left; other
// types are no business of ours.
func TestRoutingHeader(t *testing.T) {
	t.Parallel()
	routing := func(next, typ, left byte) []byte {
		return append([]byte{next, 2, typ, left, 0, 0, 0, 0}, make([]byte, 16)...)
	}
	insert := func(f []byte, headers ...[]byte) []byte {
		out := slices.Concat(append([][]byte{f[:HeadersLen]}, append(headers, f[HeadersLen:])...)...)
		out[20] = 60
		return setLen(out)
	}
	options := []byte{43, 0, 1, 4, 0, 0, 0, 0}
	for _, tt := range []struct {
		name  string
		frame []byte
		want  Fault
	}{
		{"NS, an address left", insert(frame(nsHex), options, routing(58, 0, 1)), FaultRoutingHeader},
		{"NS, none left", insert(frame(nsHex), options, routing(58, 0, 0)), FaultRoutingHeader},
		{"NS, then another type", insert(frame(nsHex), options, routing(43, 0, 0), routing(58, 4, 0)), FaultRoutingHeader},
		{"NS, type 4", insert(frame(nsHex), options, routing(58, 4, 0)), FaultNone},
		{"UDP", insert(frame(udpHex), options, routing(17, 0, 1)), FaultRoutingHeader},
		{"UDP, type 4", insert(frame(udpHex), options, routing(17, 4, 0)), FaultNone},
		{"echo request", insert(frame(echoHex), options, routing(58, 0, 1)), FaultRoutingHeader},
	} {
		if got := verdict(tt.frame); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
