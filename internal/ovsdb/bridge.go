package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

var errNoRoot = errors.New("the database has no Open_vSwitch row: initialise it with `ovs-vsctl init`")

// EnsureBridge creates the bridge if it is missing and create is true, with
// datapathType ("netdev" is userspace, "" or "system" the kernel), fail mode
// secure and a mark by which Clear removes it again. A bridge that exists is
// left as it is. Without create a missing bridge is ErrNoBridge.
func (c *Client) EnsureBridge(ctx context.Context, create bool, datapathType string) (changed bool, err error) {
	return c.write(ctx, "create bridge "+c.bridge, func(r rows) ([]ovsdb.Operation, error) {
		switch {
		case r.bridge != nil:
			return nil, nil
		case !create:
			return nil, c.noBridge()
		case r.root.UUID == "":
			return nil, errNoRoot
		}
		if err := nameIsFree(r, c.bridge); err != nil {
			return nil, err
		}
		return []ovsdb.Operation{
			insert(tableInterface, "local_interface", ovsdb.Row{"name": c.bridge, "type": "internal"}),
			insert(tablePort, "local_port", ovsdb.Row{"name": c.bridge, "interfaces": newRow("local_interface")}),
			insert(tableBridge, "new_bridge", ovsdb.Row{
				"name":          c.bridge,
				"ports":         newRow("local_port"),
				"datapath_type": datapathType,
				"fail_mode":     failSecure,
				"external_ids":  stringMap(map[string]string{markKey: markBridge}),
			}),
			mutate(tableRoot, r.root.UUID, ovsdb.Mutation{
				Column: "bridges", Mutator: ovsdb.MutateOperationInsert, Value: newRow("new_bridge"),
			}),
		}, nil
	})
}

// SetFailModeSecure sets fail_mode=secure and records what it was. On a bridge
// in use this flushes its flows, connection tracking aside.
func (c *Client) SetFailModeSecure(ctx context.Context) (changed bool, err error) {
	return c.writeBridge(ctx, "set fail_mode of "+c.bridge, func(r rows) ([]ovsdb.Operation, error) {
		b := r.bridge
		mode := deref(b.FailMode)
		if mode == failSecure {
			return nil, nil
		}
		return []ovsdb.Operation{
			update(tableBridge, b.UUID, ovsdb.Row{"fail_mode": failSecure}),
			mutate(tableBridge, b.UUID, setKey("external_ids", formerFailModeKey, orNone(mode))...),
		}, nil
	})
}

// SetControllerQueueSize sets how many packet-ins OVS queues for a connection
// before it drops them (1 to 512), and records what it was.
func (c *Client) SetControllerQueueSize(ctx context.Context, messages int) (changed bool, err error) {
	if messages < 1 || messages > 512 {
		return false, fmt.Errorf("controller-queue-size %d: Open vSwitch takes 1 to 512", messages)
	}
	want := strconv.Itoa(messages)
	return c.writeBridge(ctx, "set controller-queue-size of "+c.bridge, func(r rows) ([]ovsdb.Operation, error) {
		b := r.bridge
		now := b.OtherConfig[queueSizeKey]
		if now == want {
			return nil, nil
		}
		former := orNone(now)
		if record, ok := b.ExternalIDs[formerQueueSizeKey]; ok {
			// What stands there is our own earlier value, not a former one.
			if was, ours, _ := strings.Cut(record, "/"); ours == now {
				former = was
			}
		}
		return []ovsdb.Operation{
			mutate(tableBridge, b.UUID, setKey("other_config", queueSizeKey, want)...),
			mutate(tableBridge, b.UUID, setKey("external_ids", formerQueueSizeKey, former+"/"+want)...),
		}, nil
	})
}

func orNone(s string) string {
	if s == "" {
		return formerNone
	}
	return s
}
