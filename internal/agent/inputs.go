package agent

import (
	"maps"
	"slices"

	"damselfly/flows"
	"damselfly/internal/ovsdb"
	"damselfly/internal/send"
	"damselfly/internal/store"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// fault is something about a subject that an operator should mend.
type fault struct{ subject, text string }

// bindings reads from the bridge's interfaces which port each stands for. The
// pulse port and others of our own stand for none.
func bindings(view ovsdb.View, pulseName string) (out []topology.Binding, faults []fault) {
	for _, in := range view.Interfaces {
		if in.Name == pulseName || in.Ours {
			continue
		}
		b := topology.Binding{Interface: in.Name, ID: in.IfaceID, OFPort: in.OFPort, Network: in.Network}
		if in.OFPort == ovsdb.OFPortLocal {
			b.OFPort = flows.Local
		}
		if in.AttachedMAC != "" {
			mac, err := wire.ParseMAC(in.AttachedMAC)
			if err != nil {
				faults = append(faults, fault{"interface " + in.Name, "external_ids:attached-mac is no MAC address: " + err.Error()})
			}
			b.MAC = mac
		}
		out = append(out, b)
	}
	return out, faults
}

// keyNames lists the networks and ports that need a key: all configured ones,
// and ports known from their Interface alone.
func keyNames(spec *topology.Spec, bindings []topology.Binding) (networks, ports []string) {
	n, p := map[string]bool{}, map[string]bool{}
	for i := range spec.Networks {
		n[spec.Networks[i].Name] = true
		if spec.Networks[i].Uplink != nil {
			p[topology.UplinkName(spec.Networks[i].Name)] = true
		}
	}
	for i := range spec.Ports {
		p[spec.Ports[i].Name] = true
	}
	for _, b := range bindings {
		if b.Network == "" {
			continue
		}
		if b.ID != "" {
			p[b.ID] = true
		} else {
			p[b.Interface] = true
		}
	}
	return slices.Sorted(maps.Keys(n)), slices.Sorted(maps.Keys(p))
}

// keyring remembers the keys given out, so that the store is asked only when
// the names changed.
type keyring struct {
	networks, ports []string
	keys            topology.Keys
}

// update asks the store for keys of these names. Whoever has a key keeps it,
// also when an error says that others got none.
func (k *keyring) update(s *store.Store, networks, ports []string) error {
	if slices.Equal(k.networks, networks) && slices.Equal(k.ports, ports) && k.keys.Ports != nil {
		return nil
	}
	now, err := store.ReadClock()
	if err != nil {
		return err
	}
	given, err := s.AllocateKeys(now, store.NetworkKeys, networks)
	if given != nil {
		k.keys.Networks = given
	}
	if err != nil {
		return err
	}
	given, err = s.AllocateKeys(now, store.PortKeys, ports)
	if given != nil {
		k.keys.Ports = given
	}
	if err != nil {
		return err
	}
	k.networks, k.ports = networks, ports
	return nil
}

// known is what a snapshot is made of beside the configuration and the bridge.
type known struct {
	topology.Keys
	Delegated map[string][]topology.DelegatedPrefix
	Leased    map[string][]topology.HeldAddress
	Learned   map[string][]topology.HeldAddress
	Neighbors map[string][]topology.Neighbor
	Upstream  map[string][]topology.Upstream
	Listening map[string]*topology.Listening
	Modifiers map[string]send.Modifier
}

// known returns what is known now, by which `damselfly plan` compiles what a run
// would.
func (a *Agent) known() known {
	a.mu.Lock()
	keys, spec, modifiers := a.served, a.config.Topology, a.modifiers
	a.mu.Unlock()
	return known{
		Keys: keys, Delegated: a.leases.delegated(keys),
		Leased: a.leases.leased(keys, spec), Learned: a.leases.learned.held(keys),
		Neighbors: a.leases.neighbors.found(keys), Upstream: a.leases.neighbors.heard(),
		Listening: new(listenedByKey).of(a.leases.listeners.table.View(), keys),
		Modifiers: modifiers,
	}
}
