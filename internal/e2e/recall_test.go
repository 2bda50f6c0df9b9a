package e2e

import (
	"net/netip"
	"testing"
	"time"

	"damselfly/internal/lab"
)

// TestNeighborsOverARestart kills Damselfly with SIGKILL while a guest speaks with
// hosts that nobody configured: one behind a learned router, one of the router's
// link, one behind a port with unknown hosts. Nothing is lost, the restart changes
// no flow, and who is gone is found out as ever.
func TestNeighborsOverARestart(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		p := newUplinkPlay(t, ndExt)
		vm3 := addGuest(t, p.s, quick("vm3", mac3))
		nested := booted(t, netip.MustParsePrefix("fd00:5e::/64"), vm3)[0].String()
		for _, to := range []string{farHost, "2001:db8:1::ff", nested} {
			lab.WaitFor(t, patience, to+" answers", func() error {
				_, err := p.vm1.Run("ping", "-6", "-c", "1", "-W", "1", to)
				return err
			})
		}
		var pinging []func() (sent, received int)
		for _, to := range []string{farHost, "2001:db8:1::ff", nested} {
			pinging = append(pinging, startPing(t, p.vm1, to))
		}
		// What was found is on disk within a second, and flows follow within less.
		select {
		case <-time.After(2 * saved):
		case <-t.Context().Done():
		}
		watch := startMonitor(t, p.s)
		if err := p.d.Kill(); err != nil {
			t.Fatal(err)
		}
		p.d = serve(t, p.s)
		lab.WaitFor(t, patience, "the router is asked whether it is there", func() error { return p.neighbor(p.linkLocal.String(), "reachable") })
		lab.WaitFor(t, patience, "a host that is used is asked too", func() error { return p.neighbor("2001:db8:1::ff", "reachable") })
		if events := watch(); events != "" {
			t.Errorf("the restart changed flows:\n%s", events)
		}
		for _, done := range pinging {
			if sent, received := done(); sent != received || sent < 100 {
				t.Errorf("%d pings sent, %d answered", sent, received)
			}
		}

		// One that goes while nobody looks.
		if err := p.d.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := p.up.Down(); err != nil {
			t.Fatal(err)
		}
		p.d = serve(t, p.s)
		lab.WaitFor(t, patience, "the router is missed", func() error { return p.neighbor(p.linkLocal.String(), "incomplete") })
	})
}

// saved is how long what was found of neighbours takes to be on disk at most.
const saved = time.Second
