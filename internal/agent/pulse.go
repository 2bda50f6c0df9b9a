package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"damselfly/internal/config"
	"damselfly/internal/openflow"
	"damselfly/internal/pulse"
)

// openPulse raises the pulse and reads what comes by it.
func (a *Agent) openPulse(name string) error {
	s := &a.state
	if s.pulse != nil {
		return nil
	}
	tap, err := pulse.Open(name)
	if err != nil {
		return fmt.Errorf("opening the pulse port %s: %w", name, err)
	}
	s.pulse = tap
	a.port.Attach(tap)
	return nil
}

// lowerPulse lets the carrier fall: from here on the switch serves alone, and what
// it has handed over before is still answered.
func (s *state) lowerPulse(log *slog.Logger) {
	if s.pulse == nil {
		return
	}
	if err := s.pulse.Lower(); err != nil {
		log.Debug("the carrier of the pulse port falls only with its end", "error", err)
		s.closePulse(log)
	}
}

// closePulse lets the pulse fall: from here on the switch serves alone.
func (s *state) closePulse(log *slog.Logger) {
	if s.pulse == nil {
		return
	}
	if err := s.pulse.Close(); err != nil {
		log.Warn("closing the pulse port", "error", err)
	}
	s.pulse = nil
}

// takeOff takes a pulse port off the bridge whose device was removed: Open vSwitch
// would go on reading from what is no more, also once there is another of that
// name. It says whether the switch has done so; until it has, it asks to be called
// again.
func (a *Agent) takeOff(ctx context.Context, conn *openflow.Conn, name string) (off bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, setUpTime)
	defer cancel()
	if _, err := a.db.DelPort(ctx, name); err != nil {
		return false, err
	}
	ports, err := conn.Ports(ctx)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(ports, func(p openflow.Port) bool { return p.Name == name }) {
		a.state.retry.Reset(lanePause)
		return false, nil
	}
	a.state.remade = false
	return true, nil
}

// pulseGone is closed when somebody removed the pulse port's device.
func (s *state) pulseGone() <-chan struct{} {
	if s.pulse == nil {
		return nil
	}
	return s.pulse.Done()
}

// raisePulse tells the switch that Damselfly is there, once its flows are in and
// its lanes are connected; until they are, it asks to be called again.
func (a *Agent) raisePulse(name string) error {
	up := a.state.env.PulsePort != 0
	if up {
		for _, l := range a.lanes {
			if !l.Connected() {
				a.state.retry.Reset(lanePause)
				return nil
			}
		}
		if err := a.tryPulse(name); err != nil {
			return err
		}
		if a.state.noPulse != "" {
			a.changed() // the switch must not wait for what does not come
			return nil
		}
	}
	a.note(func(s *Status) { s.Pulse = up })
	return nil
}

// tryPulse opens the pulse port. Without the right to it frames come as
// packet-ins, unless the configuration says otherwise, and have nowhere to go
// while Damselfly is away.
func (a *Agent) tryPulse(name string) error {
	err := a.openPulse(name)
	if err == nil {
		a.state.noPulse = ""
		a.state.once(a.log, "pulse", "")
		return nil
	}
	if errors.Is(err, pulse.ErrHeld) || a.transport() == config.PuntPort {
		return err
	}
	a.state.noPulse = err.Error()
	a.state.once(a.log, "pulse", err.Error()+"; frames come as packet-ins, and guests cannot answer each other while Damselfly is away")
	return nil
}
