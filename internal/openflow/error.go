package openflow

import "fmt"

// typeExperimenterError marks an error defined by a vendor (OpenFlow 1.5
// section 7.5.4).
const typeExperimenterError = 0xffff

// Error is a request that Open vSwitch refused.
type Error struct {
	// Type and Code are OpenFlow 1.5's; a vendor's error has Type 0xffff.
	Type, Code uint16
	// Name is the pair's name, such as OFPBAC_BAD_OUT_GROUP, or its numbers.
	Name string
	// Request is what was refused, in words or as ovs-ofctl would write it.
	Request string
	// XID is the request's transaction.
	XID uint32
}

// Error implements error.
func (e *Error) Error() string {
	if e.Request == "" {
		return "openflow: Open vSwitch refused a request: " + e.Name
	}
	return fmt.Sprintf("openflow: Open vSwitch refused %s: %s", e.Request, e.Name)
}

// Is reports whether target is an Error with the same Type and Code, whatever
// was asked.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Type == e.Type && t.Code == e.Code
}

// Errors that callers decide on, for errors.Is.
var (
	// ErrBadOutGroup answers a flow to a group that is not there.
	ErrBadOutGroup = &Error{Type: 2, Code: 9, Name: "OFPBAC_BAD_OUT_GROUP"}
	// ErrStaleRole answers a role request older than another controller's.
	ErrStaleRole = &Error{Type: 11, Code: 0, Name: "OFPRRFC_STALE"}
)

// DecodeError returns what an ERROR message says; the Request is for the caller to fill in.
func DecodeError(m Message) *Error {
	e := &Error{XID: m.XID(), Name: "an error cut short"}
	b := m.Body()
	if len(b) < 4 {
		return e
	}
	e.Type, e.Code = get16(b), get16(b[2:])
	switch name, ok := errorNames[get32(b)]; {
	case e.Type == typeExperimenterError && len(b) >= 8 && get32(b[4:]) == vendorNicira && niciraErrorNames[e.Code] != "":
		e.Name = niciraErrorNames[e.Code]
	case ok:
		e.Name = name
	default:
		e.Name = fmt.Sprintf("error type %d code %d", e.Type, e.Code)
	}
	return e
}
