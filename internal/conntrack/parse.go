package conntrack

import (
	"net/netip"
	"strconv"
	"strings"
)

// protocols are the names that ovs-vswitchd writes (ct-dpif.c); others are numbers.
var protocols = map[string]uint8{
	"icmp": protocolICMP, "icmpv6": protocolICMPv6, "tcp": 6, "udp": 17, "sctp": 132, "udplite": 136, "dccp": 33, "igmp": 2,
}

// parse reads a line such as
//
//	tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=5000,dport=80),reply=(...),zone=7,protoinfo=(...)
func parse(line string) (e Entry, ok bool) {
	name, rest, _ := strings.Cut(line, ",")
	protocol, known := protocols[name]
	if !known {
		n, err := strconv.ParseUint(name, 10, 8)
		if err != nil {
			return e, false
		}
		protocol = uint8(n)
	}
	_, original, there := strings.Cut(rest, "orig=(")
	fields, rest, closed := strings.Cut(original, ")")
	if !there || !closed {
		return e, false
	}
	e.Original.Protocol = protocol
	for field := range strings.SplitSeq(fields, ",") {
		key, value, _ := strings.Cut(field, "=")
		if !e.Original.set(key, value) {
			return e, false
		}
	}
	if _, zone, there := strings.Cut(rest, ",zone="); there {
		zone, _, _ = strings.Cut(zone, ",")
		n, err := strconv.ParseUint(zone, 10, 16)
		if err != nil {
			return e, false
		}
		e.Zone = uint16(n)
	}
	return e, e.Original.Source.IsValid() && e.Original.Destination.IsValid()
}

// set reads one field of a tuple; counters and others are passed over.
func (t *Tuple) set(key, value string) bool {
	var err error
	switch key {
	case "src":
		t.Source, err = netip.ParseAddr(value)
	case "dst":
		t.Destination, err = netip.ParseAddr(value)
	case "sport":
		t.SourcePort, err = number[uint16](value, 16)
	case "dport":
		t.DestinationPort, err = number[uint16](value, 16)
	case "id":
		t.ID, err = number[uint16](value, 16)
	case "type":
		t.Type, err = number[uint8](value, 8)
	case "code":
		t.Code, err = number[uint8](value, 8)
	}
	return err == nil
}

func number[T uint8 | uint16](text string, bits int) (T, error) {
	n, err := strconv.ParseUint(text, 10, bits)
	return T(n), err
}
