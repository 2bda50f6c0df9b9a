package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
	"damselfly/internal/wire"

	"github.com/gopacket/gopacket"
)

// secureGuest is a guest that signs: its stack is silent, what it says another
// program makes.
type secureGuest struct {
	*lab.Guest
	*fixtures.Signers
	signer *fixtures.Signer
	local  netip.Addr
	mac    wire.MAC
	seen   *lab.Capture
	files  string // where the router's key and certificates are
}

// secureStage serves a network with Secure Neighbor Discovery and a guest at vm3 that
// signs.
func secureStage(t *testing.T, ndExt bool, mode string) (*stage.Stage, *stage.Daemon, *secureGuest) {
	t.Helper()
	dir := routerFiles(t)
	s := newStage(t, ndExt, secureConfig(dir, mode, 1))
	g := &secureGuest{Signers: fixtures.SignersFor(t), mac: wire.MAC{2, 0, 0, 0, 0, 0x13}, files: dir}
	var err error
	if g.signer, err = g.New(fixtures.SignerKind{}); err != nil {
		t.Fatal(err)
	}
	if g.local, _, err = g.signer.Address(netip.MustParsePrefix("fe80::/64"), 0); err != nil {
		t.Fatal(err)
	}
	g.Guest = addGuest(t, s, lab.GuestOptions{Name: "vm3", MAC: g.mac.String(), Sysctls: map[string]string{"net.ipv6.conf.eth0.disable_ipv6": "1"}})
	g.seen = watch(t, g.Guest, nil)
	return s, serve(t, s), g
}

// secureConfig is the network's configuration, with files in a folder.
func secureConfig(dir, mode string, sec int) string {
	return fmt.Sprintf(`
networks:
  - name: blue
    mtu: 1442
    subnets: [{prefix: "fd00:b1::/64", mode: slaac}]
    send: {mode: %s, key: %[2]s/router.key, certificate: %[2]s/router.pem, sec: %d}
routers: [{name: r1, networks: [blue]}]
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11"}
  - {name: vm2, network: blue, mac: "02:00:00:00:00:12"}
  - {name: vm3, network: blue, mac: "02:00:00:00:00:13"}
`, mode, dir, sec)
}

// solicit signs a Neighbor Solicitation for a target.
func (g *secureGuest) solicit(t *testing.T, target netip.Addr, nonce byte, change func(*fixtures.SignedMessage)) []byte {
	t.Helper()
	m := fixtures.SignedMessage{
		Type: 135, From: g.mac, To: wire.MulticastMAC(wire.SolicitedNode(target)), Source: g.local, Destination: wire.SolicitedNode(target),
		Target: target, LinkLayer: g.mac, Nonce: []byte{nonce, 2, 3, 4, 5, 6},
	}
	if change != nil {
		change(&m)
	}
	f, err := g.signer.Sign(m)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// probe signs a duplicate address probe for the guest's own address.
func (g *secureGuest) probe(t *testing.T) []byte {
	return g.solicit(t, g.local, 9, func(m *fixtures.SignedMessage) {
		m.Prefix, m.Source, m.LinkLayer = g.local, netip.IPv6Unspecified(), wire.MAC{}
	})
}

// begin has the guest probe for its address until it is known to hold it.
func (g *secureGuest) begin(t *testing.T, d *stage.Daemon) {
	t.Helper()
	inject(t, g.Guest, g.probe(t))
	holds(t, d, "vm3", g.local)
}

// holds waits until a port is known to hold an address, and to sign for it.
func holds(t *testing.T, d *stage.Daemon, port string, a netip.Addr) {
	t.Helper()
	lab.WaitFor(t, patience, "the signing guest's address", func() error {
		st, err := d.Status()
		if err != nil {
			return err
		}
		for _, p := range st.Ports {
			if p.Name == port && slices.Contains(p.Learned, a) && slices.Contains(p.Secured, a) {
				return nil
			}
		}
		return fmt.Errorf("%s does not hold %s", port, a)
	})
}

// answer is the signed answer with a nonce, which the guest's program has verified.
func (g *secureGuest) answer(t *testing.T, typ, nonce byte) []byte {
	t.Helper()
	var got fixtures.Verified
	f := arrives(t, g.seen, "a signed answer", func(f []byte) bool {
		if len(f) < 58 || f[12] != 0x86 || f[54] != typ {
			return false
		}
		var err error
		got, err = g.Verify(f)
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return got.Nonce == fmt.Sprintf("%02x0203040506", nonce)
	})
	return f.Data
}

// routerAddress is the router's link-local address as the daemon tells it.
func routerAddress(t *testing.T, d *stage.Daemon) netip.Addr {
	t.Helper()
	st, err := d.Status()
	if err != nil {
		t.Fatal(err)
	}
	var text string
	if _, err := fmt.Sscanf(st.Networks[0].Router, "%s", &text); err != nil {
		t.Fatal(err)
	}
	return netip.MustParseAddr(text)
}

// TestSecurePrefer: a guest that signs and guests that do not live on one network:
// the router signs what it says to both, verifies what the one says and never speaks
// for it, and serves the others as ever. Its address stays over a restart, and the end
// of one that changes is announced.
func TestSecurePrefer(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s, d, g := secureStage(t, ndExt, "prefer")
		router := routerAddress(t, d)
		vm1, vm2 := addGuest(t, s, quick("vm1", mac1)), addGuest(t, s, quick("vm2", mac2))
		at1 := watch(t, vm1, nil)
		// Plain guests: an address and a route by what is signed, and reachable.
		a := booted(t, bluePrefix, vm1, vm2)
		ra := arrives(t, at1, "a Router Advertisement", func(f []byte) bool { return len(f) > 54 && f[54] == 134 })
		if v, err := g.Verify(ra.Data); err != nil || !v.Signed || v.Source != router.String() {
			t.Errorf("the plain guest's advertisement: %+v, %v", v, err)
		}
		ping(t, vm1, a[1].String())
		ping(t, vm1, "fd00:b1::1")
		ping(t, vm2, router.String()+"%eth0")

		// The signing guest: probe, router discovery, resolution.
		g.begin(t, d)
		rs, err := g.signer.Sign(fixtures.SignedMessage{Type: 133, From: g.mac, To: wire.AllRoutersMAC, Source: g.local, Destination: wire.AllRouters,
			LinkLayer: g.mac, Nonce: []byte{7, 2, 3, 4, 5, 6}})
		if err != nil {
			t.Fatal(err)
		}
		inject(t, g.Guest, rs)
		answers := [][]byte{g.answer(t, 134, 7)}
		ns := g.solicit(t, router, 8, nil)
		inject(t, g.Guest, ns)
		answers = append(answers, g.answer(t, 136, 8))
		dissected(t, len(answers), answers)

		// What is asked of it comes to it, unchanged, and nobody answers in its place.
		question := icmp6Frame(t, mac1, wire.MulticastMAC(wire.SolicitedNode(g.local)).String(), "fe80::ff:fe00:11", wire.SolicitedNode(g.local).String(), 135,
			neighborBody(g.local, 1, mac1))
		inject(t, vm1, question)
		arrives(t, g.seen, "the question for the signing guest", like(question))
		// A replay, and a message in which one bit is another, end by name; so does what
		// speaks for the address without signing.
		forged := g.solicit(t, router, 10, nil)
		forged[70] ^= 1
		wire.FinishICMPv6(forged)
		inject(t, g.Guest, ns, forged, icmp6Frame(t, g.mac.String(), wire.AllNodesMAC.String(), g.local.String(), "ff02::1", 136, neighborBody(g.local, 2, g.mac.String())))
		waitMetric(t, d, "damselfly_frames_total{class=ns,reason=send-replay}", 1)
		waitMetric(t, d, "damselfly_frames_total{class=ns,reason=send-bad-signature}", 1)
		waitMetric(t, d, "damselfly_frames_total{class=na,reason=send-unsecured}", 1)
		if n := len(received(at1, func(f []byte) bool {
			return len(f) > 78 && f[54] == 136 && netip.AddrFrom16([16]byte(f[62:78])) == g.local
		})); n != 0 {
			t.Errorf("vm1 got %d answers for the signing guest", n)
		}

		secureFlood(t, d, g, vm1, router)

		// The address is the same after a restart; with another modifier it is another, and
		// the old one's end is announced.
		if err := d.Stop(); err != nil {
			t.Fatal(err)
		}
		d = serve(t, s)
		if again := routerAddress(t, d); again != router {
			t.Errorf("after a restart the router is %s, was %s", again, router)
		}
		if err := s.Configure(secureConfig(g.files, "prefer", 0)); err != nil {
			t.Fatal(err)
		}
		end := arrives(t, at1, "the end of the old address", func(f []byte) bool {
			return len(f) > 62 && f[54] == 134 && netip.AddrFrom16([16]byte(f[22:38])) == router && f[60] == 0 && f[61] == 0
		})
		// A host that signs would not believe it otherwise.
		if v, err := g.Verify(end.Data); err != nil || !v.Signed {
			t.Errorf("the end of the old address: %+v, %v", v, err)
		}
		ping(t, vm1, routerAddress(t, d).String()+"%eth0")
	})
}

// secureFlood has the signing guest send as many messages as it can whose signatures
// have to be looked at: they cost as many as its limit allows, and others are answered.
func secureFlood(t *testing.T, d *stage.Daemon, g *secureGuest, other *lab.Guest, router netip.Addr) {
	t.Helper()
	frame := g.solicit(t, router, 12, nil)
	frame[len(frame)-10] ^= 1
	wire.FinishICMPv6(frame)
	const looked = "damselfly_frames_total{class=ns,reason=send-bad-signature}"
	before, begin := metrics(t, d)[looked], time.Now()
	stop, sent := make(chan struct{}), make(chan int, 1)
	go func() {
		pace := time.NewTicker(10 * time.Millisecond)
		defer pace.Stop()
		n := 0
		for {
			select {
			case <-stop:
				sent <- n
				return
			case <-pace.C:
			}
			for range 20 {
				if g.Inject(frame) == nil {
					n++
				}
			}
		}
	}()
	for time.Since(begin) < time.Second {
		if out, err := other.Run("ndisc6", "-1", "-r", "3", "-w", "2000", router.String(), "eth0"); err != nil {
			t.Errorf("ndisc6: %v\n%s", err, out)
		}
	}
	waitMetric(t, d, "damselfly_frames_total{class=ns,reason=send-over-limit}", 1)
	close(stop)
	n := <-sent
	took, m := time.Since(begin), metrics(t, d)
	got, most := m[looked]-before, 20+10*took.Seconds()+1
	t.Logf("%d signed messages in %v, %v signatures looked at", n, took.Round(time.Millisecond), got)
	if got < 1 || got > most {
		t.Errorf("%v signatures were looked at, want at most %.0f", got, most)
	}
}

// TestSecureRequire: only what is signed goes on.
func TestSecureRequire(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		_, d, g := secureStage(t, ndExt, "require")
		router := routerAddress(t, d)
		g.begin(t, d)
		inject(t, g.Guest, g.solicit(t, router, 8, nil))
		g.answer(t, 136, 8)
		inject(t, g.Guest, icmp6Frame(t, g.mac.String(), wire.MulticastMAC(wire.SolicitedNode(router)).String(), "fe80::ff:fe00:13",
			wire.SolicitedNode(router).String(), 135, neighborBody(router, 1, g.mac.String())))
		waitMetric(t, d, "damselfly_frames_total{class=ns,reason=send-unsigned}", 1)
		inject(t, g.Guest, icmp6Frame(t, g.mac.String(), wire.MulticastMAC(wire.SolicitedNode(bluePrefix.Addr().Next())).String(), "fe80::ff:fe00:13",
			wire.SolicitedNode(bluePrefix.Addr().Next()).String(), 135, neighborBody(bluePrefix.Addr().Next(), 1, g.mac.String())))
		waitMetric(t, d, "damselfly_frames_total{class=ns,reason=send-unsigned}", 2)
		// Certificates need no signature.
		cps := fixtures.Message{From: g.mac, To: wire.AllRoutersMAC, Source: g.local, Destination: wire.AllRouters, HopLimit: 255,
			Type: 148, Body: []byte{0x12, 0x34, 0xff, 0xff}}.Bytes()
		inject(t, g.Guest, cps)
		var path [][]byte
		for _, component := range []byte{1, 0} {
			path = append(path, arrives(t, g.seen, "a certificate", func(f []byte) bool { return len(f) > 64 && f[54] == 149 && f[63] == component }).Data)
		}
		dissected(t, 2, path)
	})
}

// neighborBody is a Neighbor Solicitation or Advertisement behind its checksum, with a
// link-layer address option of a type.
func neighborBody(target netip.Addr, option byte, mac string) gopacket.Payload {
	m, _ := wire.ParseMAC(mac)
	to := target.As16()
	flags := byte(0)
	if option == wire.OptionTargetLinkLayer {
		flags = wire.FlagOverride
	}
	return append(append([]byte{flags, 0, 0, 0}, to[:]...), append([]byte{option, 1}, m[:]...)...)
}
