package dhcpv6_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	client "github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/internal/lease"
	"damselfly/internal/topology"
)

const (
	solicit = client.MessageTypeSolicit
	request = client.MessageTypeRequest
	renew   = client.MessageTypeRenew
	rebind  = client.MessageTypeRebind
	release = client.MessageTypeRelease
	decline = client.MessageTypeDecline
	confirm = client.MessageTypeConfirm
	inform  = client.MessageTypeInformationRequest
)

// step is a message and what comes of it.
type step struct {
	port string
	m    client.DHCPv6
	want string
	// after it the topology changes, or time goes by.
	change func(*topology.Spec)
	pass   time.Duration
}

func TestExchanges(t *testing.T) {
	t.Parallel()
	const pooled = "reply na1(3600/5760 fd00:b1::100 7200/14400)"
	bound := step{port: "vm1", m: message(request, "a", toUs, na(1)), want: pooled}
	tests := []struct {
		name   string
		change func(*topology.Spec)
		steps  []step
	}{
		{"four messages", nil, []step{
			{port: "vm1", m: message(solicit, "a", na(1)), want: "advertise na1(3600/5760 fd00:b1::100 7200/14400) 7=c8"},
			{port: "vm1", m: message(request, "a", toUs, na(1, "fd00:b1::100")), want: pooled},
			{port: "vm1", m: message(solicit, "a", na(1)), want: "advertise na1(3600/5760 fd00:b1::100 7200/14400) 7=c8"},
			{port: "vm1", m: message(renew, "a", toUs, na(1, "fd00:b1::100")), want: pooled},
			{port: "vm1", m: message(rebind, "a", na(1, "fd00:b1::100")), want: pooled},
			{port: "vm1", m: message(request, "a", toUs, na(1, "fd00:b1::100")), want: pooled},
		}},
		{"IAID 0, wishes for lifetimes ignored", nil, []step{
			{port: "vm1", m: message(request, "a", toUs, client.WithOption(&client.OptIANA{T1: 1, T2: 1 << 40})), want: "reply na0(3600/5760 fd00:b1::100 7200/14400)"},
		}},
		{"rapid commit not allowed", nil, []step{
			{port: "vm1", m: message(solicit, "a", na(1), client.WithRapidCommit), want: "advertise na1(3600/5760 fd00:b1::100 7200/14400) 7=c8"},
		}},
		{"rapid commit", func(s *topology.Spec) { s.Networks[0].Subnets[0].RapidCommit = true }, []step{
			{port: "vm1", m: message(solicit, "a", na(1), client.WithRapidCommit), want: "reply 14= na1(3600/5760 fd00:b1::100 7200/14400)"},
			{port: "vm1", m: message(renew, "a", toUs, na(1, "fd00:b1::100")), want: pooled},
			{port: "vm1", m: message(solicit, "a", na(1)), want: "advertise na1(3600/5760 fd00:b1::100 7200/14400) 7=c8"},
		}},
		{"fixed addresses, several in one IA, then the pool", nil, []step{
			{port: "fixed", m: message(solicit, "a", na(1), na(2), na(3)), want: "advertise na1(3600/5760 fd00:b1::22 7200/14400 fd00:b1::23 7200/14400) na2(3600/5760 fd00:b1::100 7200/14400) na3(0/0 status2) 7=c8"},
			{port: "fixed", m: message(request, "a", toUs, na(1), na(2), na(3)), want: "reply na1(3600/5760 fd00:b1::22 7200/14400 fd00:b1::23 7200/14400) na2(3600/5760 fd00:b1::100 7200/14400) na3(0/0 status2)"},
			{port: "fixed", m: message(solicit, "a", na(1)), want: "advertise na1(3600/5760 fd00:b1::22 7200/14400 fd00:b1::23 7200/14400) 7=c8"},
		}},
		{"another system in the same guest", nil, []step{
			{port: "fixed", m: message(request, "firmware", toUs, na(1)), want: "reply na1(3600/5760 fd00:b1::22 7200/14400 fd00:b1::23 7200/14400)"},
			{port: "fixed", m: message(request, "system", toUs, na(1)), want: "reply na1(3600/5760 fd00:b1::22 7200/14400 fd00:b1::23 7200/14400)"},
			{port: "fixed", m: message(renew, "firmware", toUs, na(1, "fd00:b1::22")), want: "reply na1(0/0 status3)"},
		}},
		{"reservation", nil, []step{
			{port: "vm1", m: message(request, "reserved", toUs, na(1)), want: "reply na1(3600/5760 fd00:b1::77 7200/14400)"},
			{port: "vm1", m: message(solicit, "reserved", na(1)), want: "advertise na1(3600/5760 fd00:b1::77 7200/14400) 7=c8"},
			{port: "vm2", m: message(request, "reserved", toUs, na(1)), want: "reply na1(3600/5760 fd00:b1::100 7200/14400)"},
		}},
		{"a pool of one, the status in the IA", nil, []step{
			bound,
			{port: "vm2", m: message(solicit, "b", na(1)), want: "advertise na1(0/0 status2) 7=c8"},
			{port: "vm2", m: message(request, "b", toUs, na(1)), want: "reply na1(0/0 status2)"},
			{port: "vm2", m: message(rebind, "b", na(1)), want: "reply na1(0/0 status2)"},
		}},
		{"a pool of one again once the lease has ended", nil, []step{
			{port: "vm1", m: message(request, "a", toUs, na(1)), want: pooled, pass: 4*time.Hour + time.Second},
			{port: "vm2", m: message(request, "b", toUs, na(1)), want: pooled},
			{port: "vm1", m: message(renew, "a", toUs, na(1, "fd00:b1::100")), want: "reply na1(0/0 status3)"},
		}},
		{"the DUID of another port", nil, []step{
			bound,
			{port: "vm2", m: message(release, "a", toUs, na(1, "fd00:b1::100")), want: "reply status0 na1(0/0 status3)"},
			{port: "vm2", m: message(decline, "a", toUs, na(1, "fd00:b1::100")), want: "reply status0 na1(0/0 status3)"},
			{port: "vm2", m: message(renew, "a", toUs, na(1, "fd00:b1::100")), want: "reply na1(0/0 status3)"},
			{port: "vm2", m: message(solicit, "a", na(1, "fd00:b1::100")), want: "advertise na1(0/0 status2) 7=c8"},
			{port: "vm1", m: message(renew, "a", toUs, na(1, "fd00:b1::100")), want: pooled},
		}},
		{"release", nil, []step{
			bound,
			{port: "vm1", m: message(release, "a", toUs, na(1, "fd00:b1::100")), want: "reply status0"},
			{port: "vm1", m: message(release, "a", toUs, na(1, "fd00:b1::100")), want: "reply status0 na1(0/0 status3)"},
			{port: "vm2", m: message(request, "b", toUs, na(1)), want: pooled},
		}},
		{"release of another address in the IA is ignored", nil, []step{
			bound,
			{port: "vm1", m: message(release, "a", toUs, na(1, "fd00:b1::101"), na(2)), want: "reply status0 na2(0/0 status3)"},
			{port: "vm1", m: message(renew, "a", toUs, na(1, "fd00:b1::100")), want: pooled},
		}},
		{"decline", nil, []step{
			bound,
			{port: "vm1", m: message(decline, "a", toUs, na(1, "fd00:b1::100")), want: "reply status0"},
			{port: "vm1", m: message(decline, "a", toUs, na(1, "fd00:b1::100")), want: "reply status0"},
			{port: "vm1", m: message(decline, "a", toUs, na(1, "fd00:b1::fff"), na(2, "fd00:b1::100"), pd(1)), want: "reply status0 na1(0/0 status3) na2(0/0 status3)"},
			{port: "vm1", m: message(request, "a", toUs, na(1)), want: "reply na1(0/0 status2)"},
			{port: "vm2", m: message(request, "b", toUs, na(1)), want: "reply na1(0/0 status2)", pass: 24*time.Hour + time.Second},
			{port: "vm2", m: message(request, "b", toUs, na(1)), want: pooled},
		}},
		{"confirm", nil, []step{
			{port: "vm1", m: message(confirm, "a", na(1, "fd00:b1::5"), na(2, "fd00:b1::100")), want: "reply status0"},
			{port: "vm1", m: message(confirm, "a", na(1, "fd00:b1::5", "fd00:b2::5")), want: "reply status4"},
			{port: "vm1", m: message(confirm, "a", na(1)), want: "(dhcpv6-confirm-without-address)"},
		}},
		{"not on this link", nil, []step{
			{port: "vm1", m: message(request, "a", toUs, na(1, "fd00:b2::5"), na(2)), want: "reply na1(0/0 status4) na2(3600/5760 fd00:b1::100 7200/14400)"},
			{port: "vm1", m: message(rebind, "a", na(2, "fd00:b2::5", "fd00:b1::100")), want: "reply na2(3600/5760 fd00:b1::100 7200/14400 fd00:b2::5 0/0)"},
			{port: "vm2", m: message(rebind, "b", na(1, "fd00:b2::5")), want: "reply na1(0/0 fd00:b2::5 0/0)"},
			{port: "vm2", m: message(renew, "b", toUs, na(1, "fd00:b2::5")), want: "reply na1(0/0 status3)"},
		}},
		{"a Renew may ask for more", nil, []step{
			{port: "fixed", m: message(request, "a", toUs, na(1)), want: "reply na1(3600/5760 fd00:b1::22 7200/14400 fd00:b1::23 7200/14400)"},
			{port: "fixed", m: message(renew, "a", toUs, na(1, "fd00:b1::22", "fd00:b1::23"), na(2)), want: "reply na1(3600/5760 fd00:b1::22 7200/14400 fd00:b1::23 7200/14400) na2(3600/5760 fd00:b1::100 7200/14400)"},
		}},
		{"renumbered to another pool", nil, []step{
			{port: "vm1", m: message(request, "a", toUs, na(1)), want: pooled, change: pool("fd00:b1::200")},
			{port: "vm1", m: message(solicit, "a", na(1)), want: "advertise na1(3600/5760 fd00:b1::200 7200/14400) 7=c8"},
			{port: "vm1", m: message(renew, "a", toUs, na(1, "fd00:b1::100")), want: "reply na1(3600/5760 fd00:b1::200 7200/14400 fd00:b1::100 0/0)"},
			{port: "vm1", m: message(rebind, "a", na(1)), want: "reply na1(3600/5760 fd00:b1::200 7200/14400 fd00:b1::100 0/0)"},
		}},
		{"one more fixed address", nil, []step{
			{port: "fixed", m: message(request, "a", toUs, na(1)), want: "reply na1(3600/5760 fd00:b1::22 7200/14400 fd00:b1::23 7200/14400)", change: func(s *topology.Spec) {
				s.Ports[1].Addresses = append(s.Ports[1].Addresses, addr("fd00:b1::24"))
			}},
			{port: "fixed", m: message(solicit, "a", na(1)), want: "advertise na1(3600/5760 fd00:b1::22 7200/14400 fd00:b1::23 7200/14400 fd00:b1::24 7200/14400) 7=c8"},
		}},
		{"the pool is gone, the old address not given before its end", nil, []step{
			{port: "vm1", m: message(request, "a", toUs, na(1)), want: pooled, change: func(s *topology.Spec) { s.Networks[0].Subnets[0].Pools = nil }},
			{port: "vm1", m: message(renew, "a", toUs, na(1, "fd00:b1::100")), want: "reply na1(0/0 fd00:b1::100 0/0)", change: pool("fd00:b1::100")},
			{port: "vm2", m: message(request, "b", toUs, na(1)), want: "reply na1(0/0 status2)", pass: 4*time.Hour + time.Second},
			{port: "vm2", m: message(request, "b", toUs, na(1)), want: pooled},
		}},
		{"the port gets a fixed address", nil, []step{
			{port: "vm1", m: message(request, "a", toUs, na(1)), want: pooled, change: func(s *topology.Spec) {
				s.Ports[3].Addresses = []netip.Addr{netip.MustParseAddr("fd00:b1::33")}
			}},
			{port: "vm1", m: message(solicit, "a", na(1)), want: "advertise na1(3600/5760 fd00:b1::33 7200/14400) 7=c8"},
			{port: "vm1", m: message(renew, "a", toUs, na(1, "fd00:b1::100")), want: "reply na1(3600/5760 fd00:b1::33 7200/14400 fd00:b1::100 0/0)"},
		}},
		{"shorter lifetimes after a reload", nil, []step{
			{port: "vm1", m: message(request, "a", toUs, na(1)), want: pooled, change: func(s *topology.Spec) {
				s.Networks[0].Subnets[0].Preferred, s.Networks[0].Subnets[0].Valid = hours(1), hours(1)
			}},
			{port: "vm1", m: message(renew, "a", toUs, na(1, "fd00:b1::100")), want: "reply na1(1800/2880 fd00:b1::100 3600/3600)"},
		}},
		{"prefix delegation", nil, []step{
			{port: "vm1", m: message(solicit, "a", pd(1)), want: "advertise pd1(1800/2880 2001:db8:100::/56 3600/14400) 7=c8"},
			{port: "vm1", m: message(request, "a", toUs, pd(1), oro(67)), want: "reply pd1(1800/2880 2001:db8:100::/56 3600/14400 67=40ff)"},
			{port: "vm1", m: message(solicit, "a", pd(1), oro(67)), want: "advertise pd1(1800/2880 2001:db8:100::/56 3600/14400 67=40ff) 7=c8"},
			{port: "vm2", m: message(solicit, "b", pd(1)), want: "advertise pd1(0/0 status6) 7=c8"},
			{port: "vm2", m: message(request, "b", toUs, pd(1)), want: "reply pd1(0/0 status6)"},
			{port: "vm1", m: message(renew, "a", toUs, pd(1, "2001:db8:100::/56", "2001:db8:200::/56")), want: "reply pd1(1800/2880 2001:db8:100::/56 3600/14400 2001:db8:200::/56 0/0)"},
			{port: "vm1", m: message(release, "a", toUs, pd(1, "2001:db8:100::/56")), want: "reply status0"},
			{port: "vm2", m: message(renew, "b", toUs, pd(1, "2001:db8:100::/56")), want: "reply pd1(0/0 status3)"},
			{port: "vm2", m: message(rebind, "b", pd(1, "2001:db8:100::/56")), want: "reply pd1(1800/2880 2001:db8:100::/56 3600/14400)"},
		}},
		{"hints of prefixes", nil, []step{
			{port: "vm1", m: message(solicit, "a", pd(1, "::/60")), want: "advertise pd1(1800/2880 2001:db8:100::/56 3600/14400) 7=c8"},
			{port: "vm1", m: message(solicit, "a", pd(1, "::/0")), want: "advertise pd1(1800/2880 2001:db8:100::/56 3600/14400) 7=c8"},
			{port: "vm1", m: message(solicit, "a", pd(1, "2001:db8:ffff::/48")), want: "advertise pd1(1800/2880 2001:db8:100::/56 3600/14400) 7=c8"},
		}},
		{"everything at once, one fails", nil, []step{
			{port: "vm1", m: message(request, "a", toUs, na(1), pd(1), pd(2)), want: "reply na1(1800/2880 fd00:b1::100 7200/14400) pd1(1800/2880 2001:db8:100::/56 3600/14400) pd2(0/0 status6)"},
			{port: "vm1", m: message(solicit, "a", na(1), pd(1)), want: "advertise na1(1800/2880 fd00:b1::100 7200/14400) pd1(1800/2880 2001:db8:100::/56 3600/14400) 7=c8"},
		}},
		{"two prefixes, offered as they would be given", nil, []step{
			{port: "vm1", m: message(solicit, "a", pd(1), pd(2)), want: "advertise pd1(1800/2880 2001:db8:100::/56 3600/14400) pd2(0/0 status6) 7=c8"},
		}},
		{"the port has enough", func(s *topology.Spec) { one := 1; s.Ports[3].MaxLeases = &one }, []step{
			{port: "vm1", m: message(request, "a", toUs, pd(1)), want: "reply pd1(1800/2880 2001:db8:100::/56 3600/14400)"},
			{port: "vm1", m: message(request, "b", toUs, na(1)), want: "reply na1(0/0 status2)"},
			{port: "vm1", m: message(renew, "a", toUs, pd(1, "2001:db8:100::/56")), want: "reply pd1(1800/2880 2001:db8:100::/56 3600/14400)"},
			{port: "vm2", m: message(request, "b", toUs, na(1)), want: pooled},
		}},
		{"stateless", func(s *topology.Spec) {
			s.Networks[0].Subnets[0].Mode = topology.DHCPv6Stateless
			s.Networks[0].Subnets[0].Pools, s.Networks[0].Subnets[0].Reservations, s.Networks[0].Delegations = nil, nil, nil
		}, []step{
			{port: "vm1", m: message(solicit, "a", na(1), pd(1)), want: "advertise na1(0/0 status2) pd1(0/0 status6) 7=c8"},
			{port: "vm1", m: message(request, "a", toUs, na(1)), want: "reply na1(0/0 status2)"},
			{port: "vm1", m: message(inform, "a", oro(23)), want: "reply 23=fd0000b1000000000000000000000053"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.change)
			for i, s := range tt.steps {
				if got := w.ask(s.port, s.m); got != s.want {
					t.Errorf("step %d, %v\n got %s\nwant %s", i, describe(s.m), got, s.want)
				}
				if s.change != nil {
					w.configure(s.change)
				}
				w.pass(s.pass)
			}
		})
	}
}

// TestMovedPort has a client come back that holds a lease of another network.
func TestMovedPort(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	tx := w.book.Begin(w.clock)
	if err := tx.Bind(lease.Grant{Kind: lease.Address, Port: "vm1", Network: "red", DUID: duidOf("a").ToBytes(), IAID: 1,
		Prefix: netip.MustParsePrefix("fd00:b1::100/128"), Preferred: time.Hour, Valid: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := w.ask("vm1", message(renew, "a", toUs, na(1, "fd00:b1::100"))); got != "reply na1(0/0 status3)" {
		t.Error(got)
	}
}

// TestManyClientsOfOnePort has one guest pretend to be many.
func TestManyClientsOfOnePort(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *topology.Spec) {
		s.Networks[0].Subnets[0].Pools = []topology.AddrRange{{First: addr("fd00:b1::1:0"), Last: addr("fd00:b1::ffff:ffff:ffff")}}
	})
	for i := range 100 {
		got := w.ask("vm1", message(request, fmt.Sprintf("client %d", i), toUs, na(1)))
		if refused := got == "reply na1(0/0 status2)"; refused != (i >= topology.DefaultMaxLeases) {
			t.Fatalf("client %d: %s", i, got)
		}
	}
	if c := w.book.View().Counts(); c.Addresses != topology.DefaultMaxLeases {
		t.Errorf("%+v", c)
	}
	if got := w.ask("vm2", message(request, "b", toUs, na(1))); !strings.Contains(got, " 7200/14400") {
		t.Errorf("another port: %s", got)
	}
}

func addr(a string) netip.Addr { return netip.MustParseAddr(a) }

// pool makes the only pool one of one address.
func pool(a string) func(*topology.Spec) {
	return func(s *topology.Spec) {
		at := netip.MustParseAddr(a)
		s.Networks[0].Subnets[0].Pools = []topology.AddrRange{{First: at, Last: at}}
	}
}
