package send

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"time"

	"damselfly/internal/wire"
)

// questionLife is how long an answer to a question may take at least.
const questionLife = 10 * time.Second

// Questions make the nonces of Damselfly's own solicitations, and know them again
// without remembering any: they are made of a secret, the address asked for and the
// time (RFC 3971 section 5.3.2). It does not change.
type Questions struct{ secret [32]byte }

// NewQuestions has a secret of its own.
func NewQuestions() *Questions {
	q := &Questions{}
	_, _ = rand.Read(q.secret[:]) // never fails (crypto/rand)
	return q
}

// Nonce is a whole Nonce option for a question for an address.
func (q *Questions) Nonce(now time.Time, a netip.Addr) []byte {
	return q.nonce(now.Unix()/int64(questionLife/time.Second), a)
}

func (q *Questions) nonce(period int64, a netip.Addr) []byte {
	h := hmac.New(sha256.New, q.secret[:])
	b := a.As16()
	h.Write(binary.BigEndian.AppendUint64(b[:], uint64(period)))
	o := make([]byte, wire.OptionUnit)
	o[0], o[1] = wire.OptionNonce, 1
	copy(o[2:], h.Sum(nil))
	return o
}

// Asked reports whether a whole option is the nonce of a question of this period or the
// last (RFC 3971 section 5.3.4.1).
func (q *Questions) Asked(now time.Time, a netip.Addr, nonce []byte) bool {
	period := now.Unix() / int64(questionLife/time.Second)
	return subtle.ConstantTimeCompare(nonce, q.nonce(period, a))|subtle.ConstantTimeCompare(nonce, q.nonce(period-1, a)) == 1
}
