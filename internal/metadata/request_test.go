package metadata

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

// TestWho: who asks is whom the switch says, whatever address they share, and
// whatever they say.
func TestWho(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, c := range []struct {
		port, from, want string
		status           int
	}{
		{"vm1", "fe80::ff:fe00:11", "i-1", 200},
		{"vm1", "fd00:b1::77", "i-1", 200},
		{"vm1", "192.0.2.11", "i-1", 200},
		{"vm2", "fe80::ff:fe00:11", "i-2", 200},
		{"vm2", "192.0.2.11", "i-2", 200},
		{"vm3", "fe80::ff:fe00:11", "this port has no instance\n", 404},
	} {
		resp, body := w.raw(w.caller(c.port, c.from), "GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: x\r\nX-Instance-ID: i-9\r\nX-Forwarded-For: fd00::9\r\n\r\n")
		if resp == nil || resp.StatusCode != c.status || body != c.want {
			t.Errorf("%s from %s: %v, %q", c.port, c.from, resp, body)
		}
		if c.status == 200 && !strings.Contains(w.log.String(), fmt.Sprintf("port=%s network=", c.port)) {
			t.Errorf("no line of %s: %s", c.port, w.log)
		}
	}
	for name, a := range map[string]netip.Addr{
		"no such port":          topology.CallerPort(77),
		"no such prefix":        topology.CallerPort(1),
		"a network without it":  topology.CallerPort(4),
		"no such IPv4 address":  topology.CallerIPv4(1, 1),
		"an address of its own": netip.MustParseAddr("fe80::1"), "an IPv4 address of its own": netip.MustParseAddr("192.0.2.11"),
	} {
		resp, body := w.raw(a, "GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: x\r\n\r\n")
		if resp != nil && resp.StatusCode != 404 {
			t.Errorf("%s: %v, %q", name, resp, body)
		}
	}
	if !strings.Contains(w.log.String(), "from=fd00:b1::77") {
		t.Errorf("the log does not say the guest's own address: %s", w.log)
	}
	// Its port is gone: the next request on the same connection is nobody's.
	c := w.dial(w.caller("vm1", "fe80::1"))
	request := "GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: x\r\n\r\n"
	if resp, body := w.say(c, request); resp == nil || resp.StatusCode != 200 {
		t.Errorf("before: %s", body)
	}
	w.set(func(s *topology.Spec) { s.Ports = s.Ports[1:] })
	if resp, body := w.say(c, request); resp == nil || resp.StatusCode != 404 {
		t.Errorf("once its port is gone: %v, %q", resp, body)
	}
}

// TestUnsound: what could be read in two ways ends here, with its connection.
func TestUnsound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *topology.Spec) { s.Limits = topology.Limits{punt.Metadata: topology.Unlimited} })
	const host = "Host: x\r\n"
	for _, c := range []struct {
		name, request string
		status        []int
	}{
		{"a length beside chunks", "POST / HTTP/1.1\r\n" + host + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", []int{400, 411}},
		{"chunks", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", []int{411}},
		{"chunks that are none", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n", []int{400, 501}},
		{"chunks twice", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", []int{400, 501}},
		{"two lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd", []int{400}},
		{"a length with a sign", "POST / HTTP/1.1\r\n" + host + "Content-Length: +4\r\n\r\nabcd", []int{400}},
		{"a blank before the colon", "GET / HTTP/1.1\r\n" + host + "Content-Length : 4\r\n\r\nabcd", []int{400}},
		{"a folded header", "GET / HTTP/1.1\r\n" + host + "X-A: b\r\n X-Instance-ID: i-9\r\n\r\n", []int{200, 400}},
		{"no host", "GET / HTTP/1.1\r\n\r\n", []int{400}},
		{"two hosts", "GET / HTTP/1.1\r\n" + host + host + "\r\n", []int{400}},
		{"connect", "CONNECT 10.0.0.1:22 HTTP/1.1\r\n" + host + "\r\n", []int{400, 405}},
		{"an absolute URI", "GET http://10.0.0.1/ HTTP/1.1\r\n" + host + "\r\n", []int{400}},
		{"an absolute URI of another scheme", "GET file:///etc/passwd HTTP/1.1\r\n" + host + "\r\n", []int{400}},
		{"steps upwards", "GET /latest/../../etc/passwd HTTP/1.1\r\n" + host + "\r\n", []int{400}},
		{"escaped steps", "GET /latest/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n" + host + "\r\n", []int{400}},
		{"an escaped slash", "GET /latest%2fmeta-data HTTP/1.1\r\n" + host + "\r\n", []int{400}},
		{"a backslash", "GET /latest\\..\\x HTTP/1.1\r\n" + host + "\r\n", []int{400}},
		{"a null", "GET /latest/\x00 HTTP/1.1\r\n" + host + "\r\n", []int{400}},
		{"a double slash", "GET //latest HTTP/1.1\r\n" + host + "\r\n", []int{400}},
		{"parameters of a path", "GET /latest;a=b HTTP/1.1\r\n" + host + "\r\n", []int{400}},
		{"delete", "DELETE /latest HTTP/1.1\r\n" + host + "\r\n", []int{405}},
		{"trace", "TRACE / HTTP/1.1\r\n" + host + "\r\n", []int{405}},
		{"an upgrade", "GET / HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", []int{400}},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", []int{400, 405, 505}},
		{"a header of a megabyte", "GET / HTTP/1.1\r\n" + host + "X-A: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", []int{431}},
		{"ten thousand headers", "GET / HTTP/1.1\r\n" + host + strings.Repeat("X-A: b\r\n", 10000) + "\r\n", []int{431}},
		{"a body of a megabyte", "PUT /latest/api/token HTTP/1.1\r\n" + host + "Content-Length: 1048576\r\n\r\n" + strings.Repeat("a", 1<<20), []int{413}},
		{"a body that is announced", "PUT /latest/api/token HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: 1048576\r\n\r\n", []int{413}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			resp, body := w.raw(w.caller("vm1", "fe80::1"), c.request)
			if resp == nil {
				t.Fatalf("no answer: %s", body)
			}
			for _, s := range c.status {
				if resp.StatusCode == s && (s == 200 || resp.Close) {
					return
				}
			}
			t.Errorf("%d (close %v), want %v: %s", resp.StatusCode, resp.Close, c.status, body)
		})
	}
}

// TestHosts: clients write the service's address in several ways.
func TestHosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for _, host := range []string{"[fe80::a9fe:a9fe]", "[fe80::a9fe:a9fe%25eth0]", "[fe80::a9fe:a9fe%eth0]:80", "[fd00:ec2::254]", "169.254.169.254", "instance-data"} {
		resp, body := w.raw(w.caller("vm1", "fe80::1"), "GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		if resp == nil || resp.StatusCode != 200 || body != "i-1" {
			t.Errorf("%s: %v %s", host, resp, body)
		}
	}
}

// TestLimits: a port's connections and requests are bounded, another's are not
// fewer for that.
func TestLimits(t *testing.T) {
	t.Parallel()
	few := 3
	w := newWorld(t, func(s *topology.Spec) {
		s.Ports[0].Limits, s.Ports[0].MaxConnections = topology.Limits{punt.Metadata: {Rate: 1, Burst: 5}}, &few
	})
	c := w.dial(w.caller("vm1", "fe80::1"))
	request := "GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: x\r\n\r\n"
	for i := range 5 {
		if resp, body := w.say(c, request); resp == nil || resp.StatusCode != 200 {
			t.Fatalf("request %d: %v %s", i, resp, body)
		}
	}
	if resp, body := w.say(c, request); resp == nil || resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" || !resp.Close {
		t.Errorf("one more: %v %s", resp, body)
	}
	for deadline := time.Now().Add(10 * time.Second); w.open(1) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the first connection stays open")
		}
	}
	for range 3 {
		w.dial(w.caller("vm1", "fe80::2")) // says nothing
	}
	over := w.dial(w.caller("vm1", "fd00:b1::2"))
	_ = over.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := over.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("a fourth connection: %v", err)
	}
	if status, body := w.get("vm2", "/latest/meta-data/instance-id"); status != 200 || body != "i-2" {
		t.Errorf("another port: %d %s", status, body)
	}
	for _, v := range w.Visits() {
		if v.Key == 1 && (v.Refused != 1 || v.Limited != 1 || v.Requests[200] != 5 || v.Requests[429] != 1 || v.Open != 3) {
			t.Errorf("counted: %+v", v)
		}
	}
}

// open is how many connections a port has.
func (w *world) open(key uint16) int {
	for _, v := range w.Visits() {
		if v.Key == key {
			return v.Open
		}
	}
	return 0
}

// TestLogIsSampled: a flood of requests makes few lines, and they say how many
// had none.
func TestLogIsSampled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *topology.Spec) { s.Limits = topology.Limits{punt.Metadata: topology.Unlimited} })
	now := time.Unix(1000, 0)
	w.Server.log.now = func() time.Time { return now }
	c := w.dial(w.caller("vm1", "fe80::1"))
	for range 50 {
		w.say(c, "GET /latest HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	if n := strings.Count(w.log.String(), "msg=metadata"); n != loggedPerSecond {
		t.Errorf("%d lines", n)
	}
	now = now.Add(time.Second)
	w.say(c, "GET /"+strings.Repeat("a", 1000)+" HTTP/1.1\r\nHost: x\r\n\r\n")
	if log := w.log.String(); !strings.Contains(log, "not_logged_before=30") || strings.Contains(log, strings.Repeat("a", 200)) {
		t.Errorf("the line after: %s", log[len(log)-400:])
	}
}
