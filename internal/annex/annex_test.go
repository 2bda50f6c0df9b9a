package annex

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"damselfly/internal/lab"
)

func TestMain(m *testing.M) {
	Child()
	os.Exit(m.Run())
}

var served = Config{Port: 80, Addresses: []netip.Addr{
	netip.MustParseAddr("fe80::a9fe:a9fe"), netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("169.254.169.254"),
}}

// syn is a packet that begins a connection, as gopacket makes it.
func syn(t testing.TB, from, to string, port uint16) []byte {
	t.Helper()
	tcp := &layers.TCP{SrcPort: 40000, DstPort: layers.TCPPort(port), SYN: true, Seq: 7, Window: 1000}
	var ip gopacket.SerializableLayer
	var network gopacket.NetworkLayer
	if a := net.ParseIP(to); a.To4() != nil {
		v4 := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.ParseIP(from).To4(), DstIP: a.To4()}
		ip, network = v4, v4
	} else {
		v6 := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: net.ParseIP(from), DstIP: a}
		ip, network = v6, v6
	}
	if err := tcp.SetNetworkLayerForChecksum(network); err != nil {
		t.Fatal(err)
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, tcp); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(b.Bytes())
}

// TestStack: the stack answers at each address, whoever made its namespace,
// and nothing of it is in this one.
func TestStack(t *testing.T) {
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	for name, newStack := range map[string]func(Config) (*os.File, net.Listener, error){"thread": byThread, "child": byChild} {
		t.Run(name, func(t *testing.T) {
			tunnel, l, err := newStack(served)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			if _, err := net.InterfaceByName(device); err == nil {
				t.Errorf("%s is here too", device)
			}
			for from, to := range map[string]string{"fdda:1:5d16:b94b::7": "fe80::a9fe:a9fe", "fdda:2::7": "fd00:ec2::254", "10.0.4.0": "169.254.169.254"} {
				answer := ask(t, tunnel, syn(t, from, to, 80))
				first := gopacket.Decoder(layers.LayerTypeIPv6)
				if answer[0]>>4 == 4 {
					first = layers.LayerTypeIPv4
				}
				p := gopacket.NewPacket(answer, first, gopacket.Default)
				tcp, _ := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
				if tcp == nil || !tcp.SYN || !tcp.ACK || tcp.Ack != 8 || tcp.DstPort != 40000 || p.NetworkLayer().NetworkFlow().Src().String() != to || p.NetworkLayer().NetworkFlow().Dst().String() != from {
					t.Errorf("%s answers %v", to, p)
				}
			}
			ended := make(chan struct{})
			go func() {
				_ = tunnel.SetReadDeadline(time.Time{})
				_, _ = tunnel.Read(make([]byte, 1))
				close(ended)
			}()
			if err := tunnel.Close(); err != nil {
				t.Error(err)
			}
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Error("a pending read does not end with the file")
			}
		})
	}
}

// ask sends a packet until the stack answers: it is not up at once.
func ask(t *testing.T, tunnel *os.File, packet []byte) []byte {
	t.Helper()
	buf := make([]byte, 2000)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if _, err := tunnel.Write(packet); err != nil {
			t.Fatal(err)
		}
		_ = tunnel.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if n, err := tunnel.Read(buf); err == nil {
			return buf[:n]
		} else if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	t.Fatal("no answer")
	return nil
}

// framed puts an Ethernet header in front, and pads behind.
func framed(etherType uint16, packet []byte, padding int) []byte {
	f := append(bytes.Repeat([]byte{2}, 12), byte(etherType>>8), byte(etherType))
	return append(append(f, packet...), make([]byte, padding)...)
}

// TestPayload: only TCP right behind its IP header comes to the stack, and as long
// as the header says.
func TestPayload(t *testing.T) {
	t.Parallel()
	six, four := syn(t, "fdda:1::7", "fe80::a9fe:a9fe", 80), syn(t, "10.0.4.0", "169.254.169.254", 80)
	change := func(p []byte, at int, v byte) []byte { p = slices.Clone(p); p[at] = v; return p }
	for _, c := range []struct {
		name  string
		frame []byte
		want  []byte
	}{
		{"IPv6", framed(etherTypeIPv6, six, 0), six},
		{"IPv4, padded", framed(etherTypeIPv4, four, 20), four},
		{"cut", framed(etherTypeIPv6, six[:len(six)-1], 0), nil},
		{"no header", framed(etherTypeIPv6, nil, 0), nil},
		{"IPv4 as IPv6", framed(etherTypeIPv6, four, 40), nil},
		{"IPv6 as IPv4", framed(etherTypeIPv4, six, 0), nil},
		{"ARP", framed(0x0806, four, 0), nil},
		{"a tag", framed(0x8100, six, 0), nil},
		{"an extension header", framed(etherTypeIPv6, change(six, 6, 60), 0), nil},
		{"a fragment header", framed(etherTypeIPv6, change(six, 6, 44), 0), nil},
		{"UDP", framed(etherTypeIPv6, change(six, 6, 17), 0), nil},
		{"no room for TCP", framed(etherTypeIPv6, change(change(six, 5, 19), 4, 0), 0), nil},
		{"options", framed(etherTypeIPv4, change(four, 0, 0x46), 0), nil},
		{"a first fragment", framed(etherTypeIPv4, change(four, 6, 0x20), 0), nil},
		{"a later fragment", framed(etherTypeIPv4, change(four, 7, 1), 0), nil},
		{"don't fragment", framed(etherTypeIPv4, change(four, 6, 0x40), 0), change(four, 6, 0x40)},
		{"IPv4 UDP", framed(etherTypeIPv4, change(four, 9, 17), 0), nil},
	} {
		got, ok := payload(c.frame)
		if ok != (c.want != nil) || ok && !bytes.Equal(got, c.want) {
			t.Errorf("%s: %v %x", c.name, ok, got)
		}
	}
	if to, port := destination(six); to != served.Addresses[0] || port != 80 {
		t.Errorf("IPv6 to %s %d", to, port)
	}
	if to, port := destination(four); to != served.Addresses[2] || port != 80 {
		t.Errorf("IPv4 to %s %d", to, port)
	}
}

// FuzzPayload: whatever comes by the port, what of it goes on is a whole packet.
func FuzzPayload(f *testing.F) {
	f.Add(framed(etherTypeIPv6, syn(f, "fdda:1::7", "fe80::a9fe:a9fe", 80), 3))
	f.Add(framed(etherTypeIPv4, syn(f, "10.0.4.0", "169.254.169.254", 80), 0))
	f.Fuzz(func(t *testing.T, frame []byte) {
		packet, ok := payload(frame)
		if !ok {
			return
		}
		if len(packet) < ipv4Len+tcpLen || len(packet) > len(frame)-ethernetLen {
			t.Errorf("%d octets of %d", len(packet), len(frame))
		}
		destination(packet)
	})
}

// TestArgs: a child serves what its parent asked for.
func TestArgs(t *testing.T) {
	t.Parallel()
	got, err := parseArgs(served.args())
	if err != nil || got.Port != served.Port || !slices.Equal(got.Addresses, served.Addresses) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range [][]string{nil, {"x"}, {"80", "y"}, {"70000"}} {
		if _, err := parseArgs(bad); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

// TestNamespace: a process that made one stays where it was.
func TestNamespace(t *testing.T) {
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	before := namespace(t)
	for name, make := range map[string]func(Config) (*os.File, net.Listener, error){"thread": byThread, "child": byChild} {
		t.Run(name, func(t *testing.T) {
			for range 8 { // which thread it comes to is chance
				tunnel, l, err := make(served)
				if err != nil {
					t.Fatal(err)
				}
				if a := l.Addr().(*net.TCPAddr); a.Port != int(served.Port) {
					t.Errorf("listens at %v, want port %d", a, served.Port)
				}
				if err := errors.Join(tunnel.Close(), l.Close()); err != nil {
					t.Error(err)
				}
			}
			if now := namespace(t); now != before {
				t.Errorf("the process is in %s now, was in %s", now, before)
			}
		})
	}
}

// namespace is the network namespace that /proc says the process is in.
func namespace(t *testing.T) string {
	t.Helper()
	ns, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return ns
}
