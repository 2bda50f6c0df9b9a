package store

import (
	"fmt"
	"net/netip"
)

// RouterIdentity is who advertised on a network. It is kept so that the final
// advertisement, router lifetime 0 (RFC 4861 section 6.2.5), can be sent in the
// router's name when it left the configuration while nobody was running.
type RouterIdentity struct {
	Network   string
	LinkLocal netip.Addr // source of the advertisements, no zone
	MAC       [6]byte
	Default   bool // advertised with a router lifetime above 0
}

// RecordRouters stores identities, each replacing the former one of its
// network, in one fsync. Identities that are stored already cost no write.
func (s *Store) RecordRouters(routers ...RouterIdentity) error {
	var changed []RouterIdentity
	err := s.View(func(tx *Tx) error {
		for _, r := range routers {
			if err := r.check(); err != nil {
				return err
			}
			if v, ok := tx.Get(BucketRouters, networkKey(r.Network)); !ok || string(v) != string(r.encode()) {
				changed = append(changed, r)
			}
		}
		return nil
	})
	if err != nil || len(changed) == 0 {
		return err
	}
	return s.Update(func(tx *Tx) error {
		for _, r := range changed {
			if err := tx.Put(BucketRouters, networkKey(r.Network), r.encode()); err != nil {
				return err
			}
		}
		return nil
	})
}

func (r RouterIdentity) check() error {
	if r.Network == "" || len(r.Network) > maxNetworkName {
		return fmt.Errorf("store: a network name of %d octets, want 1 to %d", len(r.Network), maxNetworkName)
	}
	if !isLinkLocal(r.LinkLocal) {
		return fmt.Errorf("store: router of network %s: %v is no link-local address without zone", r.Network, r.LinkLocal)
	}
	return nil
}

// Routers returns the recorded identities of all networks, also those no
// longer configured.
func (s *Store) Routers() ([]RouterIdentity, error) {
	var out []RouterIdentity
	err := s.View(func(tx *Tx) error {
		return tx.ForEach(BucketRouters, nil, func(k, v []byte) error {
			r, err := parseRouter(k, v)
			if err != nil {
				s.log.Error("skipped a record of the state", "bucket", string(BucketRouters), "key", fmt.Sprintf("%x", k), "error", err)
				return nil
			}
			out = append(out, r)
			return nil
		})
	})
	return out, err
}

// ForgetRouter removes the identity of network, after its final
// advertisements. What is not there is no error.
func (s *Store) ForgetRouter(network string) error {
	return s.Update(func(tx *Tx) error {
		return tx.Delete(BucketRouters, networkKey(network))
	})
}

func isLinkLocal(a netip.Addr) bool {
	return a.Is6() && a.Zone() == "" && a.IsLinkLocalUnicast()
}

// encode gives the value: address (16 octets), MAC (6), default (1).
func (r RouterIdentity) encode() []byte {
	addr := r.LinkLocal.As16()
	b := append(addr[:], r.MAC[:]...)
	if r.Default {
		return append(b, 1)
	}
	return append(b, 0)
}

func parseRouter(key, value []byte) (RouterIdentity, error) {
	network, rest, err := splitNetworkKey(key)
	if err != nil {
		return RouterIdentity{}, err
	}
	if len(rest) != 0 || len(value) != 23 || value[22] > 1 {
		return RouterIdentity{}, fmt.Errorf("store: no router of network %s in %d and %d octets", network, len(rest), len(value))
	}
	r := RouterIdentity{
		Network:   network,
		LinkLocal: netip.AddrFrom16([16]byte(value)),
		MAC:       [6]byte(value[16:]),
		Default:   value[22] == 1,
	}
	if !isLinkLocal(r.LinkLocal) {
		return RouterIdentity{}, fmt.Errorf("store: router of network %s has the address %v", network, r.LinkLocal)
	}
	return r, nil
}
