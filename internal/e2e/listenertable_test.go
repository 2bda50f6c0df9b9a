package e2e

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"damselfly/fixtures"
	"damselfly/internal/agent"
	"damselfly/internal/lab"
	"damselfly/internal/wire"

	"github.com/google/go-cmp/cmp"
)

// listenerTopology is the network that the frames of scapy were made for.
const listenerTopology = `
limits: {ns: 20000/20000, na: 20000/20000, echo: 20000/20000, mld: 20000/20000}
networks:
  - name: blue
    uplink: {interface: uplink}
    multicast: {snooping: true, querier: true, router_discovery: true, query_interval: 5s, response_interval: 200ms, robustness: 1}
    subnets: [{prefix: "fd00:b1::/64"}]
routers: [{name: r1, networks: [{name: blue, link_local: "fe80::a", mac: "02:00:00:00:00:0a"}]}]
ports:
  - {name: guest, network: blue, mac: "02:00:00:00:00:11"}
  - {name: other, network: blue, mac: "02:00:00:00:00:12"}
  - {name: router, network: blue, mac: "02:00:00:00:00:13", router: true}
  - {name: nested, network: blue, unknown: true}
`

// listenerPlay is that network on a real bridge.
type listenerPlay struct {
	*play
	parties map[string]*fixtures.Party
}

func newListenerPlay(t *testing.T, ndExt bool) *listenerPlay {
	mac := func(octets ...byte) wire.MAC { return wire.MAC(append([]byte{2, 0, 0}, octets...)) }
	router := fixtures.Party{MAC: mac(0, 0, 0xa), LinkLocal: netip.MustParseAddr("fe80::a")}
	p := &listenerPlay{play: newPlay(router, bluePrefix), parties: map[string]*fixtures.Party{}}
	p.uplink = "uplink"
	p.stage = newStage(t, ndExt, listenerTopology)
	p.daemon = serve(t, p.stage)
	for name, m := range map[string]wire.MAC{"guest": mac(0, 0, 0x11), "other": mac(0, 0, 0x12), "router": mac(0, 0, 0x13), "nested": mac(0, 0xc, 1), "uplink": mac(0, 0xb, 1)} {
		from := &fixtures.Party{Port: name, MAC: m, LinkLocal: wire.LinkLocal(m)}
		if m[4] != 0 {
			from.LinkLocal = netip.MustParseAddr(fmt.Sprintf("fe80::%x01", m[4]))
		}
		p.parties[name] = from
		p.guests[name] = addGuest(t, p.stage, lab.GuestOptions{Name: name, MAC: m.String(), NoIfaceID: name == "uplink",
			Sysctls: map[string]string{"net.ipv6.conf.eth0.disable_ipv6": "1"}})
		p.capture(t, name)
	}
	p.settle(t)
	(&multicastPlay{s: p.stage, d: p.daemon}).status(t, "listeners are known", ready)
	p.settle(t)
	p.count = p.read(t)
	return p
}

// ofItsOwn are what the router said of multicast to a port by itself, once each.
func (p *listenerPlay) ofItsOwn(port string) (list [][]byte) {
	for _, f := range p.captures[port].Frames() {
		own := len(f.Data) > 62 && bytes.Equal(f.Data[6:12], p.router.MAC[:]) && f.Data[20] == 0
		if own && !slices.ContainsFunc(list, like(f.Data)) {
			list = append(list, f.Data)
		}
	}
	return list
}

// TestListenerFrames has guests say all that scapy wrote of Multicast Listener and
// Router Discovery, legal and forged, by either transport. Each ends by its name: in
// Damselfly by the reason beside it, or, where that is no legal one, in the switch by
// a flow that says why. Forged ones nobody gets, those of routers all do that they are to, and
// what listeners say only routers.
func TestListenerFrames(t *testing.T) {
	t.Parallel()
	ends := map[bool]map[string]string{}
	t.Run("transports", func(t *testing.T) {
		for _, ndExt := range []bool{true, false} {
			into := map[string]string{}
			ends[ndExt] = into
			t.Run(puntBy(ndExt), func(t *testing.T) {
				t.Parallel()
				newListenerPlay(t, ndExt).table(t, into)
			})
		}
	})
	if t.Failed() || t.Skipped() || len(ends[true]) == 0 {
		return
	}
	if d := cmp.Diff(ends[false], ends[true]); d != "" {
		t.Errorf("how they end differs (-port +packet-in):\n%s", d)
	}
	punted := 0
	for _, end := range ends[true] {
		if !strings.HasPrefix(end, "drop-") {
			punted++
		}
	}
	t.Logf("%d frames, of which %d came to Damselfly", len(ends[true]), punted)
}

// table sends every frame, first what makes no router known.
func (p *listenerPlay) table(t *testing.T, ends map[string]string) {
	list := fixtures.ListenerCases()
	known := func(c fixtures.ListenerCase) int { return b2i(c.Reason == "relayed" || c.Reason == "listeners-asked") }
	slices.SortStableFunc(list, func(a, b fixtures.ListenerCase) int { return known(a) - known(b) })
	for _, f := range list {
		t.Run(f.Name, func(t *testing.T) {
			seen := p.send(t, p.parties[f.From], f.Frame)
			end := p.end(t, f, seen)
			ends[f.Name+" of "+f.From] = end
			want := map[string][][]byte{}
			if end == "relayed" {
				for port, party := range p.parties {
					if port != f.From && (f.Frame[0]&1 != 0 || bytes.HasPrefix(f.Frame, party.MAC[:])) {
						want[port] = [][]byte{f.Frame}
					}
				}
			}
			if d := cmp.Diff(want, p.notOwn(seen)); d != "" {
				t.Errorf("received (-want +got):\n%s", d)
			}
		})
	}
	if said := p.daemon.Log(); !strings.Contains(said, "asks for listeners by MLD version 1") {
		t.Error("nobody is warned of a querier of version 1")
	}
	t.Run("to routers", p.toRouters)
	t.Run("what the router said", p.ownWords)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// notOwn is what was received of others than the router.
func (p *listenerPlay) notOwn(seen ndSeen) map[string][][]byte {
	out := map[string][][]byte{}
	for port, frames := range seen.Received {
		for _, f := range frames {
			if !bytes.Equal(f[6:12], p.router.MAC[:]) {
				out[port] = append(out[port], f)
			}
		}
	}
	return out
}

// end is how a frame ended, which has to be one way, and one that it may.
func (p *listenerPlay) end(t *testing.T, f fixtures.ListenerCase, seen ndSeen) string {
	t.Helper()
	end, err := endOf(seen)
	legal := f.Reason == "relayed" || f.Reason == "listener-heard" || f.Reason == "listeners-asked" || f.Reason == "multicast-router-asked"
	if err != nil || end != f.Reason && (legal || !strings.HasPrefix(end, "drop-")) {
		t.Errorf("ended as %q, %v, want %s", end, err, f.Reason)
	}
	return end
}

// toRouters: what listeners say comes to the multicast routers that are known by now,
// unchanged, and to no host.
func (p *listenerPlay) toRouters(t *testing.T) {
	for _, name := range []string{"advertisement|router", "advertisement behind the uplink|uplink"} {
		what, from, _ := strings.Cut(name, "|")
		p.send(t, p.parties[from], fixtures.ListenerFrame(what, from))
	}
	(&multicastPlay{s: p.stage, d: p.daemon}).status(t, "two routers are known", func(m agent.MulticastStatus) bool { return len(m.Routers) == 2 })
	for _, f := range fixtures.ListenerCases() {
		if f.Reason != "listener-heard" && f.Reason != "multicast-router-asked" {
			continue
		}
		seen := p.send(t, p.parties[f.From], f.Frame)
		want := map[string][][]byte{}
		for _, to := range []string{"router", "uplink"} {
			if to != f.From {
				want[to] = [][]byte{f.Frame}
			}
		}
		if d := cmp.Diff(want, p.notOwn(seen)); d != "" || seen.Reasons["relayed"] != 1 {
			t.Errorf("%s: ended as %v, received (-want +got):\n%s", f.Name, seen.Reasons, d)
		}
	}
}

// ownWords: Wireshark has nothing to say against what the router said meanwhile: one
// Query and, among them an answer to a solicitation, some advertisements.
func (p *listenerPlay) ownWords(t *testing.T) {
	var frames [][]byte
	lab.WaitFor(t, patience, "the answer to a solicitation", func() error {
		frames = p.ofItsOwn("other")
		kinds := map[byte]int{}
		for _, f := range frames {
			kinds[f[62]]++
		}
		if kinds[wire.TypeMLDQuery] == 0 || kinds[wire.TypeMRDAdvert] == 0 {
			return fmt.Errorf("by type: %v", kinds)
		}
		return nil
	})
	dissected(t, len(frames), frames)
	t.Logf("tshark dissected %d", len(frames))
}
