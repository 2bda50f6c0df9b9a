package openflow

import (
	"context"
	"fmt"

	"damselfly/flows"
	"damselfly/pipeline"
)

// Barrier returns once everything sent before it has been done.
func (c *Conn) Barrier(ctx context.Context) error {
	_, err := c.Do(ctx, "a barrier", func(b []byte, xid uint32) []byte { return AppendHeader(b, TypeBarrier, xid) })
	return err
}

// Echo returns once the bridge has answered an echo request.
func (c *Conn) Echo(ctx context.Context) error {
	_, err := c.Do(ctx, "an echo", func(b []byte, xid uint32) []byte { return AppendHeader(b, TypeEchoRequest, xid) })
	return err
}

// Config returns how the bridge treats fragments and packet-ins.
func (c *Conn) Config(ctx context.Context) (Config, error) {
	m, err := c.Do(ctx, "the question for its configuration", func(b []byte, xid uint32) []byte {
		return AppendHeader(b, TypeGetConfig, xid)
	})
	if err != nil {
		return Config{}, err
	}
	return decodeConfig(m.Body())
}

// SetConfig sets how the bridge treats fragments and packet-ins.
func (c *Conn) SetConfig(ctx context.Context, to Config) error {
	return c.batch(ctx, 1,
		func(b []byte, _ int, xid uint32) []byte { return appendSetConfig(b, xid, to) },
		func(int) string { return "to set its configuration" })
}

// SetRole asks for a role. generation counts up from one primary controller to
// the next; a lower one than before fails with ErrStaleRole. RoleKeep only asks
// which role it is.
func (c *Conn) SetRole(ctx context.Context, r Role, generation uint64) (Role, uint64, error) {
	m, err := c.Do(ctx, "a role", func(b []byte, xid uint32) []byte { return appendRole(b, xid, r, generation) })
	if err != nil {
		return 0, 0, err
	}
	return decodeRole(m.Body())
}

// Meters removes, changes and adds meters. Meters cannot be part of a bundle:
// each takes effect on its own, and the error names those that did not. Removing
// a meter removes the flows that use it.
func (c *Conn) Meters(ctx context.Context, adds, mods []flows.Meter, dels []uint32) error {
	at := func(i int) (Command, flows.Meter) {
		if i < len(dels) {
			return MeterDelete, flows.Meter{ID: dels[i]}
		}
		if i -= len(dels); i < len(mods) {
			return MeterModify, mods[i]
		}
		return MeterAdd, adds[i-len(mods)]
	}
	return c.batch(ctx, len(adds)+len(mods)+len(dels),
		func(b []byte, i int, xid uint32) []byte {
			cmd, m := at(i)
			return AppendMeterMod(b, xid, cmd, m)
		},
		func(i int) string {
			cmd, m := at(i)
			return fmt.Sprintf("%s %v", [...]string{"to add", "to change", "to delete"}[cmd], m)
		})
}

// FlushConntrack forgets the connections of a conntrack zone.
func (c *Conn) FlushConntrack(ctx context.Context, zone uint16) error {
	return c.batch(ctx, 1,
		func(b []byte, _ int, xid uint32) []byte { return appendFlushZone(b, xid, zone) },
		func(int) string { return fmt.Sprintf("to flush conntrack zone %d", zone) })
}

// WriteReplies implements pipeline.Sink for those who have frames to send and
// take none in. What the switch refuses is logged.
func (c *Conn) WriteReplies(r *pipeline.Replies) error {
	return c.write(context.Background(), func(b []byte) ([]byte, error) { return appendReplies(b, r) })
}
