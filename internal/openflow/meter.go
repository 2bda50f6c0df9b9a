package openflow

import (
	"errors"
	"time"

	"damselfly/flows"
)

// Commands of AppendMeterMod (OpenFlow 1.5 section 7.3.4.5).
const (
	// MeterAdd makes a meter; it is an error if there is one with the id.
	MeterAdd Command = 0
	// MeterModify changes a meter that is there.
	MeterModify Command = 1
	// MeterDelete removes a meter and the flows that use it; no error if there
	// is none.
	MeterDelete Command = 2
)

// AllMeters is the meter id that means every meter.
const AllMeters uint32 = 0xffffffff

// Flags of our meters: packets a second, with a burst, counting (OpenFlow 1.5
// section 7.3.4.5).
const meterFlags = 2 | 4 | 8

// bandDrop is the type of a band that drops.
const bandDrop = 1

// AppendMeterMod appends a METER_MOD message; MeterDelete looks at the id alone.
func AppendMeterMod(b []byte, xid uint32, c Command, m flows.Meter) []byte {
	start := len(b)
	b = AppendHeader(b, TypeMeterMod, xid)
	b = put16(b, uint16(c))
	b = put32(put16(b, meterFlags), m.ID)
	if c != MeterDelete {
		b = put16(put16(b, bandDrop), 16)
		b = put32(put32(b, m.Rate), m.Burst)
		b = pad(b, 4)
	}
	return finish(b, start)
}

// MeterEntry is one meter of a dump.
type MeterEntry struct {
	// Meter is the meter; its ID is always right.
	Meter flows.Meter
	// Unknown is nil if Meter says all there is; see Entry.Unknown.
	Unknown error
}

// DecodeMeters appends the meters in the body of a METER_CONFIG reply to out.
func DecodeMeters(out []MeterEntry, b []byte) ([]MeterEntry, error) {
	for len(b) > 0 {
		if len(b) < 8 {
			return out, errShort
		}
		n := int(get16(b))
		if n < 8 || n > len(b) {
			return out, errShort
		}
		e := MeterEntry{Meter: flows.Meter{ID: get32(b[4:])}}
		if band := b[8:n]; get16(b[2:]) == meterFlags && len(band) == 16 && get16(band) == bandDrop {
			e.Meter.Rate, e.Meter.Burst = get32(band[4:]), get32(band[8:])
		} else {
			e.Unknown = errors.New("openflow: meter with flags or bands that are not ours")
		}
		out = append(out, e)
		b = b[n:]
	}
	return out, nil
}

// MeterStat is how much a meter was used.
type MeterStat struct {
	ID uint32
	// Packets and Octets are what came in, Dropped the packets it dropped.
	Packets, Octets, Dropped uint64
	Duration                 time.Duration
}

// DecodeMeterStats appends the meters in the body of a METER reply to out
// (OpenFlow 1.5 section 7.3.5.13).
func DecodeMeterStats(out []MeterStat, b []byte) ([]MeterStat, error) {
	for len(b) > 0 {
		if len(b) < 40 {
			return out, errShort
		}
		n := int(get16(b[4:]))
		if n < 40 || n > len(b) {
			return out, errShort
		}
		s := MeterStat{ID: get32(b), Packets: get64(b[16:]), Octets: get64(b[24:])}
		s.Duration = time.Duration(get32(b[32:]))*time.Second + time.Duration(get32(b[36:]))
		for bands := b[40:n]; len(bands) >= 16; bands = bands[16:] {
			s.Dropped += get64(bands)
		}
		out = append(out, s)
		b = b[n:]
	}
	return out, nil
}
