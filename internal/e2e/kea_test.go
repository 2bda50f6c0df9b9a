package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// keaConfig has leases of the network that is relayed, and listens at one
// address alone.
const keaConfig = `{"Dhcp6": {
  "interfaces-config": {"interfaces": ["eth0/fd00:547::1"]},
  "lease-database": {"type": "memfile", "persist": false, "lfc-interval": 0},
  "preferred-lifetime": 300, "valid-lifetime": 600, "renew-timer": 150, "rebind-timer": 240,
  "server-id": {"type": "LL", "persist": false},
  "subnet6": [{"subnet": "fd00:d5::/64", "pools": [{"pool": "fd00:d5::1:0/112"}],
    "pd-pools": [{"prefix": "2001:db8:5000::", "prefix-len": 40, "delegated-len": 56}],
    "option-data": [{"name": "dns-servers", "data": "2001:db8::5"}]}],
  "loggers": [{"name": "kea-dhcp6", "severity": "INFO", "output_options": [{"output": "stdout"}]}]}}
`

// newKea starts Kea at fd00:547::1, on a bridge of its own that the host of the
// stage is on too.
func newKea(t *testing.T, s *stage.Stage) *lab.Guest {
	t.Helper()
	needs(t, "kea-dhcp6")
	const bridge = "br-servers"
	if err := s.AddBridge(bridge); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"link set " + bridge + " up", "addr add fd00:547::2/64 dev " + bridge + " nodad"} {
		if out, err := s.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v\n%s", args, err, out)
		}
	}
	o := quick("kea", "02:00:00:00:05:47")
	o.Bridge, o.Addresses = bridge, []netip.Prefix{netip.MustParsePrefix("fd00:547::1/64")}
	g, err := s.AddGuest(o)
	if err != nil {
		t.Fatal(err)
	}
	waitAddr(t, g, "fd00:547::/64")
	dir := t.TempDir()
	conf := filepath.Join(dir, "kea.json")
	if err := os.WriteFile(conf, []byte(keaConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	startKea(t, g.Command("kea-dhcp6", "-c", conf), dir)
	return g
}

// startKea starts it with all its files in a folder and waits until it serves.
func startKea(t *testing.T, cmd *exec.Cmd, dir string) {
	t.Helper()
	said := filepath.Join(dir, "said")
	out, err := os.Create(said)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Env = append(os.Environ(), "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR="+dir, "KEA_DHCP_DATA_DIR="+dir)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = out, out, time.Second
	startLoad(t, cmd)
	text := func() string {
		b, _ := os.ReadFile(said) // nothing said yet
		return string(b)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Kea said:\n%s", text())
		}
	})
	lab.WaitFor(t, patience, "Kea to serve", func() error {
		if !strings.Contains(text(), "DHCP6_STARTED") {
			return fmt.Errorf("it said %s", text())
		}
		return nil
	})
}

// TestKeaBehindRelay has dhclient get its address from Kea: what
// reaches Kea names the port and the client's MAC (RFC 9915 section 19.1, RFC
// 6939 section 4).
func TestKeaBehindRelay(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, topologyOf(t, "relayed"))
		kea := newKea(t, s)
		serve(t, s)
		asked := watch(t, kea, func(frame []byte) bool { return dhcpv6Type(frame) != 0 })
		vm1 := addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11"})
		linkReady(t, vm1)
		seen := dhcpv6At(t, vm1)

		client := newISC(t, vm1)
		client.run(t, "-1")
		if got := client.env(t, "new_ip6_address"); !strings.HasPrefix(got, "fd00:d5::1:") {
			t.Errorf("vm1 got %q, not an address of Kea's", got)
		}
		if got := client.env(t, "new_dhcp6_name_servers"); got != "2001:db8::5" {
			t.Errorf("vm1 was told DNS servers %q", got)
		}
		client.run(t, "-r")
		waitMessage(t, asked, byte(dhcpv6.MessageTypeRelayReply), 2)
		if of(asked, byte(dhcpv6.MessageTypeRelayForward)) < 3 {
			t.Errorf("Kea was asked %d times", of(asked, byte(dhcpv6.MessageTypeRelayForward)))
		}
		keep(t, ndExt, "relayed/dhclient-kea", seen, asked)
		for _, f := range asked.Frames() {
			relayed(t, f.Data[dhcpv6Start:], vm1.MAC)
		}
	})
}

// relayed checks what passes between Damselfly and an external server.
func relayed(t *testing.T, data []byte, mac net.HardwareAddr) {
	t.Helper()
	m, err := dhcpv6.RelayMessageFromBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(m.Options.InterfaceID()); got != "vm1" {
		t.Errorf("%v names the port %q", m.MessageType, got)
	}
	if m.MessageType != dhcpv6.MessageTypeRelayForward {
		return
	}
	if m.HopCount != 0 || m.LinkAddr.String() != "fd00:d5::1" || !m.PeerAddr.IsLinkLocalUnicast() {
		t.Errorf("relayed %s", m.Summary())
	}
	if kind, got := m.Options.ClientLinkLayerAddress(); kind != iana.HWTypeEthernet || !slices.Equal(got, mac) {
		t.Errorf("names the client's link-layer address %v %v", kind, got)
	}
	if inner := m.Options.RelayMessage(); inner == nil || inner.IsRelay() {
		t.Errorf("holds %v", inner)
	}
}
