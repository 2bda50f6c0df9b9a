package lease

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"damselfly/internal/store"
)

// Change is one record to write, or to delete where Value is nil.
type Change = store.Change

// Storage is what a Book needs of a durable store. Whoever implements it for
// several hosts lets one of them own a port at a time.
type Storage interface {
	// Load calls each with every record, those with the same start of the key
	// together. The octets are valid until each returns. An error of each ends
	// it and is returned.
	Load(each func(key, value []byte) error) error
	// Apply makes all changes durable, or none as far as it can tell. It may
	// keep their octets, which nobody changes after. After an error any part of them may turn up again after a restart, so the Book
	// writes what they replaced once more with the next ones.
	Apply(changes []Change) error
	// Identity returns what the server is known by, made at the first call and
	// the same ever after.
	Identity() (Identity, error)
}

// Identity is what one DHCPv6 server keeps for as long as its state lives.
type Identity struct {
	// DUID is a DUID-UUID (RFC 6355 section 4): type 4 and a random UUID.
	DUID [18]byte
	// Secret keys the choice of addresses, so that nobody outside can tell
	// which one a client will get.
	Secret [32]byte
}

// InStore returns the Storage in the embedded store.
func InStore(s *store.Store) Storage { return embedded{s} }

type embedded struct{ s *store.Store }

func identityKey() []byte { return []byte("identity") }

// Load implements Storage.
func (e embedded) Load(each func(key, value []byte) error) error { return e.s.Journal().Load(each) }

// Apply implements Storage: one write, one sync.
func (e embedded) Apply(changes []Change) error { return e.s.Journal().Write(changes) }

// Identity implements Storage.
func (e embedded) Identity() (Identity, error) {
	var id Identity
	found := false
	if err := e.s.View(func(tx *store.Tx) error {
		v, ok := tx.Get(store.BucketServer, identityKey())
		if found = ok && len(v) == len(id.DUID)+len(id.Secret); found {
			copy(id.DUID[:], v)
			copy(id.Secret[:], v[len(id.DUID):])
		}
		return nil
	}); err != nil || found {
		return id, err
	}
	id = newIdentity()
	err := e.s.Update(func(tx *store.Tx) error {
		return tx.Put(store.BucketServer, identityKey(), append(id.DUID[:], id.Secret[:]...))
	})
	if err != nil {
		return Identity{}, fmt.Errorf("lease: no server DUID could be kept, so no client is served: %w", err)
	}
	return id, nil
}

// newIdentity makes a DUID of a version 4 UUID (RFC 9562 section 5.4) and a secret.
func newIdentity() Identity {
	var id Identity
	_, _ = rand.Read(id.Secret[:]) // crypto/rand never fails
	uuid := id.DUID[2:]
	_, _ = rand.Read(uuid)
	binary.BigEndian.PutUint16(id.DUID[:], 4)
	uuid[6] = uuid[6]&0x0f | 0x40
	uuid[8] = uuid[8]&0x3f | 0x80
	return id
}
