package openflow

import (
	"encoding/binary"
	"fmt"

	"damselfly/flows"
)

// Commands of a GroupMod (OpenFlow 1.5 section 7.3.4.3).
const (
	// GroupAdd makes a group; it is an error if there is one with the id.
	GroupAdd Command = 0
	// GroupModify replaces type and buckets of a group that is there.
	GroupModify Command = 1
	// GroupDelete removes a group and the flows that use it; no error if there
	// is none.
	GroupDelete Command = 2
	// GroupInsert adds the buckets behind all others.
	GroupInsert Command = 3
	// GroupRemove removes the bucket with id GroupMod.Bucket.
	GroupRemove Command = 5
)

// Bucket ids with a meaning of their own (openflow-1.5.h).
const (
	lastBucket uint32 = 0xfffffffe
	// AllBuckets removes every bucket of a group.
	AllBuckets uint32 = 0xffffffff
)

// GroupMod is one change of the group table.
type GroupMod struct {
	Command Command
	// Group is the group. Its Buckets count for GroupAdd, GroupModify and
	// GroupInsert, its Type for all but GroupDelete and GroupRemove.
	Group *flows.Group
	// Bucket is what GroupRemove removes.
	Bucket uint32
}

const groupModLen = headerLen + 16

// AppendGroupMod appends a GROUP_MOD message.
func AppendGroupMod(b []byte, xid uint32, m GroupMod) []byte {
	start := len(b)
	b = AppendHeader(b, TypeGroupMod, xid)
	b = put16(b, uint16(m.Command))
	b = append(b, byte(m.Group.Type), 0)
	b = put32(b, m.Group.ID)
	b = put32(b, 0) // length of the buckets, below
	switch m.Command {
	case GroupInsert:
		b = put32(b, lastBucket)
	case GroupRemove:
		b = put32(b, m.Bucket)
	default:
		b = put32(b, AllBuckets)
	}
	if m.Command == GroupAdd || m.Command == GroupModify || m.Command == GroupInsert {
		for i := range m.Group.Buckets {
			b = appendBucket(b, m.Group.Type, &m.Group.Buckets[i])
		}
	}
	binary.BigEndian.PutUint16(b[start+16:], uint16(len(b)-start-groupModLen))
	if m.Group.Type == flows.Select && (m.Command == GroupAdd || m.Command == GroupModify) {
		b = appendSelection(b)
	}
	return finish(b, start)
}

// Properties of buckets and groups (OpenFlow 1.5 section 7.3.4.3).
const (
	bucketWeight     = 0
	bucketWatchPort  = 1
	bucketWatchGroup = 2
	propExperimenter = 0xffff
	ntrSelection     = 1
)

func appendBucket(b []byte, t flows.GroupType, k *flows.Bucket) []byte {
	start := len(b)
	b = put32(put32(b, 0), k.ID)
	b = AppendActions(b, k.Actions)
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start-8))
	if t == flows.Select {
		b = appendProp16(b, bucketWeight, k.Weight)
	}
	if k.WatchPort != flows.NoPort {
		b = appendProp32(b, bucketWatchPort, k.WatchPort)
	}
	if k.WatchGroup != flows.NoGroup {
		b = appendProp32(b, bucketWatchGroup, k.WatchGroup)
	}
	binary.BigEndian.PutUint16(b[start:], uint16(len(b)-start))
	return b
}

// dpHash is Netronome's name of the datapath's own hash, as it stands in the
// selection method property.
const dpHash = "dp_hash\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// selectionLen is the length of a selection method property without fields.
const selectionLen = 40

// appendSelection appends the property that picks dp_hash (Netronome's
// extension, netronome-ext.h).
func appendSelection(b []byte) []byte {
	b = put16(put16(b, propExperimenter), selectionLen)
	b = put32(b, vendorNTR)
	b = put32(put32(b, ntrSelection), 0)
	b = append(b, dpHash...)
	return put64(b, 0)
}

// GroupEntry is one group of a dump.
type GroupEntry struct {
	// Group is the group; its ID and Type are always right.
	Group flows.Group
	// Unknown is nil if Group says all there is; see Entry.Unknown.
	Unknown error
}

// DecodeGroups appends the groups in the body of a GROUP_DESC reply to out.
func DecodeGroups(out []GroupEntry, b []byte) ([]GroupEntry, error) {
	for len(b) > 0 {
		if len(b) < 16 {
			return out, errShort
		}
		n, buckets := int(get16(b)), int(get16(b[8:]))
		if n < 16 || n > len(b) || buckets > n-16 {
			return out, errShort
		}
		e := GroupEntry{Group: flows.Group{ID: get32(b[4:]), Type: flows.GroupType(b[2])}}
		e.Unknown = checkSelection(e.Group.Type, b[16+buckets:n])
		for list := b[16 : 16+buckets]; len(list) > 0; {
			k, rest, unknown, err := cutBucket(list, e.Group.Type)
			if err != nil {
				return out, err
			}
			if unknown != nil && e.Unknown == nil {
				e.Unknown = unknown
			}
			e.Group.Buckets = append(e.Group.Buckets, k)
			list = rest
		}
		out = append(out, e)
		b = b[n:]
	}
	return out, nil
}

// cutBucket splits the first bucket off b; unknown says what in it package flows
// has no word for.
func cutBucket(b []byte, t flows.GroupType) (k flows.Bucket, rest []byte, unknown, err error) {
	if len(b) < 8 {
		return k, nil, nil, errShort
	}
	n, actions := int(get16(b)), int(get16(b[2:]))
	if n < 8 || n > len(b) || actions > n-8 {
		return k, nil, nil, errShort
	}
	k = flows.Bucket{ID: get32(b[4:]), WatchPort: flows.NoPort, WatchGroup: flows.NoGroup}
	k.Actions, unknown = DecodeActions(b[8 : 8+actions])
	if t == flows.Select {
		k.Weight = 1
	}
	for props := b[8+actions : n]; len(props) > 0; {
		typ, payload, more, err := cutProp(props)
		if err != nil {
			return k, nil, nil, err
		}
		props = more
		switch {
		case typ == bucketWeight && len(payload) >= 2:
			k.Weight = get16(payload)
		case typ == bucketWatchPort && len(payload) == 4:
			k.WatchPort = get32(payload)
		case typ == bucketWatchGroup && len(payload) == 4:
			k.WatchGroup = get32(payload)
		default:
			unknown = fmt.Errorf("openflow: property %d of a bucket is not one of ours", typ)
		}
	}
	return k, b[n:], unknown, nil
}

// checkSelection returns what in a group's properties is not ours.
func checkSelection(t flows.GroupType, props []byte) error {
	hashed := false
	for len(props) > 0 {
		typ, payload, rest, err := cutProp(props)
		if err != nil {
			return err
		}
		props = rest
		if typ != propExperimenter || len(payload) != selectionLen-4 || get32(payload) != vendorNTR ||
			string(payload[12:28]) != dpHash || get64(payload[28:]) != 0 {
			return fmt.Errorf("openflow: property %#x of group type %v is not one of ours", typ, t)
		}
		hashed = true
	}
	if hashed != (t == flows.Select) {
		return fmt.Errorf("openflow: group of type %v without dp_hash", t)
	}
	return nil
}
