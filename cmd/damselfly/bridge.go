package main

import (
	"context"
	"fmt"
	"time"

	"damselfly/internal/config"
	"damselfly/internal/ovsdb"
)

// reachTime is how long commands that don't serve wait for Open vSwitch.
const reachTime = 5 * time.Second

// onBridge calls do with the configuration of a file and the database behind an
// endpoint, in which the configured bridge is; both are done with when it returns.
func onBridge(e *env, file, endpoint string, do func(context.Context, *config.Config, *ovsdb.Client, ovsdb.View) error) error {
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(e.ctx, 4*reachTime)
	defer cancel()
	db, view, err := openDatabase(ctx, endpoint, cfg.Bridge, e)
	if err != nil {
		return err
	}
	defer db.Close()
	return do(ctx, cfg, db, view)
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
