package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/internal/config"
	"damselfly/internal/lab"
	"damselfly/internal/replay"
	"damselfly/internal/wire"
	"damselfly/pipeline"

	"github.com/google/go-cmp/cmp"
)

// securityPlay is the network of the cases of first-hop security on a real
// bridge, with a port beside that no configuration knows: what leaves by it has
// left the host.
type securityPlay struct {
	*fixtures.SecurityLab
	*play
	uplinks map[string]*lab.Capture
}

// TestSecurityCases has guests send every hostile case and, in turns with them in
// the same run, every legal one. Nobody but its sender gets anything of a hostile
// frame, and it is counted under the role or the reason written beside it; a legal
// one ends as written.
func TestSecurityCases(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		p := newSecurityPlay(t, ndExt)
		hostile, legal := fixtures.HostileCases(p.SecurityLab), fixtures.LegalCases(p.SecurityLab)
		sent := 0
		for i, c := range hostile {
			t.Run(c.Name, func(t *testing.T) { p.checkHostile(t, c) })
			for ; sent*len(hostile) < (i+1)*len(legal); sent++ {
				c := legal[sent]
				t.Run(c.Name, func(t *testing.T) { p.checkLegal(t, c) })
			}
		}
		if sent != len(legal) {
			t.Errorf("%d of %d legal cases were sent", sent, len(legal))
		}
		p.checkNever(t, hostile, legal)
		p.checkUplinks(t)
	})
}

// newSecurityPlay sets the lab up. What the limits are about, others test.
func newSecurityPlay(t *testing.T, ndExt bool) *securityPlay {
	t.Helper()
	l := fixtures.NewSecurityLab()
	p := &securityPlay{SecurityLab: l, play: newPlay(l.Gateway, netip.PrefixFrom(l.Private, 64).Masked()), uplinks: map[string]*lab.Capture{}}
	const limit = "20000/20000"
	p.stage = newStage(t, ndExt, "limits: {ns: "+limit+", na: "+limit+", rs: "+limit+", dhcpv6: "+limit+", echo: "+limit+", source: "+limit+"}\n"+l.Config())
	silent := map[string]string{"net.ipv6.conf.eth0.disable_ipv6": "1"}
	for _, g := range l.Guests() {
		p.guests[g.Port] = addGuest(t, p.stage, lab.GuestOptions{Name: g.Port, MAC: g.MAC.String(), Sysctls: silent})
		p.capture(t, g.Port)
	}
	p.uplinks["uplink"] = watch(t, addGuest(t, p.stage, lab.GuestOptions{Name: "uplink", Sysctls: silent}), nil)
	p.advert = p.routerAdvert(t)
	p.daemon = serve(t, p.stage)
	p.settle(t)
	p.count = p.read(t)
	return p
}

// routerAdvert is what the handlers in this process answer to a Router
// Solicitation from ::, which the daemon sends to all by itself.
func (p *securityPlay) routerAdvert(t *testing.T) (advert []byte) {
	t.Helper()
	cfg, err := config.Load(p.stage.ConfigPath)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range fixtures.LegalCases(p.SecurityLab) {
		if c.Name == "RS from ::" {
			ask := []replay.Sent{{Port: c.From, Data: c.Frames[0].Data, At: time.Now()}}
			err = replay.Judge(cfg.Topology, ask, func(_ int, _ replay.Verdict, r []pipeline.Reply) {
				advert = bytes.Clone(r[0].Data)
			})
		}
	}
	if err != nil || advert == nil {
		t.Fatalf("no advertisement: %v", err)
	}
	return advert
}

// sender is the party with a port.
func (p *securityPlay) sender(t *testing.T, port string) *fixtures.Party {
	t.Helper()
	i := slices.IndexFunc(p.Guests(), func(g *fixtures.Party) bool { return g.Port == port })
	if i < 0 {
		t.Fatalf("no port %s", port)
	}
	return p.Guests()[i]
}

func (p *securityPlay) checkHostile(t *testing.T, c fixtures.HostileCase) {
	t.Helper()
	var frames [][]byte
	wantReasons, wantDrops, answers := map[string]int{}, map[string]int{}, 0
	for _, f := range c.Frames {
		frames = append(frames, f.Data)
		if f.Drop != "" {
			wantDrops[f.Drop]++
			continue
		}
		wantReasons[f.Reason]++
		if f.Reason == "dad-defended" {
			answers++
		}
	}
	seen := p.send(t, p.sender(t, c.From), frames...)
	if d := cmp.Diff(wantReasons, seen.Reasons); d != "" {
		t.Errorf("packet-ins by how they ended (-want +got):\n%s", d)
	}
	if d := cmp.Diff(wantDrops, dropRoles(seen.Roles)); d != "" {
		t.Errorf("drop flows (-want +got):\n%s", d)
	}
	if got := len(seen.Received[c.From]); got != answers {
		t.Errorf("the sender received %d frames, want %d", got, answers)
	}
	delete(seen.Received, c.From)
	for port, got := range seen.Received {
		// A holder is asked again about an address that an earlier case claimed: the
		// question is the router's own and comes when it is due.
		got = slices.DeleteFunc(got, func(f []byte) bool {
			return p.isQuestion(f) && !slices.ContainsFunc(frames, func(sent []byte) bool { return bytes.Equal(sent, f) })
		})
		if seen.Received[port] = got; len(got) == 0 {
			delete(seen.Received, port)
		}
	}
	if len(seen.Received) != 0 {
		t.Errorf("others received, want nothing anywhere:\n%v", seen)
	}
}

// isQuestion reports whether a frame is a Neighbor Solicitation of the router's for
// the address that it goes to.
func (p *securityPlay) isQuestion(f []byte) bool {
	const atDestination, atType, atTarget = 14 + 24, 14 + 40, 14 + 40 + 8
	return len(f) >= atTarget+16 && bytes.Equal(f[6:12], p.router.MAC[:]) && f[atType] == wire.TypeNeighborSolicit &&
		bytes.Equal(f[atDestination:atDestination+16], f[atTarget:atTarget+16])
}

func (p *securityPlay) checkLegal(t *testing.T, c fixtures.LegalCase) {
	t.Helper()
	for i, f := range c.Frames {
		seen := p.sendUntil(t, p.sender(t, c.From), p.ended(c.From, f), f.Data)
		if drops := dropRoles(seen.Roles); len(drops) != 0 {
			t.Errorf("frame %d: dropped: %v", i+1, drops)
		}
		answers := len(seen.Received[c.From])
		if f.Answered {
			answers += len(seen.Multicast[c.From]) // else they came by themselves
		}
		if f.Answered != (answers > 0) {
			t.Errorf("frame %d: %d answers, want some: %v; %v %v", i+1, answers, f.Answered, seen.Reasons, seen.Roles)
		}
		delete(seen.Received, c.From)
		want := map[string][][]byte{}
		for _, port := range f.To {
			want[port] = [][]byte{f.Data}
		}
		if d := cmp.Diff(want, seen.Received); d != "" && !(f.Trigger && len(seen.Received) == 0) {
			t.Errorf("frame %d: received (-want +got):\n%s\n%v %v", i+1, d, seen.Reasons, seen.Roles)
		}
		// A host lets an address alone that it just probed for.
		time.Sleep(f.Pause)
	}
}

// ended is nil once all that is to come of a legal frame has come.
func (p *securityPlay) ended(from string, f fixtures.LegalFrame) func(map[string]int) error {
	return func(start map[string]int) error {
		arrived := func(port string, is func([]byte) bool) error {
			for _, g := range p.captures[port].Frames()[start[port]:] {
				if !g.Sent && is(g.Data) {
					return nil
				}
			}
			return fmt.Errorf("nothing at %s yet", port)
		}
		for _, port := range f.To {
			if err := arrived(port, like(f.Data)); err != nil && !f.Trigger {
				return err
			}
		}
		if f.Answered {
			return arrived(from, func([]byte) bool { return true })
		}
		return nil
	}
}

// checkNever wants that no port ever received a hostile frame, also later than
// its case ended, but such as another port may send.
func (p *securityPlay) checkNever(t *testing.T, hostile []fixtures.HostileCase, legal []fixtures.LegalCase) {
	t.Helper()
	names := map[string]string{}
	for _, c := range hostile {
		for _, f := range c.Frames {
			names[string(f.Data)] = c.Name
		}
	}
	for _, c := range legal {
		for _, f := range c.Frames {
			delete(names, string(f.Data))
		}
	}
	for port, c := range p.captures {
		for _, f := range c.Frames() {
			if name := names[string(f.Data)]; name != "" && !f.Sent {
				t.Errorf("%s received %s: %x", port, name, f.Data)
			}
		}
	}
}

// checkUplinks wants that nothing has left the network, whatever was sent.
func (p *securityPlay) checkUplinks(t *testing.T) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(p.uplinks)) {
		if got := received(p.uplinks[name], func([]byte) bool { return true }); len(got) != 0 {
			t.Errorf("%d frames left by %s, the first %x", len(got), name, got[0])
		}
	}
}
