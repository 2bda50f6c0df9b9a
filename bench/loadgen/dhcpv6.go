package loadgen

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	dhcp "github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/internal/wire"
)

// iaid is that of all clients' IAs.
const iaid = 1

// client is the exchanges of DHCPv6 of one slot.
type client struct {
	kind Kind
	load *Load
	mac  wire.MAC
	slot uint32 // its bits of the transaction
	n    uint32 // transactions so far
	duid [6]byte

	asked  dhcp.MessageType // what is outstanding
	frames map[dhcp.MessageType]*template
	server []byte   // the server's DUID, once it was told
	leased [16]byte // the address that was offered or leased last
	bound  bool     // Solicit: the client has its lease
}

// template is a message in its frame, of which few octets change.
type template struct {
	frame         []byte
	duid, address int // where they are, 0 for nowhere
}

// newClient is a slot of guest g.
func (l *Load) newClient(kind Kind, g int, slot uint32) *client {
	mac := l.site.Guests[g].MAC
	return &client{kind: kind, load: l, mac: mac, slot: slot, duid: [6]byte(mac), frames: map[dhcp.MessageType]*template{}}
}

// begin implements exchange.
func (c *client) begin() []byte {
	switch c.kind {
	case Information:
		return c.ask(dhcp.MessageTypeInformationRequest)
	case Request:
		// A link-layer address that nobody has is the client's name (RFC 9915
		// section 11.4).
		c.load.clients++
		c.duid[0], c.duid[1] = 2, c.load.site.Seed
		binary.BigEndian.PutUint32(c.duid[2:], c.load.clients)
	}
	return c.ask(dhcp.MessageTypeSolicit)
}

// ask is the next message, in a transaction of its own.
func (c *client) ask(t dhcp.MessageType) []byte {
	f := c.frames[t]
	if f == nil {
		f = c.template(t)
		c.frames[t] = f
	}
	c.asked = t
	c.n++
	id := c.slot | c.n&(1<<(24-slotBits)-1)
	m := f.frame[62:]
	m[1], m[2], m[3] = byte(id>>16), byte(id>>8), byte(id)
	copy(f.frame[f.duid:], c.duid[:])
	if f.address > 0 {
		copy(f.frame[f.address:], c.leased[:])
	}
	binary.BigEndian.PutUint16(f.frame[60:], 0)
	sum := ^uint16(sum(f.frame))
	if sum == 0 {
		sum = 0xffff // RFC 8200 section 8.1
	}
	binary.BigEndian.PutUint16(f.frame[60:], sum)
	return f.frame
}

// template makes a message as clients write it: its DUID, an IA where it asks for
// addresses, and what it wants to know.
func (c *client) template(t dhcp.MessageType) *template {
	name, address := net.HardwareAddr{0xde, 0xad, 0xbe, 0xef, 1, 2}, net.ParseIP("2001:db8:dead:beef::1")
	m := &dhcp.Message{MessageType: t}
	dhcp.WithClientID(&dhcp.DUIDLL{HWType: 1, LinkLayerAddr: name})(m)
	if t == dhcp.MessageTypeRequest {
		m.AddOption(&dhcp.OptionGeneric{OptionCode: dhcp.OptionServerID, OptionData: c.server})
	}
	if t != dhcp.MessageTypeInformationRequest {
		ia := &dhcp.OptIANA{IaId: [4]byte{3: iaid}}
		if t == dhcp.MessageTypeRequest {
			ia.Options.Add(&dhcp.OptIAAddress{IPv6Addr: address})
		}
		m.AddOption(ia)
	}
	m.AddOption(dhcp.OptElapsedTime(0))
	dhcp.WithRequestedOptions(dhcp.OptionDNSRecursiveNameServer, dhcp.OptionDomainSearchList)(m)
	frame := datagram(c.mac, m.ToBytes())
	return &template{frame: frame, duid: bytes.Index(frame, name), address: max(bytes.Index(frame, address), 0)}
}

// servers is All_DHCP_Relay_Agents_and_Servers (RFC 9915 section 7.1).
var servers = netip.MustParseAddr("ff02::1:2")

// datagram is a message from a client to servers.
func datagram(mac wire.MAC, message []byte) []byte {
	to := wire.MulticastMAC(servers)
	eth := &layers.Ethernet{SrcMAC: mac[:], DstMAC: to[:], EthernetType: layers.EthernetTypeIPv6}
	ip := &layers.IPv6{Version: 6, HopLimit: 1, NextHeader: layers.IPProtocolUDP,
		SrcIP: wire.LinkLocal(mac).AsSlice(), DstIP: servers.AsSlice()}
	udp := &layers.UDP{SrcPort: 546, DstPort: 547}
	b := gopacket.NewSerializeBuffer()
	_ = udp.SetNetworkLayerForChecksum(ip) // which knows IPv6
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, udp, gopacket.Payload(message)); err != nil {
		panic("loadgen: " + err.Error())
	}
	return bytes.Clone(b.Bytes())
}

// take implements exchange.
func (c *client) take(frame []byte) ([]byte, verdict, error) {
	m := c.frames[c.asked].frame[62:]
	if len(frame) < 66 || !bytes.Equal(frame[63:66], m[1:4]) {
		return nil, stray, nil
	}
	a, err := c.read(frame)
	if err != nil {
		return nil, right, err
	}
	if c.server == nil {
		c.server = bytes.Clone(a.server)
	} else if !bytes.Equal(a.server, c.server) {
		return nil, right, fmt.Errorf("server: got %x, want %x", a.server, c.server)
	}
	switch c.asked {
	case dhcp.MessageTypeInformationRequest:
		return nil, right, nil
	case dhcp.MessageTypeSolicit:
		if c.bound {
			return nil, right, c.same(a)
		}
		c.leased = a.address
		return c.ask(dhcp.MessageTypeRequest), right, nil
	}
	if err := c.same(a); err != nil {
		return nil, right, err
	}
	if c.kind == Solicit {
		c.bound = true
		return nil, right, nil
	}
	if c.load.leased[a.address] {
		return nil, right, fmt.Errorf("address %v is another client's", netip.AddrFrom16(a.address))
	}
	c.load.leased[a.address] = true
	return nil, right, nil
}

// same checks that a client is told of the address that it was told of before.
func (c *client) same(a answer) error {
	if a.address != c.leased {
		return fmt.Errorf("address: got %v, want %v", netip.AddrFrom16(a.address), netip.AddrFrom16(c.leased))
	}
	return nil
}
