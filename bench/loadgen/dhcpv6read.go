package loadgen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	dhcp "github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/internal/wire"
)

// answer is what a server told a client.
type answer struct {
	server  []byte // its DUID
	address [16]byte
}

// read holds a message against what the client needs to take it (RFC 9915
// sections 18.2.9 and 18.2.10).
func (c *client) read(f []byte) (a answer, err error) {
	if err := c.headers(f); err != nil {
		return a, err
	}
	want := dhcp.MessageTypeReply
	if c.asked == dhcp.MessageTypeSolicit {
		want = dhcp.MessageTypeAdvertise
	}
	if got := dhcp.MessageType(f[62]); got != want {
		return a, fmt.Errorf("message: got %v, want %v", got, want)
	}
	var id, ia, dns []byte
	err = options(f[66:], func(code dhcp.OptionCode, body []byte) error {
		switch code {
		case dhcp.OptionClientID:
			id = body
		case dhcp.OptionServerID:
			a.server = body
		case dhcp.OptionIANA:
			ia = body
		case dhcp.OptionDNSRecursiveNameServer:
			dns = body
		case dhcp.OptionStatusCode:
			return success(body)
		}
		return nil
	})
	if err != nil {
		return a, err
	}
	if len(id) != 10 || !bytes.Equal(id[:4], []byte{0, 3, 0, 1}) || !bytes.Equal(id[4:], c.duid[:]) {
		return a, fmt.Errorf("client identifier: got %x, want 00030001%x", id, c.duid)
	}
	if len(a.server) == 0 {
		return a, errors.New("there is no server identifier")
	}
	if c.asked != dhcp.MessageTypeInformationRequest {
		a.address, err = c.lease(ia)
		return a, err
	}
	var told []netip.Addr
	for ; len(dns) >= 16; dns = dns[16:] {
		told = append(told, netip.AddrFrom16([16]byte(dns)))
	}
	if wanted := c.load.site.DNS; fmt.Sprint(told) != fmt.Sprint(wanted) {
		return a, fmt.Errorf("DNS servers: got %v, want %v", told, wanted)
	}
	return a, nil
}

// headers checks addresses, ports, lengths and checksum.
func (c *client) headers(f []byte) error {
	own := wire.LinkLocal(c.mac).As16()
	switch {
	case !bytes.Equal(f[:6], c.mac[:]):
		return fmt.Errorf("destination of Ethernet: got %x, want %v", f[:6], c.mac)
	case f[6]&1 != 0:
		return fmt.Errorf("source of Ethernet: %x is a group", f[6:12])
	case !bytes.Equal(f[38:54], own[:]):
		return fmt.Errorf("destination: got %x, want %x", f[38:54], own)
	case f[14]>>4 != 6:
		return fmt.Errorf("version: got %d, want 6", f[14]>>4)
	case f[22] == 0xff:
		return fmt.Errorf("source: %x is a group", f[22:38])
	case int(binary.BigEndian.Uint16(f[18:])) != len(f)-54:
		return fmt.Errorf("payload length: got %d, want %d", binary.BigEndian.Uint16(f[18:]), len(f)-54)
	case int(binary.BigEndian.Uint16(f[58:])) != len(f)-54:
		return fmt.Errorf("length of UDP: got %d, want %d", binary.BigEndian.Uint16(f[58:]), len(f)-54)
	case binary.BigEndian.Uint16(f[54:]) != 547:
		return fmt.Errorf("source port: got %d, want 547", binary.BigEndian.Uint16(f[54:]))
	case binary.BigEndian.Uint16(f[60:]) == 0:
		return errors.New("checksum: there is none (RFC 8200 section 8.1)")
	case sum(f) != 0xffff:
		return fmt.Errorf("checksum: got %#04x, the packet sums to %#04x", binary.BigEndian.Uint16(f[60:]), sum(f))
	}
	return nil
}

// lease checks an IA_NA (RFC 9915 section 21.4) and returns its one address.
func (c *client) lease(ia []byte) (address [16]byte, err error) {
	if len(ia) < 12 || binary.BigEndian.Uint32(ia) != iaid {
		return address, fmt.Errorf("IA_NA: got %x, want one of IAID %d", ia, iaid)
	}
	if t1, t2 := binary.BigEndian.Uint32(ia[4:]), binary.BigEndian.Uint32(ia[8:]); t2 > 0 && t1 > t2 {
		return address, fmt.Errorf("T1 is %d, T2 is %d", t1, t2)
	}
	n := 0
	err = options(ia[12:], func(code dhcp.OptionCode, body []byte) error {
		switch code {
		case dhcp.OptionStatusCode:
			return success(body)
		case dhcp.OptionIAAddr:
			if len(body) < 24 {
				return fmt.Errorf("IA Address: got %x", body)
			}
			preferred, valid := binary.BigEndian.Uint32(body[16:]), binary.BigEndian.Uint32(body[20:])
			if valid == 0 || preferred > valid {
				return fmt.Errorf("lifetimes: preferred %d, valid %d", preferred, valid)
			}
			address = [16]byte(body)
			n++
		}
		return nil
	})
	if err == nil && n != 1 {
		err = fmt.Errorf("IA_NA: %d addresses, want 1", n)
	}
	if err == nil && !c.load.site.Leases.Contains(netip.AddrFrom16(address)) {
		err = fmt.Errorf("address %v is not of %v", netip.AddrFrom16(address), c.load.site.Leases)
	}
	return address, err
}

// success checks a Status Code (RFC 9915 section 21.13).
func success(body []byte) error {
	if len(body) < 2 || body[0]|body[1] != 0 {
		return fmt.Errorf("status: got %x", body)
	}
	return nil
}

// options calls f for each option (RFC 9915 section 21.1).
func options(b []byte, f func(code dhcp.OptionCode, body []byte) error) error {
	for len(b) > 0 {
		if len(b) < 4 || len(b)-4 < int(binary.BigEndian.Uint16(b[2:])) {
			return fmt.Errorf("options end in %x", b)
		}
		n := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if err := f(dhcp.OptionCode(binary.BigEndian.Uint16(b)), b[4:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// sum adds up the pseudo-header and all after the IPv6 header (RFC 8200 section
// 8.1); a right checksum makes it 0xffff.
func sum(f []byte) uint32 {
	s := uint32(len(f)-54) + uint32(f[20])
	b := f[22:]
	for ; len(b) > 1; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return s
}
