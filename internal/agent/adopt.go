package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"damselfly/flows"
	"damselfly/internal/bridge"
	"damselfly/internal/openflow"
	"damselfly/internal/ovsdb"
	"damselfly/internal/pulse"
)

// controllerQueue is how many packet-ins Open vSwitch keeps for one connection,
// its most. The default of 100 overflows while one batch is answered.
const controllerQueue = 512

// settings is what Damselfly wants of its bridge in the database.
func settings(bridgeName string) ovsdb.Setup {
	return ovsdb.Setup{
		ControllerQueueSize: controllerQueue,
		PrefixTables:        flows.PrefixTables(),
		Ports:               []string{pulse.Name(bridgeName)},
	}
}

// meet waits until there is a bridge, makes sure that nobody else serves it and
// that nothing speaks against serving it.
func (a *Agent) meet(ctx context.Context) (ovsdb.View, error) {
	view, err := a.awaitBridge(ctx)
	if err != nil {
		return view, err
	}
	if a.lock, err = bridge.TakeLock(view.RunDir, view.BridgeName); err != nil {
		return view, err
	}
	var held *bridge.Held
	var tooOld error
	err = a.await(ctx, func() error {
		c, err := openflow.Dial(ctx, "unix:"+view.ManagementSocket(), openflow.Options{Log: a.log})
		if errors.Is(err, openflow.ErrVersion) {
			tooOld = err // no use in waiting
			return nil
		}
		if err != nil {
			return err
		}
		defer c.Close()
		held, err = bridge.Dump(ctx, c, a.ids)
		return err
	})
	if err = errors.Join(err, tooOld); err != nil {
		return view, err
	}
	return view, a.judge(bridge.Objections(view, held, settings(view.BridgeName), pulse.Name(view.BridgeName)))
}

// ErrObjections says that serving the bridge would break something.
var ErrObjections = errors.New("not serving the bridge")

// judge decides on the objections to serving the bridge.
func (a *Agent) judge(objections []bridge.Objection) error {
	var fatal, other []string
	for _, o := range objections {
		if o.Fatal {
			fatal = append(fatal, o.Text)
		} else {
			other = append(other, o.Text)
		}
	}
	switch {
	case len(fatal) > 0:
		return fmt.Errorf("%w:\n  %s", ErrObjections, strings.Join(fatal, "\n  "))
	case len(other) > 0 && !a.o.TakeOver:
		return fmt.Errorf("%w; --take-over goes on regardless:\n  %s", ErrObjections, strings.Join(other, "\n  "))
	}
	for _, text := range other {
		a.log.Warn("taking over", "objection", text)
	}
	return nil
}

// awaitBridge waits until the database knows the bridge.
func (a *Agent) awaitBridge(ctx context.Context) (view ovsdb.View, err error) {
	err = a.await(ctx, func() error {
		if err := a.db.Err(); err != nil {
			return err
		}
		v, ok := a.db.View()
		if !ok {
			return errors.New("the database has not been read yet")
		}
		if _, err := v.Plan(settings(v.BridgeName)); errors.Is(err, ovsdb.ErrNoBridge) {
			return err
		}
		view = v
		return nil
	})
	return view, err
}

// await calls try until it succeeds or ctx ends, and logs each new reason why it
// does not. What waiting can't help is not for await.
func (a *Agent) await(ctx context.Context, try func() error) error {
	const pause, patience = 50 * time.Millisecond, 500 * time.Millisecond
	began, last := time.Now(), ""
	for {
		err := try()
		if err == nil {
			return nil
		}
		// The first moments are a start, not a fault.
		if text := err.Error(); text != last && time.Since(began) > patience {
			a.log.Warn("waiting", "for", text)
			last = text
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("stopped while waiting: %w", err)
		case <-time.After(pause):
		}
	}
}
