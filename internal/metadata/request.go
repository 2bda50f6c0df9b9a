package metadata

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"

	"damselfly/internal/topology"
)

// call is a request with who makes it.
type call struct {
	*http.Request
	port    *topology.Port
	network *topology.Network
	// from is the address that the guest has.
	from netip.Addr
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := s.now()
	c := call{Request: r}
	out := &recorder{ResponseWriter: w}
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	snap := s.snapshot()
	if err == nil && snap != nil {
		c.port, c.from = snap.Caller(remote.Addr())
	}
	if c.port == nil {
		// Its port is gone, or has moved, since the connection began.
		refuse(out, http.StatusNotFound)
		return
	}
	c.network = snap.Network(c.port.Network.Key)
	if s.door.ask(c.port.Key, c.port.Limits[metadataClass], began) {
		s.answer(out, &c)
	} else {
		out.Header().Set("Retry-After", "1")
		refuse(out, http.StatusTooManyRequests)
	}
	s.door.answered(c.port.Key, out.status)
	s.log.request(&c, out, s.now().Sub(began))
}

// answer answers a request that is within its port's limit.
func (s *Server) answer(w http.ResponseWriter, c *call) {
	if status := c.unsound(); status != 0 {
		refuse(w, status)
		return
	}
	if status := c.readBody(w); status != 0 {
		refuse(w, status)
		return
	}
	if c.port.Instance == nil {
		http.Error(w, "this port has no instance", http.StatusNotFound)
		return
	}
	if c.network.Metadata.Upstream != "" {
		s.upstreamOf(c.network.Metadata.MetadataSpec).serve(w, c)
		return
	}
	s.serveConfigured(w, c)
}

// refuse ends a request and its connection: what follows of it may be anything.
func refuse(w http.ResponseWriter, status int) {
	w.Header().Set("Connection", "close")
	http.Error(w, http.StatusText(status), status)
}

// unsound is the status for a request that no client of this service makes, 0 for
// others. Programs disagree about such requests, which is how one is smuggled in
// another (RFC 9112 section 11.2): they go no further.
func (c *call) unsound() int {
	switch c.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost:
	default:
		return http.StatusMethodNotAllowed
	}
	path := c.URL.EscapedPath()
	switch {
	// A length of its own beside chunks is gone from the headers by now (RFC 9112
	// section 6.3): with chunks come none.
	case len(c.TransferEncoding) > 0:
		return http.StatusLengthRequired
	case c.Header.Get("Upgrade") != "", c.Header.Get("Expect") != "" && !strings.EqualFold(c.Header.Get("Expect"), "100-continue"):
		return http.StatusBadRequest
	// Not a proxy (RFC 9112 section 3.2.2).
	case c.URL.IsAbs(), c.URL.Host != "", !strings.HasPrefix(path, "/"):
		return http.StatusBadRequest
	// Names in this service need no escapes, and steps upwards even less.
	case strings.ContainsAny(path, "%\\;"), strings.Contains(c.URL.Path, "//"), strings.ContainsFunc(c.URL.Path, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return http.StatusBadRequest
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "." || part == ".." {
			return http.StatusBadRequest
		}
	}
	return 0
}

// readBody reads the whole body, so that what goes on is of a known length and
// has no trailers; the status says why not.
func (c *call) readBody(w http.ResponseWriter) int {
	if c.ContentLength > maxBody {
		return http.StatusRequestEntityTooLarge // before it is asked to go on
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, c.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case err != nil:
		return http.StatusRequestTimeout
	}
	c.Body, c.ContentLength, c.Trailer = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	return 0
}

// recorder remembers how a request ended.
type recorder struct {
	http.ResponseWriter
	status int
	octets int64
}

// WriteHeader implements http.ResponseWriter. What an upstream says before its
// answer ends here.
func (w *recorder) WriteHeader(status int) {
	if status < http.StatusOK {
		return
	}
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.octets += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController find the writer's other methods.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
