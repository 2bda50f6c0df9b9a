package main

import (
	"context"
	"fmt"

	"damselfly/internal/annex"
	"damselfly/internal/bridge"
	"damselfly/internal/config"
	"damselfly/internal/openflow"
	"damselfly/internal/ovsdb"
	"damselfly/internal/pulse"
)

type clearCmd struct {
	configured
	database
}

// Run implements the command.
func (c *clearCmd) Run(e *env) error {
	return onBridge(e, c.Config, c.OVSDB, func(ctx context.Context, cfg *config.Config, db *ovsdb.Client, view ovsdb.View) error {
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
		for _, device := range []string{pulse.Name(cfg.Bridge), annex.Name(cfg.Bridge)} {
			if err := pulse.Remove(device); err != nil {
				return err
			}
		}
		done = append([]string{fmt.Sprintf("removed %d flows, %d groups and %d meters", flows, groups, meters)}, done...)
		if e.json {
			return printJSON(e.out, done)
		}
		for _, line := range done {
			fmt.Fprintln(e.out, line)
		}
		return nil
	})
}
