package relay6

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// TestThereAndBack has a server on the loopback answer, and somebody who is
// none.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	loopback := netip.IPv6Loopback()
	server, err := net.ListenUDP("udp6", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Skipf("no IPv6 loopback: %v", err)
	}
	defer server.Close()
	var trusted atomic.Bool
	r, err := Listen(netip.AddrPortFrom(loopback, 0), func(a netip.Addr) bool { return trusted.Load() && a == loopback })
	if err != nil {
		t.Fatal(err)
	}
	r.port = server.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	ctx, cancel := context.WithCancel(context.Background())
	came, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- r.Run(ctx, func(data []byte) { came <- string(data) }) }()

	if !r.Forward(loopback, []byte("there")) {
		t.Fatal("not sent")
	}
	if err := server.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, from, err := server.ReadFromUDPAddrPort(buf)
	if err != nil || string(buf[:n]) != "there" {
		t.Fatalf("server read %q, %v", buf[:n], err)
	}
	send := func(s string) {
		if _, err := server.WriteToUDPAddrPort([]byte(s), from); err != nil {
			t.Fatal(err)
		}
	}
	send("from a stranger")
	for end := time.Now().Add(10 * time.Second); r.Refused() == 0; {
		if time.Now().After(end) {
			t.Fatal("the stranger was not refused")
		}
		time.Sleep(time.Millisecond)
	}
	trusted.Store(true)
	send("back")
	select {
	case got := <-came:
		if got != "back" {
			t.Errorf("delivered %q", got)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing delivered")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	if r.Forward(loopback, []byte("late")) {
		t.Error("sent after the end")
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	r, err := Listen(netip.AddrPortFrom(netip.IPv6Loopback(), 0), nil)
	if err != nil {
		t.Skipf("no IPv6 loopback: %v", err)
	}
	defer r.Close()
	if other, err := Listen(r.conn.LocalAddr().(*net.UDPAddr).AddrPort(), nil); err == nil {
		_ = other.Close()
		t.Error("a port was opened twice")
	}
}
