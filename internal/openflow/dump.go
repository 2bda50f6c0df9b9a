package openflow

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"

	"damselfly/flows"
)

// Types of multipart requests (OpenFlow 1.5 section 7.3.5).
const (
	mpFlow          = 1
	mpAggregate     = 2
	mpGroupDesc     = 7
	mpMeter         = 9
	mpMeterConfig   = 10
	mpMeterFeatures = 11
	mpPortDesc      = 13
)

// multipartLen is the length of a multipart message's header.
const multipartLen = headerLen + 8

func appendMultipart(b []byte, xid uint32, typ uint16) []byte {
	b = put16(AppendHeader(b, TypeMultipart, xid), typ)
	return pad(b, 6)
}

// multipart sends a request and calls each with the body of every part of the
// reply.
func (c *Conn) multipart(ctx context.Context, typ uint16, what string, body func(b []byte) []byte, each func(b []byte) error) error {
	parts, err := c.ask(ctx, "the question for "+what, func(b []byte, xid uint32) []byte {
		start := len(b)
		return finish(body(appendMultipart(b, xid, typ)), start)
	})
	if err != nil {
		return err
	}
	for _, m := range parts {
		if m.Type() != TypeMultipartReply || len(m) < multipartLen || get16(m[8:]) != typ {
			return errors.New("openflow: the bridge answered the question for " + what + " with another message")
		}
		if err := each(m[multipartLen:]); err != nil {
			return err
		}
	}
	return nil
}

// one returns the body of a request for one object, or all, by its number.
func one(id uint32) func(b []byte) []byte {
	return func(b []byte) []byte { return pad(put32(b, id), 4) }
}

// DumpFlows returns every flow whose cookie has the bits of cookie where mask
// has them; mask 0 takes all.
func (c *Conn) DumpFlows(ctx context.Context, cookie, mask uint64) ([]Entry, error) {
	var out []Entry
	err := c.multipart(ctx, mpFlow, "its flows",
		func(b []byte) []byte { return appendFlowRequest(b, AllTables, cookie, mask) },
		func(b []byte) (err error) {
			out, err = DecodeFlows(out, b)
			return err
		})
	return out, err
}

// FlowStats returns the counters of the flows that DumpFlows would return, for
// those who need no match and no actions.
func (c *Conn) FlowStats(ctx context.Context, cookie, mask uint64) ([]FlowStat, error) {
	return c.TableStats(ctx, AllTables, cookie, mask)
}

// TableStats is FlowStats of one table, or of AllTables.
func (c *Conn) TableStats(ctx context.Context, table uint8, cookie, mask uint64) ([]FlowStat, error) {
	var out []FlowStat
	err := c.multipart(ctx, mpFlow, "its flows",
		func(b []byte) []byte { return appendFlowRequest(b, table, cookie, mask) },
		func(b []byte) error {
			for len(b) > 0 {
				e, rest, err := cutFlowEntry(b)
				if err != nil {
					return err
				}
				out, b = append(out, e.stat), rest
			}
			return nil
		})
	return out, err
}

// CountFlows returns how many flows DumpFlows would return, and their use.
func (c *Conn) CountFlows(ctx context.Context, cookie, mask uint64) (a Aggregate, err error) {
	err = c.multipart(ctx, mpAggregate, "the number of its flows",
		func(b []byte) []byte { return appendFlowRequest(b, AllTables, cookie, mask) },
		func(b []byte) (err error) {
			a, err = decodeAggregate(b)
			return err
		})
	return a, err
}

// DumpGroups returns every group, by id.
func (c *Conn) DumpGroups(ctx context.Context) ([]GroupEntry, error) {
	var out []GroupEntry
	err := c.multipart(ctx, mpGroupDesc, "its groups", one(AllGroups), func(b []byte) (err error) {
		out, err = DecodeGroups(out, b)
		return err
	})
	slices.SortFunc(out, func(a, b GroupEntry) int { return cmp.Compare(a.Group.ID, b.Group.ID) })
	return out, err
}

// DumpMeters returns every meter, by id.
func (c *Conn) DumpMeters(ctx context.Context) ([]MeterEntry, error) {
	var out []MeterEntry
	err := c.multipart(ctx, mpMeterConfig, "its meters", one(AllMeters), func(b []byte) (err error) {
		out, err = DecodeMeters(out, b)
		return err
	})
	slices.SortFunc(out, func(a, b MeterEntry) int { return cmp.Compare(a.Meter.ID, b.Meter.ID) })
	return out, err
}

// MeterStats returns the counters of every meter.
func (c *Conn) MeterStats(ctx context.Context) ([]MeterStat, error) {
	var out []MeterStat
	err := c.multipart(ctx, mpMeter, "its meters' counters", one(AllMeters), func(b []byte) (err error) {
		out, err = DecodeMeterStats(out, b)
		return err
	})
	return out, err
}

// MeterFeatures returns how many meters the bridge can hold (OpenFlow 1.5
// section 7.3.5.15).
func (c *Conn) MeterFeatures(ctx context.Context) (most uint32, err error) {
	nothing := func(b []byte) []byte { return b }
	err = c.multipart(ctx, mpMeterFeatures, "what meters there can be", nothing, func(b []byte) error {
		if len(b) < 4 {
			return errShort
		}
		most = get32(b)
		return nil
	})
	return most, err
}

// Ports returns every port of the bridge, LOCAL included.
func (c *Conn) Ports(ctx context.Context) ([]Port, error) {
	var out []Port
	err := c.multipart(ctx, mpPortDesc, "its ports", one(flows.NoPort), func(b []byte) (err error) {
		out, err = DecodePorts(out, b)
		return err
	})
	return out, err
}

// text returns a zero-terminated string.
func text(b []byte) string {
	s, _, _ := bytes.Cut(b, zeros[:1])
	return string(s)
}
