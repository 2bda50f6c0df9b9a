package annex

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// Octets of headers, and where fields stand in them (IEEE 802.3, RFC 8200
// section 3, RFC 791 section 3.1, RFC 9293 section 3.1).
const (
	ethernetLen = 14
	ipv6Len     = 40
	ipv4Len     = 20
	tcpLen      = 20

	etherTypeIPv4 = 0x0800
	etherTypeIPv6 = 0x86dd
	protocolTCP   = 6
	// fragment are the more-fragments flag and the offset of an IPv4 header.
	fragment = 0x3fff
)

// MTU is the stack's in octets. Segments keep to it and to what the guest says
// it takes, whatever the network's is.
const MTU = 1500

// header is in front of what goes to the switch, whose flows write the guest's
// own into it. Its destination is not the device's: where the host's kernel
// hears it too, it is not for it.
var header = [ethernetLen - 2]byte{0xda, 0xf1, 0, 0, 0, 2, 0xda, 0xf1, 0, 0, 0, 1}

// carryIn carries from the switch to the stack until the port is closed.
func (a *Annex) carryIn() {
	// A frame that is longer was cut, and is dropped as malformed.
	var frame [ethernetLen + 1<<16]byte
	for {
		n, err := a.port.Read(frame[:])
		if err != nil {
			return
		}
		packet, ok := payload(frame[:n])
		if !ok {
			a.malformed.Add(1)
			continue
		}
		to, port := destination(packet)
		if port != a.config.Port || !slices.Contains(a.config.Addresses, to) {
			a.foreign.Add(1)
			continue
		}
		if _, err := a.tunnel.Write(packet); err != nil {
			a.unsent.Add(1)
			continue
		}
		a.in.Add(1)
	}
}

// carryOut carries from the stack to the switch until the tunnel is closed.
func (a *Annex) carryOut() {
	var frame [ethernetLen + 1<<16]byte
	copy(frame[:], header[:])
	for {
		n, err := a.tunnel.Read(frame[ethernetLen:])
		if err != nil {
			return
		}
		packet := frame[ethernetLen : ethernetLen+n]
		if !whole(packet) {
			a.stray.Add(1)
			continue
		}
		etherType := uint16(etherTypeIPv4)
		if packet[0]>>4 == 6 {
			etherType = etherTypeIPv6
		}
		binary.BigEndian.PutUint16(frame[ethernetLen-2:], etherType)
		if _, err := a.port.Write(frame[:ethernetLen+n]); err != nil {
			a.unsent.Add(1)
			continue
		}
		a.out.Add(1)
	}
}

// payload is the TCP packet in a frame, without what pads it.
func payload(frame []byte) (packet []byte, ok bool) {
	if len(frame) < ethernetLen+ipv4Len {
		return nil, false
	}
	packet = frame[ethernetLen:]
	length := 0
	switch etherType, version := binary.BigEndian.Uint16(frame[ethernetLen-2:]), packet[0]>>4; {
	case etherType == etherTypeIPv6 && version == 6 && len(packet) >= ipv6Len:
		length = ipv6Len + int(binary.BigEndian.Uint16(packet[4:]))
	// The switch went by the type, the stack goes by the version.
	case etherType == etherTypeIPv4 && version == 4:
		length = int(binary.BigEndian.Uint16(packet[2:]))
	}
	if length > len(packet) {
		return nil, false
	}
	packet = packet[:length]
	return packet, whole(packet)
}

// whole reports whether a packet is TCP right behind an IP header without
// options or extension headers, and no fragment: what else there is on the way
// to a service, no guest needs and the stack need not see.
func whole(packet []byte) bool {
	switch {
	case len(packet) < ipv4Len:
		return false
	case packet[0]>>4 == 6:
		return len(packet) >= ipv6Len+tcpLen && packet[6] == protocolTCP
	case packet[0] == 0x45:
		return len(packet) >= ipv4Len+tcpLen && packet[9] == protocolTCP && binary.BigEndian.Uint16(packet[6:])&fragment == 0
	}
	return false
}

// destination is where a whole packet goes.
func destination(packet []byte) (to netip.Addr, port uint16) {
	if packet[0]>>4 == 6 {
		return netip.AddrFrom16([16]byte(packet[24:40])), binary.BigEndian.Uint16(packet[ipv6Len+2:])
	}
	return netip.AddrFrom4([4]byte(packet[16:20])), binary.BigEndian.Uint16(packet[ipv4Len+2:])
}
