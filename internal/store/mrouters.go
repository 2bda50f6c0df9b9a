package store

import (
	"fmt"
	"net/netip"
)

// MulticastRouter is who advertised itself as a multicast router on a network. It is
// kept so that this can be ended (RFC 4286 section 5) in its name when it left the
// configuration while nobody was running.
type MulticastRouter struct {
	Network   string
	LinkLocal netip.Addr // source of the advertisements, no zone
	MAC       [6]byte
}

// RecordMulticastRouters stores routers, each replacing the former one of its network,
// and forgets those of other networks, all in one fsync; none costs no write.
func (s *Store) RecordMulticastRouters(routers []MulticastRouter, forget ...string) error {
	if len(routers)+len(forget) == 0 {
		return nil
	}
	return s.Update(func(tx *Tx) error {
		for _, r := range routers {
			if err := (RouterIdentity{Network: r.Network, LinkLocal: r.LinkLocal}).check(); err != nil {
				return err
			}
			addr := r.LinkLocal.As16()
			if err := tx.Put(BucketMulticastRouters, networkKey(r.Network), append(addr[:], r.MAC[:]...)); err != nil {
				return err
			}
		}
		for _, network := range forget {
			if err := tx.Delete(BucketMulticastRouters, networkKey(network)); err != nil {
				return err
			}
		}
		return nil
	})
}

// MulticastRouters returns those of all networks, also of networks no longer
// configured. A record that cannot be read is reported and left out.
func (s *Store) MulticastRouters() (list []MulticastRouter, err error) {
	err = s.View(func(tx *Tx) error {
		return tx.ForEach(BucketMulticastRouters, nil, func(k, v []byte) error {
			network, rest, err := splitNetworkKey(k)
			if err != nil || len(rest) != 0 || len(v) != 16+6 || !isLinkLocal(netip.AddrFrom16([16]byte(v))) {
				s.log.Error("skipped a record of the state", "bucket", string(BucketMulticastRouters), "key", fmt.Sprintf("%x", k))
				return nil
			}
			list = append(list, MulticastRouter{Network: network, LinkLocal: netip.AddrFrom16([16]byte(v)), MAC: [6]byte(v[16:])})
			return nil
		})
	})
	return list, err
}
