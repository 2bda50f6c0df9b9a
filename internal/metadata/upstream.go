package metadata

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"damselfly/internal/topology"
)

// connectTime is how long an upstream may take to accept.
const connectTime = 5 * time.Second

// maxAnswerHeader bounds the headers of an upstream.
const maxAnswerHeader = 64 << 10

// upstream is where the requests of some networks go.
type upstream struct {
	spec  *topology.MetadataSpec
	proxy *httputil.ReverseProxy
	// failed counts requests that had no answer, and lastError holds why the last had none.
	failed    atomic.Uint64
	lastError atomic.Pointer[string]
}

// upstreamOf is the upstream of a configuration. Those of configurations that no
// network has any more go.
func (s *Server) upstreamOf(spec *topology.MetadataSpec) *upstream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.upstreams[spec]; u != nil {
		return u
	}
	used := map[*topology.MetadataSpec]bool{spec: true}
	if snap := s.snapshot(); snap != nil {
		for _, n := range snap.Networks {
			if n.Metadata != nil {
				used[n.Metadata.MetadataSpec] = true
			}
		}
	}
	for old, u := range s.upstreams {
		if !used[old] {
			delete(s.upstreams, old)
			u.proxy.Transport.(*http.Transport).CloseIdleConnections()
		}
	}
	u := newUpstream(spec)
	s.upstreams[spec] = u
	return u
}

// newUpstream makes the proxy of a configuration that has been validated.
func newUpstream(spec *topology.MetadataSpec) *upstream {
	u := &upstream{spec: spec}
	target, err := url.Parse(spec.Upstream)
	if err != nil {
		target = &url.URL{Scheme: "http", Host: "invalid"}
	}
	dialer := &net.Dialer{Timeout: connectTime}
	timeout := topology.DefaultMetadataTimeout
	if spec.Timeout != nil {
		timeout = *spec.Timeout
	}
	t := &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: connectTime, ResponseHeaderTimeout: timeout,
		MaxResponseHeaderBytes: maxAnswerHeader, MaxIdleConnsPerHost: 16, IdleConnTimeout: idleTime, DisableCompression: true,
		TLSClientConfig: tlsConfig(spec),
	}
	if target.Scheme == "unix" {
		socket := target.Path
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		}
		target = &url.URL{Scheme: "http", Host: "localhost"}
	}
	u.proxy = &httputil.ReverseProxy{
		Transport:     t,
		FlushInterval: -1, // as it comes
		ErrorLog:      slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = target.Host
			// The package takes it off, for what guests put there; this is ours.
			r.Out.Header.Set(forwardedFor, r.In.Header.Get(forwardedFor))
		},
		ErrorHandler: u.fail,
	}
	return u
}

func tlsConfig(spec *topology.MetadataSpec) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if spec.CA != "" {
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM([]byte(spec.CA)) // validated
	}
	if spec.Certificate != "" {
		if pair, err := tls.X509KeyPair([]byte(spec.Certificate), []byte(spec.Key)); err == nil { // validated
			c.Certificates = []tls.Certificate{pair}
		}
	}
	return c
}

// serve passes a request on, signed.
func (u *upstream) serve(w http.ResponseWriter, c *call) {
	ctx, cancel := context.WithTimeout(c.Context(), answerTime)
	defer cancel()
	r := c.Request.WithContext(ctx)
	r.Header = c.headers(u.spec.Secret)
	u.proxy.ServeHTTP(w, r)
}

// forwardedFor is the header with the address that a request came from.
const forwardedFor = "X-Forwarded-For"

// ownHeaders are the beginnings of names of headers that tell the upstream who
// asks. None comes from a guest.
var ownHeaders = []string{"x-forwarded-", "x-instance-", "x-tenant-", "x-metadata-", "x-neutron-"}

// headers are the request's without what is between the guest and Damselfly alone,
// or is not the guest's to say, with who it is (neutron's metadata agent, Nova's
// api/metadata/handler.py).
func (c *call) headers(secret string) http.Header {
	h := http.Header{}
	hops := map[string]bool{"connection": true, "keep-alive": true, "proxy-connection": true, "proxy-authenticate": true, "proxy-authorization": true,
		"te": true, "trailer": true, "transfer-encoding": true, "upgrade": true, "expect": true, "forwarded": true, "x-real-ip": true}
	for _, list := range c.Header.Values("Connection") {
		for name := range strings.SplitSeq(list, ",") {
			hops[strings.ToLower(strings.TrimSpace(name))] = true // RFC 9110 section 7.6.1
		}
	}
	for name, values := range c.Header {
		// Servers behind WSGI read an underscore as a hyphen.
		plain := strings.ReplaceAll(strings.ToLower(name), "_", "-")
		if !hops[plain] && !own(plain) {
			h[name] = values
		}
	}
	i := c.port.Instance
	h.Set(forwardedFor, c.from.String())
	h.Set("X-Instance-ID", i.ID)
	if i.Project != "" {
		h.Set("X-Tenant-ID", i.Project)
	}
	h.Set("X-Instance-ID-Signature", signature(secret, i.ID))
	return h
}

func own(name string) bool {
	for _, p := range ownHeaders {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// signature is how Nova knows that an instance's id was not made up.
func signature(secret, instance string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(instance))
	return hex.EncodeToString(h.Sum(nil))
}

// fail answers for an upstream that did not.
func (u *upstream) fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) {
		refuse(w, statusGone)
		return
	}
	u.failed.Add(1)
	text := err.Error()
	u.lastError.Store(&text)
	var t net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout() {
		refuse(w, http.StatusGatewayTimeout)
		return
	}
	refuse(w, http.StatusBadGateway)
}

// statusGone is what a request is counted as whose guest did not wait; nobody
// hears it.
const statusGone = 499
