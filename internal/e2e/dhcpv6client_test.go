package e2e

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/internal/lab"
)

// asker is a DHCPv6 client of a guest that says exactly what a test wants: a
// UDP socket on port 546, and messages of the insomniacslk library.
type asker struct {
	guest *lab.Guest
	conn  *net.UDPConn
	to    net.UDPAddr
}

// newAsker opens the socket; the guest's link-local address is to be there.
func newAsker(t *testing.T, g *lab.Guest, port int) *asker {
	t.Helper()
	a := &asker{guest: g}
	err := g.Within(func() error {
		eth0, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		a.to = net.UDPAddr{IP: net.ParseIP("ff02::1:2"), Port: 547, Zone: fmt.Sprint(eth0.Index)}
		a.conn, err = net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6unspecified, Port: port})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.conn.Close() })
	return a
}

// send sends octets to all servers.
func (a *asker) send(t *testing.T, data []byte) {
	t.Helper()
	if _, err := a.conn.WriteToUDP(data, &a.to); err != nil {
		t.Fatal(err)
	}
}

// receive returns the next message that fits, nil if none comes in time.
func (a *asker) receive(t *testing.T, within time.Duration, fits func(*dhcpv6.Message) bool) (*dhcpv6.Message, []byte) {
	t.Helper()
	if err := a.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2048)
	for {
		n, err := a.conn.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		m, err := dhcpv6.MessageFromBytes(buf[:n])
		if err != nil {
			t.Fatalf("%s cannot read % x: %v", a.guest.Name, buf[:n], err)
		}
		if fits(m) {
			return m, buf[:n]
		}
	}
}

// ask sends a message, every second again, until its answer comes.
func (a *asker) ask(t *testing.T, m *dhcpv6.Message) *dhcpv6.Message {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < patience; {
		if answer := a.once(t, m, time.Second); answer != nil {
			return answer
		}
	}
	t.Fatalf("%s got no answer to %s", a.guest.Name, m.Summary())
	return nil
}

// once sends a message once; nil is silence.
func (a *asker) once(t *testing.T, m *dhcpv6.Message, within time.Duration) *dhcpv6.Message {
	t.Helper()
	a.send(t, m.ToBytes())
	answer, _ := a.receive(t, within, answers(m))
	return answer
}

// answers matches the answers to m.
func answers(m *dhcpv6.Message) func(*dhcpv6.Message) bool {
	return func(got *dhcpv6.Message) bool { return got.TransactionID == m.TransactionID }
}

// clientOf is the DUID of the test's nth simulated client.
func clientOf(n int) dhcpv6.DUID {
	return &dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: net.HardwareAddr{2, 0xdd, 0, byte(n >> 16), byte(n >> 8), byte(n)}}
}

// duidText is a DUID as leases list it.
func duidText(d dhcpv6.DUID) string { return hex.EncodeToString(d.ToBytes()) }

// message is one of a client, with options as they are.
func message(t *testing.T, typ dhcpv6.MessageType, client dhcpv6.DUID, options ...dhcpv6.Option) *dhcpv6.Message {
	t.Helper()
	m, err := dhcpv6.NewMessage()
	if err != nil {
		t.Fatal(err)
	}
	m.MessageType = typ
	m.AddOption(dhcpv6.OptClientID(client))
	m.AddOption(dhcpv6.OptElapsedTime(0))
	for _, o := range options {
		m.AddOption(o)
	}
	return m
}

// rapid is a Solicit that takes a Reply at once, for one address under IAID 0.
func rapid(t *testing.T, client dhcpv6.DUID, options ...dhcpv6.Option) *dhcpv6.Message {
	return message(t, dhcpv6.MessageTypeSolicit, client, append(options,
		&dhcpv6.OptIANA{}, &dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})...)
}

// addressIn is the address that a message gives, the zero Addr if none.
func addressIn(m *dhcpv6.Message) netip.Addr {
	if m == nil || m.Options.OneIANA() == nil {
		return netip.Addr{}
	}
	one := m.Options.OneIANA().Options.OneAddress()
	if one == nil || one.ValidLifetime == 0 {
		return netip.Addr{}
	}
	a, _ := netip.AddrFromSlice(one.IPv6Addr)
	return a
}
