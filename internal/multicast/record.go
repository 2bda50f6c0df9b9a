package multicast

import (
	"net/netip"

	"damselfly/internal/wire"
)

// sourcesPerRecord is how many sources of a record fit a packet of 1,280 octets, behind
// its header, a Router Alert and the report's own.
const sourcesPerRecord = (1280 - wire.IPv6Len - 8 - 8 - wire.ListenerRecordLen) / 16

// current adds the records of what is wanted of a group (RFC 9777 section 5.2.13).
func current(list []wire.Record, g netip.Addr, w wants) []wire.Record {
	if w.exclude {
		return record(list, wire.ModeIsExclude, g, w.sources)
	}
	return record(list, wire.ModeIsInclude, g, w.sources)
}

// record adds one, or several where it has too many sources for one: "if its Type is IS_EX or
// TO_EX, a single Multicast Address Record is sent, with as many source addresses as can
// fit" (RFC 9777 section 5.2.16), since another would take its place.
func record(list []wire.Record, typ wire.RecordType, g netip.Addr, sources []netip.Addr) []wire.Record {
	exclude := typ == wire.ModeIsExclude || typ == wire.ChangeToExclude
	for !exclude && len(sources) > sourcesPerRecord {
		list = append(list, wire.Record{Type: typ, Group: g, Sources: sources[:sourcesPerRecord]})
		sources = sources[sourcesPerRecord:]
	}
	return append(list, wire.Record{Type: typ, Group: g, Sources: sources[:min(len(sources), sourcesPerRecord)]})
}
