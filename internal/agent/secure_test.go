package agent

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/internal/send"
	"damselfly/internal/topology"
)

// TestCertificateEnds: the end of a router's certificates is told a week before, and
// once a day, until there are others.
func TestCertificateEnds(t *testing.T) {
	t.Parallel()
	block, _ := pem.Decode(fixtures.RouterKey)
	private, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key, err := send.ParseKey(fixtures.RouterKey)
	if err != nil {
		t.Fatal(err)
	}
	until := time.Date(2030, 1, 8, 0, 0, 0, 0, time.UTC)
	served := func(until time.Time) *topology.Snapshot {
		c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: until.AddDate(-1, 0, 0), NotAfter: until}
		der, err := x509.CreateCertificate(rand.Reader, c, c, &private.PublicKey, private)
		if err != nil {
			t.Fatal(err)
		}
		chain, err := send.ParseChain(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key)
		if err != nil {
			t.Fatal(err)
		}
		s, problems := new(topology.Builder).Build(topology.Input{Keys: topology.Keys{Networks: map[string]uint16{"blue": 1}}, Spec: &topology.Spec{
			Networks: []topology.NetworkSpec{{
				Name: "blue", Subnets: []topology.SubnetSpec{{Prefix: netip.MustParsePrefix("fd00:b1::/64")}},
				Send: &topology.SendSpec{Mode: topology.SendPrefer, Key: key, Chain: chain},
			}},
			Routers: []topology.RouterSpec{{Name: "r1", Networks: []topology.PresenceSpec{{Network: "blue"}}}},
		}})
		if s == nil || len(problems) > 0 {
			t.Fatal(problems)
		}
		return s
	}
	var log bytes.Buffer
	c := &secured{a: &Agent{log: slog.New(slog.NewTextHandler(&log, nil))}, dated: map[string]time.Time{}, snap: served(until)}
	renewed := served(until.AddDate(1, 0, 0))
	for _, tt := range []struct {
		at    time.Time
		renew bool
		want  string
	}{
		{until.AddDate(0, 0, -8), false, ""},
		{until.AddDate(0, 0, -6), false, "its certificates are valid until 2030-01-08 00:00 UTC: renew them before"},
		{until.AddDate(0, 0, -6).Add(time.Hour), false, ""},
		{until.AddDate(0, 0, -5), false, "are valid until"},
		{until.AddDate(0, 0, 1), false, "were valid until 2030-01-08 00:00 UTC"},
		{until.AddDate(0, 0, 3), true, ""},
		{until.AddDate(1, 0, 1), true, "were valid until 2031-01-08 00:00 UTC"},
	} {
		if tt.renew {
			c.snap = renewed
		}
		log.Reset()
		c.warn(tt.at)
		if got := log.String(); !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") || tt.want != "" && !strings.Contains(got, "network=blue") {
			t.Errorf("at %v: %q, want %q", tt.at, got, tt.want)
		}
	}
}

// TestSigners: who signs is known while it is served, and on until its end is told; with
// its network it is forgotten.
func TestSigners(t *testing.T) {
	t.Parallel()
	key, err := send.ParseKey(fixtures.RouterKey)
	if err != nil {
		t.Fatal(err)
	}
	served := func(modifier byte, networks ...string) *topology.Snapshot {
		in := topology.Input{Keys: topology.Keys{Networks: map[string]uint16{}}, Spec: &topology.Spec{Routers: []topology.RouterSpec{{Name: "r1"}}}, Modifiers: map[string]send.Modifier{}}
		for i, name := range networks {
			in.Keys.Networks[name] = uint16(name[0])
			in.Modifiers[name] = send.Modifier{modifier, byte(i)}
			in.Spec.Networks = append(in.Spec.Networks, topology.NetworkSpec{
				Name: name, Subnets: []topology.SubnetSpec{{Prefix: netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, name[0]}), 64)}},
				Send: &topology.SendSpec{Mode: topology.SendPrefer, Key: key, Sec: new(int)},
			})
			in.Spec.Routers[0].Networks = append(in.Spec.Routers[0].Networks, topology.PresenceSpec{Network: name})
		}
		s, problems := new(topology.Builder).Build(in)
		if s == nil || len(problems) > 0 {
			t.Fatal(problems)
		}
		return s
	}
	var s signers
	known := func(n *topology.Network) bool {
		_, ok := s.known.Load(signer{n.Key, n.Send.Identity.Address})
		return ok
	}
	old, now := served(1, "a", "b"), served(2, "a")
	a, b, next := old.NetworkNamed("a"), old.NetworkNamed("b"), now.NetworkNamed("a")
	s.publish(old)
	if !known(a) || !known(b) {
		t.Error("who signs is not known")
	}
	s.publish(now)
	if !known(a) || known(b) || !known(next) {
		t.Errorf("once there is another: %v, %v, %v", known(a), known(b), known(next))
	}
	s.said("a", next.Send.Identity.Address, now)
	s.said("a", a.Send.Identity.Address, now)
	if known(a) || !known(next) {
		t.Errorf("once its end is told: %v, %v", known(a), known(next))
	}
}
