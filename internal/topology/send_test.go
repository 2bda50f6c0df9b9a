package topology_test

import (
	"net/netip"
	"strings"
	"testing"

	"damselfly/fixtures"
	"damselfly/internal/send"
	"damselfly/internal/topology"
)

// sendInput is a network whose router signs.
func sendInput(t *testing.T, mtu int, m send.Modifier) topology.Input {
	t.Helper()
	key, err := send.ParseKey(fixtures.RouterKey)
	if err != nil {
		t.Fatal(err)
	}
	s := &topology.Spec{
		Networks: []topology.NetworkSpec{{Name: "blue", MTU: mtu, Send: &topology.SendSpec{Mode: topology.SendPrefer, Key: key}}},
		Routers:  []topology.RouterSpec{{Name: "r1", Networks: []topology.PresenceSpec{{Network: "blue"}}}},
	}
	for i := range 40 {
		a := [16]byte{0: 0xfd, 2: 0xb1, 5: byte(i)}
		s.Networks[0].Subnets = append(s.Networks[0].Subnets, topology.SubnetSpec{Prefix: netip.PrefixFrom(netip.AddrFrom16(a), 64)})
	}
	return topology.Input{Spec: s, Keys: topology.Keys{Networks: map[string]uint16{"blue": 1}}, Modifiers: map[string]send.Modifier{"blue": m}}
}

// TestSendIdentity: the router's link-local address is made of its key and modifier,
// another modifier makes another, and a signed advertisement fits the link.
func TestSendIdentity(t *testing.T) {
	t.Parallel()
	var b topology.Builder
	in := sendInput(t, 0, send.Modifier{1})
	first, problems := b.Build(in)
	if first == nil || len(problems) > 0 {
		t.Fatal(problems)
	}
	again, _ := b.Build(sendInput(t, 0, send.Modifier{1}))
	if again != first {
		t.Error("the same key read anew makes another snapshot")
	}
	n := first.Networks[0]
	if owner, ok := n.Owner(n.Send.Identity.Address); !ok || owner.Port != nil || n.Router.LinkLocal != n.Send.Identity.Address {
		t.Errorf("the router is %s, its identity %s", n.Router.LinkLocal, n.Send.Identity.Address)
	}
	if _, ok := n.Owner(topology.DefaultLinkLocal); ok {
		t.Error("somebody holds fe80::1")
	}
	other, _ := b.Build(sendInput(t, 0, send.Modifier{2}))
	if other.Networks[0].Router.LinkLocal == n.Router.LinkLocal {
		t.Error("another modifier makes the same address")
	}
	for _, mtu := range []int{0, 1280, 1442, 1500, 9000} {
		s, _ := new(topology.Builder).Build(sendInput(t, mtu, send.Modifier{}))
		n := s.Networks[0]
		most := min(max(mtu, 1280), 1500)
		for i, a := range append(n.Adverts, topology.FinalAdvert(n)...) {
			if got := 40 + len(a.Body) + n.Send.Identity.Overhead(send.MaxNonce); got > most {
				t.Errorf("MTU %d: advertisement %d would have %d octets signed", mtu, i, got)
			}
		}
	}
}

// TestSendOption: an option that leaves no room for the signature is refused.
func TestSendOption(t *testing.T) {
	t.Parallel()
	in := sendInput(t, 0, send.Modifier{})
	e := topology.EncryptedDNSSpec{Name: "dns.example.test"}
	for i := range 40 {
		e.Addresses = append(e.Addresses, netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 15: byte(i + 1)}))
	}
	in.Spec.Networks[0].RouterAdvertisement.EncryptedDNS = []topology.EncryptedDNSSpec{e}
	problems := topology.Validate(in.Spec)
	if len(problems) != 1 || !strings.Contains(problems[0].String(), "encrypted_dns[0]") {
		t.Errorf("%v", problems)
	}
}
