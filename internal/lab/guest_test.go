package lab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

var linkLocal = netip.MustParsePrefix("fe80::/10")

// switchWith is a lab with a learning switch br0 and guests.
func switchWith(t *testing.T, guests ...GuestOptions) (*Lab, []*Guest) {
	t.Helper()
	l := Start(t)
	if err := l.AddBridge("br0"); err != nil {
		t.Fatal(err)
	}
	var all []*Guest
	for _, o := range guests {
		o.Bridge = "br0"
		g, err := l.AddGuest(o)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, g)
	}
	return l, all
}

// isNS says whether a frame is a Neighbor Solicitation, by gopacket.
func isNS(frame []byte) bool {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	return p.Layer(layers.LayerTypeICMPv6NeighborSolicitation) != nil
}

func TestGuestsReachEachOther(t *testing.T) {
	t.Parallel()
	static := netip.MustParsePrefix("fd00:b1::22/64")
	l, guests := switchWith(t,
		GuestOptions{Name: "g1", MAC: "02:00:00:00:00:11", AddrGen: EUI64, Addresses: []netip.Prefix{netip.MustParsePrefix("fd00:b1::11/64"), netip.MustParsePrefix("192.0.2.1/24")}},
		GuestOptions{Name: "g2", AddrGen: StablePrivacy, Addresses: []netip.Prefix{static, netip.MustParsePrefix("192.0.2.2/24")}})
	g1, g2 := guests[0], guests[1]
	ctx := withLimit(t)

	a1, err := g1.WaitAddr(ctx, linkLocal)
	if err != nil {
		t.Fatal(err)
	}
	if want := netip.MustParseAddr("fe80::ff:fe00:11"); a1.Address != want || a1.PrefixLen != 64 || a1.Scope != "link" || a1.Valid != Forever {
		t.Errorf("EUI-64 address is %+v, want %s/64", a1, want)
	}
	a2, err := g2.WaitAddr(ctx, linkLocal)
	if err != nil {
		t.Fatal(err)
	}
	if iid := a2.Address.As16(); iid[11] == 0xff && iid[12] == 0xfe {
		t.Errorf("stable-privacy address %s holds the MAC", a2.Address)
	}
	if _, err := g2.WaitAddr(ctx, static); err != nil {
		t.Fatal(err)
	}
	for _, to := range []netip.Addr{a2.Address, static.Addr(), netip.MustParseAddr("192.0.2.2")} {
		if err := exchange(g1, g2, to); err != nil {
			t.Errorf("g1 to %s at g2: %v", to, err)
		}
	}
	neighbors, err := g1.Neighbors()
	if err != nil {
		t.Fatal(err)
	}
	known := slices.ContainsFunc(neighbors, func(n Neighbor) bool {
		return n.Address == static.Addr() && n.MAC == g2.MAC.String() && !n.Router
	})
	if !known {
		t.Errorf("neighbours are %+v, want %s at %s", neighbors, static.Addr(), g2.MAC)
	}
	routes, err := g1.Routes()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(routes, func(r Route) bool { return r.Destination == "fd00:b1::/64" && r.Device == "eth0" }) {
		t.Errorf("routes are %+v, want fd00:b1::/64 on eth0", routes)
	}
	if err := l.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := exchange(g1, g2, static.Addr()); err != nil {
		t.Errorf("after a restart of Open vSwitch: %v", err)
	}
}

// exchange sends a datagram from one guest's kernel to an address of the
// other's and one back.
func exchange(from, to *Guest, address netip.Addr) error {
	var server, client *net.UDPConn
	err := to.Within(func() (err error) {
		server, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(address.WithZone(zone(address)), 0)))
		return err
	})
	if err != nil {
		return err
	}
	defer server.Close()
	port := server.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	err = from.Within(func() (err error) {
		client, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(address.WithZone(zone(address)), port)))
		return err
	})
	if err != nil {
		return err
	}
	defer client.Close()
	deadline := time.Now().Add(limit)
	if err := errors.Join(server.SetDeadline(deadline), client.SetDeadline(deadline)); err != nil {
		return err
	}
	if _, err := client.Write([]byte("there")); err != nil {
		return err
	}
	buf := make([]byte, 16)
	_, peer, err := server.ReadFromUDPAddrPort(buf)
	if err != nil {
		return err
	}
	if _, err := server.WriteToUDPAddrPort([]byte("back"), peer); err != nil {
		return err
	}
	_, err = client.Read(buf)
	return err
}

// zone is the number of eth0 in the namespace of the calling thread, for a
// link-local address.
func zone(address netip.Addr) string {
	eth0, err := net.InterfaceByName("eth0")
	if err != nil || !address.IsLinkLocalUnicast() || address.Is4() {
		return ""
	}
	return strconv.Itoa(eth0.Index)
}

func TestDuplicateAddressFails(t *testing.T) {
	t.Parallel()
	same := []netip.Prefix{netip.MustParsePrefix("fd00:b1::11/64")}
	_, guests := switchWith(t, GuestOptions{Name: "g1", Addresses: same}, GuestOptions{Name: "g2", Addresses: same, Down: true})
	if _, err := guests[0].WaitAddr(withLimit(t), same[0]); err != nil {
		t.Fatal(err)
	}
	if err := guests[1].Up(); err != nil {
		t.Fatal(err)
	}
	WaitFor(t, limit, "dadfailed", func() error {
		addrs, err := guests[1].Addrs()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(addrs, func(a Addr) bool { return a.Address == same[0].Addr() && a.DADFailed }) {
			return fmt.Errorf("addresses are %+v", addrs)
		}
		return nil
	})
}

func TestGuestOptions(t *testing.T) {
	t.Parallel()
	l, guests := switchWith(t,
		GuestOptions{Name: "plain", MTU: 1442, NoIfaceID: true, Down: true},
		GuestOptions{Name: "odd", OptimisticDAD: true, PrivacyExtensions: true, Offloads: true, ExternalIDs: map[string]string{"attached-mac": "02:00:00:00:00:11"},
			Sysctls: map[string]string{"net.ipv6.conf.eth0.dad_transmits": "0"}, Down: true})
	sysctl := func(g *Guest, name string) string {
		out, err := g.Run("cat", "/proc/sys/net/ipv6/conf/eth0/"+name)
		if err != nil {
			t.Fatal(err)
		}
		return out[:len(out)-1]
	}
	ids := func(g *Guest) string {
		out, err := l.Vsctl("get", "Interface", g.Name, "external_ids")
		if err != nil {
			t.Fatal(err)
		}
		return out[:len(out)-1]
	}
	offload := func(g *Guest) string {
		out, err := g.Run("ethtool", "-k", "eth0")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(out, "tx-checksumming: ")
		value, _, _ := strings.Cut(rest, "\n")
		return value
	}
	type seen struct{ MTU, AcceptRA, Forwarding, Optimistic, Temporary, Transmits, Offload, IDs string }
	want := []seen{
		{"1442", "1", "0", "0", "0", "1", "off", "{}"},
		{"1500", "1", "0", "1", "2", "0", "on", `{attached-mac="02:00:00:00:00:11", iface-id=odd}`},
	}
	for i, g := range guests {
		got := seen{sysctl(g, "mtu"), sysctl(g, "accept_ra"), sysctl(g, "forwarding"), sysctl(g, "optimistic_dad"),
			sysctl(g, "use_tempaddr"), sysctl(g, "dad_transmits"), offload(g), ids(g)}
		if diff := cmp.Diff(want[i], got); diff != "" {
			t.Errorf("guest %s (-want +got):\n%s", g.Name, diff)
		}
		if addrs, err := g.Addrs(); err != nil || len(addrs) > 0 {
			t.Errorf("guest %s, whose link is down, has %v, %v", g.Name, addrs, err)
		}
		if g.OFPort == 0 {
			t.Errorf("guest %s has no port number", g.Name)
		}
	}
	if err := guests[0].Remove(); err != nil {
		t.Fatal(err)
	}
	if out, err := l.Vsctl("list-ports", "br0"); err != nil || out != "odd\n" {
		t.Errorf("ports after the removal: %q, %v", out, err)
	}
}

func TestCaptureSeesBothDirections(t *testing.T) {
	t.Parallel()
	_, guests := switchWith(t, GuestOptions{Name: "g1", Down: true}, GuestOptions{Name: "g2"})
	ctx := withLimit(t)
	g1, g2 := guests[0], guests[1]
	file := filepath.Join(t.TempDir(), "g1.pcap")
	c, err := g1.Capture(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := g1.Up(); err != nil {
		t.Fatal(err)
	}
	probe, err := c.Await(ctx, func(frame []byte) bool { return isNS(frame) && bytes.Equal(frame[6:12], g1.MAC) })
	if err != nil {
		t.Fatal(err)
	}
	if !probe.Sent {
		t.Error("the guest's own probe is taken for one it received")
	}
	// A VLAN tag is what the kernel cuts out of a received frame.
	tagged := slices.Concat(g1.MAC, g2.MAC, []byte{0x81, 0x00, 0x20, 0x64, 0x88, 0xb5}, make([]byte, 46))
	if err := g2.Inject(tagged); err != nil {
		t.Fatal(err)
	}
	got, err := c.Await(ctx, func(frame []byte) bool { return bytes.Equal(frame, tagged) })
	if err != nil {
		t.Fatal(err)
	}
	if got.Sent {
		t.Error("a received frame is taken for one the guest sent")
	}
	if !got.Time.After(probe.Time) {
		t.Errorf("the injected frame came at %v, the probe before it at %v", got.Time, probe.Time)
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Await(ctx, func([]byte) bool { return false }); err == nil || errors.Is(err, ctx.Err()) && ctx.Err() != nil {
		t.Errorf("awaiting after Stop: %v", err)
	}
	if diff := cmp.Diff(framesIn(t, file), dataOf(c.Frames())); diff != "" {
		t.Errorf("file and memory differ (-file +memory):\n%s", diff)
	}
}

func TestCaptureHoldsEverything(t *testing.T) {
	t.Parallel()
	_, guests := switchWith(t, GuestOptions{Name: "g1"}, GuestOptions{Name: "g2"})
	const count = 2000
	mark := []byte{0x88, 0xb5}
	c, err := guests[0].Capture("", func(frame []byte) bool { return bytes.Equal(frame[12:14], mark) })
	if err != nil {
		t.Fatal(err)
	}
	for i := range count {
		frame := slices.Concat(guests[1].MAC, guests[0].MAC, mark, make([]byte, 46))
		binary.BigEndian.PutUint32(frame[14:], uint32(i))
		if err := guests[0].Inject(frame); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	frames := c.Frames()
	if len(frames) != count {
		t.Fatalf("the capture holds %d frames of %d", len(frames), count)
	}
	for i, f := range frames {
		if n := binary.BigEndian.Uint32(f.Data[14:]); int(n) != i {
			t.Fatalf("frame %d is number %d", i, n)
		}
	}
}

func dataOf(frames []Frame) [][]byte {
	var all [][]byte
	for _, f := range frames {
		all = append(all, f.Data)
	}
	return all
}

func framesIn(t *testing.T, path string) [][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for {
		data, _, err := r.ReadPacketData()
		if err != nil {
			return all
		}
		all = append(all, data)
	}
}
