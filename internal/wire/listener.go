package wire

import (
	"encoding/binary"
	"net/netip"
	"time"
)

const (
	// MLDv1Len is the length in octets of every MLDv1 message (RFC 2710 section 3).
	MLDv1Len = 24
	// MLDv2QueryLen is the length in octets of an MLDv2 Query without sources (RFC 9777 section 5.1).
	MLDv2QueryLen = 28
	// MLDv2ReportLen is the length in octets of an MLDv2 Report without records (RFC 9777 section 5.2).
	MLDv2ReportLen = 8
	// ListenerRecordLen is the length in octets of a record without sources (RFC 9777 section 5.2.5).
	ListenerRecordLen = 20

	// ListenerHopLimit is the hop limit of all Multicast Listener Discovery (RFC 9777 section 5).
	ListenerHopLimit = 1

	mldMaxResponse = 4
	mldGroup       = 8
	queryFlags     = 24
	queryInterval  = 25
	querySources   = 26
	reportRecords  = 6
	recordAuxLen   = 1
	recordSources  = 2
	recordGroup    = 4

	// querySuppress is the S flag, queryRobustness the mask of QRV in the octet
	// at queryFlags (RFC 9777 sections 5.1.7 and 5.1.8).
	querySuppress   = 0x08
	queryRobustness = 0x07
)

// CheckListener is what the gates of Multicast Listener Discovery have in
// common. minLen is the length in octets of the message's fixed part.
func CheckListener(p *Packet, typ uint8, minLen int) (m ICMPv6, f Fault) {
	switch {
	case p.Protocol != ProtocolICMPv6:
		return nil, FaultNotICMPv6
	case p.ICMPv6().Type() != typ:
		return nil, FaultWrongType
	case p.Fragment != Whole:
		return nil, FaultFragment
	case p.SourceRouted:
		return nil, FaultRoutingHeader
	// "All MLDv2 messages described in this document MUST be sent with a
	// link-local IPv6 Source Address, an IPv6 Hop Limit of 1, and an IPv6 Router
	// Alert option [RFC2711] in a Hop-by-Hop Options header", RFC 9777 section 5.
	case p.IPv6.HopLimit() != ListenerHopLimit:
		return nil, FaultHopLimitNotOne
	case !p.RouterAlert:
		return nil, FaultNoRouterAlert
	}
	m = p.ICMPv6()
	switch {
	case len(m) < minLen:
		return nil, FaultShort
	case !VerifyChecksum(p.IPv6, ProtocolICMPv6, m):
		return nil, FaultChecksum
	// Before it has an address a node reports from :: (RFC 9777 section 5.2.14,
	// RFC 3590 section 4).
	case !p.IPv6.SourceLinkLocal() && !p.IPv6.SourceUnspecified():
		return nil, FaultNotLinkLocal
	}
	return m, FaultNone
}

// ListenerQuery is a Multicast Listener Query of either version from its type on
// (RFC 9777 section 5.1). Its gate is CheckListenerQuery.
type ListenerQuery []byte

// CheckListenerQuery applies the rules of RFC 9777 sections 5.1 and 8.1. Whether a unicast
// destination is the receiver's, who calls it knows.
func CheckListenerQuery(p *Packet) (ListenerQuery, Fault) {
	m, f := CheckListener(p, TypeMLDQuery, MLDv1Len)
	if f != FaultNone {
		return nil, f
	}
	q := ListenerQuery(m)
	switch {
	// "If a node ... receives a Query Message with the IPv6 Source Address set to
	// the unspecified address (::), or any other address that is not a valid
	// IPv6 link-local address, it MUST silently discard the message", section 5.1.14.
	case p.IPv6.SourceUnspecified():
		return nil, FaultUnspecifiedSource
	// "Query Messages that do not match any of the above conditions (e.g., a Query
	// of length 26 octets) MUST be silently ignored", section 8.1.
	case len(m) > MLDv1Len && len(m) < MLDv2QueryLen:
		return nil, FaultListenerLength
	case q.Version() == 2 && len(m) < MLDv2QueryLen+16*q.SourceCount():
		return nil, FaultListenerLength
	}
	switch group := m[mldGroup : mldGroup+16]; {
	case isUnspecified(group):
		// "General Queries are sent to the link-scope all-nodes multicast address (ff02::1).
		// ... However, a node MUST accept and process any Query whose IP Destination Address
		// field contains any of the addresses (unicast or multicast) assigned to the
		// interface", section 5.1.15: of groups a router's are these.
		if to := p.IPv6.Destination(); to.IsMulticast() && to != AllNodes && to != AllRouters && to != AllMLDv2Routers {
			return nil, FaultListenerDestination
		}
	case group[0] != multicastOctet:
		return nil, FaultNotGroup
	}
	return q, FaultNone
}

// Version is that of the protocol, by the length (RFC 9777 section 8.1).
func (q ListenerQuery) Version() int {
	if len(q) == MLDv1Len {
		return 1
	}
	return 2
}

// MaxResponse is the longest that a listener may take to answer (RFC 9777 section 5.1.3).
func (q ListenerQuery) MaxResponse() time.Duration {
	code := time.Duration(binary.BigEndian.Uint16(q[mldMaxResponse:]))
	if q.Version() == 2 && code >= 32768 {
		code = (code&0xfff | 0x1000) << (code>>12&7 + 3)
	}
	return code * time.Millisecond
}

// Group is who is asked for, :: for all (RFC 9777 section 5.1.5).
func (q ListenerQuery) Group() netip.Addr {
	return netip.AddrFrom16([16]byte(q[mldGroup : mldGroup+16]))
}

// Suppress says that routers are not to lower their timers; false in version 1 (RFC 9777 section 5.1.7).
func (q ListenerQuery) Suppress() bool { return q.Version() == 2 && q[queryFlags]&querySuppress != 0 }

// Robustness is the querier's, 0 where it does not say (RFC 9777 section 5.1.8).
func (q ListenerQuery) Robustness() int {
	if q.Version() == 1 {
		return 0
	}
	return int(q[queryFlags] & queryRobustness)
}

// Interval is the querier's, 0 where it does not say (RFC 9777 section 5.1.9).
func (q ListenerQuery) Interval() time.Duration {
	if q.Version() == 1 {
		return 0
	}
	code := time.Duration(q[queryInterval])
	if code >= 128 {
		code = (code&0xf | 0x10) << (code>>4&7 + 3)
	}
	return code * time.Second
}

// SourceCount is the number of sources asked for; 0 in version 1.
func (q ListenerQuery) SourceCount() int {
	if q.Version() == 1 {
		return 0
	}
	return int(binary.BigEndian.Uint16(q[querySources:]))
}

// Source is the source asked for at an index below SourceCount.
func (q ListenerQuery) Source(i int) netip.Addr {
	return netip.AddrFrom16([16]byte(q[MLDv2QueryLen+16*i:]))
}

// CheckListenerV1 is the gate of MLDv1's Report and Done (RFC 2710 section 3). It
// returns the group.
func CheckListenerV1(p *Packet, typ uint8) (netip.Addr, Fault) {
	m, f := CheckListener(p, typ, MLDv1Len)
	if f != FaultNone {
		return netip.Addr{}, f
	}
	group := m[mldGroup : mldGroup+16]
	if group[0] != multicastOctet {
		return netip.Addr{}, FaultNotGroup
	}
	return netip.AddrFrom16([16]byte(group)), FaultNone
}

// RecordType is what a record of an MLDv2 Report says (RFC 9777 section 5.2.13).
type RecordType uint8

// The record types.
const (
	ModeIsInclude   RecordType = 1
	ModeIsExclude   RecordType = 2
	ChangeToInclude RecordType = 3
	ChangeToExclude RecordType = 4
	AllowNewSources RecordType = 5
	BlockOldSources RecordType = 6
)

// ListenerReport is an MLDv2 Report from its type on (RFC 9777 section 5.2). Its
// gate is CheckListenerReport.
type ListenerReport []byte

// CheckListenerReport applies the rules of RFC 9777 section 5.2: every record is
// whole and about a group. What a record's type may be, its reader decides:
// "Multicast Address Records with an unrecognized Record Type value MUST be silently
// ignored, with the rest of the report being processed", section 5.2.13.
func CheckListenerReport(p *Packet) (ListenerReport, Fault) {
	m, f := CheckListener(p, TypeMLDv2Report, MLDv2ReportLen)
	if f != FaultNone {
		return nil, f
	}
	report := ListenerReport(m)
	rest := []byte(m[MLDv2ReportLen:])
	for range report.Records() {
		if len(rest) < ListenerRecordLen {
			return nil, FaultListenerLength
		}
		n := ListenerRecord(rest).len()
		switch {
		case n > len(rest):
			return nil, FaultListenerLength
		case rest[recordGroup] != multicastOctet:
			return nil, FaultNotGroup
		}
		rest = rest[n:]
	}
	return report, FaultNone
}

// Records is the number of records.
func (r ListenerReport) Records() int { return int(binary.BigEndian.Uint16(r[reportRecords:])) }

// Each yields the records in their order.
func (r ListenerReport) Each(yield func(ListenerRecord) bool) {
	rest := r[MLDv2ReportLen:]
	for range r.Records() {
		record := ListenerRecord(rest)
		n := record.len()
		if !yield(record[:n:n]) {
			return
		}
		rest = rest[n:]
	}
}

// ListenerRecord is one record of a report (RFC 9777 section 5.2.5). Its gate is
// CheckListenerReport.
type ListenerRecord []byte

func (r ListenerRecord) len() int {
	return ListenerRecordLen + 16*r.SourceCount() + 4*int(r[recordAuxLen])
}

// Type is what it says.
func (r ListenerRecord) Type() RecordType { return RecordType(r[0]) }

// Group is the group it is about.
func (r ListenerRecord) Group() netip.Addr {
	return netip.AddrFrom16([16]byte(r[recordGroup : recordGroup+16]))
}

// SourceCount is the number of its sources.
func (r ListenerRecord) SourceCount() int { return int(binary.BigEndian.Uint16(r[recordSources:])) }

// Source is the source at an index below SourceCount.
func (r ListenerRecord) Source(i int) netip.Addr {
	return netip.AddrFrom16([16]byte(r[ListenerRecordLen+16*i:]))
}
