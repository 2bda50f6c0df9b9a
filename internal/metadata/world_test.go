package metadata

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// world is a server with guests: vm1 on blue and vm2 on red have one MAC and one
// IPv4 address, vm3 has no instance, vm4's network no service.
type world struct {
	*Server
	t    *testing.T
	snap atomic.Pointer[topology.Snapshot]
	at   *doorstep
	log  *lockedBuffer
}

func spec() *topology.Spec {
	mac := func(last byte) wire.MAC { return wire.MAC{2, 0, 0, 0, 0, last} }
	v4 := []netip.Addr{netip.MustParseAddr("192.0.2.11")}
	return &topology.Spec{
		Networks: []topology.NetworkSpec{
			{Name: "blue", MTU: 1442, Metadata: &topology.MetadataSpec{}, Subnets: []topology.SubnetSpec{
				{Prefix: netip.MustParsePrefix("fd00:b1::/64"), DNS: []netip.Addr{netip.MustParseAddr("2001:db8::53")}}}},
			{Name: "red", Metadata: &topology.MetadataSpec{}},
			{Name: "bare"},
		},
		Routers: []topology.RouterSpec{{Name: "r1", Networks: []topology.PresenceSpec{{Network: "blue"}}}},
		Ports: []topology.PortSpec{
			{Name: "vm1", Network: "blue", MAC: mac(0x11), Addresses: v4, Project: "p1", Instance: &topology.InstanceSpec{
				ID: "i-1", Hostname: "one.example.test", Keys: []string{"ssh-ed25519 AAAA me@here", "ssh-rsa BBBB"}, UserData: "#cloud-config\n", VendorData: "#!/bin/sh\n"}},
			{Name: "vm2", Network: "red", MAC: mac(0x11), Addresses: v4, Instance: &topology.InstanceSpec{ID: "i-2"}},
			{Name: "vm3", Network: "blue", MAC: mac(0x13)},
			{Name: "vm4", Network: "bare", MAC: mac(0x14), Instance: &topology.InstanceSpec{}},
		},
	}
}

// keys has every object at its place in the spec, from 1.
func keys(s *topology.Spec) topology.Keys {
	k := topology.Keys{Networks: map[string]uint16{}, Ports: map[string]uint16{}}
	for i, n := range s.Networks {
		k.Networks[n.Name] = uint16(i + 1)
	}
	for i, p := range s.Ports {
		k.Ports[p.Name] = uint16(i + 1)
	}
	return k
}

func newWorld(t *testing.T, change func(*topology.Spec)) *world {
	t.Helper()
	w := &world{t: t, at: &doorstep{conns: make(chan net.Conn), closed: make(chan struct{})}, log: &lockedBuffer{}}
	w.set(change)
	w.Server = New(Config{Snapshot: w.snap.Load, Log: slog.New(slog.NewTextHandler(w.log, nil))})
	ended := make(chan error, 1)
	go func() { ended <- w.Serve(context.Background(), w.at) }()
	t.Cleanup(func() {
		w.at.Close()
		if err := <-ended; err != nil {
			t.Errorf("the server ended: %v", err)
		}
	})
	return w
}

func (w *world) set(change func(*topology.Spec)) {
	w.t.Helper()
	s := spec()
	if change != nil {
		change(s)
	}
	snap, problems := new(topology.Builder).Build(topology.Input{Spec: s, Keys: keys(spec())})
	if snap == nil || len(problems) > 0 {
		w.t.Fatalf("the test's topology: %v", problems)
	}
	w.snap.Store(snap)
}

// doorstep is a listener that hands out what tests bring.
type doorstep struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *doorstep) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *doorstep) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *doorstep) Addr() net.Addr { return &net.TCPAddr{} }

// guest is a connection as the switch makes it look.
type guest struct {
	net.Conn
	from netip.AddrPort
}

func (c *guest) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.from) }

// caller is the address of a port's guest that it has on a prefix, as the service
// sees it.
func (w *world) caller(port, address string) netip.Addr {
	w.t.Helper()
	a := netip.MustParseAddr(address)
	for _, p := range w.snap.Load().Ports {
		if p.Name != port {
			continue
		}
		for i, b := range p.IPv4 {
			if a == b {
				return topology.CallerIPv4(p.Key, i)
			}
		}
		n := w.snap.Load().Network(p.Network.Key)
		for _, c := range n.Metadata.Callers {
			if c.Prefix.Contains(a) {
				out, from, key := a.As16(), topology.CallerFrom(c.ID).As16(), topology.CallerPort(p.Key).As16()
				copy(out[:8], from[:])
				copy(out[:4], key[:])
				return netip.AddrFrom16(out)
			}
		}
	}
	w.t.Fatalf("no port %s has %s", port, address)
	return netip.Addr{}
}

// dial connects a caller.
func (w *world) dial(from netip.Addr) net.Conn {
	w.t.Helper()
	ours, theirs := net.Pipe()
	w.t.Cleanup(func() { ours.Close() })
	select {
	case w.at.conns <- &guest{theirs, netip.AddrPortFrom(from, 40000)}:
	case <-time.After(10 * time.Second):
		w.t.Fatal("nobody accepts")
	}
	return ours
}

// raw sends octets as a caller and returns the answer.
func (w *world) raw(from netip.Addr, text string) (*http.Response, string) {
	w.t.Helper()
	c := w.dial(from)
	return w.say(c, text)
}

func (w *world) say(c net.Conn, text string) (*http.Response, string) {
	w.t.Helper()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	go io.WriteString(c, text)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return nil, err.Error()
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	return resp, string(body)
}

// get asks for a path as vm1's guest does from its link-local address.
func (w *world) get(port, path string, headers ...string) (status int, body string) {
	w.t.Helper()
	resp, body := w.raw(w.caller(port, "fe80::ff:fe00:11"), "GET "+path+" HTTP/1.1\r\nHost: [fe80::a9fe:a9fe]\r\nConnection: close\r\n"+lines(headers)+"\r\n")
	if resp == nil {
		w.t.Fatalf("GET %s: %s", path, body)
	}
	return resp.StatusCode, body
}

func lines(headers []string) string {
	if len(headers) == 0 {
		return ""
	}
	return strings.Join(headers, "\r\n") + "\r\n"
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
