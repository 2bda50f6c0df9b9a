package openflow

import (
	"errors"

	"damselfly/flows"
)

// Parts of Nicira's ct action (struct nx_action_conntrack, ofp-actions.c).
const (
	trackCommit = 1
	// trackNoTable is the table of an action that does not recirculate.
	trackNoTable = 0xff
	// lowHalf is bits 0 to 15 of a register, as offset << 6 | bits - 1.
	lowHalf = 15
)

// appendTrack appends a ct action without a helper. Its own actions, if it marks,
// stand behind it and count in its length.
func appendTrack(b []byte, a flows.Track) []byte {
	flags, table := uint16(0), a.Table
	if a.Commit {
		flags = trackCommit
	}
	if table == 0 {
		table = trackNoTable
	}
	start := len(b)
	b = put16(niciraHeader(b, nxTrack, 24), flags)
	b = put16(put32(b, a.Zone.Info().Header), lowHalf)
	b = pad(append(b, table), 5) // padding, and no helper
	if a.Marks {
		b = appendAction(b, flows.Load(flows.CTMark, flows.U32(a.Mark)))
	}
	return closeAction(b, start)
}

// decodeTrack reads what follows the subtype.
func decodeTrack(body []byte) (flows.Action, error) {
	zone, ok := headers[get32(body[2:])]
	flags, table := get16(body), body[8]
	if !ok || zone < flows.Reg0 || zone > flows.Reg15 || flags&^trackCommit != 0 || get16(body[6:]) != lowHalf || !allZero(body[9:14]) {
		return nil, errors.New("openflow: a ct action of a kind that is not ours")
	}
	if table == trackNoTable {
		table = 0
	}
	a := flows.Track{Zone: zone, Table: table, Commit: flags&trackCommit != 0}
	own, err := DecodeActions(body[14:])
	if err != nil || len(own) == 0 {
		return a, err
	}
	mark, ok := own[0].(flows.SetField)
	if !ok || len(own) > 1 || mark.Field != flows.CTMark || !flows.FieldMatch(mark).Exact() {
		return nil, errors.New("openflow: a ct action that does more than to mark")
	}
	a.Marks, a.Mark = true, uint32(mark.Value.Uint(4))
	return a, nil
}
