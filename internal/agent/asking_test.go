package agent

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	client "github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/handlers/dhcpv6"
	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/lease"
	"damselfly/internal/slowlane"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// sentFrames is a Sink that notes when each frame to a port came. The slow lane
// alone uses it.
type sentFrames struct {
	began time.Time
	list  []sentFrame
}

type sentFrame struct {
	after time.Duration
	out   uint32
	data  []byte // the DHCPv6 message
}

func (s *sentFrames) WriteReplies(r *pipeline.Replies) error {
	for _, reply := range r.List() {
		s.list = append(s.list, sentFrame{time.Since(s.began), reply.Out, slices.Clone(reply.Data[codec.FrameHeaderLen:])})
	}
	return nil
}

// to are the times at which frames to one port came.
func (s *sentFrames) to(out uint32) (at []time.Duration) {
	for _, f := range s.list {
		if f.out == out {
			at = append(at, f.after)
		}
	}
	return at
}

// snapshotOf is a snapshot of one network and ports behind which clients are.
func snapshotOf(t *testing.T, ports ...string) *topology.Snapshot {
	t.Helper()
	in := topology.Input{
		Spec: &topology.Spec{
			Networks: []topology.NetworkSpec{{Name: "blue", Subnets: []topology.SubnetSpec{{
				Prefix: netip.MustParsePrefix("fd00::/64"), Mode: topology.DHCPv6Stateful,
				Pools: []topology.AddrRange{{First: netip.MustParseAddr("fd00::11"), Last: netip.MustParseAddr("fd00::11")}},
			}}, Delegations: []topology.DelegationSpec{{Pool: netip.MustParsePrefix("2001:db8::/56"), Length: 56}}}},
			Routers: []topology.RouterSpec{{Name: "r1", Networks: []topology.PresenceSpec{{Network: "blue", LinkLocal: netip.MustParseAddr("fe80::1")}}}},
		},
		Keys: topology.Keys{Networks: map[string]uint16{"blue": 7}, Ports: map[string]uint16{}},
	}
	for i, name := range ports {
		in.Spec.Ports = append(in.Spec.Ports, topology.PortSpec{Name: name, Network: "blue", MAC: wire.MAC{2, 0, 0, 0, 0, byte(i + 1)}})
		in.Keys.Ports[name] = uint16(100 + i)
		in.Bindings = append(in.Bindings, topology.Binding{Interface: name, OFPort: uint32(i + 1)})
	}
	snap, problems := new(topology.Builder).Build(in)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return snap
}

// asks runs a desk's slow lane and its asking until the test ends.
func (d *desk) asks(t *testing.T, snap *topology.Snapshot) *sentFrames {
	t.Helper()
	sink := &sentFrames{began: time.Now()}
	d.a.snapshot.Store(snap)
	d.deciding = &dhcpv6.Server{ID: codec.DUID(d.book.DUID())}
	d.owner = &slowlane.Owner{Wake: make(chan struct{}, 1), Sink: sink}
	d.asking = newAsking(d.sendReconfigure, d.a.log)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{}, 2)
	go func() { d.owner.Run(ctx); done <- struct{}{} }()
	go func() {
		if err := d.asking.run(ctx); err != nil {
			t.Error(err)
		}
		done <- struct{}{}
	}()
	t.Cleanup(func() { cancel(); <-done; <-done })
	return sink
}

// accepting is a client behind a port that accepts Reconfigure.
func accepting(port string) lease.Lease {
	return lease.Lease{Port: port, Network: "blue", DUID: "\x00\x03\x00\x01", Prefix: grant.Prefix, Client: lease.Client{
		MAC: wire.MAC{2, 9, 9, 9, 9, 9}, LinkLocal: netip.MustParseAddr("fe80::9"), ReconfKey: [16]byte{1, 2, 3},
	}}
}

// TestAskedAgain: Reconfigure is repeated with the times of RFC 9915 section
// 18.3.11 until the client comes back, or to the end.
func TestAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		sink := d.asks(t, snapshotOf(t, "vm1", "vm2", "vm3"))
		none := accepting("vm3")
		none.ReconfKey = [16]byte{}
		d.asking.ask([]lease.Lease{accepting("vm1"), accepting("vm2"), accepting("vm2"), none, accepting("gone")})
		time.Sleep(15 * time.Second)
		d.asking.heard("vm1", []byte("another"))
		d.asking.heard("vm1", []byte("\x00\x03\x00\x01"))
		time.Sleep(time.Hour)
		synctest.Wait()

		seconds := func(list ...time.Duration) []time.Duration {
			for i := range list {
				list[i] *= time.Second
			}
			return list
		}
		if got, want := sink.to(1), seconds(0, 2, 6, 14); !slices.Equal(got, want) {
			t.Errorf("a client that came back was asked at %v, want %v", got, want)
		}
		if got, want := sink.to(2), seconds(0, 2, 6, 14, 30, 62, 126, 254); !slices.Equal(got, want) {
			t.Errorf("a client that stays away was asked at %v, want %v", got, want)
		}
		if got := sink.to(3); len(got) > 0 {
			t.Errorf("a client that takes no Reconfigure was asked at %v", got)
		}
		if n := len(d.asking.clients); n > 0 || d.asking.waiting.Load() != 0 {
			t.Errorf("%d clients are still waited for", n)
		}
		d.says(t, "did not come back", 1)
		replay := ""
		for _, f := range sink.list {
			m, err := client.MessageFromBytes(f.data)
			if err != nil || m.MessageType != client.MessageTypeReconfigure || m.GetOneOption(client.OptionReconfMessage) == nil {
				t.Fatalf("%v %v", m, err)
			}
			if !codec.VerifyReconfigure(f.data, [16]byte{1, 2, 3}) {
				t.Error("the digest is wrong")
			}
			auth := m.GetOneOption(client.OptionAuth).ToBytes()
			if now := string(auth[3:11]); now <= replay {
				t.Errorf("replay value %x after %x", now, replay)
			} else {
				replay = now
			}
		}
	})
}

// TestAskedAnew: what changes while a client is asked begins asking anew, and the
// client is reached where its port is by then.
func TestAskedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		sink := d.asks(t, snapshotOf(t, "vm1"))
		d.asking.ask([]lease.Lease{accepting("vm1")})
		time.Sleep(5 * time.Second)
		d.a.snapshot.Store(snapshotOf(t, "vm0", "vm1"))
		d.asking.ask([]lease.Lease{accepting("vm1")})
		time.Sleep(3 * time.Second)
		d.asking.heard("vm1", []byte("\x00\x03\x00\x01"))
		time.Sleep(time.Hour)
		synctest.Wait()
		if got, want := append(sink.to(1), sink.to(2)...), []time.Duration{0, 2 * time.Second, 5 * time.Second, 7 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("asked at %v, want %v", got, want)
		}
	})
}

// TestReleasedIsAsked: the client of a lease that an operator released is asked
// to come back, which finds that it holds nothing.
func TestReleasedIsAsked(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	now := d.leases.now()
	d.now.Boot, d.now.Uptime, d.now.Wall = now.Boot, now.Uptime, now.Wall
	asked := make(chan string, 4)
	d.owner = &slowlane.Owner{Wake: make(chan struct{}, 1), Sink: &sentFrames{}}
	d.asking = newAsking(func(_ context.Context, clients []lease.Lease) error {
		for i := range clients {
			asked <- clients[i].Port
		}
		return nil
	}, d.a.log)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go d.owner.Run(ctx)
	go func() { _ = d.asking.run(ctx) }()
	g := grant
	g.Client = accepting("vm1").Client
	if err := d.owner.Call(ctx, func(*pipeline.Replies) {
		if err := d.group(func(c *told) {
			if err := c.Bind(g); err != nil {
				t.Error(err)
			}
		}); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if n, err := d.release(ctx, lease.Filter{Port: "vm2"}); n != 0 || err != nil {
		t.Errorf("nothing to release: %d, %v", n, err)
	}
	if n, err := d.release(ctx, lease.Filter{Port: "vm1"}); n != 1 || err != nil {
		t.Fatalf("released %d, %v", n, err)
	}
	select {
	case port := <-asked:
		if port != "vm1" {
			t.Errorf("%s is asked", port)
		}
	case <-time.After(10 * time.Second):
		t.Error("nobody is asked")
	}
	if strings.Contains(d.log.String(), "did not come back") {
		t.Error("given up at once")
	}
}
