package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/sys/unix"
)

// Crowd is many interfaces in one network namespace, each the other end of a port
// of one bridge. Nobody's kernel speaks at them: packet sockets do. A hundred cost
// little more than one Guest.
type Crowd struct {
	Namespace string
	Members   []Member
}

// Member is one of a Crowd.
type Member struct {
	Name   string // of the port, and of the interface at both ends
	MAC    net.HardwareAddr
	Index  int    // of the interface in the crowd's namespace
	OFPort uint32 // its OpenFlow port number when it was added
}

// AddCrowd makes ports of a bridge, each with a MAC, named name0, name1 and so on;
// so are their Interfaces' external_ids:iface-id.
func (l *Lab) AddCrowd(name, bridge string, macs ...net.HardwareAddr) (*Crowd, error) {
	g := &Guest{Name: name, Namespace: l.Namespace + "-" + name, lab: l}
	if longest := fmt.Sprint(name, len(macs)-1); name == "" || len(longest) >= unix.IFNAMSIZ {
		return nil, fmt.Errorf("crowd %q: %s is no name of an interface", name, longest)
	}
	l.mu.Lock()
	l.guests = append(l.guests, g) // Close removes it
	l.mu.Unlock()
	c := &Crowd{Namespace: g.Namespace}
	if err := l.createCrowd(c, name, bridge, macs); err != nil {
		l.forget(g)
		return nil, errors.Join(fmt.Errorf("crowd %q: %w", name, err), removeNamespace(c.Namespace))
	}
	return c, nil
}

func (l *Lab) createCrowd(c *Crowd, name, bridge string, macs []net.HardwareAddr) error {
	lines := fmt.Sprintf("netns add %s\n", c.Namespace)
	var vsctl []string
	for i, mac := range macs {
		m := Member{Name: fmt.Sprint(name, i), MAC: mac}
		c.Members = append(c.Members, m)
		lines += fmt.Sprintf("link add %[1]s type veth peer name %[1]s address %[2]s netns %[3]s\n", m.Name, mac, c.Namespace)
		vsctl = append(vsctl, "--", "add-port", bridge, m.Name, "--", "set", "Interface", m.Name, "external_ids:iface-id="+m.Name)
	}
	batch := func(lines string) error {
		_, err := run(context.Background(), nil, lines, "ip", "-batch", "-")
		return err
	}
	if err := within(l.Namespace, func() error { return batch(lines) }); err != nil {
		return err
	}
	for _, namespace := range []string{c.Namespace, l.Namespace} {
		if err := within(namespace, func() error { return silence(c.Members, batch) }); err != nil {
			return err
		}
	}
	for _, m := range c.Members {
		if err := carried(c.Namespace, m.Name); err != nil {
			return err
		}
	}
	if _, err := l.Vsctl(vsctl...); err != nil {
		return err
	}
	return c.number(l)
}

// silence brings the members' ends in the namespace of this thread up, without a
// word of the kernel's.
func silence(members []Member, batch func(lines string) error) error {
	var lines strings.Builder
	for _, m := range members {
		if err := setSysctl("net.ipv6.conf."+m.Name+".disable_ipv6", "1"); err != nil {
			return err
		}
		fmt.Fprintf(&lines, "link set %s up\n", m.Name)
	}
	return batch(lines.String())
}

// number finds the numbers of interfaces and ports.
func (c *Crowd) number(l *Lab) error {
	err := within(c.Namespace, func() error {
		for i := range c.Members {
			ifi, err := net.InterfaceByName(c.Members[i].Name)
			if err != nil {
				return err
			}
			c.Members[i].Index = ifi.Index
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range c.Members {
		if c.Members[i].OFPort, err = l.OFPort(c.Members[i].Name); err != nil {
			return err
		}
	}
	return nil
}

// Within calls f on a thread in the crowd's namespace.
func (c *Crowd) Within(f func() error) error { return within(c.Namespace, f) }
