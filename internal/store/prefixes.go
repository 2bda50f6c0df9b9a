package store

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// AdvertisedPrefix is a prefix that guests of a network were told about, and
// until when they may believe it. After it left the configuration it is
// advertised with preferred lifetime 0 until ValidUntil has passed (RFC 9096
// section 3.5, RFC 4861 section 6.2.3).
type AdvertisedPrefix struct {
	Network        string
	Prefix         netip.Prefix // IPv6, host bits zero
	OnLink         bool         // L flag
	Autonomous     bool         // A flag
	ValidUntil     Deadline
	PreferredUntil Deadline
}

// RecordAdvertised stores prefixes, replacing what was known of each; all in
// one fsync. Record before advertising, and for longer than one advertisement
// promises, so that not every advertisement is a write.
func (s *Store) RecordAdvertised(prefixes ...AdvertisedPrefix) error {
	return s.Update(func(tx *Tx) error {
		for _, p := range prefixes {
			if err := checkPrefix(p.Network, p.Prefix); err != nil {
				return err
			}
			if err := tx.Put(BucketPrefixes, prefixKey(p.Network, p.Prefix), p.encode()); err != nil {
				return err
			}
		}
		return nil
	})
}

// Advertised returns the prefixes recorded for network, ordered by address.
// Those that are past their ValidUntil are among them until forgotten.
func (s *Store) Advertised(network string) ([]AdvertisedPrefix, error) {
	return s.scanPrefixes(networkKey(network))
}

// AllAdvertised returns the recorded prefixes of all networks, also those no
// longer configured.
func (s *Store) AllAdvertised() ([]AdvertisedPrefix, error) {
	return s.scanPrefixes(nil)
}

// Forget removes prefix of network. What is not there is no error.
func (s *Store) Forget(network string, prefix netip.Prefix) error {
	if err := checkPrefix(network, prefix); err != nil {
		return err
	}
	return s.Update(func(tx *Tx) error {
		return tx.Delete(BucketPrefixes, prefixKey(network, prefix))
	})
}

func (s *Store) scanPrefixes(under []byte) ([]AdvertisedPrefix, error) {
	var out []AdvertisedPrefix
	err := s.View(func(tx *Tx) error {
		return tx.ForEach(BucketPrefixes, under, func(k, v []byte) error {
			p, err := parseAdvertised(k, v)
			if err != nil {
				s.log.Error("skipped a record of the state", "bucket", string(BucketPrefixes), "key", fmt.Sprintf("%x", k), "error", err)
				return nil
			}
			out = append(out, p)
			return nil
		})
	})
	return out, err
}

func checkPrefix(network string, p netip.Prefix) error {
	if network == "" || len(network) > maxNetworkName {
		return fmt.Errorf("store: a network name of %d octets, want 1 to %d", len(network), maxNetworkName)
	}
	if !p.IsValid() || !p.Addr().Is6() || p != p.Masked() {
		return fmt.Errorf("store: %v of network %s is no IPv6 prefix without host bits", p, network)
	}
	return nil
}

// maxNetworkName is the longest network name that can be recorded, in octets.
const maxNetworkName = 4096

// networkKey is the network's name behind its length (2 octets), so that no
// name is the beginning of another's key.
func networkKey(network string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(network))), network...)
}

// splitNetworkKey returns the name in front of key and what follows it.
func splitNetworkKey(key []byte) (string, []byte, error) {
	if len(key) < 2 {
		return "", nil, fmt.Errorf("store: a key of %d octets, want 2 or more", len(key))
	}
	n, rest := int(binary.BigEndian.Uint16(key)), key[2:]
	if n == 0 || n > maxNetworkName || n > len(rest) {
		return "", nil, fmt.Errorf("store: a network name of %d octets in %d", n, len(rest))
	}
	return string(rest[:n]), rest[n:], nil
}

// prefixKey is the network's key, the address (16 octets) and the length (1).
func prefixKey(network string, p netip.Prefix) []byte {
	addr := p.Addr().As16()
	return append(append(networkKey(network), addr[:]...), byte(p.Bits()))
}

// splitPrefixKey returns what prefixKey put together.
func splitPrefixKey(key []byte) (string, netip.Prefix, error) {
	network, rest, err := splitNetworkKey(key)
	if err != nil {
		return "", netip.Prefix{}, err
	}
	if len(rest) != 17 {
		return "", netip.Prefix{}, fmt.Errorf("store: no prefix of network %s in %d octets", network, len(rest))
	}
	p := netip.PrefixFrom(netip.AddrFrom16([16]byte(rest)), int(rest[16]))
	return network, p, checkPrefix(network, p)
}

const (
	flagOnLink     = 1 << 0
	flagAutonomous = 1 << 1
)

// encode gives the value: flags (1 octet), ValidUntil, PreferredUntil.
func (p AdvertisedPrefix) encode() []byte {
	var flags byte
	if p.OnLink {
		flags |= flagOnLink
	}
	if p.Autonomous {
		flags |= flagAutonomous
	}
	return p.PreferredUntil.append(p.ValidUntil.append([]byte{flags}))
}

func parseAdvertised(key, value []byte) (AdvertisedPrefix, error) {
	network, prefix, err := splitPrefixKey(key)
	if err != nil {
		return AdvertisedPrefix{}, err
	}
	if len(value) != 1+2*deadlineSize || value[0]&^(flagOnLink|flagAutonomous) != 0 {
		return AdvertisedPrefix{}, fmt.Errorf("store: no prefix of network %s in %d octets", network, len(value))
	}
	p := AdvertisedPrefix{
		Network:    network,
		Prefix:     prefix,
		OnLink:     value[0]&flagOnLink != 0,
		Autonomous: value[0]&flagAutonomous != 0,
	}
	if p.ValidUntil, err = parseDeadline(value[1 : 1+deadlineSize]); err != nil {
		return AdvertisedPrefix{}, err
	}
	p.PreferredUntil, err = parseDeadline(value[1+deadlineSize:])
	return p, err
}
