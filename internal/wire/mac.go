package wire

import (
	"fmt"
	"net"
)

// MACLen is the length of a MAC in octets (IEEE 802.3 section 3.2.3).
const MACLen = 6

// MAC is a 48-bit Ethernet address in wire order. It is comparable, so it can
// be a map key; the zero MAC means "none".
type MAC [MACLen]byte

// ParseMAC reads the form 02:00:5e:10:00:01 (also with dashes, or 0200.5e10.0001).
func ParseMAC(s string) (MAC, error) {
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != MACLen {
		return MAC{}, fmt.Errorf("%q is no MAC address: write six octets such as 02:00:00:00:00:11", s)
	}
	return MAC(hw), nil
}

// String is the lower-case form with colons, 02:00:5e:10:00:01.
func (m MAC) String() string {
	return net.HardwareAddr(m[:]).String()
}

// IsMulticast reports whether the group bit is set: multicast or broadcast, never a sender (IEEE 802.3 section 3.2.3).
func (m MAC) IsMulticast() bool {
	return m[0]&1 != 0
}

// IsZero reports whether m is 00:00:00:00:00:00, "none".
func (m MAC) IsZero() bool {
	return m == MAC{}
}
