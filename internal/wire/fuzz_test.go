package wire

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/mdlayher/ndp"
)

func addFrames(f *testing.F) {
	for _, s := range []string{nsHex, naHex, dadHex, rsHex, raHex, echoHex, nsChainHex, nsAtomicHex, udpHex, taggedHex} {
		f.Add(frame(s))
	}
}

// stricter are the faults for frames that gopacket, which is there to show everything, decodes all the same.
var stricter = []Fault{
	FaultTagged, FaultMulticastSourceMAC, FaultZeroSourceMAC, FaultBadVersion, FaultZeroPayloadLength, FaultBadLength,
	FaultMulticastSource, FaultInternalSource, FaultUnspecifiedDestination, FaultHopByHopNotFirst, FaultChainTooLong,
}

// gopacketICMPv6 is the ICMPv6 message that gopacket finds behind the first IPv6 header, nil if it finds none there.
func gopacketICMPv6(data []byte) []byte {
	pkt := gopacket.NewPacket(data, layers.LayerTypeEthernet, gopacket.NoCopy)
	for _, l := range pkt.Layers() {
		switch l.LayerType() {
		case layers.LayerTypeEthernet, layers.LayerTypeDot1Q, layers.LayerTypeIPv6, layers.LayerTypeIPv6HopByHop,
			layers.LayerTypeIPv6Destination, layers.LayerTypeIPv6Routing:
		case layers.LayerTypeICMPv6:
			return slices.Concat(l.LayerContents(), l.LayerPayload())
		default:
			return nil
		}
	}
	return nil
}

func FuzzCut(f *testing.F) {
	addFrames(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		data = slices.Clip(data)
		kept := bytes.Clone(data)
		var p Packet
		fault := Cut(data, &p)
		if fault == FaultNone {
			if n := len(p.IPv6); n != IPv6Len+p.IPv6.PayloadLength() || EthernetLen+n > len(data) {
				t.Fatalf("IPv6 view of %d octets in a frame of %d", n, len(data))
			}
			if !bytes.HasSuffix(p.IPv6, p.Payload) || cap(p.Payload) != len(p.Payload) {
				t.Fatal("payload is not the packet's end")
			}
			if got := passes(&p); len(got) > 1 {
				t.Fatalf("one packet passes the gates %v", got)
			}
			var q Packet
			if again := Cut(append(bytes.Clone(data), 0, 0), &q); again != fault || !bytes.Equal(p.Payload, q.Payload) {
				t.Fatalf("padding changes %v to %v", fault, again)
			}
		}
		if !bytes.Equal(kept, data) {
			t.Fatal("the frame was written to")
		}
		want := gopacketICMPv6(data)
		switch {
		case want == nil || slices.Contains(stricter, fault):
		case fault != FaultNone:
			t.Fatalf("%v, but gopacket finds ICMPv6 %x", fault, want)
		case p.Protocol != ProtocolICMPv6 || !bytes.Equal(want, p.Payload):
			t.Fatalf("protocol %d, payload %x; gopacket has ICMPv6 %x", p.Protocol, p.Payload, want)
		}
	})
}

// slowOptions is the obvious twin of the option walk: the offsets of the options, and the fault that ended it.
func slowOptions(b []byte) (at []int, fault Fault) {
	for i := 0; i != len(b); {
		if i+1 >= len(b) {
			return at, FaultOptionTruncated
		}
		if b[i+1] == 0 {
			return at, FaultOptionZeroLength
		}
		end := i + 8*int(b[i+1])
		if end > len(b) {
			return at, FaultOptionTruncated
		}
		at = append(at, i)
		i = end
	}
	return at, FaultNone
}

func FuzzOptions(f *testing.F) {
	f.Add([]byte{1, 1, 2, 0, 0, 0, 0, 0x11, 14, 1, 1, 2, 3, 4, 5, 6})
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{2, 5, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		at, want := slowOptions(data)
		var sum, n int
		var got Fault
		for o := Options(data); len(o) > 0; n++ {
			opt, rest, fault := o.Next()
			if got = fault; fault != FaultNone {
				break
			}
			if n >= len(at) || sum != at[n] || opt.Type() != data[sum] || len(opt) != 8*int(data[sum+1]) {
				t.Fatalf("option %d, type %d, %d octets at %d; twin has offsets %v", n, opt.Type(), len(opt), sum, at)
			}
			sum += len(opt)
			o = rest
		}
		if got != want || n != len(at) || got == FaultNone && sum != len(data) {
			t.Fatalf("%d options of %d octets, then %v; twin %v, then %v", n, sum, got, at, want)
		}
	})
}

func FuzzNeighborSolicit(f *testing.F) {
	for _, s := range []string{nsHex, dadHex, nsChainHex} {
		b := frame(s)
		f.Add(b[22:38], b[38:54], b[len(b)-min(32, len(b)-HeadersLen):])
	}
	f.Fuzz(func(t *testing.T, src, dst, message []byte) {
		if len(src) != 16 || len(dst) != 16 || len(message) < 4 || len(message) > 1452 {
			return
		}
		data := slices.Concat(frame(nsHex)[:HeadersLen], message)
		copy(data[22:], src)
		copy(data[38:], dst)
		data[54] = TypeNeighborSolicit
		resum(setLen(data), icmpOff)
		var p Packet
		if fault := Cut(data, &p); fault != FaultNone {
			a := netip.AddrFrom16([16]byte(src))
			if !a.IsMulticast() && !a.IsLoopback() && !a.Is4In6() && !bytes.Equal(dst, make([]byte, 16)) {
				t.Fatalf("cut: %v", fault)
			}
			return
		}
		ns, fault := CheckNeighborSolicit(&p)
		m, err := ndp.ParseMessage(p.Payload)
		switch fault {
		case FaultNone:
		case FaultShort, FaultOptionZeroLength, FaultOptionTruncated:
			if err == nil {
				t.Fatalf("%v, but ndp parses %x", fault, p.Payload)
			}
			return
		default:
			return
		}
		// ndp refuses IPv4-mapped targets; RFC 4861 section 7.1.1 forbids multicast ones only.
		if ns.Target().Is4In6() {
			if got := ns.Target16(); !bytes.Equal(got[:], message[8:24]) {
				t.Fatalf("target %x, want %x", got, message[8:24])
			}
			return
		}
		// ndp also reads options that are none of a solicitation's, and stops at those; the fixed part it must read.
		if err != nil {
			if m, err = ndp.ParseMessage(p.Payload[:NeighborLen]); err != nil {
				t.Fatalf("passed, but ndp: %v", err)
			}
		}
		want := m.(*ndp.NeighborSolicitation)
		if ns.Target() != want.TargetAddress {
			t.Fatalf("target %v, ndp %v", ns.Target(), want.TargetAddress)
		}
		for _, o := range want.Options {
			lla, ok := o.(*ndp.LinkLayerAddress)
			if !ok || lla.Direction != ndp.Source {
				continue
			}
			if got, ok := ns.SourceLinkLayer(); !ok || !bytes.Equal(got[:], lla.Addr) {
				t.Fatalf("SLLA %v, ndp %v", got, lla.Addr)
			}
		}
	})
}
