// Package conntrack reads the connections that Open vSwitch tracks and ends
// single ones, through the commands of ovs-vswitchd.
//
//	conntrack.go   what a connection is, listing and ending
//	parse.go       a line of dpctl/dump-conntrack
package conntrack

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
)

// Caller runs a command of ovs-vswitchd; unixctl.Conn is one.
type Caller interface {
	Call(ctx context.Context, method string, args ...string) (string, error)
}

// Tuple is one direction of a connection.
type Tuple struct {
	Source, Destination netip.Addr
	Protocol            uint8
	// SourcePort and DestinationPort are 0 for protocols without ports.
	SourcePort, DestinationPort uint16
	// ID, Type and Code are those of ICMP and ICMPv6.
	ID         uint16
	Type, Code uint8
}

// Entry is one connection: Original is the direction that began it.
type Entry struct {
	Original Tuple
	Zone     uint16
}

// List returns the connections of a zone. Lines that say nothing of a connection
// as we know them are left out.
func List(ctx context.Context, c Caller, zone uint16) ([]Entry, error) {
	text, err := c.Call(ctx, "dpctl/dump-conntrack", fmt.Sprintf("zone=%d", zone))
	if err != nil {
		return nil, err
	}
	var list []Entry
	for line := range strings.Lines(text) {
		if e, ok := parse(strings.TrimSpace(line)); ok && e.Zone == zone {
			list = append(list, e)
		}
	}
	return list, nil
}

// End makes the switch forget a connection. One that has ended meanwhile is no error.
//
// An ICMPv6 one is left to its time of 60 s or less: the userspace datapath of Open
// vSwitch 3.1 takes its type for one of ICMP, does not know it, and ovs-vswitchd
// aborts (reverse_icmp_type in lib/conntrack.c). All that rides on it is replies.
func End(ctx context.Context, c Caller, e Entry) error {
	if e.Original.Protocol == protocolICMPv6 {
		return nil
	}
	_, err := c.Call(ctx, "dpctl/flush-conntrack", fmt.Sprintf("zone=%d", e.Zone), e.Original.String())
	if err != nil && strings.Contains(err.Error(), "No such file") {
		return nil
	}
	return err
}

// EndAll makes the switch forget all connections of a zone.
func EndAll(ctx context.Context, c Caller, zone uint16) error {
	_, err := c.Call(ctx, "dpctl/flush-conntrack", fmt.Sprintf("zone=%d", zone))
	return err
}

// String returns the tuple as ovs-vswitchd reads it.
func (t Tuple) String() string {
	family := "nw"
	if t.Source.Is6() {
		family = "ipv6"
	}
	s := fmt.Sprintf("ct_%s_src=%s,ct_%s_dst=%s,ct_nw_proto=%d", family, t.Source, family, t.Destination, t.Protocol)
	if t.icmp() {
		return s + fmt.Sprintf(",icmp_id=%d,icmp_type=%d,icmp_code=%d", t.ID, t.Type, t.Code)
	}
	return s + fmt.Sprintf(",ct_tp_src=%d,ct_tp_dst=%d", t.SourcePort, t.DestinationPort)
}

func (t Tuple) icmp() bool { return t.Protocol == protocolICMP || t.Protocol == protocolICMPv6 }

const (
	protocolICMP   = 1
	protocolICMPv6 = 58
)
