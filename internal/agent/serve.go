package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"
)

// api is an HTTP server. The one on TCP only reads, so it needs no more
// protection than the address it listens on; what changes anything is on the
// control socket.
type api struct {
	listener net.Listener // nil if it is off
	server   *http.Server
}

// maxConnections is how many may be open at once; more wait.
const maxConnections = 64

// listen binds the API's address, "" for none. That the address is taken is
// found out at the start.
func (a *Agent) listen() (*api, error) {
	if a.config.API == "" {
		return &api{}, nil
	}
	l, err := net.Listen("tcp", a.config.API)
	if err != nil {
		return nil, fmt.Errorf("api: %w: choose another address in the configuration, or \"\" for none", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(a))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 2}))
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		a.readDrops(r.Context())
		reply(w, a.Status())
	})
	mux.HandleFunc("GET /leases", a.serveLeases)
	mux.HandleFunc("GET /routes", a.serveRoutes)
	mux.HandleFunc("GET /metadata", a.serveMetadata)
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { reply(w, a.known()) })
	return newAPI(l, mux), nil
}

func newAPI(l net.Listener, handler http.Handler) *api {
	return &api{listener: netutil.LimitListener(l, maxConnections), server: &http.Server{
		Handler: handler, MaxHeaderBytes: 16 << 10,
		ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 30 * time.Second,
	}}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // whoever asked has gone
}

// serve answers until ctx ends.
func (s *api) serve(ctx context.Context) error {
	if s.listener == nil {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { s.server.Close() })
	defer stop()
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// close gives up one that does not serve yet.
func (s *api) close() {
	if s.listener != nil {
		s.listener.Close()
	}
}
