package agent

import (
	"context"
	"slices"
	"time"

	"damselfly/internal/conntrack"
	"damselfly/internal/topology"
	"damselfly/internal/unixctl"
)

// flushTime is how long ovs-vswitchd may take to list and end connections.
const flushTime = 10 * time.Second

// connections ends what the rules no longer allow. The flows judge the direction
// that began a connection each time; only replies ride on its state, and they
// must not go on when their connection may not.
type connections struct {
	a *Agent
	// due holds the latest work, replaced by newer.
	due chan flush
	// judged is the snapshot that all connections were judged by; the part's own.
	judged *topology.Snapshot
	// runDir is where ovs-vswitchd's sockets are.
	runDir string
}

// flush is a snapshot whose flows are in.
type flush struct{ snap *topology.Snapshot }

func newConnections(a *Agent, runDir string) *connections {
	return &connections{a: a, due: make(chan flush, 1), runDir: runDir}
}

// installed hands over a snapshot whose flows the bridge holds. It never waits;
// it is for one goroutine.
func (c *connections) installed(snap *topology.Snapshot) {
	select {
	case <-c.due:
	default:
	}
	c.due <- flush{snap}
}

// run judges connections whenever rules or members changed, until ctx ends. What
// failed is tried again.
func (c *connections) run(ctx context.Context) error {
	var retry <-chan time.Time
	var last flush
	for {
		select {
		case <-ctx.Done():
			return nil
		case last = <-c.due:
		case <-retry:
		}
		retry = nil
		if c.judged == last.snap {
			continue
		}
		if err := c.judge(ctx, last.snap); err != nil {
			if ctx.Err() == nil {
				c.a.log.Warn("connections that changed rules forbid could not be ended; trying again", "error", err)
			}
			retry = time.After(time.Second)
			continue
		}
		c.judged = last.snap
	}
}

// judge ends the connections that the snapshot's rules do not allow, of the
// ports for which that can differ from what was judged last.
func (c *connections) judge(ctx context.Context, snap *topology.Snapshot) error {
	changed, gone := c.changed(snap)
	left, floated := c.left(snap), c.floated(snap)
	if len(changed)+len(gone)+len(left)+len(floated) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	path, err := unixctl.Find(c.runDir)
	if err != nil {
		return err
	}
	conn, err := unixctl.Dial(ctx, path)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, key := range gone {
		if err := conntrack.EndAll(ctx, conn, key); err != nil {
			return err
		}
	}
	for key, addrs := range left {
		if err := endOf(ctx, conn, key, addrs, nil); err != nil {
			return err
		}
	}
	for key, ways := range floated {
		if err := endOf(ctx, conn, key, nil, ways); err != nil {
			return err
		}
	}
	ended := 0
	for _, p := range changed {
		list, err := conntrack.List(ctx, conn, p.Key)
		if err != nil {
			return err
		}
		for _, e := range list {
			// A TCP connection is ended by the flows with its next segment, and
			// stays known as ended (see flows.TableEgressVerdict).
			if e.Original.Protocol == topology.ProtocolTCP || allows(snap, p, e.Original) {
				continue
			}
			if err := conntrack.End(ctx, conn, e); err != nil {
				return err
			}
			ended++
		}
	}
	if ended > 0 {
		c.a.log.Info("connections ended that the rules no longer allow", "connections", ended, "ports", len(changed))
	}
	return nil
}

// changed are the ports whose connections may have to end, and the keys of those
// that had a filter and are gone: a key can be given anew.
func (c *connections) changed(snap *topology.Snapshot) (changed []*topology.Port, gone []uint16) {
	members := c.judged == nil || c.judged.Remotes != snap.Remotes
	for _, p := range snap.Ports {
		if p.Filter == nil || p.Filter.Stateless {
			continue
		}
		var before *topology.Port
		if c.judged != nil {
			before = c.judged.Port(p.Key)
		}
		same := before != nil && before.Filter != nil && slices.Equal(before.Filter.Groups, p.Filter.Groups)
		if !same || members && asksMembers(p.Filter) {
			changed = append(changed, p)
		}
	}
	if c.judged != nil {
		for _, p := range c.judged.Ports {
			if now := snap.Port(p.Key); p.Filter != nil && (now == nil || now.Name != p.Name) {
				gone = append(gone, p.Key)
			}
		}
	}
	return changed, gone
}

// asksMembers reports whether who is a member of a group matters to a filter.
func asksMembers(f *topology.Filter) bool {
	for _, g := range f.Groups {
		for i := range g.Rules {
			if g.Rules[i].RemoteGroup != "" {
				return true
			}
		}
	}
	return false
}

// allows reports whether a port's rules would let a connection begin. Where its
// addresses do not tell which end is the port's, either will do: the flows
// judge the direction that began it anyway.
func allows(snap *topology.Snapshot, p *topology.Port, t conntrack.Tuple) bool {
	at := topology.Attempt{Network: p.Network.Key, Router: snap.Network(p.Network.Key).RouterID(), Protocol: t.Protocol, Port: t.DestinationPort, Type: t.Type, Code: t.Code}
	out, in := at, at
	out.Direction, out.Remote = topology.Egress, t.Destination
	in.Direction, in.Remote = topology.Ingress, t.Source
	verdict := func(a topology.Attempt) bool {
		v, _ := p.Filter.Judge(snap.Remotes, a)
		return v == topology.Allowed
	}
	switch {
	case p.Holds(t.Source):
		return verdict(out)
	case p.Holds(t.Destination):
		return verdict(in)
	}
	return verdict(out) || verdict(in)
}
