package agent

import (
	"fmt"
	"log/slog"

	"damselfly/internal/pulse"
)

// openPulse raises the pulse; without the right to it, punts simply have
// nowhere to go while Damselfly is away.
func (s *state) openPulse(name string) error {
	if s.pulse != nil {
		return nil
	}
	tap, err := pulse.Open(name)
	if err != nil {
		return fmt.Errorf("opening the pulse port %s: %w", name, err)
	}
	s.pulse = tap
	return nil
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
		if err := a.state.openPulse(name); err != nil {
			return err
		}
	}
	a.note(func(s *Status) { s.Pulse = up })
	return nil
}
