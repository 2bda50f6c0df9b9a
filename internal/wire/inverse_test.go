package wire

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// inverseHex is what scapy 2.5.0 makes of
//
//	Ether(src="02:00:00:00:00:11", dst="02:00:00:00:00:12")/IPv6(src="fe80::ff:fe00:11", dst="ff02::1", hlim=255)/
//	  ICMPv6ND_INDSol()/ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:11")/ICMPv6NDOptDstLLAddr(lladdr="02:00:00:00:00:12")/
//	  Raw(bytes.fromhex("0905000000000000"
//	    "fe80000000000000000000fffe000011fd0000b1000000000000000000000011"))
const inverseHex = "02000000001202000000001186dd6000000000403afffe80000000000000000000fffe000011ff0200000000000000000000000000018d006a7000000000010102000000001102010200000000120905000000000000fe80000000000000000000fffe000011fd0000b1000000000000000000000011"

func TestInverseSolicit(t *testing.T) {
	t.Parallel()
	var p Packet
	if f := Cut(frame(inverseHex), &p); f != FaultNone {
		t.Fatal(f)
	}
	is, f := CheckInverseSolicit(&p)
	if f != FaultNone {
		t.Fatal(f)
	}
	got := fmt.Sprint(is.SourceLinkLayer(), is.TargetLinkLayer(), slices.Collect(is.SourceAddresses))
	if want := "02:00:00:00:00:11 02:00:00:00:00:12 [fe80::ff:fe00:11 fd00:b1::11]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestInverseRoom holds the room against the length of what is built.
func TestInverseRoom(t *testing.T) {
	t.Parallel()
	for _, mtu := range []int{1280, 1442, 1500, 9000} {
		n := InverseRoom(mtu)
		if got := InverseAdvertFrameLen(n) - EthernetLen; got > mtu {
			t.Errorf("%d addresses make %d octets, more than the MTU of %d", n, got, mtu)
		}
		if got := InverseAdvertFrameLen(n+1) - EthernetLen; got <= mtu && n < maxAddressList {
			t.Errorf("one more than %d addresses would fit an MTU of %d", n, mtu)
		}
	}
	h := Headers{Source: netip.MustParseAddr("fe80::1"), Destination: netip.MustParseAddr("fe80::2"), HopLimit: MaxHopLimit}
	list := make([]netip.Addr, maxAddressList)
	for i := range list {
		list[i] = h.Source
	}
	b := make([]byte, InverseAdvertFrameLen(len(list)))
	if n := PutInverseAdvert(b, &h, list); n != len(b) || b[HeadersLen+InverseLen+2*LinkLayerOptionLen+1] != 255 {
		t.Errorf("the longest list makes %d octets and an option of length %d", n, b[HeadersLen+InverseLen+2*LinkLayerOptionLen+1])
	}
}

// FuzzInverseSolicit holds the gate against the octets: what passes has its
// options whole, each list of whole addresses.
func FuzzInverseSolicit(f *testing.F) {
	b := frame(inverseHex)
	f.Add(b[HeadersLen:])
	f.Add(b[HeadersLen : HeadersLen+24])
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) < 4 || len(message) > 1452 {
			return
		}
		data := slices.Concat(b[:HeadersLen], message)
		data[54] = TypeInverseSolicit
		resum(setLen(data), icmpOff)
		var p Packet
		if fault := Cut(data, &p); fault != FaultNone {
			t.Fatal(fault)
		}
		is, fault := CheckInverseSolicit(&p)
		at, walk := slowOptions(message[min(InverseLen, len(message)):])
		if fault != FaultNone {
			return
		}
		if walk != FaultNone || data[55] != 0 {
			t.Fatalf("passed, though %v, code %d", walk, data[55])
		}
		var lists []byte
		for _, o := range at {
			o := message[InverseLen+o:]
			if o[0] == OptionSourceAddressList {
				lists = append(lists, o[8:8*int(o[1])]...)
			}
		}
		var got []byte
		for a := range is.SourceAddresses {
			got = append(got, a.AsSlice()...)
		}
		if !bytes.Equal(got, lists) {
			t.Fatalf("addresses %x, lists %x", got, lists)
		}
		if s := is.SourceLinkLayer(); !bytes.Contains(message, append([]byte{1, 1}, s[:]...)) {
			t.Fatalf("source link-layer address %v is not in %x", s, message)
		}
	})
}
