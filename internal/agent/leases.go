package agent

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"damselfly/internal/lease"
	"damselfly/internal/store"
)

// LeaseStatus is one lease as GET /leases lists it.
type LeaseStatus struct {
	Kind    string `json:"kind"`
	State   string `json:"state"`
	Port    string `json:"port"`
	Network string `json:"network"`
	// Prefix is an address without its length, or a delegated prefix with it.
	Prefix string `json:"prefix"`
	// DUID is in hexadecimal digits.
	DUID string `json:"duid"`
	IAID uint32 `json:"iaid"`
	// Preferred and Valid are the seconds left; Forever is without end. Of a
	// declined address Valid is what is left of its quarantine.
	Preferred int64 `json:"preferred"`
	Valid     int64 `json:"valid"`
}

// Forever is a lifetime of a LeaseStatus that does not end, as DHCPv6 has it
// (RFC 9915 section 7.7).
const Forever = 0xffffffff

// left is a remaining lifetime in seconds.
func left(d time.Duration) int64 {
	if d == store.Infinite {
		return Forever
	}
	return int64(d / time.Second)
}

// leaseFilter reads a filter from the names and values of a query. A name that
// is not known, or stands there twice or without a value, is refused: what was
// meant to select less would select more.
func leaseFilter(q url.Values) (f lease.Filter, err error) {
	for name, values := range q {
		if len(values) != 1 || values[0] == "" {
			return f, fmt.Errorf("%s: give it one value", name)
		}
		value := values[0]
		switch name {
		case "port":
			f.Port = value
		case "network":
			f.Network = value
		case "address":
			f.Within, err = place(value)
		case "duid":
			f.DUID, err = duid(value)
		case "kind":
			f.Kind, err = named(value, lease.Address, lease.Prefix, lease.Registration)
		case "state":
			f.State, err = named(value, lease.Bound, lease.Declined)
		default:
			err = errors.New("leases are selected by port, network, address, duid, kind and state")
		}
		if err != nil {
			return f, fmt.Errorf("%s: %w", name, err)
		}
	}
	return f, nil
}

// place reads an address or a prefix.
func place(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		return netip.ParsePrefix(text)
	}
	a, err := netip.ParseAddr(text)
	return netip.PrefixFrom(a, a.BitLen()), err
}

// duid reads the digits that leases are listed with; colons may be between them.
func duid(text string) (string, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(b) == 0 {
		return "", fmt.Errorf("write %q in hexadecimal digits, as leases are listed", text)
	}
	return string(b), nil
}

// named finds the value that lists write as text.
func named[T fmt.Stringer](text string, values ...T) (T, error) {
	names := make([]string, len(values))
	for i, v := range values {
		if names[i] = v.String(); names[i] == text {
			return v, nil
		}
	}
	var none T
	return none, fmt.Errorf("%q is none of %s", text, strings.Join(names, ", "))
}

// serveLeases answers GET /leases.
func (a *Agent) serveLeases(w http.ResponseWriter, r *http.Request) {
	f, err := leaseFilter(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply(w, a.leases.list(f))
}

// list returns the leases that a filter selects.
func (l *leases) list(f lease.Filter) []LeaseStatus {
	now := l.now()
	out := []LeaseStatus{}
	for _, held := range l.book.View().Leases(f, now) {
		prefix := held.Prefix.String()
		if held.Kind != lease.Prefix {
			prefix = held.Addr().String()
		}
		out = append(out, LeaseStatus{
			Kind: held.Kind.String(), State: held.State.String(), Port: held.Port, Network: held.Network,
			Prefix: prefix, DUID: hex.EncodeToString([]byte(held.DUID)), IAID: held.IAID,
			Preferred: left(held.Preferred.Remaining(now)), Valid: left(held.Valid.Remaining(now)),
		})
	}
	return out
}
