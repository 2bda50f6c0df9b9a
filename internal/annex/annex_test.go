package annex

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

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
	for name, make := range map[string]func(Config) (*os.File, net.Listener, error){"thread": byThread, "child": byChild} {
		t.Run(name, func(t *testing.T) {
			tunnel, l, err := make(served)
			if err != nil {
				t.Fatal(err)
			}
			defer tunnel.Close()
			defer l.Close()
			fmt.Println(l.Addr())
			_, _, _ = bufio.ErrBufferFull, io.EOF, time.Second
		})
	}
}
