package lease

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"time"

	"damselfly/internal/store"
	"damselfly/internal/wire"
)

const (
	maxName = 255 // octets of a port's or network's name
	maxDUID = 130 // octets, RFC 9915 section 11.1
	maxFQDN = 255 // octets

	// forever is the infinite lifetime in seconds (RFC 9915 section 7.7).
	forever = math.MaxUint32

	keyTail   = 16 + 1                         // address, length
	valueHead = 1 + 1 + 4 + 8 + 16 + 8 + 4 + 4 // up to the lifetimes; the DUID follows
	clientLen = wire.MACLen + 16 + 16          // MAC, link-local, key; the name follows

	flagClient = 1 << 0 // the value holds a Client
)

// record is one lease as it is stored.
type record struct {
	kind             Kind
	state            State
	port, network    []byte
	duid             []byte
	iaid             uint32
	addr             [16]byte
	bits             uint8
	granted          store.Clock // when the lifetimes began
	preferred, valid uint32      // seconds; forever is infinite
	client           *Client     // nil: nothing known
}

// appendKey encodes the place of a lease: port (length octet and name), kind,
// network (likewise), address, length. All of a port are together.
func appendKey(b []byte, port string, kind Kind, network string, addr [16]byte, bits uint8) []byte {
	b = append(b, byte(len(port)))
	b = append(b, port...)
	b = append(b, byte(kind), byte(len(network)))
	b = append(b, network...)
	b = append(b, addr[:]...)
	return append(b, bits)
}

// appendValue encodes the rest: flags, state, IAID, moment of the grant (wall
// time in milliseconds since 1970, boot, uptime in nanoseconds), preferred and
// valid lifetime in seconds, DUID behind a length octet, and the client where
// there is something known of it. All big endian.
func (r *record) appendValue(b []byte) []byte {
	var flags byte
	if r.client != nil {
		flags = flagClient
	}
	b = append(b, flags, byte(r.state))
	b = binary.BigEndian.AppendUint32(b, r.iaid)
	b = binary.BigEndian.AppendUint64(b, uint64(r.granted.Wall.UnixMilli()))
	b = append(b, r.granted.Boot[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.granted.Uptime))
	b = binary.BigEndian.AppendUint32(b, r.preferred)
	b = binary.BigEndian.AppendUint32(b, r.valid)
	b = append(b, byte(len(r.duid)))
	b = append(b, r.duid...)
	if c := r.client; c != nil {
		b = append(b, c.MAC[:]...)
		linkLocal := [16]byte{}
		if c.LinkLocal.IsValid() {
			linkLocal = c.LinkLocal.As16()
		}
		b = append(b, linkLocal[:]...)
		b = append(b, c.ReconfKey[:]...)
		b = append(b, byte(len(c.FQDN)))
		b = append(b, c.FQDN...)
	}
	return b
}

// parseKey decodes what appendKey made; the names are parts of key.
func parseKey(r *record, key []byte) error {
	port, rest, ok := cutName(key)
	if !ok || len(rest) < 1 {
		return fmt.Errorf("lease: no port in a key of %d octets", len(key))
	}
	r.port, r.kind = port, Kind(rest[0])
	if r.network, rest, ok = cutName(rest[1:]); !ok || len(rest) != keyTail {
		return fmt.Errorf("lease: no network and address in a key of %d octets", len(key))
	}
	r.addr, r.bits = [16]byte(rest), rest[16]
	p := netip.PrefixFrom(netip.AddrFrom16(r.addr), int(r.bits))
	switch {
	case r.kind < Address || r.kind > Registration:
		return fmt.Errorf("lease: %v is of kind %d", p, r.kind)
	case !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() || r.kind != Prefix && r.bits != 128:
		return fmt.Errorf("lease: %v/%d is no %v", p.Addr(), r.bits, r.kind)
	}
	return nil
}

// parse decodes a whole record; r refers to parts of key and value.
func (r *record) parse(key, value []byte) error {
	if err := parseKey(r, key); err != nil {
		return err
	}
	if len(value) < valueHead {
		return fmt.Errorf("lease: a value of %d octets, want %d or more", len(value), valueHead)
	}
	be := binary.BigEndian
	flags, state := value[0], State(value[1])
	r.state, r.iaid = state, be.Uint32(value[2:])
	r.granted.Wall = time.UnixMilli(int64(be.Uint64(value[6:])))
	r.granted.Boot = store.BootID(value[14:])
	r.granted.Uptime = time.Duration(be.Uint64(value[30:]))
	r.preferred, r.valid = be.Uint32(value[38:]), be.Uint32(value[42:])
	duid, rest, ok := cutName(value[46:])
	switch {
	case state != Bound && state != Declined, flags&^flagClient != 0:
		return fmt.Errorf("lease: state %d with flags %#x", state, flags)
	case !ok || len(duid) > maxDUID:
		return fmt.Errorf("lease: no DUID of 1 to %d octets", maxDUID)
	case r.preferred > r.valid:
		return fmt.Errorf("lease: preferred for %d s, but valid for %d s", r.preferred, r.valid)
	}
	r.duid, r.client = duid, nil
	if flags&flagClient == 0 {
		if len(rest) != 0 {
			return fmt.Errorf("lease: %d octets too many", len(rest))
		}
		return nil
	}
	return r.parseClient(rest)
}

func (r *record) parseClient(b []byte) error {
	if len(b) < clientLen+1 || len(b) != clientLen+1+int(b[clientLen]) {
		return fmt.Errorf("lease: a client in %d octets", len(b))
	}
	c := &Client{MAC: wire.MAC(b), ReconfKey: [16]byte(b[wire.MACLen+16:]), FQDN: string(b[clientLen+1:])}
	if a := [16]byte(b[wire.MACLen:]); a != [16]byte{} {
		c.LinkLocal = netip.AddrFrom16(a)
	}
	r.client = c
	return nil
}

// cutName takes a length octet, not 0, and that many octets off the front of b.
func cutName(b []byte) (name, rest []byte, ok bool) {
	if len(b) < 1 || b[0] == 0 || int(b[0]) > len(b)-1 {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n:n], b[n:], true
}

// seconds is a lifetime as the wire has it, rounded down.
func seconds(d time.Duration) uint32 {
	if d == store.Infinite {
		return forever
	}
	return uint32(min(max(d/time.Second, 0), forever-1))
}

// duration is seconds the other way.
func duration(s uint32) time.Duration {
	if s == forever {
		return store.Infinite
	}
	return time.Duration(s) * time.Second
}
