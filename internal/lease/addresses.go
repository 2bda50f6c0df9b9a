package lease

import (
	"net/netip"
	"sync"
)

// mostFollowed is how many addresses of one port are told by View.Held. Behind a
// port that holds more stand clients of a relay, whose number has no bound.
const mostFollowed = 1024

// addresses are those leased to each port, for who binds ports to what they hold.
type addresses struct {
	mu    sync.Mutex
	ports map[string]*portAddresses // guarded by mu
	moved map[string]bool           // guarded by mu
}

// portAddresses are one port's. A port that held too many is followed again
// once it holds none.
type portAddresses struct {
	count int
	at    map[HeldAddress]bool // nil for too many
}

// HeldAddress is an address that DHCPv6 gave on a network.
type HeldAddress struct {
	Network string // name
	Addr    netip.Addr
}

func newAddresses() *addresses {
	return &addresses{ports: map[string]*portAddresses{}, moved: map[string]bool{}}
}

// change enters or withdraws an entry's address; what was registered is its
// guest's by another right, and what was declined is nobody's.
func (a *addresses) change(c *client, e *entry, bound bool) {
	if e.kind != Address || e.state != Bound {
		return
	}
	at := HeldAddress{Network: e.net.name, Addr: netip.AddrFrom16(e.addr)}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.moved[c.port.name] = true
	p := a.ports[c.port.name]
	if p == nil {
		p = &portAddresses{at: map[HeldAddress]bool{}}
		a.ports[c.port.name] = p
	}
	if bound {
		if p.count++; p.count > mostFollowed {
			p.at = nil
		} else if p.at != nil {
			p.at[at] = true
		}
		return
	}
	if p.count--; p.count == 0 {
		delete(a.ports, c.port.name)
		return
	}
	delete(p.at, at)
}

// Held calls fn with every address that is leased to each port, in no order,
// but for those of ports that hold more than anybody but a relay does. One that
// has ended counts until it is swept.
func (v *View) Held(fn func(port string, a HeldAddress)) {
	v.addresses.mu.Lock()
	defer v.addresses.mu.Unlock()
	for name, p := range v.addresses.ports {
		for a := range p.at {
			fn(name, a)
		}
	}
}

// Moved returns the ports whose addresses changed since it was last asked.
func (v *View) Moved() []string {
	v.addresses.mu.Lock()
	defer v.addresses.mu.Unlock()
	list := make([]string, 0, len(v.addresses.moved))
	for name := range v.addresses.moved {
		list = append(list, name)
	}
	clear(v.addresses.moved)
	return list
}
