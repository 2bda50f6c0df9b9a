package annex

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"

	"damselfly/internal/lab"
)

func TestMain(m *testing.M) {
	Child()
	os.Exit(m.Run())
}

var served = Config{Port: 80, Addresses: []netip.Addr{
	netip.MustParseAddr("fe80::a9fe:a9fe"), netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("169.254.169.254"),
}}

func TestNamespace(t *testing.T) {
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	before := namespace(t)
	for name, make := range map[string]func(Config) (*os.File, net.Listener, error){"thread": byThread, "child": byChild} {
		t.Run(name, func(t *testing.T) {
			for range 8 { // which thread it comes to is chance
				tunnel, l, err := make(served)
				if err != nil {
					t.Fatal(err)
				}
				if a := l.Addr().(*net.TCPAddr); a.Port != int(served.Port) {
					t.Errorf("listens at %v, want port %d", a, served.Port)
				}
				if err := errors.Join(tunnel.Close(), l.Close()); err != nil {
					t.Error(err)
				}
			}
			if now := namespace(t); now != before {
				t.Errorf("the process is in %s now, was in %s", now, before)
			}
		})
	}
}

// namespace is the network namespace that /proc says the process is in.
func namespace(t *testing.T) string {
	t.Helper()
	ns, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return ns
}
