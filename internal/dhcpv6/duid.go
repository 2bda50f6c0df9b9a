package dhcpv6

import (
	"encoding/binary"
	"encoding/hex"
	"time"

	"damselfly/internal/wire"
)

// DUID types (RFC 9915 section 11.1).
const (
	DUIDLLT  = 1 // link-layer address plus time (RFC 9915 section 11.2)
	DUIDEN   = 2 // enterprise number (RFC 9915 section 11.3)
	DUIDLL   = 3 // link-layer address (RFC 9915 section 11.4)
	DUIDUUID = 4 // universally unique identifier (RFC 9915 section 11.5)
)

const (
	// MinDUIDLen and MaxDUIDLen bound the length in octets of a DUID: a two-octet type and 1 to 128 octets (RFC 9915 section 11.1).
	MinDUIDLen = 3
	// MaxDUIDLen is the upper bound.
	MaxDUIDLen = 130
)

// duidEpoch is from when a DUID-LLT counts seconds (RFC 9915 section 11.2).
var duidEpoch = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)

// DUID identifies a client or server. It is opaque: only compare it (RFC 9915
// section 11). Its gate is Request.Read.
type DUID []byte

// String is the DUID in hexadecimal with colons between octets.
func (d DUID) String() string {
	if len(d) == 0 {
		return ""
	}
	b := make([]byte, 0, 3*len(d))
	for i := range d {
		if i > 0 {
			b = append(b, ':')
		}
		b = hex.AppendEncode(b, d[i:i+1])
	}
	return string(b)
}

// valid reports whether the length is one that a DUID may have.
func (d DUID) valid() bool { return len(d) >= MinDUIDLen && len(d) <= MaxDUIDLen }

// AppendDUIDLLT appends a DUID of an Ethernet address and the time it was made
// at, in seconds modulo 2^32 since 2000 (RFC 9915 section 11.2).
func AppendDUIDLLT(b []byte, mac wire.MAC, at time.Time) []byte {
	b = binary.BigEndian.AppendUint16(b, DUIDLLT)
	b = binary.BigEndian.AppendUint16(b, hardwareEthernet)
	b = binary.BigEndian.AppendUint32(b, uint32(at.Unix()-duidEpoch.Unix()))
	return append(b, mac[:]...)
}

// AppendDUIDEN appends a DUID of a vendor's enterprise number and 1 to 124
// octets that the vendor gave (RFC 9915 section 11.3).
func AppendDUIDEN(b []byte, enterprise uint32, id []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, DUIDEN)
	b = binary.BigEndian.AppendUint32(b, enterprise)
	return append(b, id...)
}

// AppendDUIDLL appends a DUID of an Ethernet address (RFC 9915 section 11.4).
func AppendDUIDLL(b []byte, mac wire.MAC) []byte {
	b = binary.BigEndian.AppendUint16(b, DUIDLL)
	b = binary.BigEndian.AppendUint16(b, hardwareEthernet)
	return append(b, mac[:]...)
}

// AppendDUIDUUID appends a DUID of a UUID (RFC 9915 section 11.5).
func AppendDUIDUUID(b []byte, uuid [16]byte) []byte {
	b = binary.BigEndian.AppendUint16(b, DUIDUUID)
	return append(b, uuid[:]...)
}
