package main

import (
	"context"
	"fmt"
	"net/netip"

	"damselfly/bench/loadgen"
)

const kea = "Kea"

// keaConfig is Kea's with leases in memory and a file beside, which it writes and
// does not sync. Its queue has room for all that is asked at once.
const keaConfig = `{"Dhcp6": {
  "data-directory": "%[1]s", "server-id": {"type": "LL", "persist": false},
  "interfaces-config": {"interfaces": ["eth0"]},
  "lease-database": {"type": "memfile", "persist": true, "name": "%[1]s/leases6.csv", "lfc-interval": 0},
  "preferred-lifetime": 3000, "valid-lifetime": 4000, "renew-timer": 1500, "rebind-timer": 2400,
  "multi-threading": {"enable-multi-threading": true, "thread-pool-size": 2, "packet-queue-size": 1024},
  "subnet6": [{"subnet": "%[2]s", "interface": "eth0", "pools": [{"pool": "fd00:d1::1:0:0/96"}]}],
  "loggers": [{"name": "kea-dhcp6", "severity": "ERROR", "output_options": [{"output": "%[1]s/kea.log"}]}]}}
`

// kea runs Kea's DHCPv6 server in a guest of a learning bridge.
func (h *house) kea(ctx context.Context) (*contender, error) {
	path, _, err := program(ctx, "kea-dhcp6")
	if err != nil {
		return nil, err
	}
	g, s, err := h.server(ctx, "kea", netip.MustParsePrefix("fd00:d1::ffff/64"))
	if err != nil {
		return nil, err
	}
	config, err := h.file("kea.json", fmt.Sprintf(keaConfig, h.dir, leases))
	if err != nil {
		return nil, err
	}
	r, err := h.start(g, []string{"KEA_PIDFILE_DIR=" + h.dir, "KEA_LOCKFILE_DIR=" + h.dir}, path, "-c", config)
	if err != nil {
		return nil, err
	}
	h.versions[kea] = h.version(path, "-v")
	return &contender{name: kea, kinds: leaseKinds, site: s, pids: []int{r.pid}}, nil
}

const radvd = "radvd"

const radvdConfig = `interface eth0 {
  AdvSendAdvert on; AdvRASolicitedUnicast on; AdvDefaultLifetime 1800; MinRtrAdvInterval 200; MaxRtrAdvInterval 600;
  prefix %s { };
};
`

// radvd runs radvd in a guest of a learning bridge.
func (h *house) radvd(ctx context.Context) (*contender, error) {
	path, _, err := program(ctx, "radvd")
	if err != nil {
		return nil, err
	}
	g, s, err := h.server(ctx, "radvd", netip.MustParsePrefix("fd00:b1::1/64"))
	if err != nil {
		return nil, err
	}
	config, err := h.file("radvd.conf", fmt.Sprintf(radvdConfig, prefix))
	if err != nil {
		return nil, err
	}
	r, err := h.start(g, nil, path, "-n", "-C", config, "-m", "stderr", "-p", h.dir+"/radvd.pid")
	if err != nil {
		return nil, err
	}
	h.versions[radvd] = h.version(path, "--version")
	s.Router.Prefix = prefix
	return &contender{name: radvd, kinds: []loadgen.Kind{loadgen.RS}, site: s, pids: []int{r.pid}}, nil
}

const dnsmasq = "dnsmasq"

// dnsmasq runs dnsmasq in a guest of a learning bridge. It is not asked for leases
// of ever new clients: it looks for each through all of them.
func (h *house) dnsmasq(ctx context.Context) (*contender, error) {
	path, _, err := program(ctx, "dnsmasq")
	if err != nil {
		return nil, err
	}
	g, s, err := h.server(ctx, "dnsmasq", netip.MustParsePrefix("fd00:d1::ffff/64"))
	if err != nil {
		return nil, err
	}
	r, err := h.start(g, nil, path, "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=eth0", "--enable-ra",
		"--dhcp-range=fd00:d1::1:0:0,fd00:d1::1:ffff:ffff,64,2h", "--dhcp-leasefile="+h.dir+"/dnsmasq.leases", "--dhcp-lease-max=100000",
		"--pid-file="+h.dir+"/dnsmasq.pid", "--user=root", "--log-facility="+h.dir+"/dnsmasq.log", "--quiet-dhcp6", "--quiet-ra")
	if err != nil {
		return nil, err
	}
	h.versions[dnsmasq] = h.version(path, "--version")
	s.Router.Prefix, s.AnyClass = leases, true // it advertises with a class of its own
	return &contender{name: dnsmasq, kinds: []loadgen.Kind{loadgen.RS, loadgen.Solicit, loadgen.Information}, site: s, pids: []int{r.pid}}, nil
}
