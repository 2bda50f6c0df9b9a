package mld

import (
	"net/netip"
	"slices"

	"damselfly/internal/multicast"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// Send adds what an event asks. What it names need not be there any more.
func (l *Lane) Send(e *multicast.Event, r *pipeline.Replies) {
	if e.Kind == multicast.Terminate {
		terminate(e.Former, r)
		return
	}
	n := l.Snapshot.NetworkNamed(e.Network)
	if n == nil || n.Multicast == nil {
		return
	}
	switch e.Kind {
	case multicast.Ask:
		if n.Router != nil {
			ask(n, e, r)
		}
	case multicast.Advertise:
		if n.Router != nil {
			body := wire.AppendMRDAdvert(nil, multicast.AdvertInterval, e.Query.Interval, e.Query.Robustness)
			put(r.Into(n.Key, wire.ListenerHeadersLen+len(body)), n.Router.MAC, n.Router.LinkLocal, wire.AllSnoopers, body)
		}
	case multicast.Solicit:
		if p := portOf(n, e.Port); p != nil && p.OFPort != 0 {
			source, mac := n.Asker()
			body := wire.AppendMRDSolicit(nil)
			put(r.To(p.OFPort, p.VLAN, wire.ListenerHeadersLen+len(body)), mac, source, wire.AllRouters, body)
		}
	case multicast.Report:
		if n.Router != nil {
			l.proxied(n, e, r)
		}
	case multicast.Retell:
		if p := portOf(n, e.Port); p != nil {
			l.retell(n, p, e.Records, r)
		}
	}
}

// put writes a message from a node to a group.
func put(b []byte, mac wire.MAC, source, group netip.Addr, body []byte) {
	h := wire.Headers{SourceMAC: mac, DestinationMAC: wire.MulticastMAC(group), Source: source, Destination: group}
	wire.PutListener(b, &h, body)
}

// ask sends a Query to all, or out of one port (RFC 9777 section 5.1.15).
func ask(n *topology.Network, e *multicast.Event, r *pipeline.Replies) {
	body, to := e.Query.Append(nil), wire.AllNodes
	if e.Query.Group.IsValid() {
		to = e.Query.Group
	}
	size := wire.ListenerHeadersLen + len(body)
	if e.Port == "" {
		put(r.Into(n.Key, size), n.Router.MAC, n.Router.LinkLocal, to, body)
	} else if p := portOf(n, e.Port); p != nil && p.OFPort != 0 {
		put(r.To(p.OFPort, p.VLAN, size), n.Router.MAC, n.Router.LinkLocal, to, body)
	}
}

// terminate tells a network that its router is no multicast router any more (RFC
// 4286 section 5). Flows for it may be gone, so that each port is told.
func terminate(n *topology.Network, r *pipeline.Replies) {
	body := wire.AppendMRDTermination(nil)
	for _, p := range n.Ports {
		if p.OFPort != 0 {
			put(r.To(p.OFPort, p.VLAN, wire.ListenerHeadersLen+len(body)), n.Router.MAC, n.Router.LinkLocal, wire.AllSnoopers, body)
		}
	}
}

// mostReport keeps what is told within 1,280 octets.
const mostReport = 1280 - wire.ListenerHeadersLen + wire.EthernetLen - wire.MLDv2ReportLen

// retell tells multicast routers on behalf of a port what it listens to.
func (l *Lane) retell(n *topology.Network, p *topology.Port, records []wire.Record, r *pipeline.Replies) {
	i := slices.IndexFunc(p.Addresses, netip.Addr.IsLinkLocalUnicast)
	if i < 0 || p.MAC.IsZero() {
		return
	}
	l.tell(n, p, p.MAC, p.Addresses[i], records, r)
}

// tell sends reports of records to the multicast routers of a network but one.
func (l *Lane) tell(n *topology.Network, but *topology.Port, mac wire.MAC, source netip.Addr, records []wire.Record, r *pipeline.Replies) {
	for len(records) > 0 {
		size, fit := 0, 0
		for fit < len(records) {
			size += wire.ListenerRecordLen + 16*len(records[fit].Sources)
			if fit > 0 && size > mostReport {
				break
			}
			fit++
		}
		body := wire.AppendReport(nil, records[:fit])
		records = records[fit:]
		l.toAll(n, but, mac, source, wire.AllMLDv2Routers, body, r)
	}
}

// toAll sends a message to the multicast routers of a network but one.
func (l *Lane) toAll(n *topology.Network, but *topology.Port, mac wire.MAC, source, group netip.Addr, body []byte, r *pipeline.Replies) {
	l.routers(n.Key, but, func(to *topology.Port) {
		put(r.To(to.OFPort, to.VLAN, wire.ListenerHeadersLen+len(body)), mac, source, group, body)
	})
}

// proxied tells what the network's router listens to, to a querier of version 1 in
// its words: it knows no sources (RFC 9777 section 8.2.1).
func (l *Lane) proxied(n *topology.Network, e *multicast.Event, r *pipeline.Replies) {
	if !e.Old {
		l.tell(n, nil, n.Router.MAC, n.Router.LinkLocal, e.Records, r)
		return
	}
	for i := range e.Records {
		record := &e.Records[i]
		switch {
		case record.Type == wire.ChangeToInclude: // nothing is wanted any more
			l.toAll(n, nil, n.Router.MAC, n.Router.LinkLocal, wire.AllRouters, wire.AppendListenerV1(nil, wire.TypeMLDDone, record.Group), r)
		case i > 0 && e.Records[i-1].Type == record.Type && e.Records[i-1].Group == record.Group: // more sources of it
		default:
			l.toAll(n, nil, n.Router.MAC, n.Router.LinkLocal, record.Group, wire.AppendListenerV1(nil, wire.TypeMLDv1Report, record.Group), r)
		}
	}
}

// portOf finds a port of a network by its name.
func portOf(n *topology.Network, name string) *topology.Port {
	i := slices.IndexFunc(n.Ports, func(p *topology.Port) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return n.Ports[i]
}
