package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// talker is a TCP connection between two guests with something said on it all
// the time.
type talker struct {
	stop chan struct{}
	done chan error
	gap  time.Duration // the longest wait for an answer; read after done
	said int
}

// connect opens a connection from one guest to another's address and keeps
// talking on it.
func connect(t *testing.T, from, to *lab.Guest, address string) *talker {
	t.Helper()
	var listener net.Listener
	if err := to.Within(func() (err error) {
		listener, err = net.Listen("tcp6", net.JoinHostPort(address, "7"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		if c, err := listener.Accept(); err == nil {
			_, _ = io.Copy(c, c)
		}
	}()
	var c net.Conn
	if err := from.Within(func() (err error) {
		c, err = net.DialTimeout("tcp6", net.JoinHostPort(address, "7"), patience)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	k := &talker{stop: make(chan struct{}), done: make(chan error, 1)}
	go func() {
		defer c.Close()
		k.done <- k.talk(c)
	}()
	return k
}

func (k *talker) talk(c net.Conn) error {
	word := []byte("still there?")
	heard := make([]byte, len(word))
	for {
		select {
		case <-k.stop:
			return nil
		case <-time.After(10 * time.Millisecond):
		}
		asked := time.Now()
		if err := c.SetDeadline(asked.Add(patience)); err != nil {
			return err
		}
		if _, err := c.Write(word); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, heard); err != nil {
			return err
		}
		if !bytes.Equal(word, heard) {
			return fmt.Errorf("heard %q", heard)
		}
		k.gap = max(k.gap, time.Since(asked))
		k.said++
	}
}

// ends stops talking; the connection must have held until then.
func (k *talker) ends(t *testing.T) {
	t.Helper()
	close(k.stop)
	if err := <-k.done; err != nil {
		t.Errorf("the connection broke after %d words: %v", k.said, err)
	}
	t.Logf("%d words said and answered, the longest answer took %v", k.said, k.gap)
}

// TestAdoption starts Damselfly for the first time on a bridge whose guests have
// been up and talking: addresses that nobody configured stay theirs, and so do
// their connections, with port security on.
func TestAdoption(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		s := newStage(t, ndExt, blue)
		if _, err := s.Ofctl("add-flow", s.Mgmt(stage.Bridge), "cookie=0x77,table=0,priority=5,actions=NORMAL"); err != nil {
			t.Fatal(err)
		}
		addrs := []netip.Prefix{netip.MustParsePrefix("fd00:b1::5eed:1/64"), netip.MustParsePrefix("fd00:b1::5eed:2/64")}
		var guests []*lab.Guest
		for i, mac := range []string{mac1, mac2} {
			guests = append(guests, addGuest(t, s, lab.GuestOptions{
				Name: fmt.Sprintf("vm%d", i+1), MAC: mac, AddrGen: lab.StablePrivacy, Addresses: addrs[i : i+1], Sysctls: nervous,
			}))
		}
		vm1, vm2 := guests[0], guests[1]
		booted(t, bluePrefix, guests...)
		ping(t, vm1, "fd00:b1::5eed:2")
		before := make([][]lab.Addr, 2)
		for i, g := range guests {
			var err error
			if before[i], err = g.Addrs(); err != nil {
				t.Fatal(err)
			}
		}
		k := connect(t, vm1, vm2, "fd00:b1::5eed:2")
		local := connect(t, vm2, vm1, linkLocal(t, vm1)+"%"+index(t, vm1))

		d := serve(t, s, "--take-over")
		lab.WaitFor(t, patience, "the addresses to be learned", func() error {
			for i, name := range []string{"vm1", "vm2"} {
				if p := portOf(t, d, name); !slices.Contains(p.Learned, addrs[i].Addr()) {
					return fmt.Errorf("%s: learned %v", name, p.Learned)
				}
			}
			return nil
		})
		ping(t, vm1, "fd00:b1::5eed:2")
		ping(t, vm2, "fd00:b1::5eed:1")
		ping(t, vm2, "fe80::1%eth0")
		// Past the first verification of neighbours.
		select {
		case <-time.After(8 * time.Second):
		case <-t.Context().Done():
		}
		k.ends(t)
		local.ends(t)
		for i, g := range guests {
			after, err := g.Addrs()
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range before[i] {
				if !slices.ContainsFunc(after, func(b lab.Addr) bool { return b.Address == a.Address && !b.DADFailed && !b.Tentative }) {
					t.Errorf("%s lost %s: %+v", g.Name, a.Address, after)
				}
			}
		}
	})
}

// index is the number of a guest's eth0.
func index(t *testing.T, g *lab.Guest) (number string) {
	t.Helper()
	if err := g.Within(func() error {
		i, err := net.InterfaceByName("eth0")
		if err == nil {
			number = fmt.Sprint(i.Index)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return number
}
