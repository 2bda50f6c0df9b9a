package config

import (
	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

// lastGroup is the highest group id (OFPG_MAX of OpenFlow 1.5 section 7.3.4.3).
const lastGroup = 0xffffff00

// meters is how many meters Open vSwitch's userspace datapath has.
const meters = 1 << 18

// mostAddresses is the highest bound of learned addresses and neighbours that may be written.
const mostAddresses = 1 << 20

// idsUsed is how many ids lie between the first and the last that keys take.
const idsUsed = (punt.MaxKey + 1) * punt.MeterSlots

// draft is a Config being read.
type draft struct {
	Config
	spec topology.Spec
	seen map[string]string // top-level key -> file that had it
}

// top are the keys of a file. Lists add up over files; other keys stand in one.
func (c *draft) top() keys {
	s := &c.spec
	k := keys{
		"bridge": c.once(text(&c.Bridge)),
		"state":  c.once(folder(&c.State)),
		"api":    c.once(listen(&c.API)),
		"punt":   c.once(transport(&c.Punt)),
		"ids": c.once(func(v value) {
			v.fields(keys{
				"groups": integer(&c.IDs.Groups, 0, lastGroup-idsUsed),
				"meters": integer(&c.IDs.Meters, 0, meters-idsUsed),
			})
		}),
		"limits":   c.once(limits(&s.Limits, bounds{&s.MaxLeases, &s.MaxAddresses, &s.MaxNeighbors, &s.MaxGroups, &s.MaxConnections})),
		"networks": list(len(s.Networks), grow(&s.Networks, network)),
		"routers":  list(len(s.Routers), grow(&s.Routers, router)),
		"ports":    list(len(s.Ports), grow(&s.Ports, port)),

		"security_groups": list(len(s.Groups), grow(&s.Groups, securityGroup)),
		"floating":        list(len(s.Floating), grow(&s.Floating, floating)),
	}
	return k
}

// once refuses a key that another file had.
func (c *draft) once(r reader) reader {
	return func(v value) {
		if other, ok := c.seen[v.path]; ok {
			v.wrong("stands in %s already; keep one", other)
			return
		}
		c.seen[v.path] = v.d.file
		r(v)
	}
}

func transport(to *Punt) reader {
	return choice(to, []string{"auto", "port", "packet-in"}, []Punt{PuntAuto, PuntPort, PuntPacketIn})
}

// bounds are how much a port may have.
type bounds struct{ leases, addresses, neighbors, groups, connections **int }

// limits reads budgets by class, and how many leases, learned addresses,
// unconfigured neighbours, multicast groups and connections to the metadata
// service a port may have.
func limits(to *topology.Limits, b bounds) reader {
	return func(v value) {
		m := make(topology.Limits)
		k := keys{
			"leases":      numberOrNone(b.leases, topology.UnlimitedLeases-1, topology.UnlimitedLeases),
			"addresses":   numberOrNone(b.addresses, mostAddresses, topology.UnlimitedAddresses),
			"neighbors":   numberOrNone(b.neighbors, mostAddresses, topology.UnlimitedNeighbors),
			"groups":      numberOrNone(b.groups, mostAddresses, topology.UnlimitedGroups),
			"connections": numberOrNone(b.connections, mostAddresses, topology.UnlimitedConnections),
		}
		for _, class := range []punt.Class{punt.NS, punt.NA, punt.RS, punt.MLD, punt.DHCPv6, punt.Echo, punt.Error, punt.Unknown, punt.Metadata, punt.Source, punt.Log, punt.Opens, punt.Inverse, punt.SEND} {
			k[class.String()] = func(v value) {
				var l topology.Limit
				limit(&l)(v)
				m[class] = l
			}
		}
		v.fields(k)
		*to = m
	}
}
