package bridge

import (
	"context"
	"errors"
	"fmt"

	"damselfly/flows"
	"damselfly/internal/openflow"
)

// ErrNoMeters says that the datapath cannot meter. Without meters one guest
// could take Damselfly from all others, so such a bridge is not served.
var ErrNoMeters = errors.New("the datapath has no meters: it needs Linux 4.18 or Open vSwitch's userspace datapath")

// Capabilities are what a datapath can do beyond what Damselfly requires.
type Capabilities struct {
	// NDExt: flows can rewrite the reserved word and the option type of
	// Neighbor Discovery messages.
	NDExt bool
}

// Probe finds out what the bridge's datapath can do by asking it for its meters
// and to take flows, none of which comes into force. Open_vSwitch's Datapath
// table would tell too, but is empty unless somebody adds a row. It fails with
// ErrNoMeters if there are none.
func Probe(ctx context.Context, c *openflow.Conn) (Capabilities, error) {
	var caps Capabilities
	// Open vSwitch counts none for Linux 4.15 to 4.17, which mix them up.
	switch n, err := c.MeterFeatures(ctx); {
	case err != nil:
		return caps, fmt.Errorf("probing for meters: %w", err)
	case n == 0:
		return caps, ErrNoMeters
	}
	ndExt := flows.Flow{
		Table:   flows.TableProbe,
		Match:   flows.Match{}.ND(136),
		Actions: []flows.Action{flows.Load(flows.NDReserved, flows.U32(0)), flows.Load(flows.NDOptionsType, flows.U8(2))},
	}
	var err error
	if caps.NDExt, err = takes(ctx, c, ndExt); err != nil {
		return caps, fmt.Errorf("probing for ND extensions: %w", err)
	}
	length := flows.Flow{
		Table:   flows.TableProbe,
		Actions: []flows.Action{flows.LongerThan{Octets: 86, Reg: flows.Reg3, Bit: 0}},
	}
	switch ok, err := takes(ctx, c, length); {
	case err != nil:
		return caps, fmt.Errorf("probing for check_pkt_larger: %w", err)
	case !ok:
		return caps, errors.New("this Open vSwitch has no check_pkt_larger action: it needs version 2.12 or newer")
	}
	return caps, nil
}

// noSuchGroup is a group id in nobody's range.
const noSuchGroup = 0xfffffe00

// takes reports whether the bridge would take a flow. It asks in a bundle that
// must fail because of its second flow, so that the first is judged and yet
// never there: who watches the bridge's flows sees nothing.
func takes(ctx context.Context, c *openflow.Conn, f flows.Flow) (bool, error) {
	f.Table = flows.TableProbe
	bad := flows.Flow{Table: flows.TableProbe, Priority: 1, Actions: []flows.Action{flows.ToGroup{ID: noSuchGroup}}}
	err := c.Bundle(ctx, func(b *openflow.Bundle) {
		b.Flow(openflow.FlowMod{Command: openflow.FlowAdd, Flow: &f})
		b.Flow(openflow.FlowMod{Command: openflow.FlowAdd, Flow: &bad})
	})
	var refused *openflow.Error
	switch {
	case errors.Is(err, openflow.ErrBadOutGroup):
		return true, nil
	case errors.As(err, &refused):
		return false, nil
	case err == nil:
		return false, errors.New("the bridge took a flow to a group that does not exist")
	}
	return false, err
}
