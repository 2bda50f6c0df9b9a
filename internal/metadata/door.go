package metadata

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"damselfly/internal/topology"
)

// Beyond crowded connections, one port after the other, each has few.
const (
	crowded = 4096
	few     = 2
)

// door counts the connections of each port.
type door struct {
	snapshot func() *topology.Snapshot

	mu    sync.Mutex
	open  int                // guarded by mu
	ports map[uint16]*visits // guarded by mu; by key
}

// visits are what a port does at the door and behind. All is guarded by the
// door's mu.
type visits struct {
	open             int
	refused, limited uint64
	requests         map[int]uint64 // by status
	last             time.Time
	// tokens are how many requests it may make now, as of filled.
	tokens float64
	filled time.Time
}

// of returns the visits of a port. The caller holds mu.
func (d *door) of(key uint16) *visits {
	v := d.ports[key]
	if v == nil {
		v = &visits{requests: map[int]uint64{}, tokens: -1}
		d.ports[key] = v
	}
	return v
}

// at is a listener whose connections are counted.
func (d *door) at(l net.Listener) net.Listener { return &counted{l, d} }

type counted struct {
	net.Listener
	door *door
}

// Accept implements net.Listener. What is over the bound of its port ends here,
// with a reset, so that nothing is kept of it.
func (l *counted) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		remote, err := netip.ParseAddrPort(c.RemoteAddr().String())
		if key, ok := topology.CallerKey(remote.Addr()); err == nil && ok && l.door.enter(key) {
			return &visitor{Conn: c, leave: sync.OnceFunc(func() { l.door.leave(key) })}, nil
		}
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // it is closed in any case
		}
		c.Close()
	}
}

// enter takes a connection of a port in, if it may.
func (d *door) enter(key uint16) bool {
	most := 0
	if s := d.snapshot(); s != nil {
		if p := s.Port(key); p != nil {
			most = p.MaxConnections
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.of(key)
	if most != topology.UnlimitedConnections && v.open >= most || d.open >= crowded && v.open >= few {
		v.refused++
		return false
	}
	v.open++
	d.open++
	return true
}

func (d *door) leave(key uint16) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.of(key).open--
	d.open--
}

// ask takes a request of a port, if its limit lets it.
func (d *door) ask(key uint16, l topology.Limit, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.of(key)
	v.last = now
	if l == topology.Unlimited {
		return true
	}
	if v.tokens < 0 {
		v.tokens = float64(l.Burst)
	} else {
		v.tokens = min(float64(l.Burst), v.tokens+now.Sub(v.filled).Seconds()*float64(l.Rate))
	}
	v.filled = now
	if v.tokens < 1 {
		v.limited++
		return false
	}
	v.tokens--
	return true
}

// answered counts a request by how it ended.
func (d *door) answered(key uint16, status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.of(key).requests[status]++
}

// visitor is a connection that is counted until it is closed.
type visitor struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *visitor) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
