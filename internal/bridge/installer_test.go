package bridge

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"damselfly/flows"
	"damselfly/internal/lab"
	"damselfly/internal/openflow"
	"damselfly/internal/topology"
)

// TestRefusedPart gives the bridge one part that it refuses, a group with the
// same bucket twice: the others are served nevertheless, and the part once it
// is mended.
func TestRefusedPart(t *testing.T) {
	t.Parallel()
	l := lab.Start(t)
	if err := l.AddBridge("br", "fail_mode=secure"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var c *openflow.Conn
	if err := l.Within(func() (err error) {
		c, err = openflow.Dial(ctx, l.Mgmt("br"), openflow.Options{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer c.Close()

	var b topology.Builder
	snap, problems := b.Build(topology.Input{
		Spec: &topology.Spec{
			Networks: []topology.NetworkSpec{
				{Name: "good", Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:1::/64")}}},
				{Name: "bad", Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:2::/64")}}},
			},
			Ports: []topology.PortSpec{
				{Name: "vm1", Network: "good", MAC: [6]byte{2, 0, 0, 0, 0, 1}},
				{Name: "vm2", Network: "bad", MAC: [6]byte{2, 0, 0, 0, 0, 2}},
			},
		},
		Keys: topology.Keys{Networks: map[string]uint16{"good": 1, "bad": 2}, Ports: map[string]uint16{"vm1": 1, "vm2": 2}},
		Bindings: []topology.Binding{
			{Interface: "vm1", OFPort: 1}, {Interface: "vm2", OFPort: 2},
		},
	})
	if snap == nil || len(problems) > 0 {
		t.Fatal(problems)
	}
	broken := *snap.Network(2)
	broken.Ports = append(broken.Ports[:1:1], broken.Ports[0])
	spoiled := *snap
	spoiled.Networks = []*topology.Network{&broken, snap.Network(1)}

	in := NewInstaller(c, flows.Env{FirstGroup: 0xdf000000}, slog.New(slog.DiscardHandler))
	r, err := in.Install(ctx, &spoiled)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Refused) != 1 || !strings.Contains(r.Refused[0].Error(), "network with key 2") {
		t.Errorf("refused: %v", r.Refused)
	}
	if count, err := c.CountFlows(ctx, flows.Owner, flows.OwnerMask); err != nil || int(count.Flows) != in.Wanted() || count.Flows == 0 {
		t.Errorf("%d flows of %d, %v", count.Flows, in.Wanted(), err)
	}
	r, err = in.Install(ctx, snap)
	if err != nil || len(r.Refused) > 0 {
		t.Errorf("after the fault was mended: %v, %v", r.Refused, err)
	}
	whole := len(flows.Compile(snap, flows.Env{FirstGroup: 0xdf000000}).Flows)
	if count, err := c.CountFlows(ctx, flows.Owner, flows.OwnerMask); err != nil || int(count.Flows) != whole {
		t.Errorf("%d flows of %d, %v", count.Flows, whole, err)
	}
}
