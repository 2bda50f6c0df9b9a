package e2e

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/handlers"
	"damselfly/internal/lab"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// ndPlay is the network of the Neighbor Discovery cases on a real bridge. Its
// guests' own stacks are silent: what they send, the tests inject.
type ndPlay struct {
	*fixtures.NDWorld
	*play
	snapshot *topology.Snapshot // what the daemon serves, with other keys
}

// livePort is configured from the start and gets a guest with a stack where a
// test wants one.
const livePort = "vm6"

// newNDPlay sets the world up.
func newNDPlay(t *testing.T, ndExt bool) *ndPlay { return newNDPlayWith(t, ndExt, "") }

// snooped has multicast groups go to who listens to them alone.
const snooped = ", multicast: {snooping: true, querier: true, query_interval: 600s, response_interval: 200ms, robustness: 1}"

// newNDPlayWith is newNDPlay with more keys of the network.
func newNDPlayWith(t *testing.T, ndExt bool, keys string) *ndPlay {
	t.Helper()
	w := fixtures.NewNDWorld()
	var yaml strings.Builder
	fmt.Fprintf(&yaml, `
limits: {ns: 20000/20000, na: 20000/20000, inverse: 20000/20000, rs: 20000/20000, echo: 20000/20000}
networks:
  - {name: %s, mtu: 1442, inverse_nd: true, subnets: [{prefix: "%s", gateway: "%s"}]%[5]s}
routers: [{name: r1, networks: [%[1]s]}]
ports:
  - {name: %[4]s, network: %[1]s, mac: "02:00:00:00:00:16"}
`, w.Network, w.Prefix, w.Router.Global, livePort, keys)
	for _, g := range w.Guests() {
		fmt.Fprintf(&yaml, "  - {name: %s, network: %s, mac: \"%s\", addresses: [\"%s\"], router: %v, unknown: %v}\n",
			g.Port, w.Network, g.MAC, g.Global, g == &w.RouterGuest, g == &w.Bridge)
	}
	p := &ndPlay{NDWorld: w, play: newPlay(w.Router, w.Prefix)}
	p.snapshot = p.inProcess(t)
	p.advert = p.handle(&w.Asker, p.routerSolicit(netip.IPv6Unspecified()).Bytes())[0]
	p.stage = newStage(t, ndExt, yaml.String())
	for _, g := range w.Guests() {
		if g == &w.Absent {
			continue
		}
		p.guests[g.Port] = addGuest(t, p.stage, lab.GuestOptions{Name: g.Port, MAC: g.MAC.String(),
			Sysctls: map[string]string{"net.ipv6.conf.eth0.disable_ipv6": "1"}})
		p.capture(t, g.Port)
	}
	p.daemon = serve(t, p.stage)
	p.settle(t)
	if keys == snooped {
		(&multicastPlay{s: p.stage, d: p.daemon}).status(t, "listeners are known", ready)
		p.settle(t)
	}
	p.count = p.read(t)
	return p
}

// inProcess builds the snapshot that handlers called in the test are given.
func (p *ndPlay) inProcess(t *testing.T) *topology.Snapshot {
	t.Helper()
	in := topology.Input{Spec: p.Spec(), Keys: topology.Keys{Networks: map[string]uint16{p.Network: 1}, Ports: map[string]uint16{}}}
	in.Spec.Networks[0].MTU, in.Spec.Networks[0].InverseND = 1442, true
	for i, g := range p.Guests() {
		in.Keys.Ports[g.Port] = uint16(i + 1)
		if g != &p.Absent {
			in.Bindings = append(in.Bindings, topology.Binding{Interface: g.Port, OFPort: uint32(i + 1)})
		}
	}
	s, problems := new(topology.Builder).Build(in)
	if s == nil || len(problems) > 0 {
		t.Fatalf("the test's topology is refused: %v", problems)
	}
	return s
}

// handle gives the replies of the handlers in this process.
func (p *ndPlay) handle(from *fixtures.Party, frame []byte) [][]byte {
	n := slices.Index(p.Guests(), from) + 1
	f := pipeline.Frame{Data: frame, InPort: uint32(n), Port: uint16(n), Network: 1}
	r := pipeline.NewReplies(4096)
	handlers.Dispatch(p.snapshot, time.Now(), &f, r)
	var out [][]byte
	for _, reply := range r.List() {
		out = append(out, reply.Data)
	}
	return out
}

// another makes Private an address that no case has told of yet, so that what
// was learned in one is not known in the next.
func (p *ndPlay) another() {
	a := p.Private.As16()
	a[8]++
	p.Private = netip.AddrFrom16(a)
}
