package main

import (
	"context"
	"fmt"
	"time"

	"damselfly/internal/bridge"
	"damselfly/internal/config"
	"damselfly/internal/openflow"
	"damselfly/internal/ovsdb"
	"damselfly/internal/pulse"
)

// reachTime is how long commands that don't serve wait for Open vSwitch.
const reachTime = 5 * time.Second

type clearCmd struct {
	configured
	database
}

// Run implements the command.
func (c *clearCmd) Run(e *env) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(e.ctx, 4*reachTime)
	defer cancel()
	db, view, err := openDatabase(ctx, c.OVSDB, cfg.Bridge, e)
	if err != nil {
		return err
	}
	defer db.Close()
	lock, err := bridge.TakeLock(view.RunDir, view.BridgeName)
	if err != nil {
		return err
	}
	defer lock.Release()
	conn, err := openflow.Dial(ctx, "unix:"+view.ManagementSocket(), openflow.Options{Log: e.log})
	if err != nil {
		return err
	}
	defer conn.Close()
	flows, groups, meters, err := bridge.Clear(ctx, conn, bridge.IDs{FirstGroup: cfg.IDs.Groups, FirstMeter: cfg.IDs.Meters})
	if err != nil {
		return err
	}
	done, err := db.Clear(ctx)
	if err != nil {
		return err
	}
	if err := pulse.Remove(pulse.Name(cfg.Bridge)); err != nil {
		return err
	}
	done = append([]string{fmt.Sprintf("removed %d flows, %d groups and %d meters", flows, groups, meters)}, done...)
	if e.json {
		return printJSON(e.out, done)
	}
	for _, line := range done {
		fmt.Fprintln(e.out, line)
	}
	return nil
}

// openDatabase connects to the database and reads the bridge, which must be there.
func openDatabase(ctx context.Context, endpoint, name string, e *env) (*ovsdb.Client, ovsdb.View, error) {
	db, err := ovsdb.Dial(ctx, endpoint, name, e.log)
	if err != nil {
		return nil, ovsdb.View{}, err
	}
	reach, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	if err := db.Wait(reach); err != nil {
		db.Close()
		return nil, ovsdb.View{}, err
	}
	view, _ := db.View()
	if !view.Exists {
		db.Close()
		return nil, ovsdb.View{}, fmt.Errorf("%w: there is no bridge %s; `ovs-vsctl list-br` lists those there are", ovsdb.ErrNoBridge, name)
	}
	return db, view, nil
}
