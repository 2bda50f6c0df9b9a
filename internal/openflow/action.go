package openflow

import (
	"encoding/binary"
	"errors"
	"fmt"

	"damselfly/flows"
)

// Action types (OpenFlow 1.5 section 7.2.6).
const (
	actOutput       = 0
	actPushVLAN     = 17
	actPopVLAN      = 18
	actGroup        = 22
	actDecTTL       = 24
	actSetField     = 25
	actCopyField    = 28
	actMeter        = 29
	actExperimenter = 0xffff
)

// Subtypes of Nicira's actions (ofp-actions.c).
const (
	nxResubmit    = 14
	nxController  = 20
	nxTrack       = 35
	nxController2 = 37
	nxUntrack     = 43
	nxCheckLarger = 49
)

// Properties of controller2 (nicira-ext.h).
const (
	ctlMaxLen   = 0
	ctlID       = 1
	ctlUserdata = 3
)

// etherTypeVLAN is that of a customer tag (IEEE 802.1Q section 9.5).
const etherTypeVLAN = 0x8100

// nxInPort is "the port the frame came in by" in Nicira's 16-bit port fields.
const nxInPort = 0xfff8

// AppendActions appends an action list. An action that package flows gains and
// this function does not know is a fault of the program: it panics.
func AppendActions(b []byte, actions []flows.Action) []byte {
	for _, a := range actions {
		b = appendAction(b, a)
	}
	return b
}

func appendAction(b []byte, a flows.Action) []byte {
	switch a := a.(type) {
	case flows.Output:
		b = put32(actionHeader(b, actOutput, 16), a.Port)
		return pad(b, 8) // max_len, which counts only towards a controller, and padding
	case flows.Resubmit:
		b = put16(niciraHeader(b, nxResubmit, 16), nxInPort)
		return append(b, a.Table, 0, 0, 0)
	case flows.ToGroup:
		return put32(actionHeader(b, actGroup, 8), a.ID)
	case flows.ThroughMeter:
		return put32(actionHeader(b, actMeter, 8), a.ID)
	case flows.Punt:
		return appendPunt(b, a)
	case flows.DecTTL:
		return pad(actionHeader(b, actDecTTL, 8), 4)
	case flows.SetField:
		start := len(b)
		b = actionHeader(b, actSetField, 0)
		b = appendField(b, flows.FieldMatch(a))
		return closeAction(b, start)
	case flows.Move:
		start := len(b)
		b = put16(actionHeader(b, actCopyField, 0), uint16(min(fieldBits(a.Src), fieldBits(a.Dst))))
		b = pad(b, 6) // both offsets 0, padding
		b = put32(put32(b, a.Src.Info().Header), a.Dst.Info().Header)
		return closeAction(b, start)
	case flows.MoveBits:
		start := len(b)
		b = put16(actionHeader(b, actCopyField, 0), uint16(a.Bits))
		b = pad(put16(put16(b, uint16(a.SrcBit)), uint16(a.DstBit)), 2)
		b = put32(put32(b, a.Src.Info().Header), a.Dst.Info().Header)
		return closeAction(b, start)
	case flows.LongerThan:
		b = put16(niciraHeader(b, nxCheckLarger, 24), a.Octets)
		b = put32(put16(b, uint16(a.Bit)), a.Reg.Info().Header)
		return pad(b, 6)
	case flows.Track:
		return appendTrack(b, a)
	case flows.Untrack:
		return pad(niciraHeader(b, nxUntrack, 16), 6)
	case flows.PushVLAN:
		return pad(put16(actionHeader(b, actPushVLAN, 8), etherTypeVLAN), 2)
	case flows.PopVLAN:
		return pad(actionHeader(b, actPopVLAN, 8), 4)
	}
	panic(fmt.Sprintf("openflow: no encoding for action %T", a))
}

// appendPunt sends whole frames: max_len left out means that to controller2.
// Without userdata the older action does, which is how ovs-ofctl writes it when
// it saves and restores flows.
func appendPunt(b []byte, a flows.Punt) []byte {
	if a.Userdata == "" {
		b = put16(niciraHeader(b, nxController, 16), wholeFrame)
		return append(put16(b, a.ID), reasonAction, 0)
	}
	start := len(b)
	b = pad(niciraHeader(b, nxController2, 0), 6)
	if a.ID != 0 {
		b = appendProp16(b, ctlID, a.ID)
	}
	b = appendPropText(b, ctlUserdata, a.Userdata)
	return closeAction(b, start)
}

// What a punt asks for: the frame uncut, and that it was an action that sent it
// (OpenFlow 1.5 section 7.4.1).
const (
	wholeFrame   = 0xffff
	reasonAction = 1
)

func actionHeader(b []byte, typ, n uint16) []byte { return put16(put16(b, typ), n) }

func niciraHeader(b []byte, subtype, n uint16) []byte {
	return put16(put32(actionHeader(b, actExperimenter, n), vendorNicira), subtype)
}

// closeAction pads the action that starts at b[start:] and writes its length,
// which counts the padding.
func closeAction(b []byte, start int) []byte {
	b = pad8(b, start)
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}

// DecodeActions returns the action list in b. The error names the first action
// that package flows has no word for.
func DecodeActions(b []byte) ([]flows.Action, error) {
	var out []flows.Action
	for len(b) > 0 {
		if len(b) < 8 {
			return nil, errShort
		}
		n := int(get16(b[2:]))
		if n < 8 || n%8 != 0 || n > len(b) {
			return nil, errShort
		}
		a, err := decodeAction(get16(b), b[4:n])
		if err != nil {
			return nil, err
		}
		out = append(out, a)
		b = b[n:]
	}
	return out, nil
}

func decodeAction(typ uint16, body []byte) (flows.Action, error) {
	switch {
	case typ == actOutput && len(body) == 12 && get32(body) != flows.Controller:
		return flows.Output{Port: get32(body)}, nil
	case typ == actGroup && len(body) == 4:
		return flows.ToGroup{ID: get32(body)}, nil
	case typ == actMeter && len(body) == 4:
		return flows.ThroughMeter{ID: get32(body)}, nil
	case typ == actDecTTL && len(body) == 4:
		return flows.DecTTL{}, nil
	case typ == actPushVLAN && len(body) == 4 && get16(body) == etherTypeVLAN:
		return flows.PushVLAN{}, nil
	case typ == actPopVLAN && len(body) == 4:
		return flows.PopVLAN{}, nil
	case typ == actSetField:
		return decodeSetField(body)
	case typ == actCopyField && len(body) == 20:
		return decodeMove(body)
	case typ == actExperimenter && len(body) >= 12 && get32(body) == vendorNicira:
		return decodeNicira(get16(body[4:]), body[6:])
	}
	return nil, fmt.Errorf("openflow: action type %d of %d octets is not one of ours", typ, len(body)+4)
}

func decodeSetField(body []byte) (flows.Action, error) {
	f, rest, err := cutField(body)
	if err != nil {
		return nil, err
	}
	e, ok := f.typed()
	if !ok || !allZero(rest) || len(rest) > 7 {
		return nil, fmt.Errorf("openflow: set_field of %#08x is not one of ours", f.header)
	}
	return flows.SetField(e), nil
}

func decodeMove(body []byte) (flows.Action, error) {
	src, ok := headers[get32(body[8:])]
	dst, ok2 := headers[get32(body[12:])]
	bits, from, to := get16(body), get16(body[2:]), get16(body[4:])
	switch {
	case !ok || !ok2 || int(from)+int(bits) > fieldBits(src) || int(to)+int(bits) > fieldBits(dst):
		return nil, errors.New("openflow: a move of fields or bits that are not ours")
	case from == 0 && to == 0 && int(bits) == min(fieldBits(src), fieldBits(dst)):
		return flows.Move{Src: src, Dst: dst}, nil
	}
	return flows.MoveBits{Src: src, SrcBit: uint8(from), Dst: dst, DstBit: uint8(to), Bits: uint8(bits)}, nil
}

func decodeNicira(subtype uint16, body []byte) (flows.Action, error) {
	switch {
	case subtype == nxResubmit && len(body) == 6 && get16(body) == nxInPort:
		return flows.Resubmit{Table: body[2]}, nil
	case subtype == nxController && len(body) == 6 && get16(body) == wholeFrame && body[4] == reasonAction:
		return flows.Punt{ID: get16(body[2:])}, nil
	case subtype == nxTrack && len(body) >= 14:
		return decodeTrack(body)
	case subtype == nxUntrack && len(body) == 6:
		return flows.Untrack{}, nil
	case subtype == nxController2:
		return decodePunt(body[6:])
	case subtype == nxCheckLarger && len(body) == 14:
		reg, ok := headers[get32(body[4:])]
		if bit := get16(body[2:]); ok && reg >= flows.Reg0 && reg <= flows.Reg15 && bit < 32 {
			return flows.LongerThan{Octets: get16(body), Reg: reg, Bit: uint8(bit)}, nil
		}
	}
	return nil, fmt.Errorf("openflow: Nicira action %d is not one of ours", subtype)
}

func decodePunt(props []byte) (flows.Action, error) {
	var a flows.Punt
	for len(props) > 0 {
		typ, payload, rest, err := cutProp(props)
		if err != nil {
			return nil, err
		}
		props = rest
		switch {
		case typ == ctlMaxLen && len(payload) >= 2 && get16(payload) == wholeFrame:
		case typ == ctlID && len(payload) >= 2:
			a.ID = get16(payload)
		case typ == ctlUserdata:
			a.Userdata = string(payload)
		default:
			return nil, fmt.Errorf("openflow: property %d of a controller action is not one of ours", typ)
		}
	}
	return a, nil
}
