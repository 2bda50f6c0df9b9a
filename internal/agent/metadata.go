package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"damselfly/internal/annex"
	"damselfly/internal/metadata"
	"damselfly/internal/ovsdb"
	"damselfly/internal/pulse"
	"damselfly/internal/topology"
)

// MetadataPortOn is the switch's number of the metadata service's port on the
// bridge of a view, 0 for none.
func MetadataPortOn(view ovsdb.View) uint32 {
	in, ok := view.Interface(annex.Name(view.BridgeName))
	if !ok || !in.Ours {
		return 0
	}
	return in.OFPort
}

// metadataPort is the metadata service with the port of the bridge that it is
// behind. Its methods are for the goroutine of reconcile.
type metadataPort struct {
	server *metadata.Server
	open   *annex.Annex  // nil while there is none
	served chan struct{} // closed when the server of open has ended

	// now is open for others to read.
	now atomic.Pointer[annex.Annex]
	// fault says why there is none although there should be, nil for nothing.
	fault atomic.Pointer[string]
}

func newMetadataPort(a *Agent) *metadataPort {
	return &metadataPort{server: metadata.New(metadata.Config{Snapshot: a.snapshot.Load, Log: a.log})}
}

// setUpMetadata brings the metadata service's port to be on the bridge where some
// network has it, and takes it off where none has.
func (a *Agent) setUpMetadata(ctx context.Context, view ovsdb.View, snap *topology.Snapshot) error {
	name := annex.Name(view.BridgeName)
	in, ok := view.Interface(name)
	if !snap.HasMetadata() {
		a.metadata.close(a.log)
		if !ok || !in.Ours {
			return nil
		}
		if _, err := a.db.DelPort(ctx, name); err != nil {
			return err
		}
		return pulse.Remove(name)
	}
	ready := ok && in.Ours && in.OFPort != 0
	if ready && !in.LinkUp && a.metadata.open != nil {
		// Somebody set it down; opening it sets it up.
		a.metadata.close(a.log)
	}
	// Open vSwitch takes a port only for a device that is there.
	err := a.metadata.raise(name, a.log)
	if err == nil && !ready {
		ctx, cancel := context.WithTimeout(ctx, setUpTime)
		defer cancel()
		_, err = a.db.AddPort(ctx, name, "", nil)
	}
	if errors.Is(err, pulse.ErrHeld) {
		return err
	}
	text := ""
	if err != nil {
		// All else is served; this is tried again with the next change.
		text = "no metadata is served: " + err.Error()
	}
	a.state.once(a.log, "metadata", text)
	a.metadata.fault.Store(&text)
	return nil
}

// raise opens the port and serves it, unless that is so already.
func (m *metadataPort) raise(name string, log *slog.Logger) error {
	if m.open != nil {
		return nil
	}
	x, err := annex.Open(name, annex.Config{Addresses: topology.MetadataAddresses, Port: topology.MetadataPort})
	if err != nil {
		return err
	}
	m.open, m.served = x, make(chan struct{})
	m.now.Store(x)
	go func(done chan struct{}) {
		defer close(done)
		if err := m.server.Serve(context.Background(), x.Listener()); err != nil {
			log.Error("the metadata service stopped; restart Damselfly to have it back", "error", err)
		}
	}(m.served)
	return nil
}

// close ends the service and leaves the port on the bridge.
func (m *metadataPort) close(log *slog.Logger) {
	if m.open == nil {
		return
	}
	if err := m.open.Close(); err != nil {
		log.Warn("closing the metadata service's port", "error", err)
	}
	<-m.served
	m.open = nil
	m.now.Store(nil)
}

// gone is closed when the port's device was removed.
func (m *metadataPort) gone() <-chan struct{} {
	if m.open == nil {
		return nil
	}
	return m.open.Done()
}
