package explain

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// facts are what is said of a frame.
type facts struct {
	// text is what it is, with an article: "a Router Advertisement from ...".
	text string
	// source, destination and target are its IPv6 addresses, the last that of
	// Neighbor Discovery; invalid where it has none.
	source, destination, target netip.Addr
	// dhcpv6 says that it is a message of DHCPv6.
	dhcpv6 bool
}

// look reads what a frame is, as far as it can be read: it may be any octets.
func look(frame []byte) (f facts) {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	eth, ok := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	if !ok {
		f.text = fmt.Sprintf("%d octets that are no Ethernet frame", len(frame))
		return f
	}
	from, to := eth.SrcMAC.String(), eth.DstMAC.String()
	if ip, ok := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6); ok {
		f.source, f.destination = address(ip.SrcIP), address(ip.DstIP)
		from, to = fmt.Sprintf("%s (%s)", ip.SrcIP, from), fmt.Sprintf("%s (%s)", ip.DstIP, to)
	} else if ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ok {
		from, to = fmt.Sprintf("%s (%s)", ip.SrcIP, from), fmt.Sprintf("%s (%s)", ip.DstIP, to)
	}
	what, more := kind(p, eth)
	f.dhcpv6 = p.Layer(layers.LayerTypeDHCPv6) != nil
	f.target = target(p)
	if f.target.IsValid() {
		more += fmt.Sprintf(", about %s", f.target)
	}
	if q, ok := p.Layer(layers.LayerTypeDot1Q).(*layers.Dot1Q); ok {
		more += fmt.Sprintf(", tagged with VLAN %d", q.VLANIdentifier)
	}
	if fr, ok := p.Layer(layers.LayerTypeIPv6Fragment).(*layers.IPv6Fragment); ok {
		more += fmt.Sprintf(", a fragment at octet %d", 8*int(fr.FragmentOffset))
	}
	f.text = fmt.Sprintf("%s from %s to %s%s", what, from, to, more)
	return f
}

func address(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip) // invalid where there is none
	return a
}

// target is the address that Neighbor Discovery is about.
func target(p gopacket.Packet) netip.Addr {
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.ICMPv6NeighborSolicitation:
			return address(l.TargetAddress)
		case *layers.ICMPv6NeighborAdvertisement:
			return address(l.TargetAddress)
		case *layers.ICMPv6Redirect:
			return address(l.TargetAddress)
		}
	}
	return netip.Addr{}
}

// icmpv6Names are messages by type (RFC 4443, 4861, 2710, 9777, 3122, 3971 and 4286).
var icmpv6Names = map[uint8]string{
	1: "a Destination Unreachable", 2: "a Packet Too Big", 3: "a Time Exceeded", 4: "a Parameter Problem",
	128: "an Echo Request", 129: "an Echo Reply",
	130: "a Multicast Listener Query", 131: "a Multicast Listener Report (version 1)", 132: "a Multicast Listener Done",
	133: "a Router Solicitation", 134: "a Router Advertisement", 135: "a Neighbor Solicitation",
	136: "a Neighbor Advertisement", 137: "a Redirect",
	141: "an Inverse Neighbor Discovery Solicitation", 142: "an Inverse Neighbor Discovery Advertisement",
	143: "a Multicast Listener Report",
	148: "a Certification Path Solicitation", 149: "a Certification Path Advertisement",
	151: "a Multicast Router Advertisement", 152: "a Multicast Router Solicitation", 153: "a Multicast Router Termination",
}

// kind names the innermost thing that a frame holds, and what else is to be said
// of it.
func kind(p gopacket.Packet, eth *layers.Ethernet) (what, more string) {
	if d, ok := p.Layer(layers.LayerTypeDHCPv6).(*layers.DHCPv6); ok {
		return "a DHCPv6 " + d.MsgType.String(), ""
	}
	if i, ok := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6); ok {
		if name := icmpv6Names[i.TypeCode.Type()]; name != "" {
			return name, ""
		}
		return fmt.Sprintf("ICMPv6 of type %d", i.TypeCode.Type()), ""
	}
	switch l := p.TransportLayer().(type) {
	case *layers.TCP:
		return "TCP", fmt.Sprintf(", port %d to %d", uint16(l.SrcPort), uint16(l.DstPort))
	case *layers.UDP:
		return "UDP", fmt.Sprintf(", port %d to %d", uint16(l.SrcPort), uint16(l.DstPort))
	}
	if a, ok := p.Layer(layers.LayerTypeARP).(*layers.ARP); ok {
		return "ARP", fmt.Sprintf(", of %s about %s", net.IP(a.SourceProtAddress), net.IP(a.DstProtAddress))
	}
	if i, ok := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6); ok {
		return fmt.Sprintf("IPv6 with next header %d", uint8(i.NextHeader)), ""
	}
	if i, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ok {
		return fmt.Sprintf("IPv4 of protocol %d", uint8(i.Protocol)), ""
	}
	return fmt.Sprintf("a frame of Ethernet type %#04x", uint16(eth.EthernetType)), ""
}
