package store

import "fmt"

const (
	// keyNameLen is the length in octets of what names a key, modifierLen that of a modifier.
	keyNameLen  = 16
	modifierLen = 16
)

// Modifier is what a network's router's address is made of beside its key (RFC
// 3972 section 3). It is kept, so that the router has the same address after a
// restart.
type Modifier struct {
	// Key names the key that it belongs to.
	Key [keyNameLen]byte
	// Sec is what it was searched for.
	Sec   uint8
	Value [modifierLen]byte
}

// Modifier returns what is kept of a network; ok is false where there is nothing.
func (s *Store) Modifier(network string) (m Modifier, ok bool, err error) {
	err = s.View(func(tx *Tx) error {
		v, found := tx.Get(BucketModifiers, networkKey(network))
		if ok = found && len(v) == keyNameLen+1+modifierLen; ok {
			m = Modifier{Key: [keyNameLen]byte(v), Sec: v[keyNameLen], Value: [modifierLen]byte(v[keyNameLen+1:])}
		}
		return nil
	})
	return m, ok, err
}

// RecordModifier keeps what a network's router's address is made of, in place of
// what was.
func (s *Store) RecordModifier(network string, m Modifier) error {
	if network == "" || len(network) > maxNetworkName {
		return fmt.Errorf("store: a network name of %d octets, want 1 to %d", len(network), maxNetworkName)
	}
	return s.Update(func(tx *Tx) error {
		v := append(append(m.Key[:len(m.Key):len(m.Key)], m.Sec), m.Value[:]...)
		return tx.Put(BucketModifiers, networkKey(network), v)
	})
}
