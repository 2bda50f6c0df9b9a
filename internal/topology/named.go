package topology

import (
	"slices"
	"strings"
)

// PortNamed returns the port of that name, nil if there is none.
func (s *Snapshot) PortNamed(name string) *Port {
	i, found := slices.BinarySearchFunc(s.Ports, name, func(p *Port, name string) int { return strings.Compare(p.Name, name) })
	if !found {
		return nil
	}
	return s.Ports[i]
}

// NetworkNamed returns the network of that name, nil if there is none.
func (s *Snapshot) NetworkNamed(name string) *Network {
	i, found := slices.BinarySearchFunc(s.Networks, name, func(n *Network, name string) int { return strings.Compare(n.Name, name) })
	if !found {
		return nil
	}
	return s.Networks[i]
}
