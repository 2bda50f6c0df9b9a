package e2e

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/internal/lab"
	"damselfly/internal/wire"

	"github.com/google/go-cmp/cmp"
)

// securePlay is a network with Secure Neighbor Discovery on a real bridge.
type securePlay struct {
	*play
	peers *fixtures.SecureWorld
	mode  int // of fixtures.SecureModes
}

func newSecurePlay(t *testing.T, ndExt bool, mode int) *securePlay {
	w, err := fixtures.NewSecureWorld(fixtures.NewNDWorld(), fixtures.SignersFor(t))
	if err != nil {
		t.Fatal(err)
	}
	w.Now = func() float64 { return float64(time.Now().UnixNano()) / 1e9 }
	p := &securePlay{play: newPlay(w.Router, w.Prefix), peers: w, mode: mode}
	p.stage = newStage(t, ndExt, secureTopology(w, routerFiles(t), fixtures.SecureModes[mode]))
	p.daemon = serve(t, p.stage)
	w.Router.LinkLocal = routerAddress(t, p.daemon)
	p.router = w.Router
	// Advertisements to all, each with a signature of its own, and questions whether a
	// guest is still there.
	p.own = func(f []byte) bool {
		if len(f) < 70 || !bytes.Equal(f[6:12], w.Router.MAC[:]) {
			return false
		}
		return f[54] == wire.TypeNeighborSolicit ||
			f[54] == wire.TypeRouterAdvert && f[0]&1 != 0 && wire.Options(f[54+wire.RouterAdvertLen:]).Find(wire.OptionNonce) == nil
	}
	if fixtures.SecureModes[mode] == "require" {
		p.question = p.signed
	}
	for _, g := range w.Guests() {
		if g == &w.Absent {
			continue
		}
		p.guests[g.Port] = addGuest(t, p.stage, lab.GuestOptions{Name: g.Port, MAC: g.MAC.String(),
			Sysctls: map[string]string{"net.ipv6.conf.eth0.disable_ipv6": "1"}})
		p.capture(t, g.Port)
	}
	p.settle(t)
	p.probe(t)
	p.settle(t)
	p.count = p.read(t)
	return p
}

// signed is a question for an address that nobody has.
func (p *securePlay) signed(t *testing.T, from *fixtures.Party, unknown netip.Addr) []byte {
	key := p.peers.Own
	if from != &p.peers.Asker {
		key = p.peers.Theirs
	}
	frame, err := p.peers.Solicit(key, unknown, func(m *fixtures.SignedMessage) { m.From, m.LinkLayer = from.MAC, from.MAC })
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// routerFiles is a folder with the router's key and certificates.
func routerFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, file := range map[string][]byte{"router.key": fixtures.RouterKey, "router.pem": fixtures.RouterChain} {
		if err := os.WriteFile(filepath.Join(dir, name), file, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// secureTopology is the world's configuration.
func secureTopology(w *fixtures.SecureWorld, dir, mode string) string {
	var yaml strings.Builder
	fmt.Fprintf(&yaml, `
limits: {ns: 20000/20000, na: 20000/20000, rs: 20000/20000, echo: 20000/20000, send: 20000/20000}
networks:
  - name: %s
    mtu: 1442
    subnets: [{prefix: "%s", gateway: "%s"}]
    send: {mode: %s, key: %[5]s/router.key, certificate: %[5]s/router.pem, sec: 0}
routers: [{name: r1, networks: [%[1]s]}]
ports:
`, w.Network, w.Prefix, w.Router.Global, mode, dir)
	for _, g := range w.Guests() {
		addresses := []netip.Addr{g.Global}
		switch g {
		case &w.Asker:
			addresses = w.Addresses()
		case &w.Neighbor:
			addresses = append(addresses, w.Theirs.Addr)
		}
		text := fmt.Sprintf("%q", addresses)
		fmt.Fprintf(&yaml, "  - {name: %s, network: %s, mac: \"%s\", addresses: %s, router: %v, unknown: %v}\n",
			g.Port, w.Network, g.MAC, strings.ReplaceAll(text, " ", ", "), g == &w.RouterGuest, g == &w.Bridge)
	}
	return yaml.String()
}

// probe has the Asker probe for its own address until it is known to hold it.
func (p *securePlay) probe(t *testing.T) {
	t.Helper()
	w := p.peers
	frame, err := w.Solicit(w.Own, w.Own.Addr, func(m *fixtures.SignedMessage) {
		m.Prefix, m.Source, m.LinkLayer = m.Source, netip.IPv6Unspecified(), wire.MAC{}
	})
	if err != nil {
		t.Fatal(err)
	}
	inject(t, p.guests[w.Asker.Port], frame)
	holds(t, p.daemon, w.Asker.Port, w.Own.Addr)
}

// TestSecureFrames has a guest say all that the peers' program makes of Secure Neighbor
// Discovery with scapy, legal and forged, by either transport: it ends by its name, in
// Damselfly or, where it is no legal one, in the switch by a flow that says why. What
// the router answers the peers' program takes, and Wireshark has nothing to say
// against it. In mode prefer that is all of them by both transports, in the others
// those that end otherwise there.
func TestSecureFrames(t *testing.T) {
	t.Parallel()
	ends := map[bool]map[string]string{true: {}, false: {}}
	t.Run("plays", func(t *testing.T) {
		for mode, ndExts := range [][]bool{{true}, {true, false}, {false}} {
			for _, ndExt := range ndExts {
				t.Run(fixtures.SecureModes[mode]+" by "+puntBy(ndExt), func(t *testing.T) {
					t.Parallel()
					into := map[string]string{}
					if len(ndExts) > 1 {
						into = ends[ndExt]
					}
					newSecurePlay(t, ndExt, mode).table(t, into)
				})
			}
		}
	})
	if t.Failed() || t.Skipped() || len(ends[true]) == 0 {
		return
	}
	if d := cmp.Diff(ends[false], ends[true]); d != "" {
		t.Errorf("how they end differs (-port +packet-in):\n%s", d)
	}
}

// prefer is that mode of fixtures.SecureModes.
const prefer = 1

// table sends every case's frame, and each legal one that is signed once more.
func (p *securePlay) table(t *testing.T, ends map[string]string) {
	var answers [][]byte
	cases, replays, wanted := 0, 0, 0
	for _, c := range fixtures.SecureCases() {
		if p.mode != prefer && c.Ends[p.mode] == c.Ends[prefer] {
			continue
		}
		cases++
		t.Run(c.Name, func(t *testing.T) {
			from := &p.peers.Asker
			if c.From != nil {
				from = c.From(p.peers.NDWorld)
			}
			frame, err := c.Frame(p.peers)
			if err != nil {
				t.Fatal(err)
			}
			seen := p.send(t, from, frame)
			end, err := endOf(seen)
			want := c.Ends[p.mode]
			if fixtures.SecureModes[p.mode] == "observe" && c.Learned != "" {
				want = c.Learned
			}
			if err != nil && seen.Roles["nd-forward"] == 1 {
				end, err = "relayed", nil // by a flow
			}
			legal := want == "answered" || want == "relayed"
			if err != nil || end != want && (legal || !strings.HasPrefix(end, "drop-")) {
				t.Errorf("ended as %q, %v, want %s", end, err, want)
			}
			ends[c.Name] = end
			got := p.ofRouter(from, seen)
			wanted += max(len(c.Heads), b2i(want == "answered"))
			if err := p.peers.CheckAnswers(c, p.mode, frame, got); err != nil {
				t.Error(err)
			}
			answers = append(answers, got...)
			if d := cmp.Diff(p.relayed(from, frame, want), seen.Received); d != "" {
				t.Errorf("received (-want +got):\n%s", d)
			}
			if p.mode == prefer && legal && p.peers.Accepted(frame) {
				replays++
				seen := p.send(t, from, frame)
				if end, err := endOf(seen); err != nil || end != "send-replay" || len(p.ofRouter(from, seen))+len(seen.Received) > 0 {
					t.Errorf("once more: ended as %q, %v; received %v", end, err, seen)
				}
			}
		})
	}
	dissected(t, wanted, answers)
	t.Logf("%d cases, %d answers, %d replays", cases, len(answers), replays)
}

// ofRouter takes from seen, and gives, what a party alone got of the router.
func (p *securePlay) ofRouter(from *fixtures.Party, seen ndSeen) (list [][]byte) {
	var others [][]byte
	for _, f := range seen.Received[from.Port] {
		if bytes.Equal(f[22:38], p.router.LinkLocal.AsSlice()) || f[54] == wire.TypeNeighborAdvert {
			list = append(list, f)
		} else {
			others = append(others, f)
		}
	}
	if seen.Received[from.Port] = others; others == nil {
		delete(seen.Received, from.Port)
	}
	// What it says to all by itself, all have heard.
	for _, f := range seen.Multicast[from.Port] {
		known := f[54] != wire.TypeRouterAdvert
		for port, c := range p.captures {
			known = known || port != from.Port && slices.ContainsFunc(c.Frames(), func(g lab.Frame) bool { return bytes.Equal(f, g.Data) })
		}
		if !known {
			list = append(list, f)
		}
	}
	return list
}

// relayed is who has to get a frame that ends so: all others, or the one with its MAC.
func (p *securePlay) relayed(from *fixtures.Party, frame []byte, end string) map[string][][]byte {
	want := map[string][][]byte{}
	for _, g := range p.peers.Guests() {
		if end == "relayed" && p.guests[g.Port] != nil && g != from && (frame[0]&1 != 0 || bytes.Equal(frame[:6], g.MAC[:])) {
			want[g.Port] = [][]byte{frame}
		}
	}
	return want
}
