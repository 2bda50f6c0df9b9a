package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"

	"damselfly/flows"
	"damselfly/internal/agent"
	"damselfly/internal/config"
	"damselfly/internal/explain"
	"damselfly/internal/ovsdb"
	"damselfly/internal/pulse"
	"damselfly/internal/replay"
	"damselfly/internal/topology"
	"damselfly/internal/unixctl"
	"damselfly/internal/wire"
)

type explainCmd struct {
	configured
	database
	Port  string   `required:"" placeholder:"NAME" help:"Port that the frame comes in by."`
	Frame []string `arg:"" placeholder:"FRAME|PCAP" help:"The frame from its Ethernet header on in hexadecimal digits, or a pcap or pcapng file whose frames are explained in turn."`
}

// Run implements the command.
func (c *explainCmd) Run(e *env) error {
	cfg, places, err := config.LoadPlaced(c.Config)
	if err != nil {
		return err
	}
	frames, ended := c.frames()
	if len(frames) == 0 && ended != nil {
		return ended
	}
	ctx, cancel := context.WithTimeout(e.ctx, time.Minute+time.Duration(len(frames))*reachTime)
	defer cancel()
	o := explain.Options{
		Spec: cfg.Topology, Places: places, Bridge: cfg.Bridge,
		Env: flows.Env{FirstGroup: cfg.IDs.Groups, FirstMeter: cfg.IDs.Meters},
	}
	closeSwitch, err := c.reach(ctx, cfg, &o, e)
	if err != nil {
		return err
	}
	defer closeSwitch()
	port := portNamed(o.Snapshot, c.Port)
	if port == nil {
		return fmt.Errorf("there is no port %s in %s; `damselfly status` lists those there are", c.Port, c.Config)
	}
	x, err := explain.New(o, frames)
	if err != nil {
		return err
	}
	list := make([]*explain.Explanation, len(frames))
	for i, f := range frames {
		list[i] = x.Explain(ctx, port, f)
		if !e.json {
			if len(frames) > 1 {
				fmt.Fprintf(e.out, "Frame %d. ", i+1)
			}
			if err := list[i].Print(e.out); err != nil {
				return err
			}
		}
	}
	if e.json {
		if err := printJSON(e.out, list); err != nil {
			return err
		}
	}
	return ended
}

// frames reads what is to be explained. With an error there may be frames that
// stand before it in a capture.
func (c *explainCmd) frames() ([]replay.Frame, error) {
	if len(c.Frame) == 1 {
		in, err := os.Open(c.Frame[0])
		if err == nil {
			defer in.Close()
			frames, err := replay.Read(in)
			if err != nil {
				err = fmt.Errorf("%s: %w", c.Frame[0], err)
			}
			return frames, err
		}
	}
	digits := strings.NewReplacer(" ", "", ":", "", "\n", "", "\t", "").Replace(strings.Join(c.Frame, ""))
	data, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("%s is no file that can be read, and no frame in hexadecimal digits: %w", strings.Join(c.Frame, " "), err)
	}
	if len(data) < wire.EthernetLen {
		return nil, fmt.Errorf("the frame has %d octets, fewer than an Ethernet header: give all of it, as `tcpdump -xx` shows it", len(data))
	}
	return []replay.Frame{{Data: data, At: time.Now()}}, nil
}

// reach finds out what is served and whom to ask about the bridge. What cannot
// be reached becomes a note.
func (c *explainCmd) reach(ctx context.Context, cfg *config.Config, o *explain.Options, e *env) (closeSwitch func(), err error) {
	closeSwitch = func() {}
	db, view, err := openDatabase(ctx, c.OVSDB, cfg.Bridge, e)
	if err != nil {
		o.Notes = append(o.Notes, fmt.Sprintf("the switch is not reachable, so this is what the code alone says, of every port as if it were there: %v", err))
		o.Snapshot, err = replay.Snapshot(cfg.Topology)
		return closeSwitch, err
	}
	defer db.Close()
	would, err := agent.WouldServe(ctx, cfg, view, e.log)
	if err != nil {
		return closeSwitch, err
	}
	o.Snapshot = would.Snapshot
	in, _ := view.Interface(pulse.Name(view.BridgeName))
	o.Env.PulsePort, o.Env.MetadataPort = in.OFPort, agent.MetadataPortOn(view)
	if !would.Running {
		o.Notes = append(o.Notes, "no damselfly answers, so what it knows is what the last one left on disk")
	}
	conn, err := dialSwitch(ctx, view)
	if err != nil {
		o.Notes = append(o.Notes, fmt.Sprintf("the switch is not reachable, so this is what the code alone says: %v", err))
		return closeSwitch, nil
	}
	o.Switch = conn
	return func() { conn.Close() }, nil
}

func dialSwitch(ctx context.Context, view ovsdb.View) (*unixctl.Conn, error) {
	path, err := unixctl.Find(view.RunDir)
	if err != nil {
		return nil, err
	}
	return unixctl.Dial(ctx, path)
}

func portNamed(s *topology.Snapshot, name string) *topology.Port {
	for _, p := range s.Ports {
		if p.Name == name {
			return p
		}
	}
	return nil
}
