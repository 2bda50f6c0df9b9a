package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"damselfly/bench/loadgen"
	"damselfly/internal/lab"
	"damselfly/internal/wire"
)

const ovn = "OVN"

// ovnRouter is the MAC of OVN's router.
var ovnRouter = wire.MAC{2, 0, 0, 0, 0xff, 1}

// ovn runs OVN's databases, northd and controller: one switch, one router that
// advertises, and a port for each guest with its addresses and DHCPv6.
func (h *house) ovn(ctx context.Context) (*contender, error) {
	controller, root, err := program(ctx, "ovn-controller")
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(h.dir, "ovn.sock")
	databases := "unix:" + socket
	env := []string{"OVN_RUNDIR=" + h.dir, "OVN_LOGDIR=" + h.dir, "OVN_DBDIR=" + h.dir}
	args := []string{"--remote=punix:" + socket, "--unixctl=" + filepath.Join(h.dir, "ovn-db.ctl")}
	for _, name := range []string{"ovn-nb", "ovn-sb"} {
		db := filepath.Join(h.dir, name+".db")
		out, err := h.Command("ovsdb-tool", "create", db, filepath.Join(root, "usr/share/ovn", name+".ovsschema")).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("making %s: %w: %s", name, err, out)
		}
		args = append(args, db)
	}
	if _, err := h.start(h, env, "ovsdb-server", args...); err != nil {
		return nil, err
	}
	bin := func(name string) string { return filepath.Join(root, "usr/bin", name) }
	if _, err := h.start(h, env, bin("ovn-northd"), "--ovnnb-db="+databases, "--ovnsb-db="+databases,
		"--unixctl="+filepath.Join(h.dir, "northd.ctl")); err != nil {
		return nil, err
	}
	_, err = h.Vsctl("set", "Open_vSwitch", ".", "external_ids:system-id=peers", "external_ids:ovn-remote="+databases,
		"external_ids:ovn-encap-type=geneve", "external_ids:ovn-encap-ip=127.0.0.1", "external_ids:ovn-bridge-datapath-type=netdev",
		"external_ids:ovn-bridge=br-int")
	if err != nil {
		return nil, err
	}
	if err := h.AddBridge("br-int", "fail_mode=secure"); err != nil {
		return nil, err
	}
	nbctl := func(args ...string) (string, error) {
		cmd := h.Command(bin("ovn-nbctl"), append([]string{"--db=" + databases, "--timeout=30"}, args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("ovn-nbctl %s: %w: %s", args[0], err, out)
		}
		return strings.TrimSpace(string(out)), err
	}
	ready, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	if err := lab.Eventually(ready, func() error { _, err := nbctl("show"); return err }); err != nil {
		return nil, err
	}
	if err := ovnTopology(nbctl); err != nil {
		return nil, err
	}
	s, err := h.guestsOf("ovn", "br-int")
	if err != nil {
		return nil, err
	}
	pid, err := h.ovnController(controller, env, nbctl)
	if err != nil {
		return nil, err
	}
	h.versions[ovn] = h.version(controller, "--version")
	s.Leases = prefix // what a port has is what it is given
	s.Router = loadgen.Router{MAC: ovnRouter, LinkLocal: wire.LinkLocal(ovnRouter), Gateway: prefix.Addr().Next(),
		Lifetime: 65535 * time.Second, Prefix: prefix}
	return &contender{name: ovn, kinds: []loadgen.Kind{loadgen.NS, loadgen.RS, loadgen.Echo, loadgen.Solicit, loadgen.Information}, site: s, pids: []int{pid}}, nil
}

// ovnController starts OVN's controller and waits until the bridge has its flows. It
// crashes at its start now and then, so it is given more than one.
func (h *house) ovnController(path string, env []string, nbctl func(args ...string) (string, error)) (int, error) {
	for try := 1; ; try++ {
		r, err := h.start(h, env, path, h.OVSDB)
		if err != nil {
			return 0, err
		}
		_, err = nbctl("--timeout=5", "--wait=hv", "sync")
		switch {
		case err == nil:
			return r.pid, nil
		case !r.ended() || try == 10:
			return 0, err
		}
	}
}

// ovnTopology is a switch, a router that advertises, and a port for each guest.
func ovnTopology(nbctl func(args ...string) (string, error)) error {
	options, err := nbctl("create", "DHCP_Options", fmt.Sprintf(`cidr="%s"`, prefix), `options="server_id"="`+ovnRouter.String()+`"`)
	if err != nil {
		return err
	}
	args := []string{"ls-add", "sw0", "--", "lr-add", "r0",
		"--", "lrp-add", "r0", "r0-sw0", ovnRouter.String(), fmt.Sprintf("%s/64", prefix.Addr().Next()),
		"--", "set", "Logical_Router_Port", "r0-sw0", "ipv6_ra_configs:address_mode=slaac", "ipv6_ra_configs:mtu=1442",
		"--", "lsp-add", "sw0", "sw0-r0", "--", "set", "Logical_Switch_Port", "sw0-r0", "type=router", "options:router-port=r0-sw0", "addresses=router"}
	for g := range guests {
		port := fmt.Sprint("ovn", g)
		addresses := guestMAC(g).String()
		for n := range spare {
			addresses += " " + guestAddress(g, n).String()
		}
		args = append(args, "--", "lsp-add", "sw0", port, "--", "lsp-set-addresses", port, addresses, "--", "lsp-set-dhcpv6-options", port, options)
	}
	_, err = nbctl(args...)
	return err
}
