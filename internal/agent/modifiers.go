package agent

import (
	"context"
	"fmt"

	"damselfly/internal/send"
	"damselfly/internal/store"
	"damselfly/internal/topology"
)

// modifiers remember what routers' addresses are made of beside their keys, so that
// the store is asked for each once.
type modifiers map[string]store.Modifier

// of returns the modifiers of a topology's networks. With search those that the store
// does not have are searched for and kept; the error is of what could not be kept,
// which lasts until the next start.
func (m *modifiers) of(s *store.Store, spec *topology.Spec, search bool) (map[string]send.Modifier, error) {
	out := map[string]send.Modifier{}
	var failed error
	for i := range spec.Networks {
		n := &spec.Networks[i]
		if n.Send == nil || n.Send.Key == nil {
			continue
		}
		want := store.Modifier{Key: n.Send.Key.Hash(), Sec: topology.DefaultSendSec}
		if n.Send.Sec != nil {
			want.Sec = uint8(*n.Send.Sec)
		}
		kept, ok := (*m)[n.Name]
		if !ok {
			var err error
			if kept, ok, err = s.Modifier(n.Name); err != nil {
				failed = err
			}
		}
		if !ok || kept.Key != want.Key || kept.Sec != want.Sec {
			if !search {
				continue
			}
			value, err := n.Send.Key.FindModifier(context.Background(), want.Sec)
			if err != nil {
				failed = err
				continue
			}
			kept, kept.Value = want, value
			if err := s.RecordModifier(n.Name, kept); err != nil {
				failed = fmt.Errorf("the address of the router on %s is not kept and will be another after a restart: %w", n.Name, err)
			}
		}
		if *m == nil {
			*m = modifiers{}
		}
		(*m)[n.Name] = kept
		out[n.Name] = kept.Value
	}
	return out, failed
}

// modifiersOf are the modifiers that the next snapshot is made of.
func (a *Agent) modifiersOf(spec *topology.Spec) map[string]send.Modifier {
	out, err := a.state.modifiers.of(a.store, spec, true)
	if err != nil {
		a.state.once(a.log, "modifiers", err.Error())
	}
	a.mu.Lock()
	a.modifiers = out
	a.mu.Unlock()
	return out
}
