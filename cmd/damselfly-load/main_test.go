package main

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"damselfly/internal/lab"
)

// TestAgainstKernel asks a Linux kernel behind a learning switch.
func TestAgainstKernel(t *testing.T) {
	t.Parallel()
	l := lab.Start(t)
	if err := l.AddBridge("br0"); err != nil {
		t.Fatal(err)
	}
	g, err := l.AddGuest(lab.GuestOptions{Name: "kernel", Bridge: "br0", MAC: "02:00:00:00:00:12",
		Addresses: []netip.Prefix{netip.MustParsePrefix("fd00:b1::12/64")},
		Sysctls:   map[string]string{"net.ipv6.conf.eth0.accept_dad": "0"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.AddCrowd("c", "br0", g.MAC[:5:5], g.MAC)
	if err == nil {
		t.Fatal("a crowd with a MAC of five octets was made")
	}
	if c, err = l.AddCrowd("c", "br0", []byte{2, 0, 0, 0, 0, 0x11}); err != nil {
		t.Fatal(err)
	}
	try := func(args ...string) (string, error) {
		var out bytes.Buffer
		err := c.Within(func() error { return run(t.Context(), args, &out) })
		return out.String(), err
	}
	out, err := try("-guest", "c0,fd00:b1::11", "-neighbor", "fd00:b1::12=02:00:00:00:00:12", "-router-mac", "02:00:00:00:00:12",
		"-gateway", "fd00:b1::12", "-mix", "echo=3,ns", "-slots", "1", "-count", "40")
	if err != nil || !strings.Contains(out, "30 asked, 30 answered") || !strings.Contains(out, "10 asked, 10 answered") {
		t.Errorf("got %q, %v, want 30 echoes and 10 advertisements", out, err)
	}
	for _, tt := range []struct{ args, fault string }{
		{"-guest c0 -neighbor fd00:b1::12=02:00:00:00:00:13 -mix ns -slots 1", "wrong answer"},
		{"-guest c0 -neighbor fd00:b1::13=02:00:00:00:00:13 -mix ns -slots 1 -count 2 -patience 100ms", "no answer"},
		{"-guest c0 -mix ns", "neighbours"},
		{"-guest c0", "-mix"},
		{"-guest c1 -mix ns", "no such network interface"},
		{"-guest c0,me -mix rs", "me"},
		{"-guest c0 -mix rs=much", "much"},
		{"-guest c0 -mix rs -seed 300", "300"},
		{"-guest c0 -mix rs more", "more"},
	} {
		if out, err := try(strings.Fields(tt.args)...); err == nil || !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: got %q, %v, want an error about %q", tt.args, out, err, tt.fault)
		}
	}
}
