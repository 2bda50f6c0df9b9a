package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// fragmented cuts the payload of an IPv6 frame into fragments of so many octets
// (RFC 8200 section 4.5).
func fragmented(frame []byte, octets int, id byte) (list [][]byte) {
	const headers = 14 + 40
	payload := frame[headers:]
	for at := 0; at < len(payload); at += octets {
		end := min(at+octets, len(payload))
		offset, length := at, end-at+8
		if end < len(payload) {
			offset |= 1 // more fragments
		}
		head := slices.Clone(frame[:headers])
		head[14+4], head[14+5], head[14+6] = byte(length>>8), byte(length), byte(layers.IPProtocolIPv6Fragment)
		list = append(list, slices.Concat(head, []byte{frame[14+6], 0, byte(offset >> 8), byte(offset), 0, 0, 0, id}, payload[at:end]))
	}
	return list
}

// fragments: an echo request in fragments, in any order, gets through the rules of
// a port as a whole one does, and so does its reply. Open vSwitch's own conntrack
// takes none that is shorter than the least MTU and not the last.
func (c *club) fragments(t *testing.T) {
	request := func(text string) []byte {
		return icmp6Frame(t, mac2, mac1, c.addr[2].String(), c.addr[1].String(), layers.ICMPv6TypeEchoRequest, gopacket.Payload("\x00\x01\x00\x01"+text+strings.Repeat("z", 2800)))
	}
	inOrder := fragmented(request("in order"), 1232, 1)
	reversed := fragmented(request("reversed"), 1232, 2)
	slices.Reverse(reversed)
	k := watch(t, c.vm[2], func(f []byte) bool { return len(f) > 62 && f[20] == byte(layers.IPProtocolIPv6Fragment) })
	for text, frames := range map[string][][]byte{"in order": inOrder, "reversed": reversed} {
		inject(t, c.vm[2], frames...)
		arrives(t, k, "the reply to what came "+text, func(f []byte) bool { return f[62] == layers.ICMPv6TypeEchoReply && holding(text)(f) })
	}
	inject(t, c.vm[2], fragmented(request("too short"), 512, 3)...)
	waitMetric(t, c.daemon, drops("drop-state"), 1)
	for _, f := range received(k, holding("too short")) {
		t.Errorf("answered: % x", f[:70])
	}
}
