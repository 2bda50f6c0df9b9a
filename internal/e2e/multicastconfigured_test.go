package e2e

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"damselfly/fixtures"
	"damselfly/internal/agent"
	"damselfly/internal/lab"
	"damselfly/internal/wire"
)

// configuredTopology has the second guest get group A whether it listens or not, and nobody
// given up while a test runs.
func configuredTopology(multicast, second string) string {
	s := strings.Replace(multicastTopology, "query_interval: 2s", "query_interval: 60s"+multicast, 1)
	return strings.Replace(s, `mac: "02:00:00:00:00:12"`, `mac: "02:00:00:00:00:12"`+second, 1)
}

const (
	groupConfigured  = `, multicast: {groups: ["` + groupA + `"]}`
	floodingTheOther = ", unregistered: flood"
)

// TestMulticastConfigured: what the configuration says of groups holds beside what
// listeners say, and moves with its port.
func TestMulticastConfigured(t *testing.T) {
	t.Parallel()
	p := newMulticastPlay(t, false, configuredTopology("", groupConfigured))
	p.status(t, "listeners are known", ready)
	p.eventually(t, "a configured group", 0, groupA, got{1: 5})
	p.eventually(t, "another", 0, groupB, got{})
	reload := func(topology string) {
		t.Helper()
		if err := p.s.Configure(topology); err != nil {
			t.Fatal(err)
		}
		if err := p.d.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	reload(configuredTopology(floodingTheOther, groupConfigured))
	p.eventually(t, "nobody listens, and all get it", 0, groupB, got{1: 5, 2: 5, 3: 5})
	p.eventually(t, "still the one who is configured", 0, groupA, got{1: 5})
	third := listenTo(t, p.vm[2], groupB)
	p.eventually(t, "somebody listens, and the others do not get it", 0, groupB, got{2: 5})
	third.leave()
	p.eventually(t, "nobody listens again", 0, groupB, got{1: 5, 2: 5, 3: 5})
	reload(configuredTopology("", groupConfigured))
	p.eventually(t, "nobody gets it", 0, groupB, got{})
	t.Run("moved", p.testMoved)
	reload(configuredTopology("", ""))
	p.status(t, "it is configured no more", func(m agent.MulticastStatus) bool {
		return !strings.Contains(groupsOf(m), groupA)
	})
}

// groupsOf lists the groups of a status.
func groupsOf(m agent.MulticastStatus) string {
	var list []string
	for _, g := range m.Groups {
		list = append(list, g.Group.String())
	}
	return strings.Join(list, " ")
}

// testMoved plugs the second guest's port in elsewhere, where a machine is that says nothing of
// itself: multicast routers are told on its behalf what it listens to, and it gets that.
func (p *multicastPlay) testMoved(t *testing.T) {
	const mac = "02:00:00:00:00:12"
	spare := addGuest(t, p.s, lab.GuestOptions{Name: "spare", MAC: mac, NoIfaceID: true, Sysctls: map[string]string{"net.ipv6.conf.eth0.disable_ipv6": "1"}})
	at := func(g *lab.Guest, keep func([]byte) bool) *lab.Capture {
		c, err := g.Capture("", keep)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Stop() })
		return c
	}
	streams := at(spare, streamed)
	if err := p.vm[3].Inject(fixtures.ListenerFrame("advertisement behind the uplink", "uplink")); err != nil {
		t.Fatal(err)
	}
	p.status(t, "a router behind the uplink", func(m agent.MulticastStatus) bool { return len(m.Routers) == 1 })
	told := at(p.vm[3], func(frame []byte) bool {
		return len(frame) > 62 && frame[62] == wire.TypeMLDv2Report && wire.Ethernet(frame).Source().String() == mac
	})
	if _, err := p.s.Vsctl("remove", "Interface", "vm2", "external_ids", "iface-id"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.s.Vsctl("set", "Interface", "spare", "external_ids:iface-id=vm2"); err != nil {
		t.Fatal(err)
	}
	var frames [][]byte
	lab.WaitFor(t, patience, "the router is told", func() error {
		for _, f := range told.Frames() {
			group := netip.MustParseAddr(groupA).As16()
			if strings.Contains(string(f.Data[70:]), string(group[:])) {
				frames = append(frames, f.Data)
				return nil
			}
		}
		return errors.New("not yet")
	})
	if source := wire.IPv6(frames[0][wire.EthernetLen:]).Source().String(); source != "fe80::ff:fe00:12" {
		t.Errorf("in the name of %s", source)
	}
	dissected(t, 1, frames)
	lab.WaitFor(t, patience, "the stream where the port is now", func() error {
		stream(t, p.vm[0], groupA, 1)
		if len(streams.Frames()) == 0 {
			return errors.New("nothing yet")
		}
		return nil
	})
}
