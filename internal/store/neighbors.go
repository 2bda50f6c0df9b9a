package store

import (
	"fmt"
	"net/netip"
)

// Neighbor is somebody that nobody configured, and where he was found.
type Neighbor struct {
	Network string
	Addr    netip.Addr // IPv6, no zone
	Port    string
	MAC     [6]byte
	Router  bool // it said that it is one (RFC 4861 section 7.3.3)
}

// Upstream is a default router that advertised itself behind a network's uplink
// (RFC 4861 section 6.3.4).
type Upstream struct {
	Network    string
	Addr       netip.Addr // link-local, no zone
	Preference int8       // -1, 0 or 1 (RFC 4191 section 2.2)
	Until      Deadline
}

// NeighborChanges are records that are put, each in place of what was known of the
// address on its network, and such that are forgotten.
type NeighborChanges struct {
	Put, Forget                   []Neighbor
	PutUpstreams, ForgetUpstreams []Upstream
}

// RecordNeighbors stores changes in one fsync; none costs no write.
func (s *Store) RecordNeighbors(c NeighborChanges) error {
	if len(c.Put)+len(c.Forget)+len(c.PutUpstreams)+len(c.ForgetUpstreams) == 0 {
		return nil
	}
	return s.Update(func(tx *Tx) error {
		for _, n := range c.Put {
			if err := checkPlace(n.Network, n.Addr); err != nil {
				return err
			}
			if err := tx.Put(BucketNeighbors, placeKey(n.Network, n.Addr), n.encode()); err != nil {
				return err
			}
		}
		for _, u := range c.PutUpstreams {
			if err := checkPlace(u.Network, u.Addr); err != nil {
				return err
			}
			if err := tx.Put(BucketUpstreams, placeKey(u.Network, u.Addr), u.encode()); err != nil {
				return err
			}
		}
		for _, n := range c.Forget {
			if err := tx.Delete(BucketNeighbors, placeKey(n.Network, n.Addr)); err != nil {
				return err
			}
		}
		for _, u := range c.ForgetUpstreams {
			if err := tx.Delete(BucketUpstreams, placeKey(u.Network, u.Addr)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Neighbors returns the recorded neighbours and default routers of all networks.
func (s *Store) Neighbors() (neighbors []Neighbor, upstreams []Upstream, err error) {
	skip := func(b Bucket, k []byte, err error) {
		s.log.Error("skipped a record of the state", "bucket", string(b), "key", fmt.Sprintf("%x", k), "error", err)
	}
	err = s.View(func(tx *Tx) error {
		err := tx.ForEach(BucketNeighbors, nil, func(k, v []byte) error {
			n, err := parseNeighbor(k, v)
			if err != nil {
				skip(BucketNeighbors, k, err)
				return nil
			}
			neighbors = append(neighbors, n)
			return nil
		})
		if err != nil {
			return err
		}
		return tx.ForEach(BucketUpstreams, nil, func(k, v []byte) error {
			u, err := parseUpstream(k, v)
			if err != nil {
				skip(BucketUpstreams, k, err)
				return nil
			}
			upstreams = append(upstreams, u)
			return nil
		})
	})
	return neighbors, upstreams, err
}

func checkPlace(network string, a netip.Addr) error {
	if network == "" || len(network) > maxNetworkName {
		return fmt.Errorf("store: a network name of %d octets, want 1 to %d", len(network), maxNetworkName)
	}
	if !a.Is6() || a.Is4In6() || a.Zone() != "" {
		return fmt.Errorf("store: %v of network %s is no IPv6 address without zone", a, network)
	}
	return nil
}

// placeKey is the network's key and the address (16 octets).
func placeKey(network string, a netip.Addr) []byte {
	addr := a.As16()
	return append(networkKey(network), addr[:]...)
}

// splitPlaceKey returns what placeKey put together.
func splitPlaceKey(key []byte) (string, netip.Addr, error) {
	network, rest, err := splitNetworkKey(key)
	if err != nil {
		return "", netip.Addr{}, err
	}
	if len(rest) != 16 {
		return "", netip.Addr{}, fmt.Errorf("store: no address of network %s in %d octets", network, len(rest))
	}
	a := netip.AddrFrom16([16]byte(rest))
	return network, a, checkPlace(network, a)
}

// neighborLen is the length of a neighbour's value without its port's name.
const neighborLen = 6 + 1

// encode gives the value: MAC (6 octets), router (1), the port's name.
func (n Neighbor) encode() []byte {
	flag := byte(0)
	if n.Router {
		flag = 1
	}
	return append(append(n.MAC[:len(n.MAC):len(n.MAC)], flag), n.Port...)
}

func parseNeighbor(key, value []byte) (Neighbor, error) {
	network, a, err := splitPlaceKey(key)
	if err != nil {
		return Neighbor{}, err
	}
	if len(value) <= neighborLen || value[6] > 1 {
		return Neighbor{}, fmt.Errorf("store: no neighbour of network %s in %d octets", network, len(value))
	}
	return Neighbor{Network: network, Addr: a, Port: string(value[neighborLen:]), MAC: [6]byte(value), Router: value[6] == 1}, nil
}

// encode gives the value: preference (1 octet, two's complement), Until.
func (u Upstream) encode() []byte { return u.Until.append([]byte{byte(u.Preference)}) }

func parseUpstream(key, value []byte) (Upstream, error) {
	network, a, err := splitPlaceKey(key)
	if err != nil {
		return Upstream{}, err
	}
	if len(value) != 1+deadlineSize || !isLinkLocal(a) || int8(value[0]) < -1 || int8(value[0]) > 1 {
		return Upstream{}, fmt.Errorf("store: no default router of network %s in %s and %d octets", network, a, len(value))
	}
	u := Upstream{Network: network, Addr: a, Preference: int8(value[0])}
	u.Until, err = parseDeadline(value[1:])
	return u, err
}
