package agent

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"damselfly/flows"
	"damselfly/handlers"
	"damselfly/handlers/reason"
	"damselfly/internal/binding"
	codec "damselfly/internal/dhcpv6"
	"damselfly/internal/lease"
	"damselfly/internal/multicast"
	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// collector reads counters where they are kept when Prometheus asks.
type collector struct{ a *Agent }

func newCollector(a *Agent) collector { return collector{a} }

// scrapeTime is how long the bridge may take to tell its counters.
const scrapeTime = 5 * time.Second

var (
	framesDesc    = desc("frames_total", "Punted frames by class and by how they ended.", "class", "reason")
	portDesc      = desc("port_frames_total", "Punted frames by port and by how they ended.", "port", "reason")
	dropDesc      = desc("port_drops_total", "Frames of a port that were dropped, by Damselfly (its reasons) or by the switch (drop-* are roles of flows, limit-* classes over their limit).", "port", "reason")
	unsentDesc    = desc("replies_unsent_total", "Replies that the bridge did not take.")
	puntDesc      = desc("punt_seconds", "Time from the read of a punted frame to the write of its reply.", "lane")
	wantedDesc    = desc("flows_wanted", "Flows the configuration needs on the bridge.")
	foundDesc     = desc("flows_installed", "Flows of Damselfly found on the bridge.")
	resyncDesc    = desc("resyncs_total", "Times that the bridge was compared as a whole.")
	upDesc        = desc("bridge_connected", "1 while there is a connection to the bridge.")
	flowDesc      = desc("flow_packets_total", "Frames that flows of a role saw in the switch: answers, forwards and drops. Where the frame's length decides (roles nd-*), frames of a near miss are counted too.", "role")
	meterDesc     = desc("meter_dropped_total", "Frames of a port and class over its limit, dropped in the switch.", "port", "class")
	raDesc        = desc("router_advertisements_total", "Unsolicited Router Advertisements.", "network", "kind")
	movedDesc     = desc("neighbor_announcements_total", "Unsolicited Neighbor Advertisements of addresses that moved.")
	laneDesc      = desc("lane_frames_total", "Frames by the connection they came in on, or the punt port.", "lane")
	strangeDesc   = desc("lane_strange_total", "Frames that came in by a lane and not by a flow of Damselfly's.", "lane")
	messagesDesc  = desc("dhcpv6_messages_total", "Messages of DHCPv6 clients that were well-formed.", "message")
	statusesDesc  = desc("dhcpv6_statuses_total", "Status codes told to DHCPv6 clients.", "status")
	offloadDesc   = desc("dhcpv6_offloaded_total", "DHCPv6 messages whose checksum the sender left to its network card.")
	leasesDesc    = desc("leases", "Leases by what was given; those that ended count until they are swept.", "kind", "state")
	poolsDesc     = desc("pools_exhausted", "Pools of a network that clients asked and that have nothing left.", "network", "kind")
	ruleDesc      = desc("rule_packets_total", "Packets that a rule of a security group decided: those that began connections or went in their direction.", "group", "rule")
	learnedDesc   = desc("learned_addresses", "Addresses learned from a port.", "port")
	learnDesc     = desc("learned_addresses_total", "What became of learned addresses: learned, moved to another port, lost, superseded by the configuration or a lease, and in conflict.", "event")
	groupsDesc    = desc("multicast_groups", "Multicast groups of a network that somebody listens to.", "network")
	listensDesc   = desc("multicast_listeners", "Ports that listen to multicast groups of a network, a port counted for each of its groups.", "network")
	mrouterDesc   = desc("multicast_routers", "Ports of a network where multicast routers are.", "network")
	querierDesc   = desc("multicast_querier", "Whether Damselfly asks who listens on a network (1), or another or nobody does (0).", "network")
	mcastDesc     = desc("multicast_messages_total", "Messages about multicast that nobody's message was the cause of: queries, advertisements, terminations, solicitations, reports on behalf of moved ports, and proxied ones of what a router listens to for its other networks.", "kind")
	floatsDesc    = desc("floating_addresses", "Addresses and prefixes that float, by the network on which they do, by form, and by whether their guest is there.", "network", "form", "guest")
	signedDesc    = desc("signatures_total", "Signed messages of guests by what was wrong with them; good where nothing was. Where the network's mode is observe they pass all the same.", "result")
	certifiedDesc = desc("certificates_valid_until_seconds", "When the first of the certificates ends that a network's router shows, in seconds since 1970.", "network")
	securedDesc   = desc("secured_addresses", "Addresses that guests sign for.")
	problemsDesc  = desc("problems", "Objects of the configuration that are not served.")
)

// obsoleteStatus was UseMulticast, which RFC 9915 section 21.13 has no more.
const obsoleteStatus = 5

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("damselfly_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector. It sends nothing: what is collected
// depends on the topology.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	snap := c.a.snapshot.Load()
	c.frames(counter, snap)
	c.latency(out)
	for i, l := range c.a.lanes {
		counter(laneDesc, l.Stats().Frames, laneName(i))
		counter(strangeDesc, l.Stats().Strange, laneName(i))
	}
	counter(laneDesc, c.a.port.Stats().Frames, laneName(portLane))
	counter(strangeDesc, c.a.port.Stats().Strange, laneName(portLane))
	for _, n := range c.a.owner.Counts() {
		counter(raDesc, n.Sent, n.Network, "periodic")
		counter(raDesc, n.Final, n.Network, "final")
		counter(raDesc, n.Failed, n.Network, "failed")
	}
	c.dhcpv6(counter, gauge)
	c.exhausted(gauge, snap)
	c.learned(counter, gauge, snap)
	c.neighbors(context.Background(), counter, gauge, snap)
	c.routes(gauge, snap)
	c.listeners(counter, gauge)
	c.metadata(counter, gauge)
	c.signatures(counter, gauge)
	c.a.readDrops(context.Background())
	s := c.a.Status()
	for _, p := range s.Ports {
		for why, n := range p.Drops {
			counter(dropDesc, n, p.Name, why)
		}
	}
	floating(gauge, s.Floating)
	gauge(wantedDesc, float64(s.FlowsWanted))
	gauge(foundDesc, float64(s.FlowsInstalled))
	gauge(problemsDesc, float64(len(s.Problems)))
	counter(resyncDesc, s.Resyncs)
	counter(movedDesc, c.a.moved.Sent())
	up := 0.0
	if s.Connected {
		up = 1
	}
	gauge(upDesc, up)
	for _, g := range s.Groups {
		for _, r := range g.Rules {
			counter(ruleDesc, r.Packets, g.Name, r.Rule)
		}
	}
	c.bridge(counter, snap)
}

func (c collector) frames(counter func(*prometheus.Desc, uint64, ...string), snap *topology.Snapshot) {
	stats := c.a.stats
	for r := range pipeline.Reason(reason.Count) {
		for class := range punt.Classes {
			if n := stats.Count(uint8(class), r); n > 0 {
				counter(framesDesc, n, class.String(), handlers.ReasonName(r))
			}
		}
		if snap == nil {
			continue
		}
		for _, p := range snap.Ports {
			if n := stats.PortCount(p.Key, r); n > 0 {
				counter(portDesc, n, p.Name, handlers.ReasonName(r))
			}
		}
	}
	counter(unsentDesc, stats.Unsent())
}

// dhcpv6 reads the counters of the servers. Every message passes a worker first,
// so that the slow lane's server counts none anew; each counts the statuses that
// it tells itself.
func (c collector) dhcpv6(counter func(*prometheus.Desc, uint64, ...string), gauge func(*prometheus.Desc, float64, ...string)) {
	l := c.a.leases
	var messages [len(l.deciding.Stats.Messages)]uint64
	var statuses [len(l.deciding.Stats.Statuses)]uint64
	var offloaded uint64
	for i := range statuses {
		statuses[i] = l.deciding.Stats.Statuses[i].Load()
	}
	for _, w := range l.workers {
		for i := range messages {
			messages[i] += w.Stats.Messages[i].Load()
		}
		for i := range statuses {
			statuses[i] += w.Stats.Statuses[i].Load()
		}
		offloaded += w.Stats.Offloaded.Load()
	}
	for i, n := range messages {
		if t := codec.MessageType(i); t.FromClient() {
			counter(messagesDesc, n, t.String())
		}
	}
	for i, n := range statuses {
		if i != obsoleteStatus {
			counter(statusesDesc, n, codec.Status(i).String())
		}
	}
	counter(offloadDesc, offloaded)
	held := l.book.View().Counts()
	gauge(leasesDesc, float64(held.Addresses), lease.Address.String(), lease.Bound.String())
	gauge(leasesDesc, float64(held.Prefixes), lease.Prefix.String(), lease.Bound.String())
	gauge(leasesDesc, float64(held.Registrations), lease.Registration.String(), lease.Bound.String())
	gauge(leasesDesc, float64(held.Declined), lease.Address.String(), lease.Declined.String())
}

// exhausted tells of every network that DHCPv6 serves, so that an alarm can be
// made of what changes.
func (c collector) exhausted(gauge func(*prometheus.Desc, float64, ...string), snap *topology.Snapshot) {
	if snap == nil {
		return
	}
	for _, n := range snap.Networks {
		if n.DHCPv6 == nil {
			continue
		}
		var addresses, prefixes float64
		for _, p := range c.a.leases.told.exhausted.of(n.Name) {
			if p.subnet.IsValid() {
				addresses++
			} else {
				prefixes++
			}
		}
		gauge(poolsDesc, addresses, n.Name, lease.Address.String())
		gauge(poolsDesc, prefixes, n.Name, lease.Prefix.String())
	}
}

// listeners tells who listens to multicast groups.
func (c collector) listeners(counter func(*prometheus.Desc, uint64, ...string), gauge func(*prometheus.Desc, float64, ...string)) {
	l := c.a.leases.listeners
	for kind := range multicast.Kinds {
		counter(mcastDesc, l.counts[kind].Load(), kind.String())
	}
	for network, s := range l.table.View().Networks() {
		listeners, querying := 0, 0.0
		for i := range s.Groups {
			listeners += len(s.Groups[i].Ports)
		}
		if s.Querying {
			querying = 1
		}
		gauge(groupsDesc, float64(len(s.Groups)), network)
		gauge(listensDesc, float64(listeners), network)
		gauge(mrouterDesc, float64(len(s.Routers)), network)
		gauge(querierDesc, querying, network)
	}
}

// learned tells what was learned of addresses.
func (c collector) learned(counter func(*prometheus.Desc, uint64, ...string), gauge func(*prometheus.Desc, float64, ...string), snap *topology.Snapshot) {
	counts := &c.a.leases.learned.counts
	for kind := binding.Learned; kind <= binding.Conflict; kind++ {
		counter(learnDesc, counts[kind].Load(), kind.String())
	}
	if snap == nil {
		return
	}
	for _, p := range snap.Ports {
		if p.Secured {
			gauge(learnedDesc, float64(len(p.Learned)), p.Name)
		}
	}
}

func (c collector) latency(out chan<- prometheus.Metric) {
	for lane := range lanes {
		l := c.a.stats.Latency(lane)
		buckets, total := map[float64]uint64{}, uint64(0)
		for i, n := range l.Buckets {
			total += n
			if bound := l.Bound(i); bound > 0 {
				buckets[bound.Seconds()] = total
			}
		}
		out <- prometheus.MustNewConstHistogram(puntDesc, total, l.Sum.Seconds(), buckets, laneName(lane))
	}
}

// laneName names a lane of the pipeline in metrics.
func laneName(n int) string {
	if n == portLane {
		return "port"
	}
	return strconv.Itoa(n)
}

// bridge reads what only the switch counts: the work of flows and meters.
func (c collector) bridge(counter func(*prometheus.Desc, uint64, ...string), snap *topology.Snapshot) {
	conn := c.a.connection()
	if conn == nil || snap == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	if stats, err := conn.FlowStats(ctx, flows.Owner, flows.OwnerMask); err == nil {
		byRole := map[flows.Role]uint64{}
		for _, f := range stats {
			if f.Table != flows.TableDropped { // counts by port what others dropped
				byRole[f.Cookie.Role()] += f.Packets
			}
		}
		for role, n := range byRole {
			if role.Counted() {
				counter(flowDesc, n, role.String())
			}
		}
	}
	if meters, err := conn.MeterStats(ctx); err == nil {
		for _, m := range meters {
			if m.Dropped == 0 || !c.a.ids.OwnMeter(m.ID) {
				continue
			}
			id := m.ID - c.a.ids.FirstMeter
			p := snap.Port(uint16(id / punt.MeterSlots))
			if p != nil {
				counter(meterDesc, m.Dropped, p.Name, punt.MeterName(uint8(id%punt.MeterSlots)))
			}
		}
	}
}
