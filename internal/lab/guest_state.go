package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Forever is the lifetime of what does not expire (RFC 4861 section 4.6.2).
const Forever = 0xffffffff

// Addr is an IPv6 address of a guest as its kernel lists it (ip-address(8)).
type Addr struct {
	Address   netip.Addr `json:"local"`
	PrefixLen int        `json:"prefixlen"`
	Scope     string     `json:"scope"` // link or global

	Tentative       bool `json:"tentative"`
	Optimistic      bool `json:"optimistic"`
	DADFailed       bool `json:"dadfailed"`
	Deprecated      bool `json:"deprecated"`
	Temporary       bool `json:"temporary"`     // RFC 8981
	ManageTemporary bool `json:"mngtmpaddr"`    // temporary addresses are made from it
	Dynamic         bool `json:"dynamic"`       // has a lifetime
	NoPrefixRoute   bool `json:"noprefixroute"` // came without a route to its prefix

	Valid     uint32 `json:"valid_life_time"`     // seconds; Forever
	Preferred uint32 `json:"preferred_life_time"` // seconds; Forever
}

// Route is an IPv6 route of a guest's main table (ip-route(8)).
type Route struct {
	Destination string     `json:"dst"` // a prefix, an address or "default"
	Gateway     netip.Addr `json:"gateway"`
	Device      string     `json:"dev"`
	Protocol    string     `json:"protocol"` // ra, kernel, static
	Type        string     `json:"type"`     // empty is unicast
	Metric      int        `json:"metric"`
	Preference  string     `json:"pref"`    // low, medium, high (RFC 4191)
	Expires     int        `json:"expires"` // seconds; 0 is never
	Metrics     []struct {
		MTU      int `json:"mtu"`
		HopLimit int `json:"hoplimit"`
	} `json:"metrics"`
	NextHops []struct {
		Gateway netip.Addr `json:"gateway"`
		Device  string     `json:"dev"`
		Weight  int        `json:"weight"`
	} `json:"nexthops"` // where there are several
}

// Neighbor is an entry of a guest's neighbour cache (ip-neighbour(8)).
type Neighbor struct {
	Address netip.Addr `json:"dst"`
	MAC     string     `json:"lladdr"` // empty while unresolved
	Router  bool       `json:"-"`
	States  []string   `json:"state"` // REACHABLE, STALE, DELAY, PROBE, FAILED, ...
}

// UnmarshalJSON also reads the router flag, which ip gives as a key with the
// value null.
func (n *Neighbor) UnmarshalJSON(text []byte) error {
	type plain Neighbor
	if err := json.Unmarshal(text, (*plain)(n)); err != nil {
		return err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(text, &keys); err != nil {
		return err
	}
	_, n.Router = keys["router"]
	return nil
}

// Addrs lists the IPv6 addresses of eth0.
func (g *Guest) Addrs() ([]Addr, error) {
	var links []struct {
		Addrs []Addr `json:"addr_info"`
	}
	if err := g.show(&links, "addr", "show", "dev", "eth0"); err != nil {
		return nil, err
	}
	var all []Addr
	for _, l := range links {
		all = append(all, l.Addrs...)
	}
	return all, nil
}

// Routes lists the guest's IPv6 routes.
func (g *Guest) Routes() ([]Route, error) {
	var routes []Route
	return routes, g.show(&routes, "route", "show")
}

// Neighbors lists the IPv6 neighbour cache of eth0.
func (g *Guest) Neighbors() ([]Neighbor, error) {
	var neighbors []Neighbor
	return neighbors, g.show(&neighbors, "neigh", "show", "dev", "eth0")
}

// show runs one of ip's listings as JSON. An empty listing may be no text at
// all.
func (g *Guest) show(into any, args ...string) error {
	out, err := run(context.Background(), nil, "", "ip", append([]string{"-n", g.Namespace, "-j", "-6"}, args...)...)
	if err != nil || strings.TrimSpace(out) == "" {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("guest %s: ip %s: %w", g.Name, strings.Join(args, " "), err)
	}
	return nil
}

// LinkLocal is the guest's link-local address, whether or not its Duplicate
// Address Detection is over; an error where it has none.
func (g *Guest) LinkLocal() (netip.Addr, error) {
	addrs, err := g.Addrs()
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		if a.Address.IsLinkLocalUnicast() {
			return a.Address, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("guest %s has no link-local address: is its link up?", g.Name)
}

// WaitAddr waits until the guest has an address in prefix that it may use:
// Duplicate Address Detection is over and did not fail.
func (g *Guest) WaitAddr(ctx context.Context, prefix netip.Prefix) (Addr, error) {
	var found Addr
	err := Eventually(ctx, func() error {
		addrs, err := g.Addrs()
		if err != nil {
			return permanent{err}
		}
		var seen []error
		for _, a := range addrs {
			switch {
			case !prefix.Contains(a.Address):
			case a.DADFailed:
				seen = append(seen, fmt.Errorf("%s is a duplicate (dadfailed)", a.Address))
			case a.Tentative && !a.Optimistic:
				seen = append(seen, fmt.Errorf("%s is tentative", a.Address))
			default:
				found = a
				return nil
			}
		}
		if len(seen) == 0 {
			return errors.New("none yet")
		}
		return errors.Join(seen...)
	})
	if err != nil {
		return Addr{}, fmt.Errorf("guest %s: address in %s: %w", g.Name, prefix, err)
	}
	return found, nil
}
