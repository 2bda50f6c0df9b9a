package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
)

const (
	retryFirst     = 20 * time.Millisecond
	retryMax       = time.Second
	connectTimeout = 5 * time.Second
	// A server that hangs without closing its socket is given up after
	// probeInterval + connectTimeout.
	probeInterval = 10 * time.Second
)

var errConnectionLost = errors.New("the connection was lost")

// run holds one session after the other. Each has a library client of its own:
// the library's own reconnecting panics when it gives up, tells nobody when it
// succeeds, and leaves a replica whose vanished rows were never announced.
func (c *Client) run(ctx context.Context) {
	defer close(c.done)
	retry := backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(retryFirst),
		backoff.WithMaxInterval(retryMax),
		backoff.WithMaxElapsedTime(0),
	)
	for {
		err := c.session(ctx, retry.Reset)
		if ctx.Err() != nil {
			c.cutOff(errors.New("the OVSDB client is closed"), false)
			return
		}
		c.cutOff(fmt.Errorf("OVSDB at %s cannot be used: %w: is Open vSwitch running (systemctl start openvswitch-switch), and is this its database (--ovsdb)?",
			c.endpoint, err), true)
		select {
		case <-ctx.Done():
		case <-time.After(retry.NextBackOff()):
		}
	}
}

// session connects, calls connected once the replica is whole, and follows it
// until the connection ends; the error says why.
func (c *Client) session(ctx context.Context, connected func()) error {
	lib, err := client.NewOVSDBClient(c.model, client.WithEndpoint(c.endpoint))
	if err != nil {
		return err
	}
	defer lib.Close()
	ended, gone := make(chan struct{}), make(chan struct{})
	defer close(ended)
	// The library drops its notice unless somebody is waiting for it.
	go func() {
		select {
		case <-lib.DisconnectNotify():
			close(gone)
		case <-ended:
		}
	}()

	dirty := make(chan struct{}, 1)
	if err := open(ctx, lib, dirty); err != nil {
		return err
	}
	connected()
	c.rebuild(lib, true)
	c.connectedTo(lib)

	probe := time.NewTicker(probeInterval)
	defer probe.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-gone:
			return errConnectionLost
		case <-dirty:
			c.rebuild(lib, false)
		case <-probe.C:
			ctx, cancel := context.WithTimeout(ctx, connectTimeout)
			err := lib.Echo(ctx)
			cancel()
			if err != nil {
				return fmt.Errorf("no answer to an echo: %w", err)
			}
		}
	}
}

// open connects lib and fills its replica; dirty is rung on every event.
func open(ctx context.Context, lib client.Client, dirty chan<- struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := lib.Connect(ctx); err != nil {
		return err
	}
	replica := lib.Cache()
	if replica == nil {
		return errConnectionLost
	}
	ring := func() {
		select {
		case dirty <- struct{}{}:
		default:
		}
	}
	replica.AddEventHandler(&cache.EventHandlerFuncs{
		AddFunc:    func(string, model.Model) { ring() },
		UpdateFunc: func(string, model.Model, model.Model) { ring() },
		DeleteFunc: func(string, model.Model) { ring() },
	})
	_, err := lib.Monitor(ctx, monitorRequest())
	return err
}

func (c *Client) connectedTo(lib client.Client) {
	c.mu.Lock()
	c.live, c.err = lib, nil
	close(c.up)
	c.mu.Unlock()
	c.log.Info("connected to OVSDB")
}

// cutOff marks the view as old. A reason is logged when it is a new one, so
// that waiting for a server that is not there fills no log.
func (c *Client) cutOff(err error, report bool) {
	c.mu.Lock()
	news := c.live != nil || c.err == nil || c.err.Error() != err.Error()
	if c.live != nil {
		c.live, c.up = nil, make(chan struct{})
	}
	c.err = err
	c.mu.Unlock()
	if report && news {
		c.log.Warn("OVSDB cannot be reached, trying on", "err", err)
	}

	c.building.Lock()
	defer c.building.Unlock()
	if old := c.view.Load(); old != nil {
		v := *old
		v.Connected = false
		c.publish(&v)
	}
}
