package dhcpv6

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
)

const (
	// KeyLen is the length in octets of a reconfigure key and of the digest made with it (RFC 9915 section 20.4.1).
	KeyLen = 16

	authLen       = 11 // protocol, algorithm, RDM and replay detection (RFC 9915 section 21.11)
	authInfo      = authLen
	authValue     = authInfo + 1
	rkapLen       = authValue + KeyLen
	protocolRKAP  = 3 // RFC 9915 section 20.4
	algorithmMD5  = 1 // HMAC-MD5, RFC 9915 section 20.4
	rdmMonotonic  = 0 // RFC 9915 section 20.3
	infoKey       = 1 // RFC 9915 section 20.4.1
	infoDigest    = 2 // RFC 9915 section 20.4.1
	authReplayPos = 3
)

// Auth is the body of an Authentication option (RFC 9915 section 21.11). Its
// gate is Request.Read; alone, len(a) >= 11 is enough.
type Auth []byte

// Replay is the replay detection value, greater than any sent before (RFC 9915 section 20.3).
func (a Auth) Replay() uint64 { return binary.BigEndian.Uint64(a[authReplayPos:]) }

// Key is the reconfigure key that a server gave; false if a holds none (RFC 9915 section 20.4.1).
func (a Auth) Key() ([KeyLen]byte, bool) { return a.rkap(infoKey) }

// rkap is the value of a Reconfigure Key Authentication Protocol option of one kind.
func (a Auth) rkap(info uint8) ([KeyLen]byte, bool) {
	if len(a) != rkapLen || a[0] != protocolRKAP || a[1] != algorithmMD5 || a[2] != rdmMonotonic || a[authInfo] != info {
		return [KeyLen]byte{}, false
	}
	return [KeyLen]byte(a[authValue:]), true
}

// ReconfigureKey writes the option by which a Reply gives the client the key
// of later Reconfigure messages. replay must grow with every message that
// carries the option (RFC 9915 section 20.4.2).
func (w *Writer) ReconfigureKey(replay uint64, key [KeyLen]byte) {
	w.rkap(replay, infoKey, key)
}

// ReconfigureDigest writes the option of a Reconfigure with room for the
// digest, which SignReconfigure fills in.
func (w *Writer) ReconfigureDigest(replay uint64) {
	w.rkap(replay, infoDigest, [KeyLen]byte{})
}

func (w *Writer) rkap(replay uint64, info uint8, value [KeyLen]byte) {
	b := w.option(OptionAuth, rkapLen)
	if b == nil {
		return
	}
	b[0], b[1], b[2] = protocolRKAP, algorithmMD5, rdmMonotonic
	binary.BigEndian.PutUint64(b[authReplayPos:], replay)
	b[authInfo] = info
	copy(b[authValue:], value[:])
}

// SignReconfigure puts the digest of a whole message, without relays, into its
// Authentication option, which ReconfigureDigest wrote; false if there is
// none. It allocates.
func SignReconfigure(m Message, key [KeyLen]byte) bool {
	at, ok := digestOffset(m)
	if ok {
		copy(m[at:], digest(m, at, key))
	}
	return ok
}

// VerifyReconfigure reports whether the digest in a message's Authentication
// option was made with key (RFC 9915 section 20.4.3). It allocates.
func VerifyReconfigure(m Message, key [KeyLen]byte) bool {
	at, ok := digestOffset(m)
	return ok && hmac.Equal(m[at:at+KeyLen], digest(m, at, key))
}

// digestOffset is where a message has its digest.
func digestOffset(m Message) (at int, ok bool) {
	if len(m) < MessageLen {
		return 0, false
	}
	for o := m.Options(); len(o) > 0; {
		opt, rest, f := o.Next()
		if f != FaultNone {
			return 0, false
		}
		if opt.Code() == OptionAuth {
			_, ok = Auth(opt.Body()).rkap(infoDigest)
			return len(m) - len(rest) - KeyLen, ok
		}
		o = rest
	}
	return 0, false
}

// digest is the HMAC-MD5 of m with zeroes for the digest itself, at octet at
// (RFC 9915 section 20.4.1).
func digest(m Message, at int, key [KeyLen]byte) []byte {
	var zero [KeyLen]byte
	h := hmac.New(md5.New, key[:])
	h.Write(m[:at])
	h.Write(zero[:])
	h.Write(m[at+KeyLen:])
	return h.Sum(nil)
}
