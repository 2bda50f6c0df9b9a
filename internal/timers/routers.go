package timers

import (
	"errors"
	"net/netip"
	"slices"

	"damselfly/internal/store"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// router is what is remembered of the default routers of one network.
type router struct {
	// identity is the latest; saved tells whether it is on disk, present
	// whether it still is the network's default router.
	identity       store.RouterIdentity
	saved, present bool
	// former are those it replaced whose farewells are not out.
	former []topology.FormerRouter
}

// goodbye names the router of a network whose farewells are out.
type goodbye struct {
	network   string
	linkLocal netip.Addr
}

// Said notes that the farewells of a network's former router are out, so that
// it can be forgotten. It does not wait for the disk.
func (m *Memory) Said(network string, linkLocal netip.Addr) {
	m.saidMu.Lock()
	m.said = append(m.said, goodbye{network, linkLocal})
	m.saidMu.Unlock()
	m.wake()
}

// reconcileRouters records the default routers of these networks and notes
// whom they replace.
func (m *Memory) reconcileRouters(networks map[string]*topology.Network) error {
	err := m.forgetSaid()
	for name, n := range networks {
		if defaultRouter(n) {
			m.installRouter(n)
		} else if r := m.routers[name]; r != nil {
			r.present = false
		}
	}
	for name, r := range m.routers {
		n := networks[name]
		// A network that is gone can be told nothing. A router that is no
		// longer a default router says so in its own advertisements.
		if n == nil || !r.present && advertised(n) && n.Router.LinkLocal == r.identity.LinkLocal {
			err = errors.Join(err, m.forgetRouter(name))
		}
	}
	return errors.Join(err, m.saveRouters())
}

// installRouter makes n's router the one that is remembered.
func (m *Memory) installRouter(n *topology.Network) {
	identity := store.RouterIdentity{Network: n.Name, LinkLocal: n.Router.LinkLocal, MAC: n.Router.MAC, Default: true}
	r := m.routers[n.Name]
	if r == nil {
		r = &router{}
		m.routers[n.Name] = r
	}
	r.present = true
	if r.identity == identity {
		return
	}
	if r.identity.LinkLocal.IsValid() && r.identity.LinkLocal != identity.LinkLocal {
		r.former = append(r.former, formerRouter(r.identity))
	}
	r.former = slices.DeleteFunc(r.former, func(f topology.FormerRouter) bool { return f.LinkLocal == identity.LinkLocal })
	r.identity, r.saved = identity, false
}

// saveRouters writes the identities that are not on disk.
func (m *Memory) saveRouters() error {
	var unsaved []store.RouterIdentity
	for _, r := range m.routers {
		if !r.saved {
			unsaved = append(unsaved, r.identity)
		}
	}
	if err := m.c.Store.RecordRouters(unsaved...); err != nil {
		return err
	}
	for _, r := range m.routers {
		r.saved = true
	}
	return nil
}

// forgetSaid drops the routers whose farewells are out, but for one that is
// the network's router again by now.
func (m *Memory) forgetSaid() (err error) {
	m.saidMu.Lock()
	said := m.said
	m.said = nil
	m.saidMu.Unlock()
	for _, g := range said {
		r := m.routers[g.network]
		if r == nil {
			continue
		}
		r.former = slices.DeleteFunc(r.former, func(f topology.FormerRouter) bool { return f.LinkLocal == g.linkLocal })
		if !r.present && r.identity.LinkLocal == g.linkLocal {
			err = errors.Join(err, m.forgetRouter(g.network))
		}
	}
	return err
}

func (m *Memory) forgetRouter(network string) error {
	if err := m.c.Store.ForgetRouter(network); err != nil {
		return err
	}
	delete(m.routers, network)
	return nil
}

// defaultRouter tells whether n is advertised with a router lifetime above 0.
func defaultRouter(n *topology.Network) bool {
	return advertised(n) && wire.RouterAdvert(n.Adverts[0].Body).Lifetime() > 0
}

func formerRouter(r store.RouterIdentity) topology.FormerRouter {
	return topology.FormerRouter{MAC: wire.MAC(r.MAC), LinkLocal: r.LinkLocal}
}

// formers lists by network the routers hosts must be told the end of.
func (m *Memory) formers(networks map[string]*topology.Network) map[string][]topology.FormerRouter {
	list := make(map[string][]topology.FormerRouter)
	for name, r := range m.routers {
		n := networks[name]
		if n == nil {
			continue
		}
		former := slices.Clone(r.former)
		if !r.present {
			former = append(former, formerRouter(r.identity))
		}
		former = slices.DeleteFunc(former, func(f topology.FormerRouter) bool {
			return advertised(n) && n.Router.LinkLocal == f.LinkLocal
		})
		if len(former) > 0 {
			list[name] = former
		}
	}
	return list
}
