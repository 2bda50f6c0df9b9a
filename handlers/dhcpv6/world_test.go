package dhcpv6_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	client "github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/handlers"
	"damselfly/handlers/dhcpv6"
	"damselfly/handlers/reason"
	"damselfly/internal/lease"
	"damselfly/internal/store"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

const (
	blueKey = 7
	firstOF = 20
)

var (
	serverID = []byte{0, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	serverLL = netip.MustParseAddr("fe80::1")
	group    = netip.MustParseAddr("ff02::1:2")
	guests   = []string{"bridge", "fixed", "relay", "vm1", "vm2", "vm3"}
)

// world is a network with every service, leases on a real store, and both lanes.
type world struct {
	t     testing.TB
	in    topology.Input
	build topology.Builder
	*topology.Snapshot
	book  *lease.Book
	clock store.Clock

	fast, slow handlers.Services
	committed  *dhcpv6.Committed
	pushed     []pipeline.Frame
	full       bool
	sent       [][]byte // to external servers
	keys       byte
	replay     uint64
}

func (w *world) Push(f *pipeline.Frame, _ time.Time) bool {
	if w.full {
		return false
	}
	g := *f
	g.Data = bytes.Clone(f.Data)
	w.pushed = append(w.pushed, g)
	return true
}

func (w *world) Forward(server netip.Addr, m []byte) bool {
	w.sent = append(w.sent, append(server.AsSlice(), m...))
	return true
}

func macOf(port string) wire.MAC {
	for i, name := range guests {
		if name == port {
			return wire.MAC{2, 0, 0, 0, 0, 0x10 + byte(i)}
		}
	}
	panic("no port " + port)
}

func hours(n int) *time.Duration {
	d := time.Duration(n) * time.Hour
	return &d
}

// spec is the network of most tests.
func spec() *topology.Spec {
	s := &topology.Spec{
		Networks: []topology.NetworkSpec{{
			Name: "blue",
			Subnets: []topology.SubnetSpec{{
				Prefix: netip.MustParsePrefix("fd00:b1::/64"), Mode: topology.DHCPv6Stateful, Preferred: hours(2), Valid: hours(4),
				DNS: []netip.Addr{netip.MustParseAddr("fd00:b1::53")}, Search: []string{"guests.example"},
				Pools:        []topology.AddrRange{{First: netip.MustParseAddr("fd00:b1::100"), Last: netip.MustParseAddr("fd00:b1::100")}},
				Reservations: []topology.Reservation{{DUID: string(duidOf("reserved").ToBytes()), Addresses: []netip.Addr{netip.MustParseAddr("fd00:b1::77")}}},
			}},
			Delegations: []topology.DelegationSpec{{
				Pool: netip.MustParsePrefix("2001:db8:100::/56"), Length: 56, Preferred: hours(1), Valid: hours(4),
				Exclude: &topology.ExcludeSpec{Length: 64, Subnet: 255},
			}},
			Options: []topology.OptionSpec{
				{Code: 7, Number: 200}, {Code: 32, Number: 3600}, {Code: 82, Number: 120}, {Code: 56, Texts: []string{"fd00:b1::123"}},
				{Code: 94, Raw: []byte{0, 1}}, {Code: 103, Texts: []string{"https://portal.example/"}},
			},
		}},
		Routers: []topology.RouterSpec{{Name: "r1", Networks: []topology.PresenceSpec{{Network: "blue", LinkLocal: serverLL}}}},
	}
	for _, name := range guests {
		p := topology.PortSpec{Name: name, Network: "blue", MAC: macOf(name), DHCPv6Relay: name == "relay", Unknown: name == "bridge"}
		if name == "fixed" {
			p.Addresses = []netip.Addr{netip.MustParseAddr("fd00:b1::22"), netip.MustParseAddr("fd00:b1::23")}
		}
		s.Ports = append(s.Ports, p)
	}
	return s
}

// newWorld builds it; change, if any, edits the network.
func newWorld(t testing.TB, change func(*topology.Spec)) *world {
	t.Helper()
	w := &world{t: t, clock: store.Clock{Wall: time.Unix(1_700_000_000, 0), Boot: store.BootID{1}, Uptime: time.Hour}}
	w.in.Keys = topology.Keys{Networks: map[string]uint16{"blue": blueKey}, Ports: map[string]uint16{}}
	for i, name := range guests {
		w.in.Keys.Ports[name] = uint16(100 + i)
		w.in.Bindings = append(w.in.Bindings, topology.Binding{Interface: name, OFPort: uint32(firstOF + i)})
	}
	w.configure(change)
	st, err := store.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	if w.book, err = lease.Open(lease.InStore(st), w.clock, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	w.committed = &dhcpv6.Committed{View: w.book.View(), Now: w.clock}
	w.fast.DHCPv6 = &dhcpv6.Server{ID: serverID, Committed: w.committed, Slow: w, Reconfigures: true}
	w.slow.DHCPv6 = &dhcpv6.Server{ID: serverID, Reconfigures: true, Uplink: w, Now: w.clock, NewKey: func() [16]byte {
		w.keys++
		return [16]byte{w.keys, 1, 2, 3}
	}, NextReplay: func() (uint64, bool) {
		w.replay++
		return w.replay, w.replay < 100
	}}
	return w
}

// configure makes the topology anew.
func (w *world) configure(change func(*topology.Spec)) {
	w.t.Helper()
	w.in.Spec = spec()
	if change != nil {
		change(w.in.Spec)
	}
	s, problems := w.build.Build(w.in)
	if s == nil || len(problems) > 0 {
		w.t.Fatalf("the test's topology is refused: %v", problems)
	}
	w.Snapshot = s
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	w.clock.Wall, w.clock.Uptime = w.clock.Wall.Add(d), w.clock.Uptime+d
	w.committed.Now, w.slow.DHCPv6.Now = w.clock, w.clock
	tx := w.book.Begin(w.clock)
	for tx.Expire(100) > 0 {
	}
	if err := tx.Commit(); err != nil {
		w.t.Fatal(err)
	}
}

// datagram is a message in its headers, to be made wrong at will.
type datagram struct {
	from, to     wire.MAC
	src, dst     netip.Addr
	sport, dport uint16
	data         []byte
}

// of is how a guest sends data to the servers.
func of(port string, data []byte) datagram {
	return datagram{from: macOf(port), to: wire.MulticastMAC(group), src: wire.LinkLocal(macOf(port)), dst: group, sport: 546, dport: 547, data: data}
}

func (d datagram) bytes() []byte {
	eth := &layers.Ethernet{SrcMAC: d.from[:], DstMAC: d.to[:], EthernetType: layers.EthernetTypeIPv6}
	ip := &layers.IPv6{Version: 6, HopLimit: 1, NextHeader: layers.IPProtocolUDP, SrcIP: d.src.AsSlice(), DstIP: d.dst.AsSlice()}
	udp := &layers.UDP{SrcPort: layers.UDPPort(d.sport), DstPort: layers.UDPPort(d.dport)}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		panic(err)
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, udp, gopacket.Payload(d.data)); err != nil {
		panic(err)
	}
	return bytes.Clone(b.Bytes())
}

// frame is data as punted from a port.
func frame(port string, data []byte) pipeline.Frame {
	for i, name := range guests {
		if name == port {
			return pipeline.Frame{Data: data, InPort: uint32(firstOF + i), Port: uint16(100 + i), Network: blueKey}
		}
	}
	panic("no port " + port)
}

// dispatch sends a frame through the fast lane alone.
func (w *world) dispatch(port string, data []byte) (pipeline.Reason, []pipeline.Reply) {
	f := frame(port, data)
	r := pipeline.NewReplies(4096)
	return w.fast.Dispatch(w.Snapshot, w.clock.Wall, &f, r), r.List()
}

// serve sends a frame through the lanes it takes; what the slow lane decides is
// committed before it is told.
func (w *world) serve(port string, data []byte) (pipeline.Reason, []pipeline.Reply) {
	w.t.Helper()
	w.pushed = nil
	why, replies := w.dispatch(port, data)
	if why != reason.HandedOver {
		return why, replies
	}
	if len(w.pushed) != 1 || len(replies) != 0 {
		w.t.Fatalf("handed over %d times with %d replies", len(w.pushed), len(replies))
	}
	return w.decide()
}

// decide is the slow lane's turn.
func (w *world) decide() (pipeline.Reason, []pipeline.Reply) {
	w.t.Helper()
	r := pipeline.NewReplies(4096)
	tx := w.book.Begin(w.clock)
	why := w.slow.Decide(w.Snapshot, w.clock.Wall, tx, &w.pushed[0], r)
	if err := tx.Commit(); err != nil {
		w.t.Fatal(err)
	}
	return why, r.List()
}

// ask sends a client's message and gives the answer in words; a reason in
// parentheses if there is none.
func (w *world) ask(port string, m client.DHCPv6) string {
	w.t.Helper()
	return w.tell(w.serve(port, of(port, m.ToBytes()).bytes()))
}

func (w *world) tell(why pipeline.Reason, replies []pipeline.Reply) string {
	w.t.Helper()
	if !reason.Replies(why) {
		if len(replies) > 0 {
			w.t.Errorf("%s with %d replies", reason.Name(why), len(replies))
		}
		return "(" + reason.Name(why) + ")"
	}
	if len(replies) != 1 {
		w.t.Fatalf("%d replies", len(replies))
	}
	o := open(w.t, replies[0].Data)
	return describe(o.message(w.t))
}

// opened is an answer as gopacket reads it.
type opened struct {
	eth  layers.Ethernet
	ip   layers.IPv6
	udp  layers.UDP
	data []byte
}

// open checks an answer's headers and sums.
func open(t testing.TB, data []byte) (o opened) {
	t.Helper()
	var payload gopacket.Payload
	var types []gopacket.LayerType
	p := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &o.eth, &o.ip, &o.udp, &payload)
	p.IgnoreUnsupported = true
	if err := p.DecodeLayers(data, &types); err != nil || len(types) < 3 {
		t.Fatalf("answer %x: %v, layers %v", data, err, types)
	}
	// The library's UDP hands its payload to a layer that it knows by the port.
	o.data = o.udp.Payload
	sum := o.udp.Checksum
	if err := o.udp.SetNetworkLayerForChecksum(&o.ip); err != nil {
		t.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{ComputeChecksums: true, FixLengths: true}, &o.udp, gopacket.Payload(o.data)); err != nil {
		t.Fatal(err)
	}
	if o.udp.Checksum != sum {
		t.Errorf("UDP checksum %#x, want %#x", sum, o.udp.Checksum)
	}
	if len(data) != 14+40+8+len(o.data) || len(o.data) > 1232 {
		t.Errorf("answer of %d octets around %d", len(data), len(o.data))
	}
	return o
}

// message is the answer as the client library reads it.
func (o *opened) message(t testing.TB) client.DHCPv6 {
	t.Helper()
	m, err := client.FromBytes(o.data)
	if err != nil {
		t.Fatalf("answer %x: %v", o.data, err)
	}
	return m
}

// describe tells of an answer what is not the same in all.
func describe(d client.DHCPv6) string {
	m, err := d.GetInnerMessage()
	if err != nil {
		return err.Error()
	}
	words := []string{strings.ToLower(m.MessageType.String())}
	for _, o := range m.Options.Options {
		switch o := o.(type) {
		case *client.OptIANA:
			s := fmt.Sprintf("na%d(%s", o.IaId[3], times(o.T1, o.T2))
			for _, a := range o.Options.Addresses() {
				s += fmt.Sprintf(" %v %s", a.IPv6Addr, times(a.PreferredLifetime, a.ValidLifetime))
			}
			words = append(words, s+status(o.Options.Status())+")")
		case *client.OptIAPD:
			s := fmt.Sprintf("pd%d(%s", o.IaId[3], times(o.T1, o.T2))
			for _, p := range o.Options.Prefixes() {
				s += fmt.Sprintf(" %v %s", p.Prefix, times(p.PreferredLifetime, p.ValidLifetime))
				for _, e := range p.Options.Options {
					s += fmt.Sprintf(" %d=%x", e.Code(), e.ToBytes())
				}
			}
			words = append(words, s+status(o.Options.Status())+")")
		case *client.OptStatusCode:
			words = append(words, strings.TrimSpace(status(o)))
		case *client.OptionGeneric:
			words = append(words, fmt.Sprintf("%d=%x", o.OptionCode, o.OptionData))
		default:
			if c := o.Code(); c != client.OptionClientID && c != client.OptionServerID {
				words = append(words, fmt.Sprintf("%d=%x", c, o.ToBytes()))
			}
		}
	}
	return strings.Join(words, " ")
}

func times(a, b time.Duration) string {
	return fmt.Sprintf("%d/%d", int(a.Seconds()), int(b.Seconds()))
}

func status(o *client.OptStatusCode) string {
	if o == nil {
		return ""
	}
	return fmt.Sprintf(" status%d", o.StatusCode)
}

// duidOf is a client's DUID, opaque to the server.
func duidOf(name string) client.DUID {
	return &client.DUIDEN{EnterpriseNumber: 32473, EnterpriseIdentifier: []byte(name)}
}

// message is a client's.
func message(t client.MessageType, duid string, mods ...client.Modifier) *client.Message {
	m := &client.Message{MessageType: t, TransactionID: client.TransactionID{1, 2, 3}}
	client.WithClientID(duidOf(duid))(m)
	for _, mod := range mods {
		mod(m)
	}
	return m
}

func toUs(d client.DHCPv6) {
	id, err := client.DUIDFromBytes(serverID)
	if err != nil {
		panic(err)
	}
	client.WithServerID(id)(d)
}

// add adds an option beside others of its code.
func add(o client.Option) client.Modifier { return func(d client.DHCPv6) { d.AddOption(o) } }

func na(iaid byte, addrs ...string) client.Modifier {
	o := &client.OptIANA{IaId: [4]byte{3: iaid}}
	for _, a := range addrs {
		o.Options.Add(&client.OptIAAddress{IPv6Addr: net.ParseIP(a), PreferredLifetime: time.Hour, ValidLifetime: 2 * time.Hour})
	}
	return add(o)
}

func pd(iaid byte, prefixes ...string) client.Modifier {
	o := &client.OptIAPD{IaId: [4]byte{3: iaid}}
	for _, p := range prefixes {
		_, n, err := net.ParseCIDR(p)
		if err != nil {
			panic(err)
		}
		o.Options.Add(&client.OptIAPrefix{Prefix: n})
	}
	return add(o)
}

func oro(codes ...client.OptionCode) client.Modifier { return client.WithRequestedOptions(codes...) }

func option(code client.OptionCode, data ...byte) client.Modifier {
	return add(&client.OptionGeneric{OptionCode: code, OptionData: data})
}
