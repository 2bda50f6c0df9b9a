package store

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
)

// AdvertisedRoute is a destination that guests of a network were told they reach
// by the router. After it left the advertisements it is withdrawn with lifetime 0
// until WithdrawnUntil has passed (RFC 4191 section 3.1).
type AdvertisedRoute struct {
	Network  string
	Prefix   netip.Prefix  // IPv6, host bits zero
	Lifetime time.Duration // the longest that was told
	// WithdrawnUntil is the zero Deadline while the route is advertised.
	WithdrawnUntil Deadline
}

// RecordRoutes stores routes, replacing what was known of each, and forgets others,
// all in one fsync; none costs no write.
func (s *Store) RecordRoutes(routes, forget []AdvertisedRoute) error {
	if len(routes)+len(forget) == 0 {
		return nil
	}
	return s.Update(func(tx *Tx) error {
		for _, r := range routes {
			if err := checkPrefix(r.Network, r.Prefix); err != nil {
				return err
			}
			if err := tx.Put(BucketRoutes, prefixKey(r.Network, r.Prefix), r.encode()); err != nil {
				return err
			}
		}
		for _, r := range forget {
			if err := tx.Delete(BucketRoutes, prefixKey(r.Network, r.Prefix)); err != nil {
				return err
			}
		}
		return nil
	})
}

// AdvertisedRoutes returns the recorded routes of all networks, also those no
// longer configured.
func (s *Store) AdvertisedRoutes() ([]AdvertisedRoute, error) {
	var out []AdvertisedRoute
	err := s.View(func(tx *Tx) error {
		return tx.ForEach(BucketRoutes, nil, func(k, v []byte) error {
			r, err := parseRoute(k, v)
			if err != nil {
				s.log.Error("skipped a record of the state", "bucket", string(BucketRoutes), "key", fmt.Sprintf("%x", k), "error", err)
				return nil
			}
			out = append(out, r)
			return nil
		})
	})
	return out, err
}

// encode gives the value: Lifetime in nanoseconds (8 octets), WithdrawnUntil.
func (r AdvertisedRoute) encode() []byte {
	return r.WithdrawnUntil.append(binary.BigEndian.AppendUint64(nil, uint64(r.Lifetime)))
}

func parseRoute(key, value []byte) (AdvertisedRoute, error) {
	network, p, err := splitPrefixKey(key)
	if err != nil {
		return AdvertisedRoute{}, err
	}
	if len(value) != 8+deadlineSize {
		return AdvertisedRoute{}, fmt.Errorf("store: no route of network %s in %d octets", network, len(value))
	}
	r := AdvertisedRoute{Network: network, Prefix: p, Lifetime: time.Duration(binary.BigEndian.Uint64(value))}
	if r.Lifetime < 0 {
		return AdvertisedRoute{}, fmt.Errorf("store: a route of network %s with the lifetime %v", network, r.Lifetime)
	}
	r.WithdrawnUntil, err = parseDeadline(value[8:])
	return r, err
}
