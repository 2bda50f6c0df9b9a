package annex

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"damselfly/internal/pulse"
)

// Config is what an Annex serves.
type Config struct {
	// Addresses are where the listener is reached, of both families.
	Addresses []netip.Addr
	// Port is the TCP port.
	Port uint16
}

// Counts are what an Annex has carried and dropped.
type Counts struct {
	// In and Out are packets to the stack and from it.
	In, Out uint64
	// Malformed, Foreign are frames from the switch that were dropped: no TCP
	// packet as it should be; to an address or port that is not served. Unsent
	// could not be written, either way.
	Malformed, Foreign, Unsent uint64
	// Stray are packets of the stack that are no answers, and were dropped.
	Stray uint64
}

// Annex is an open port of the bridge with its stack.
type Annex struct {
	config   Config
	listener net.Listener
	port     *os.File // the tap on the bridge
	tunnel   *os.File // the device in the namespace
	carried  sync.WaitGroup
	done     chan struct{} // closed when either direction has ended

	in, out, malformed, foreign, unsent, stray atomic.Uint64
}

// Open opens the port of that name in the current network namespace, making the
// device first if it is missing, and the stack behind it. It needs CAP_NET_ADMIN.
// pulse.ErrHeld: another process has it open.
func Open(name string, c Config) (*Annex, error) {
	tunnel, listener, err := newStack(c)
	if err != nil {
		return nil, err
	}
	port, err := pulse.Hold(name)
	if err != nil {
		return nil, errors.Join(err, tunnel.Close(), listener.Close())
	}
	a := &Annex{config: c, listener: listener, port: port, tunnel: tunnel, done: make(chan struct{})}
	var once sync.Once
	for _, direction := range []func(){a.carryIn, a.carryOut} {
		a.carried.Go(func() {
			direction()
			once.Do(func() { close(a.done) })
		})
	}
	return a, nil
}

// Name is the port's device name for a bridge.
func Name(bridge string) string { return pulse.NameWith("dfm-", bridge) }

// Listener takes the connections that come by the port. Their remote address is
// as the switch made it, and nobody else reaches it. Close closes it.
func (a *Annex) Listener() net.Listener { return a.listener }

// Done is closed once nothing is carried any more: by Close, or because somebody
// removed the device. Close it then, and open another.
func (a *Annex) Done() <-chan struct{} { return a.done }

// Counts returns what was carried so far.
func (a *Annex) Counts() Counts {
	return Counts{
		In: a.in.Load(), Out: a.out.Load(), Malformed: a.malformed.Load(), Foreign: a.foreign.Load(),
		Unsent: a.unsent.Load(), Stray: a.stray.Load(),
	}
}

// Close lets the port's carrier fall, leaves the device in place and removes the
// stack. It returns when nothing is carried any more.
func (a *Annex) Close() error {
	err := errors.Join(a.port.Close(), a.tunnel.Close())
	if closed := a.listener.Close(); !errors.Is(closed, net.ErrClosed) {
		err = errors.Join(err, closed)
	}
	a.carried.Wait()
	if err != nil {
		return fmt.Errorf("closing the port: %w", err)
	}
	return nil
}
