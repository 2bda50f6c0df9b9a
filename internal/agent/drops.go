package agent

import (
	"context"
	"maps"
	"sync"

	"damselfly/flows"
	"damselfly/handlers"
	"damselfly/handlers/reason"
	"damselfly/internal/openflow"
	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// drops counts what the switch dropped, by port and by what for.
//
// Flows that drop for all ports alike count by role; behind them every port has
// one flow that counts all of its drops. Once a port's count rises, the roles
// that rose with it get a counter of the port's own, so that every later frame
// is told apart by the switch itself. What came before is told apart here, if
// only one port or one role can be meant; otherwise it stays unsorted.
type drops struct {
	mu   sync.Mutex
	told map[drop]uint64 // guarded by mu; all that is known
	last reading         // guarded by mu
	// waitPort and waitRole are what was counted and is not told apart yet.
	waitPort map[uint16]uint64      // guarded by mu
	waitRole map[flows.Role]uint64  // guarded by mu
	uneven   bool                   // guarded by mu; they did not add up at the last look
	looked   bool                   // guarded by mu; there was an update
	apart    map[uint16]flows.Roles // guarded by mu; counters to be made
}

// drop is a port's key and what its frames were dropped for.
type drop struct {
	port uint16
	why  string
}

// cell is a port's key and a role.
type cell struct {
	port uint16
	role flows.Role
}

// reading is what the switch's counters say at one moment.
type reading struct {
	unsorted map[uint16]uint64
	own      map[cell]uint64 // drops that say themselves whose they are
	counted  map[cell]uint64 // drops told apart by the table that counts
	shared   map[flows.Role]uint64
	limits   map[drop]uint64 // what meters dropped
}

func newDrops() *drops {
	return &drops{
		told: map[drop]uint64{}, last: read(nil),
		waitPort: map[uint16]uint64{}, waitRole: map[flows.Role]uint64{}, apart: map[uint16]flows.Roles{},
	}
}

// read sorts the counters of flows.
func read(stats []openflow.FlowStat) reading {
	r := reading{
		unsorted: map[uint16]uint64{}, own: map[cell]uint64{}, counted: map[cell]uint64{},
		shared: map[flows.Role]uint64{}, limits: map[drop]uint64{},
	}
	for _, f := range stats {
		role, port := f.Cookie.Role(), uint16(f.Cookie.Object())
		switch {
		case !role.Drop():
		case f.Table == flows.TableDropped && role == flows.RoleDropUnsorted:
			r.unsorted[port] += f.Packets
		case f.Table == flows.TableDropped:
			r.counted[cell{port, role}] += f.Packets
		case port != 0:
			r.own[cell{port, role}] += f.Packets
		default:
			r.shared[role] += f.Packets
		}
	}
	return r
}

// addMeters adds what the ports' limits dropped.
func (r *reading) addMeters(stats []openflow.MeterStat, firstMeter uint32) {
	for _, m := range stats {
		if id := m.ID - firstMeter; m.Dropped > 0 && id/punt.MeterSlots <= punt.MaxKey {
			r.limits[drop{uint16(id / punt.MeterSlots), "limit-" + punt.MeterName(uint8(id%punt.MeterSlots))}] += m.Dropped
		}
	}
}

// grown yields by how much counters rose. One that fell, because a flow or the
// whole switch went away, counts on from where it is.
func grown[K comparable](before, now map[K]uint64, yield func(K, uint64)) {
	for k, n := range now {
		if n > before[k] {
			yield(k, n-before[k])
		}
	}
}

// risen reports whether ports dropped frames since the last update that nobody
// has told apart, by the counters of the table that counts.
func (d *drops) risen(counting []openflow.FlowStat) (found bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	grown(d.last.unsorted, read(counting).unsorted, func(uint16, uint64) { found = true })
	return found || len(d.apart) > 0 || !d.looked
}

// update takes in what all of the switch's counters say now.
func (d *drops) update(now reading) {
	d.mu.Lock()
	defer d.mu.Unlock()
	grown(d.last.own, now.own, func(c cell, n uint64) { d.told[drop{c.port, c.role.String()}] += n })
	grown(d.last.limits, now.limits, func(w drop, n uint64) { d.told[w] += n })
	shared := map[flows.Role]uint64{}
	grown(d.last.shared, now.shared, func(r flows.Role, n uint64) { shared[r] = n })
	grown(d.last.counted, now.counted, func(c cell, n uint64) {
		d.told[drop{c.port, c.role.String()}] += n
		shared[c.role] -= min(n, shared[c.role])
	})
	for r, n := range shared {
		if n > 0 {
			d.waitRole[r] += n
		}
	}
	grown(d.last.unsorted, now.unsorted, func(port uint16, n uint64) { d.waitPort[port] += n })
	d.last = now
	if len(d.waitPort) > 0 {
		d.sortLocked()
	}
	if !d.looked {
		// What was dropped before this process began changes no flow: a restart
		// alone never does.
		d.looked = true
		clear(d.apart)
	}
}

// sortLocked tells apart what waits.
func (d *drops) sortLocked() {
	sum := func(values map[uint16]uint64) (n uint64) {
		for _, v := range values {
			n += v
		}
		return n
	}
	var byRole uint64
	var roles flows.Roles
	for r, n := range d.waitRole {
		byRole += n
		roles = roles.And(flows.RolesOf(r))
	}
	for port := range d.waitPort {
		if port != 0 && len(d.waitRole) > 0 {
			d.apart[port] = d.apart[port].And(roles)
		}
	}
	// The counters of one moment are read one after the other: what does not add
	// up may do so at the next look.
	if even := byRole == sum(d.waitPort); !even && !d.uneven {
		d.uneven = true
		return
	} else if even && (len(d.waitPort) == 1 || len(d.waitRole) == 1) {
		for port, n := range d.waitPort {
			for role, m := range d.waitRole {
				d.told[drop{port, role.String()}] += min(n, m)
			}
		}
	} else {
		for port, n := range d.waitPort {
			d.told[drop{port, flows.RoleDropUnsorted.String()}] += n
		}
	}
	d.uneven = false
	clear(d.waitPort)
	clear(d.waitRole)
}

// take returns the counters that are to be made and forgets them.
func (d *drops) take() map[uint16]flows.Roles {
	d.mu.Lock()
	defer d.mu.Unlock()
	apart := d.apart
	d.apart = map[uint16]flows.Roles{}
	return apart
}

// forget drops what is known of ports that are not there any more: their keys
// will be others'.
func (d *drops) forget(s *topology.Snapshot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.told, func(w drop, _ uint64) bool { return s.Port(w.port) == nil })
}

// byPort returns what is known, by port and reason. What is not told apart yet is
// unsorted.
func (d *drops) byPort() map[uint16]map[string]uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[uint16]map[string]uint64{}
	add := func(port uint16, why string, n uint64) {
		if out[port] == nil {
			out[port] = map[string]uint64{}
		}
		out[port][why] += n
	}
	for w, n := range d.told {
		add(w.port, w.why, n)
	}
	for port, n := range d.waitPort {
		add(port, flows.RoleDropUnsorted.String(), n)
	}
	return out
}

// readDrops asks the switch for all counters of drops.
func (a *Agent) readDrops(ctx context.Context) {
	conn, snap := a.connection(), a.snapshot.Load()
	if conn == nil || snap == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, scrapeTime)
	defer cancel()
	stats, err := conn.FlowStats(ctx, flows.Owner, flows.OwnerMask)
	if err != nil {
		return // the connection's own watch sees to it
	}
	now := read(stats)
	if meters, err := conn.MeterStats(ctx); err == nil {
		now.addMeters(meters, a.ids.FirstMeter)
	}
	a.drops.update(now)
	a.drops.forget(snap)
}

// countApart gives drops that ports were found to have a counter each, and
// reports whether the bridge is to be changed for that.
func (a *Agent) countApart(ctx context.Context) (changed bool) {
	conn := a.connection()
	if conn == nil || a.state.conn != conn || a.state.installer == nil {
		return false
	}
	asking, cancel := context.WithTimeout(ctx, checkInterval)
	defer cancel()
	counting, err := conn.TableStats(asking, flows.TableDropped, flows.Owner, flows.OwnerMask)
	if err != nil || !a.drops.risen(counting) {
		return false
	}
	a.readDrops(ctx)
	for port, roles := range a.drops.take() {
		if a.state.installer.CountApart(port, roles) {
			changed = true
		}
	}
	return changed
}

// dropsOf joins the frames of a port that the switch dropped and those that
// Damselfly did, by what for.
func (a *Agent) dropsOf(p *topology.Port, inSwitch map[string]uint64) map[string]uint64 {
	out := maps.Clone(inSwitch)
	if out == nil {
		out = map[string]uint64{}
	}
	for r := range pipeline.Reason(reason.Count) {
		if n := a.stats.PortCount(p.Key, r); n > 0 && reason.Drops(r) {
			out[handlers.ReasonName(r)] += n
		}
	}
	return out
}
