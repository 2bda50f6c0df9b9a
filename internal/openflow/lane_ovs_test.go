package openflow

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damselfly/flows"
	"damselfly/internal/lab"
	"damselfly/internal/punt"
	"damselfly/pipeline"
)

// startLane returns a connected lane that closes when the test ends.
func startLane(t *testing.T, ctx context.Context, l *lab.Lab, bridge string, n int) *Lane {
	t.Helper()
	lane := NewLane(Target(l.Mgmt(bridge)), n, nil)
	context.AfterFunc(ctx, func() { lane.Close() })
	t.Cleanup(func() { lane.Close() })
	if !lane.connect() {
		t.Fatal("lane does not connect")
	}
	return lane
}

// readFrames reads until it has n frames; their Data is copied.
func readFrames(t *testing.T, lane *Lane, n int) (out []pipeline.Frame) {
	t.Helper()
	batch := make([]pipeline.Frame, pipeline.MaxBatch)
	for len(out) < n {
		got, err := lane.ReadFrames(batch)
		if err != nil {
			t.Fatalf("%d of %d frames: %v", len(out), n, err)
		}
		for _, f := range batch[:got] {
			f.Data = slices.Clone(f.Data)
			out = append(out, f)
		}
	}
	return out
}

// testFrame is an Ethernet frame of a type nobody knows, told apart by mark.
func testFrame(mark byte) []byte {
	f := make([]byte, 64)
	copy(f, macA[:])
	copy(f[6:], macB[:])
	f[12], f[13], f[63] = 0x88, 0xb5, mark
	return f
}

// puntFlow hands what comes to its table with a register's port to a lane.
func puntFlow(port uint16, lane int, userdata string) *flows.Flow {
	return &flows.Flow{
		Table: flows.TablePunt, Priority: 10, Match: flows.Match{}.From(port),
		Actions: []flows.Action{flows.Punt{ID: punt.ControllerID + uint16(lane), Userdata: userdata}},
	}
}

// toPunt sends a frame into the punt table as the classify table would.
func toPunt(port, network uint16, class punt.Class) []flows.Action {
	return []flows.Action{
		flows.Load(flows.Reg0, flows.U32(uint32(port))), flows.Load(flows.Reg1, flows.U32(uint32(class))),
		flows.Load(flows.Metadata, flows.U64(uint64(network))), flows.Resubmit{Table: flows.TablePunt},
	}
}

func TestLanesGetTheirOwn(t *testing.T) {
	t.Parallel()
	l, c, ctx := switchTest(t, Options{})
	lanes := []*Lane{startLane(t, ctx, l, "br", 0), startLane(t, ctx, l, "br", 1)}
	mods := []FlowMod{
		{Command: FlowAdd, Flow: puntFlow(4, 0, "\x01")}, {Command: FlowAdd, Flow: puntFlow(5, 1, "\x01")},
		{Command: FlowAdd, Flow: puntFlow(8, 0, "\x02")}, {Command: FlowAdd, Flow: puntFlow(12, 0, "")},
	}
	if err := c.Commit(ctx, nil, mods); err != nil {
		t.Fatal(err)
	}
	type sent struct {
		inPort        uint32
		port, network uint16
		class         punt.Class
	}
	for i, s := range []sent{{3, 4, 9, punt.NS}, {7, 5, 2, punt.RS}, {3, 8, 9, punt.NS}, {3, 12, 9, punt.NS}, {flows.Local, 4, 0, punt.None}} {
		if err := c.packetOut(ctx, s.inPort, toPunt(s.port, s.network, s.class), testFrame(byte(i))); err != nil {
			t.Fatal(err)
		}
	}
	want := [][]pipeline.Frame{{
		{Data: testFrame(0), InPort: 3, Port: 4, Network: 9, Class: uint8(punt.NS)},
		{Data: testFrame(2), InPort: 3},
		{Data: testFrame(3), InPort: 3},
		{Data: testFrame(4), InPort: flows.Local, Port: 4},
	}, {
		{Data: testFrame(1), InPort: 7, Port: 5, Network: 2, Class: uint8(punt.RS)},
	}}
	for i, lane := range lanes {
		if diff := cmp.Diff(want[i], readFrames(t, lane, len(want[i]))); diff != "" {
			t.Errorf("lane %d (-want +got):\n%s", i, diff)
		}
	}
	if s := lanes[0].Stats(); s.Frames != 4 || s.Strange != 2 {
		t.Errorf("lane 0 counted %+v", s)
	}
}

// TestReplies has a far bridge behind a patch port: what it receives, the reply
// must have left the near one by the port that the frame came in by.
func TestReplies(t *testing.T) {
	t.Parallel()
	l, c, ctx := switchTest(t, Options{})
	if err := l.AddBridge("far", "fail_mode=secure"); err != nil {
		t.Fatal(err)
	}
	for i, b := range []string{"br", "far"} {
		ports := []string{"near0", "far0"}
		if _, err := l.Vsctl("add-port", b, ports[i], "--", "set", "Interface", ports[i], "type=patch", "options:peer="+ports[1-i], "ofport_request=6"); err != nil {
			t.Fatal(err)
		}
	}
	far := dialTest(t, l, "far", Options{})
	all := &flows.Flow{Actions: []flows.Action{flows.Punt{ID: punt.ControllerID, Userdata: "\x01"}}}
	if err := far.Apply(ctx, FlowAdd, all); err != nil {
		t.Fatal(err)
	}
	classify := &flows.Flow{Match: flows.Match{}.With(flows.InPort, flows.U32(6)), Actions: toPunt(4, 9, punt.NS)}
	switched := func(network uint16, action flows.Action) *flows.Flow {
		return &flows.Flow{Table: flows.TableSwitch, Priority: 1, Match: flows.Match{}.On(network), Actions: []flows.Action{action}}
	}
	err := c.Commit(ctx, nil, []FlowMod{
		{Command: FlowAdd, Flow: classify}, {Command: FlowAdd, Flow: puntFlow(4, 2, "\x01")},
		{Command: FlowAdd, Flow: switched(9, flows.Punt{ID: punt.ControllerID + 2, Userdata: "\x01"})},
		{Command: FlowAdd, Flow: switched(10, flows.Output{Port: 6})},
	})
	if err != nil {
		t.Fatal(err)
	}
	lane, farLane := startLane(t, ctx, l, "br", 2), startLane(t, ctx, l, "far", 0)
	if err := far.packetOut(ctx, flows.Controller, []flows.Action{flows.Output{Port: 6}}, testFrame(1)); err != nil {
		t.Fatal(err)
	}
	asked := readFrames(t, lane, 1)[0]
	if diff := cmp.Diff(pipeline.Frame{Data: testFrame(1), InPort: 6, Port: 4, Network: 9, Class: uint8(punt.NS)}, asked); diff != "" {
		t.Errorf("what was asked (-want +got):\n%s", diff)
	}
	r := pipeline.NewReplies(1024)
	copy(r.Back(&asked, 64), testFrame(2))   // leaves by the port it came in by
	copy(r.Onward(&asked, 64), testFrame(3)) // comes back: network 9 is punted, from port 6
	copy(r.Into(10, 64), testFrame(4))       // network 10 is port 6
	spared := asked
	spared.Network = 10
	copy(r.Onward(&spared, 64), testFrame(5)) // never leaves by its own port
	copy(r.To(6, 0, 64), testFrame(6))
	copy(r.To(6, 100, 64), testFrame(9))
	tagged := asked
	tagged.VLAN = 4094
	copy(r.Back(&tagged, 64), testFrame(10))
	if err := lane.WriteReplies(r); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteReplies(r); err != nil { // the same once more, by the other sink
		t.Fatal(err)
	}
	var marks []byte
	for _, f := range readFrames(t, farLane, 10) {
		if mark := f.Data[len(f.Data)-1]; mark < 9 {
			marks = append(marks, mark)
		} else {
			// IEEE 802.1Q section 9.6: priority 0 and the VLAN.
			marks = append(marks, f.Data[12:16]...)
		}
	}
	round := []byte{2, 4, 6, 0x81, 0x00, 0x00, 100, 0x81, 0x00, 0x0f, 0xfe}
	if diff := cmp.Diff(slices.Concat(round, round), marks); diff != "" {
		t.Errorf("frames on the far bridge (-want +got):\n%s", diff)
	}
	onward := readFrames(t, lane, 2)
	if diff := cmp.Diff(pipeline.Frame{Data: testFrame(3), InPort: 6, Port: 4, Network: 9}, onward[0]); diff != "" {
		t.Errorf("onward through network 9 (-want +got):\n%s", diff)
	}
	// An answer to a port that does not exist is refused and counted.
	r.Reset()
	r.To(0xffffff10, 0, 64)
	copy(r.To(6, 0, 64), testFrame(7))
	copy(r.Onward(&asked, 64), testFrame(8))
	if err := lane.WriteReplies(r); err != nil {
		t.Fatal(err)
	}
	if got := readFrames(t, farLane, 1); got[0].Data[63] != 7 {
		t.Errorf("after a refused reply came %x", got[0].Data)
	}
	if got := readFrames(t, lane, 1); got[0].Data[63] != 8 || lane.Stats().Refused != 1 {
		t.Errorf("after a refused reply the lane has %x and %+v", got[0].Data, lane.Stats())
	}
}

func TestLaneSurvivesRestart(t *testing.T) {
	t.Parallel()
	l, c, ctx := switchTest(t, Options{})
	lane := startLane(t, ctx, l, "br", 0)
	got := make(chan pipeline.Frame, 1)
	ended := make(chan error, 1)
	go func() {
		batch := make([]pipeline.Frame, 1)
		for {
			if _, err := lane.ReadFrames(batch); err != nil {
				ended <- err
				return
			}
			got <- batch[0]
		}
	}()
	for round := range 2 {
		if round == 1 {
			l.KillVswitchd()
			if err := l.StartVswitchd(ctx); err != nil {
				t.Fatal(err)
			}
			c = dialTest(t, l, "br", Options{})
		}
		if err := c.Apply(ctx, FlowAdd, puntFlow(4, 0, "\x01")); err != nil {
			t.Fatal(err)
		}
		lab.WaitFor(t, 20*time.Second, "the lane to connect", func() error {
			if lane.Stats().Connections != uint64(round+1) {
				return errNoConnection
			}
			return nil
		})
		if err := c.packetOut(ctx, 3, toPunt(4, 1, punt.NS), testFrame(byte(round))); err != nil {
			t.Fatal(err)
		}
		select {
		case f := <-got:
			if f.Port != 4 {
				t.Errorf("round %d: %+v", round, f)
			}
		case <-ctx.Done():
			t.Fatalf("round %d: no frame", round)
		}
	}
	lane.Close()
	if err := <-ended; err != io.EOF {
		t.Errorf("ReadFrames ends with %v", err)
	}
}

// TestSlowLane leaves a lane unread under a flood: the switch drops, requests on
// other connections are answered, and the lane works once it reads again.
func TestSlowLane(t *testing.T) {
	t.Parallel()
	l, c, ctx := switchTest(t, Options{})
	lane := startLane(t, ctx, l, "br", 0)
	if err := c.Apply(ctx, FlowAdd, puntFlow(4, 0, "\x01")); err != nil {
		t.Fatal(err)
	}
	const flood = 5000
	r := pipeline.NewReplies(1 << 16)
	for range flood {
		copy(r.Into(1, 64), testFrame(1))
	}
	into := &flows.Flow{Table: flows.TableSwitch, Actions: toPunt(4, 1, punt.NS)}
	if err := c.Apply(ctx, FlowAdd, into); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteReplies(r); err != nil {
		t.Fatal(err)
	}
	if err := c.Barrier(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.packetOut(ctx, 3, toPunt(4, 1, punt.RS), testFrame(2)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range readFrames(t, lane, 64) {
		n++
		if f.Port != 4 {
			t.Fatalf("frame %d: %+v", n, f)
		}
	}
	for { // what was queued may have driven out the marked frame; a new one comes through
		if err := c.packetOut(ctx, 3, toPunt(4, 1, punt.RS), testFrame(3)); err != nil {
			t.Fatal(err)
		}
		if f := readFrames(t, lane, 1)[0]; f.Data[63] == 3 {
			break
		}
	}
	if got := lane.Stats().Frames; got >= flood {
		t.Errorf("%d frames waited in the switch, more than it queues", got)
	}
}
