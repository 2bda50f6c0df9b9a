package metadata

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// tokens are EC2's session tokens. One says whose it is and until when, and is
// signed, so that nothing has to be kept of it. It proves that who sends it could
// make a PUT with a header, which a guest's confused browser or proxy cannot.
type tokens struct {
	key [32]byte
}

// maxTokenTime is the longest a token lasts.
const maxTokenTime = 6 * time.Hour

const tokenHead = 2 + 8

// make returns a token of a port.
func (t *tokens) make(port uint16, until time.Time) string {
	b := binary.BigEndian.AppendUint16(nil, port)
	b = binary.BigEndian.AppendUint64(b, uint64(until.Unix()))
	return base64.RawURLEncoding.EncodeToString(append(b, t.sign(b)...))
}

// valid reports whether a token is the port's and has not ended.
func (t *tokens) valid(token string, port uint16, now time.Time) bool {
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) != tokenHead+sha256.Size {
		return false
	}
	head := b[:tokenHead]
	return hmac.Equal(b[tokenHead:], t.sign(head)) && binary.BigEndian.Uint16(head) == port && int64(binary.BigEndian.Uint64(head[2:])) > now.Unix()
}

func (t *tokens) sign(head []byte) []byte {
	h := hmac.New(sha256.New, t.key[:])
	h.Write(head)
	return h.Sum(nil)
}
