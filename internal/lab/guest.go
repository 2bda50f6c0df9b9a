package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/mdlayher/packet"
)

// How a guest's kernel makes the interface identifiers of its addresses.
const (
	EUI64         AddrGen = "eui64"          // RFC 4291 appendix A; the kernel's default
	StablePrivacy AddrGen = "stable-privacy" // RFC 7217, with a secret made from the guest's name
)

// AddrGen is EUI64 or StablePrivacy; empty is EUI64.
type AddrGen string

// GuestOptions say what a guest is like. Only Name and Bridge are needed; the
// rest is a Linux host that does Duplicate Address Detection, solicits routers
// and does not forward, with the offloads of its interface off.
type GuestOptions struct {
	Name   string // of the port too, and of its interface in the lab: up to 15 octets
	Bridge string

	MAC     string  // empty: a locally administered one made from Name
	AddrGen AddrGen // how it makes its interface identifiers
	MTU     int     // 0: 1500

	OptimisticDAD     bool // RFC 4429
	PrivacyExtensions bool // RFC 8981, temporary addresses preferred
	Offloads          bool // keep the kernel's defaults on both ends (partial checksums, segmentation)

	Sysctls   map[string]string // dotted, as in net.ipv6.conf.eth0.dad_transmits; applied last, before the link is up
	Addresses []netip.Prefix    // static ones, IPv4 and IPv6

	NoIfaceID   bool              // leave external_ids:iface-id out
	ExternalIDs map[string]string // more of the Interface's, such as attached-mac

	Down bool // leave the link down until Up, so that a capture sees its first frame
}

// Guest is a network namespace with one interface, eth0, at a port of the
// lab's Open vSwitch.
type Guest struct {
	Name      string // the port's too
	Namespace string
	MAC       net.HardwareAddr
	OFPort    uint32 // its OpenFlow port number when it was added

	lab       *Lab
	addresses []netip.Prefix

	mu       sync.Mutex
	injector *packet.Conn // guarded by mu; opened by the first Inject
}

// Up brings eth0 up and gives it its static addresses, which the kernel drops
// when the link goes down. When it returns frames pass both ways.
func (g *Guest) Up() error {
	var batch strings.Builder
	batch.WriteString("link set lo up\nlink set eth0 up\n")
	for _, a := range g.addresses {
		fmt.Fprintf(&batch, "addr replace %s dev eth0\n", a)
	}
	if err := g.batch(batch.String()); err != nil {
		return err
	}
	return carried(g.lab.Namespace, g.Name)
}

// Down takes eth0 down.
func (g *Guest) Down() error { return g.batch("link set eth0 down\n") }

// batch runs lines of `ip` in the guest's namespace.
func (g *Guest) batch(lines string) error {
	_, err := run(context.Background(), nil, lines, "ip", "-n", g.Namespace, "-batch", "-")
	return err
}

// Command is a command that will run in the guest's namespace. The lab's Close
// ends it.
func (g *Guest) Command(name string, args ...string) *exec.Cmd {
	return commandWithin(context.Background(), g.Namespace, name, args...)
}

// Run runs a command in the guest and gives its standard output; a failure is
// an error that names guest and command and holds its standard error. One that
// takes longer than a minute is killed.
func (g *Guest) Run(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := commandWithin(ctx, g.Namespace, name, args...)
	cmd.WaitDelay = 10 * time.Second // its children may outlive it
	return output(ctx, cmd, strings.Join(append([]string{"guest", g.Name + ":", name}, args...), " "))
}

// Within calls f on a thread in the guest's namespace: sockets that f opens are
// the guest's. Give a link-local address the number of eth0 as its zone, not
// the name: package net remembers names for all namespaces alike.
func (g *Guest) Within(f func() error) error { return within(g.Namespace, f) }

// Sysctl sets a kernel parameter of the guest, dotted as in
// net.ipv6.conf.eth0.forwarding.
func (g *Guest) Sysctl(key, value string) error {
	return within(g.Namespace, func() error { return setSysctl(key, value) })
}

// Remove takes the guest away: its port, its namespace and the processes in
// it.
func (g *Guest) Remove() error {
	g.lab.forget(g)
	_, portErr := g.lab.Vsctl("--if-exists", "del-port", g.Name)
	// The kernel takes its time over the links of a removed namespace; by
	// itself this one would keep its name occupied for a while.
	linkErr := g.lab.Within(func() error {
		if _, err := net.InterfaceByName(g.Name); err != nil {
			return nil
		}
		_, err := run(context.Background(), nil, "", "ip", "link", "delete", g.Name)
		return err
	})
	return errors.Join(portErr, linkErr, g.remove())
}

func (g *Guest) remove() error {
	g.mu.Lock()
	if g.injector != nil {
		_ = g.injector.Close() // Nothing is buffered in a packet socket that only sends.
		g.injector = nil
	}
	g.mu.Unlock()
	return removeNamespace(g.Namespace)
}

func (l *Lab) forget(g *Guest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, other := range l.guests {
		if other == g {
			l.guests = append(l.guests[:i], l.guests[i+1:]...)
			return
		}
	}
}
