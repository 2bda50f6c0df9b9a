package agent

import (
	"context"
	"errors"
	"os/signal"
	"reflect"
	"syscall"

	"damselfly/internal/config"
)

// watchConfig takes over a changed configuration, on SIGHUP and when its files
// change; a wrong one changes nothing.
func (a *Agent) watchConfig(ctx context.Context) error {
	watched := make(chan error, 1)
	go func() {
		// What Watch read may be older than what a SIGHUP has put in force.
		watched <- config.Watch(ctx, a.o.Config, func(*config.Config, error) { a.reload(false) })
	}()
	a.reload(false) // it may have changed since the start, while there was no bridge yet
	for {
		select {
		case err := <-watched:
			if ctx.Err() != nil {
				return nil
			}
			a.log.Error("the configuration is not watched any more; SIGHUP still reloads it", "error", err)
		case <-a.hup:
			a.reload(true)
		case <-ctx.Done():
			return nil
		}
	}
}

// listenForHUP makes SIGHUP a request to reload, from the very start: unasked
// for, it would end the process.
func (a *Agent) listenForHUP() (stop func()) {
	signal.Notify(a.hup, syscall.SIGHUP)
	return func() { signal.Stop(a.hup) }
}

// reload reads the configuration anew and puts it in force. One reload follows
// the other, so that the newest reading is the one that stays. Who asked is told
// also that nothing changed.
func (a *Agent) reload(asked bool) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	cfg, err := config.Load(a.o.Config)
	if err != nil {
		text := err.Error()
		if mistakes := (config.Mistakes)(nil); errors.As(err, &mistakes) {
			text = mistakes.Brief()
		}
		a.log.Error("the changed configuration is wrong, the old one stays in force", "mistakes", text)
		a.note(func(s *Status) { s.ConfigError = text })
		return
	}
	a.mu.Lock()
	same := reflect.DeepEqual(a.config, cfg)
	a.status.ConfigError = ""
	if !same {
		a.config = cfg
	}
	a.mu.Unlock()
	if same && !asked {
		return
	}
	if fixed := fixedChanges(a.started, cfg); len(fixed) > 0 {
		a.log.Warn("these settings are read at the start only; restart to change them", "settings", fixed)
	}
	a.log.Info("configuration reloaded", "config", a.o.Config, "changed", !same)
	a.changed()
}

// fixedChanges names the settings that differ and that a running Damselfly
// can't change.
func fixedChanges(old, cfg *config.Config) (names []string) {
	for _, s := range []struct {
		name string
		same bool
	}{
		{"bridge", old.Bridge == cfg.Bridge},
		{"state", old.State == cfg.State},
		{"api", old.API == cfg.API},
		{"ids", old.IDs == cfg.IDs},
	} {
		if !s.same {
			names = append(names, s.name)
		}
	}
	return names
}
