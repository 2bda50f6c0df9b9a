package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"damselfly/bench/loadgen"
	"damselfly/internal/stage"
	"damselfly/internal/topology"
)

// Damselfly, by its transport.
const (
	oursPacketIn = "Damselfly, packet-in"
	oursPort     = "Damselfly, punt port"
)

// budget lifts every limit that guests could meet.
const budget = "limits: {ns: none, rs: none, echo: none, dhcpv6: none, leases: 10000000}"

// damselfly runs Damselfly on a bridge of its own. Its leases are durable before
// they are told.
func (h *house) damselfly(ctx context.Context, name, transport string) (*contender, error) {
	short := map[string]string{"packet-in": "pi", "port": "pp"}[transport]
	st, err := stage.Beside(h.Lab, h.binary, "br-"+short, map[string]string{"pi": "127.0.0.1:8687", "pp": "127.0.0.1:8688"}[short])
	if err != nil {
		return nil, err
	}
	st.Punt = transport
	s, err := h.guestsOf(short, "br-"+short)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nnetworks:\n  - {name: blue, subnets: [{prefix: %q, mode: slaac}, "+
		"{prefix: %q, mode: dhcpv6-stateful, pools: [\"fd00:d1::1:0:0-fd00:d1::1:ffff:ffff\"]}]}\n", budget, prefix, leases)
	b.WriteString("routers: [{name: r1, networks: [blue]}]\nports:\n")
	for g := range guests {
		var addresses []string
		for n := range spare {
			addresses = append(addresses, fmt.Sprintf("%q", guestAddress(g, n)))
		}
		fmt.Fprintf(&b, "  - {name: %s%d, network: blue, mac: %q, addresses: [%s]}\n", short, g, guestMAC(g), strings.Join(addresses, ", "))
	}
	if err := st.Configure(b.String()); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	d, err := st.Serve(ctx)
	if err != nil {
		return nil, err
	}
	s.Router = loadgen.Router{MAC: topology.RouterMAC("blue"), LinkLocal: topology.DefaultLinkLocal,
		Gateway: topology.DefaultGateway(prefix), Lifetime: 30 * time.Minute, Prefix: prefix}
	return &contender{name: name, ours: true, kinds: loadgen.Kinds, site: s, pids: []int{d.PID()}}, nil
}
