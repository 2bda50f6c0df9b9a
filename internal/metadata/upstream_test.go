package metadata

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

const secret = "meiquoh2Ohs6ne"

func withUpstream(url string) func(*topology.Spec) {
	return func(s *topology.Spec) {
		s.Limits = topology.Limits{punt.Metadata: topology.Unlimited}
		for i := range s.Networks[:2] {
			s.Networks[i].Metadata = &topology.MetadataSpec{Upstream: url, Secret: secret}
		}
	}
}

// TestNova: what arrives is what Nova takes, and nothing that a guest made up.
func TestNova(t *testing.T) {
	t.Parallel()
	nova := httptest.NewServer(fixtures.Nova(secret))
	defer nova.Close()
	w := newWorld(t, withUpstream(nova.URL))
	resp, body := w.raw(w.caller("vm1", "fd00:b1::77"), "POST /openstack/latest/password?x=1 HTTP/1.1\r\nHost: [fe80::a9fe:a9fe]\r\nContent-Length: 2\r\nX-Mine: ours\r\n"+
		"X-Instance-ID: i-9\r\nx_instance_id: i-9\r\nX-Instance_ID-Signature: 00\r\nX-Tenant-ID: p9\r\nX-TENANT-name: p9\r\nX-Forwarded-For: fd00::9\r\nX-Forwarded-Host: h\r\nForwarded: for=fd00::9\r\n"+
		"X-Metadata-Provider: 9\r\nX-Metadata_Provider-Signature: 9\r\nX-Neutron-Network-ID: n9\r\nX-Neutron_Router-ID: n9\r\nX-Real-IP: 9\r\n"+
		"Connection: X-Mine-Too, keep-alive\r\nX-Mine-Too: 1\r\nKeep-Alive: 9\r\nProxy-Authorization: 9\r\nTE: trailers\r\nTrailer: X-Instance-ID\r\n\r\nhi")
	want := "POST /openstack/latest/password?x=1 id=i-1 tenant=p1 for=fd00:b1::77 body=hi\nmine=ours trailers=map[] te=[]\n"
	if resp == nil || resp.StatusCode != 200 || body != want {
		t.Errorf("got %v\n%swant\n%s", resp, body, want)
	}
	if resp, body := w.raw(w.caller("vm1", "fe80::1"), "GET /latest HTTP/1.0\r\n\r\n"); resp == nil || !strings.Contains(body, "id=i-1 tenant=p1 for=fe80::1 ") {
		t.Errorf("HTTP/1.0: %v %s", resp, body)
	}
	// What Nova says of a port without a project is Nova's to say.
	if status, body := w.get("vm2", "/latest"); status != 400 || !strings.Contains(body, "X-Tenant-ID") {
		t.Errorf("without a project: %d %s", status, body)
	}
	if status, _ := w.get("vm3", "/latest"); status != 404 {
		t.Errorf("without an instance: %d", status)
	}
}

// TestUpstreams: by a unix socket, and by TLS with a certificate of its own
// authority, which must be the configured one.
func TestUpstreams(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "metadata.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	plain := &httptest.Server{Listener: l, Config: &http.Server{Handler: fixtures.Nova(secret)}}
	plain.Start()
	defer plain.Close()
	if status, body := newWorld(t, withUpstream("unix:"+socket)).get("vm1", "/x"); status != 200 || !strings.Contains(body, "GET /x id=i-1") {
		t.Errorf("unix: %d %s", status, body)
	}
	secure := httptest.NewTLSServer(fixtures.Nova(secret))
	defer secure.Close()
	secure.Config.ErrorLog = nil
	if status, _ := newWorld(t, withUpstream(secure.URL)).get("vm1", "/x"); status != 502 {
		t.Errorf("a certificate that nobody trusts: %d", status)
	}
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}))
	trusting := newWorld(t, func(s *topology.Spec) {
		withUpstream(secure.URL)(s)
		s.Networks[0].Metadata.CA = ca
	})
	if status, body := trusting.get("vm1", "/x"); status != 200 || !strings.Contains(body, "id=i-1") {
		t.Errorf("TLS: %d %s", status, body)
	}
}

// TestUpstreamCertificate: an upstream that wants to know who asks is shown the
// configured certificate, and takes no other.
func TestUpstreamCertificate(t *testing.T) {
	t.Parallel()
	issue := func() (cert, key string, der []byte) {
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		of := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
		der, err = x509.CreateCertificate(rand.Reader, of, of, private.Public(), private)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := x509.MarshalECPrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw})), der
	}
	cert, key, der := issue()
	stranger, strangerKey, _ := issue()
	server := httptest.NewUnstartedServer(fixtures.Nova(secret))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	known, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	server.TLS.ClientCAs.AddCert(known)
	server.StartTLS()
	defer server.Close()
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for _, c := range []struct {
		name, cert, key string
		status          int
	}{{"the right one", cert, key, 200}, {"none", "", "", 502}, {"a stranger's", stranger, strangerKey, 502}} {
		w := newWorld(t, func(s *topology.Spec) {
			withUpstream(server.URL)(s)
			s.Networks[0].Metadata.CA, s.Networks[0].Metadata.Certificate, s.Networks[0].Metadata.Key = ca, c.cert, c.key
		})
		if status, body := w.get("vm1", "/x"); status != c.status || status == 200 && !strings.Contains(body, "id=i-1") {
			t.Errorf("%s: %d %s", c.name, status, body)
		}
	}
}

// TestUpstreamAway: an upstream that is not there, hangs or talks nonsense costs its
// caller a status, and tells the operator why.
func TestUpstreamAway(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	defer close(release)
	for name, c := range map[string]struct {
		handle func(net.Conn)
		status int
	}{
		"refuses":        {nil, 502},
		"hangs":          {func(net.Conn) { <-release }, 504},
		"closes":         {func(net.Conn) {}, 502},
		"talks nonsense": {func(c net.Conn) { _, _ = io.WriteString(c, "220 smtp\r\n\r\n") }, 502},
		"floods with headers": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X-A: "+strings.Repeat("b", 1000)+"\r\n", 200)+"\r\n")
		}, 502},
		"switches protocols": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
		}, 502},
		"announces without an end": {func(c net.Conn) { _, _ = io.WriteString(c, strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100)) }, 502},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						defer conn.Close()
						_, _ = conn.Read(make([]byte, 4096))
						c.handle(conn)
					}()
				}
			}()
			if c.handle == nil {
				l.Close()
			}
			defer l.Close()
			w := newWorld(t, func(s *topology.Spec) {
				withUpstream("http://" + l.Addr().String())(s)
				if short := 200 * time.Millisecond; c.status == 504 {
					s.Networks[0].Metadata.Timeout = &short
				}
			})
			if status, body := w.get("vm1", "/x"); status != c.status {
				t.Errorf("%d: %s", status, body)
			}
			if f := w.Failures()["blue"]; f.Requests != 1 || f.Last == "" {
				t.Errorf("told: %+v", f)
			}
		})
	}
}

// TestStreaming: an answer comes as the upstream sends it, not when it ends.
func TestStreaming(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	nova := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		<-more
	}))
	defer nova.Close() // which waits for the handler
	defer close(more)
	w := newWorld(t, withUpstream(nova.URL))
	c := w.dial(w.caller("vm1", "fe80::1"))
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	go io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	var got strings.Builder
	buf := make([]byte, 512)
	for !strings.Contains(got.String(), "first") {
		n, err := c.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, got.String())
		}
		got.Write(buf[:n])
	}
}
