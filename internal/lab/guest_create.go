package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// AddGuest makes a guest and waits until its port is part of the bridge; only
// then does the guest's link go up, so that nothing of it is lost.
func (l *Lab) AddGuest(o GuestOptions) (*Guest, error) {
	g, err := l.newGuest(o)
	if err != nil {
		return nil, fmt.Errorf("guest %q: %w", o.Name, err)
	}
	if err := g.create(o); err != nil {
		return nil, errors.Join(fmt.Errorf("guest %q: %w", o.Name, err), g.Remove())
	}
	return g, nil
}

// newGuest checks the options and registers the guest, so that Close removes
// what create makes.
func (l *Lab) newGuest(o GuestOptions) (*Guest, error) {
	if o.Name == "" || len(o.Name) >= unix.IFNAMSIZ || strings.ContainsAny(o.Name, "/ \t\n") {
		return nil, errors.New("its name must be 1 to 15 octets, without blanks and slashes, to name an interface")
	}
	if o.Bridge == "" {
		return nil, errors.New("it needs a bridge")
	}
	switch o.AddrGen {
	case "", EUI64, StablePrivacy:
	default:
		return nil, fmt.Errorf("AddrGen %q is neither %s nor %s", o.AddrGen, EUI64, StablePrivacy)
	}
	sum := sha256.Sum256([]byte(o.Name))
	mac := net.HardwareAddr{0x02, sum[0], sum[1], sum[2], sum[3], sum[4]}
	if o.MAC != "" {
		parsed, err := net.ParseMAC(o.MAC)
		if err != nil || len(parsed) != 6 {
			return nil, fmt.Errorf("MAC %q is not an Ethernet address", o.MAC)
		}
		mac = parsed
	}
	g := &Guest{Name: o.Name, Namespace: l.Namespace + "-" + o.Name, MAC: mac, lab: l, addresses: o.Addresses}
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.ContainsFunc(l.guests, func(other *Guest) bool { return other.Name == o.Name }) {
		return nil, errors.New("the lab has one of that name")
	}
	l.guests = append(l.guests, g)
	return g, nil
}

// create makes namespace, link and port. The sysctls come before the link is
// up: the kernel makes the link-local address and sends its first frames then.
func (g *Guest) create(o GuestOptions) error {
	mtu := o.MTU
	if mtu == 0 {
		mtu = 1500
	}
	// The namespace is made from a thread in the lab's, not by `ip -n`: that
	// would keep the new name in a mount namespace of its own.
	err := within(g.lab.Namespace, func() error {
		lines := fmt.Sprintf("netns add %s\nlink add %s mtu %d type veth peer name eth0 address %s mtu %d netns %s\n",
			g.Namespace, g.Name, mtu, g.MAC, mtu, g.Namespace)
		if _, err := run(context.Background(), nil, lines, "ip", "-batch", "-"); err != nil {
			return err
		}
		return g.prepareHostEnd(o)
	})
	if err != nil {
		return err
	}
	if err := within(g.Namespace, func() error { return prepareGuestEnd(o) }); err != nil {
		return err
	}
	if err := g.addPort(o); err != nil || o.Down {
		return err
	}
	return g.Up()
}

// prepareHostEnd makes the lab's end of the veth silent and brings it up.
func (g *Guest) prepareHostEnd(o GuestOptions) error {
	if err := setSysctl("net.ipv6.conf."+g.Name+".disable_ipv6", "1"); err != nil {
		return err
	}
	if err := offloads(g.Name, o.Offloads); err != nil {
		return err
	}
	_, err := run(context.Background(), nil, "", "ip", "link", "set", g.Name, "up")
	return err
}

// carried waits until frames leave by a link whose other end came up behind it: the
// kernel sees to its carrier when it finds the time, and drops them until then.
func carried(namespace, device string) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	return Eventually(ctx, func() error {
		out, err := run(ctx, nil, "", "ip", "-n", namespace, "-o", "link", "show", device)
		if err == nil && !strings.Contains(out, " state UP ") {
			err = fmt.Errorf("%s has no carrier: %s", device, out)
		}
		return err
	})
}

// prepareGuestEnd sets the kernel parameters of eth0.
func prepareGuestEnd(o GuestOptions) error {
	if err := offloads("eth0", o.Offloads); err != nil {
		return err
	}
	const eth0 = "net.ipv6.conf.eth0."
	set := [][2]string{
		{"net.ipv6.conf.all.forwarding", "0"},
		{eth0 + "forwarding", "0"},
		{eth0 + "accept_ra", "1"},
		{eth0 + "autoconf", "1"},
		{eth0 + "accept_dad", "1"},
		{eth0 + "addr_gen_mode", "0"},
	}
	if o.AddrGen == StablePrivacy {
		secret := sha256.Sum256([]byte(o.Name))
		set = append(set, [2]string{eth0 + "stable_secret", netip.AddrFrom16([16]byte(secret[:16])).StringExpanded()},
			[2]string{eth0 + "addr_gen_mode", "2"})
	}
	if o.OptimisticDAD {
		set = append(set, [2]string{eth0 + "optimistic_dad", "1"})
	}
	temporary := "0"
	if o.PrivacyExtensions {
		temporary = "2"
	}
	set = append(set, [2]string{eth0 + "use_tempaddr", temporary})
	for _, key := range slices.Sorted(maps.Keys(o.Sysctls)) {
		set = append(set, [2]string{key, o.Sysctls[key]})
	}
	for _, s := range set {
		if err := setSysctl(s[0], s[1]); err != nil {
			return err
		}
	}
	return nil
}

// offloads turns an interface's offloads off, unless they are to be kept. A
// guest with them on sends UDP with only the pseudo-header's sum in it, and
// frames longer than the MTU.
func offloads(device string, keep bool) error {
	if keep {
		return nil
	}
	_, err := run(context.Background(), nil, "", "ethtool", "-K", device,
		"tx", "off", "rx", "off", "sg", "off", "tso", "off", "gso", "off", "gro", "off", "txvlan", "off", "rxvlan", "off")
	return err
}

// addPort adds the host's end to the bridge.
func (g *Guest) addPort(o GuestOptions) error {
	ids := map[string]string{}
	if !o.NoIfaceID {
		ids["iface-id"] = g.Name
	}
	maps.Copy(ids, o.ExternalIDs)
	args := []string{"add-port", o.Bridge, g.Name}
	if len(ids) > 0 {
		args = append(args, "--", "set", "Interface", g.Name)
	}
	for _, k := range slices.Sorted(maps.Keys(ids)) {
		// Quoted twice: a MAC holds colons, which OVSDB would take for more.
		args = append(args, fmt.Sprintf("external_ids:%s=%q", k, ids[k]))
	}
	if _, err := g.lab.Vsctl(args...); err != nil {
		return err
	}
	port, err := g.lab.OFPort(g.Name)
	g.OFPort = port
	return err
}

// setSysctl sets a kernel parameter in the namespace of the calling thread.
func setSysctl(key, value string) error {
	path := filepath.Join("/proc/sys", strings.ReplaceAll(key, ".", "/"))
	if err := os.WriteFile(path, []byte(value), 0); err != nil {
		return fmt.Errorf("sysctl %s=%s: %w", key, value, err)
	}
	return nil
}
