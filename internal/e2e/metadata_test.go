package e2e

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"damselfly/internal/agent"
	"damselfly/internal/lab"
	"damselfly/internal/stage"
	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// metadataTopology has two networks with the metadata service, whose guests have
// the same MACs and so the same link-local addresses, one of them with an uplink,
// and a network without it.
const metadataTopology = `
networks:
  - name: blue
    metadata: {}
    uplink: {interface: up0}
    subnets: [{prefix: "fd00:b1::/64"}]
  - name: red
    metadata: {}
  - name: bare
    subnets: [{prefix: "fd00:ba::/64"}]
routers:
  - {name: r1, networks: [{name: blue, link_local: "fe80::a", mac: "02:00:00:00:0a:01"}]}
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11", addresses: [192.0.2.11], project: p1, metadata: {hostname: one, user_data: one.yaml}}
  - {name: vm2, network: red, mac: "02:00:00:00:00:11", addresses: [192.0.2.11], metadata: {instance_id: i-2, hostname: two}}
  - {name: vm3, network: blue, mac: "02:00:00:00:00:13"}
  - {name: vm4, network: bare, mac: "02:00:00:00:00:14", metadata: {}}
  - {name: vm5, network: blue, unknown: true}
`

const (
	serviceLocal = "http://[fe80::a9fe:a9fe%25eth0]"
	serviceFar   = "http://[fd00:ec2::254]"
	serviceIPv4  = "http://169.254.169.254"
	hostname     = "/latest/meta-data/hostname"
)

// fetch has a guest read a path of the metadata service.
func fetch(g *lab.Guest, base, path string, flags ...string) (string, error) {
	args := append([]string{"-gsS", "--fail-with-body", "-m", "5"}, flags...)
	return g.Run("curl", append(args, base+path)...)
}

// hears waits until a guest hears want at a path.
func hears(t *testing.T, g *lab.Guest, base, path, want string, flags ...string) {
	t.Helper()
	lab.WaitFor(t, patience, fmt.Sprintf("%s to hear %s of %s%s", g.Name, want, base, path), func() error {
		out, err := fetch(g, base, path, flags...)
		if err == nil && strings.TrimSpace(out) != want {
			err = fmt.Errorf("it is %q", out)
		}
		return err
	})
}

// metadataPlay is a stage with the guests of metadataTopology.
func metadataPlay(t *testing.T, ndExt bool) (s *stage.Stage, d *stage.Daemon, guests map[string]*lab.Guest) {
	t.Helper()
	s = newStage(t, ndExt, metadataTopology)
	if err := os.WriteFile(filepath.Join(s.RunDir, "one.yaml"), []byte("#cloud-config\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d = serve(t, s)
	guests = map[string]*lab.Guest{"up0": addGuest(t, s, lab.GuestOptions{Name: "up0", MAC: "02:00:00:00:0b:01", NoIfaceID: true})}
	for i, mac := range []string{"11", "11", "13", "14", "15"} {
		name := fmt.Sprintf("vm%d", i+1)
		o := quick(name, "02:00:00:00:00:"+mac)
		if i < 2 {
			o.Addresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.11/24")}
		}
		guests[name] = addGuest(t, s, o)
	}
	return s, d, guests
}

// ofService matches what is of the metadata service's addresses in any way.
func ofService(frame []byte) bool {
	var p wire.Packet
	if wire.Cut(frame, &p) != wire.FaultNone {
		return strings.Contains(string(frame), string(topology.MetadataAddresses[2].AsSlice()))
	}
	for _, a := range topology.MetadataAddresses {
		if p.IPv6.Source() == a || p.IPv6.Destination() == a || a.Is6() && strings.Contains(string(frame[54:]), string(a.AsSlice())) {
			return p.Protocol != wire.ProtocolICMPv6 || p.ICMPv6().Type() != wire.TypeMLDv2Report
		}
	}
	return false
}

// TestMetadata has guests ask who they are, by every address of the service and
// over a restart, while others try to be it.
func TestMetadata(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s, d, guests := metadataPlay(t, ndExt)
		vm1, vm2, vm3 := guests["vm1"], guests["vm2"], guests["vm3"]
		outside := watch(t, guests["up0"], ofService)
		hears(t, vm2, serviceLocal, hostname, "two") // it has nothing but a link-local address
		hears(t, vm1, serviceLocal, hostname, "one")
		global := waitAddr(t, vm1, "fd00:b1::/64").Address.String()
		hears(t, vm1, serviceFar, hostname, "one")
		hears(t, vm1, serviceLocal, hostname, "one", "--interface", global)
		for _, g := range []*lab.Guest{vm1, vm2} {
			if _, err := g.Run("ip", "route", "add", "169.254.169.254", "dev", "eth0"); err != nil {
				t.Fatal(err)
			}
		}
		hears(t, vm1, serviceIPv4, hostname, "one")
		hears(t, vm2, serviceIPv4, "/latest/meta-data/instance-id", "i-2")
		hears(t, vm1, serviceLocal, "/latest/user-data", "#cloud-config")
		if out, err := fetch(vm3, serviceLocal, hostname); err == nil || !strings.Contains(out, "no instance") {
			t.Errorf("a port without an instance: %v %q", err, out)
		}
		if out, err := fetch(guests["vm4"], serviceLocal, hostname, "-m", "1"); err == nil {
			t.Errorf("a network without the service: %q", out)
		}
		if out, err := vm1.Run("ping", "-c", "1", "-W", "5", "fe80::a9fe:a9fe%eth0"); err != nil {
			t.Errorf("ping: %v\n%s", err, out)
		}
		t.Run("nobody else is it", func(t *testing.T) { impostors(t, d, guests) })
		t.Run("nor sends as it", func(t *testing.T) { senders(t, guests) })
		t.Run("what is told of it", func(t *testing.T) { metadataTold(t, s, d, ndExt) })

		killed := time.Now()
		if err := d.Kill(); err != nil {
			t.Fatal(err)
		}
		serve(t, s)
		hears(t, vm1, serviceLocal, hostname, "one")
		t.Logf("answered %s after the kill", time.Since(killed).Round(time.Millisecond))
		if leaked := outside.Frames(); len(leaked) > 0 {
			for _, f := range leaked {
				if !f.Sent {
					t.Errorf("beyond the uplink there was %x", f.Data)
				}
			}
		}
	})
}

// impostors has guests take the service's addresses.
func impostors(t *testing.T, d *stage.Daemon, guests map[string]*lab.Guest) {
	vm1, vm3 := guests["vm1"], guests["vm3"]
	if err := vm3.Sysctl("net.ipv6.conf.eth0.dad_transmits", "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := vm3.Run("ip", "addr", "add", "fe80::a9fe:a9fe/64", "dev", "eth0"); err != nil {
		t.Fatal(err)
	}
	lab.WaitFor(t, patience, "the address to be defended", func() error {
		addrs, err := vm3.Addrs()
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if a.Address == topology.MetadataAddresses[0] && a.DADFailed {
				return nil
			}
		}
		return fmt.Errorf("addresses %+v", addrs)
	})
	heard := watch(t, vm1, func(frame []byte) bool { na := neighborAdvertOf(frame); return na != nil && ofService(frame) })
	for _, line := range []string{"ip addr del fe80::a9fe:a9fe/64 dev eth0", "ip addr add fe80::a9fe:a9fe/64 dev eth0 nodad", "ip addr add 169.254.169.254/32 dev eth0"} {
		words := strings.Fields(line)
		if _, err := vm3.Run(words[0], words[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	// It asks from there, which would tell its link-layer address.
	_, _ = vm3.Run("ping", "-c", "1", "-W", "1", "-I", "fe80::a9fe:a9fe%eth0", "ff02::1%eth0")
	inject(t, vm3, routerlessClaim(t))
	hears(t, vm1, serviceLocal, hostname, "one")
	lab.WaitFor(t, patience, "what it sent to be counted", func() error {
		st, err := d.Status()
		if err != nil {
			return err
		}
		for _, p := range st.Ports {
			if p.Name == "vm3" && p.Drops["drop-spoofed"] > 0 && p.Drops["forged-source"]+p.Drops["forged-target"] > 0 {
				return nil
			}
		}
		return errors.New("no drops")
	})
	for _, f := range received(heard, func([]byte) bool { return true }) {
		if !strings.HasPrefix(string(f[6:]), string([]byte{2, 0, 0, 0, 0xa, 1})) {
			t.Errorf("vm1 heard a claim: %x", f)
		}
	}
	_, _ = vm3.Run("ip", "addr", "del", "fe80::a9fe:a9fe/64", "dev", "eth0")
}

// senders has guests of every kind send to another as the service, by both families:
// nothing of it arrives, what they send as themselves does.
func senders(t *testing.T, guests map[string]*lab.Guest) {
	at1 := watch(t, guests["vm1"], nil)
	for name, mac := range map[string]string{"vm3": "02:00:00:00:00:13", "vm5": "02:00:00:00:00:15", "up0": "02:00:00:00:0b:01"} {
		own := "fe80::ff:fe00:" + mac[15:]
		if name == "up0" {
			own = "fe80::ff:fe00:b01"
		}
		for _, a := range topology.MetadataAddresses {
			text := "as the service from " + name
			if a.Is4() {
				inject(t, guests[name], udp4(t, mac, mac1, a.String(), text))
			} else {
				inject(t, guests[name], udp6(t, mac, mac1, a.String(), "fe80::ff:fe00:11", text))
			}
		}
		good := udp6(t, mac, mac1, own, "fe80::ff:fe00:11", "as itself")
		if name != "vm3" {
			plain := udp4(t, mac, mac1, "192.0.2.77", "as itself")
			inject(t, guests[name], plain)
			arrives(t, at1, "what "+name+" sends by IPv4", like(plain))
		}
		inject(t, guests[name], good)
		arrives(t, at1, "what "+name+" sends", like(good))
		for _, f := range received(at1, holding("as the service from "+name)) {
			t.Errorf("from %s there came %x", name, f)
		}
	}
}

// routerlessClaim is an advertisement of vm3's for the service's address.
func routerlessClaim(t *testing.T) []byte {
	t.Helper()
	return neighborAdvert(t, "02:00:00:00:00:13", "fe80::ff:fe00:13", "fe80::a9fe:a9fe")
}

// metadataTold reads what operators are told.
func metadataTold(t *testing.T, s *stage.Stage, d *stage.Daemon, ndExt bool) {
	o := command(t, s, "status", "metadata", "-c", s.ConfigPath)
	o.said(t, 0, o.out, "metadata service: served", "vm1", "vm2", "i-2", "200=", "404=", "the configuration")
	var st agent.MetadataStatus
	if o := command(t, s, "status", "metadata", "-c", s.ConfigPath, "--json"); json.Unmarshal([]byte(o.out), &st) != nil || len(st.Ports) != 4 || st.Frames["in"] == 0 {
		t.Errorf("as JSON: %s", o.out)
	}
	m := metrics(t, d)
	for _, key := range []string{"damselfly_metadata_requests_total{port=vm1,status=200}", "damselfly_metadata_requests_total{port=vm3,status=404}",
		"damselfly_metadata_serving", "damselfly_metadata_frames_total{end=in}", "damselfly_metadata_frames_total{end=out}"} {
		if m[key] == 0 {
			t.Errorf("%s is 0", key)
		}
	}
	for port, words := range map[uint16][]string{80: {"delivers it to the metadata service"}, 22: {"drop-metadata", "TCP port 80", "network blue, metadata"}} {
		frame := segment(t, "fe80::ff:fe00:11", "fe80::a9fe:a9fe", 40000, port, true, false)
		o := command(t, s, "explain", "-c", s.ConfigPath, "--ovsdb", s.OVSDB, "--port", "vm1", hex.EncodeToString(frame))
		o.said(t, 0, o.out, words...)
	}
	waitLog(t, d, "msg=metadata", "port=vm2", "path="+hostname, "status=200", "from=fe80::ff:fe00:11")
	if got := m[drops("nd-answer")]; ndExt && got == 0 {
		t.Error("no flow answered for it")
	}
}
