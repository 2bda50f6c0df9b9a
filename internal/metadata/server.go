package metadata

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"damselfly/internal/topology"
)

// What a request may take. A guest that needs longer, or more, is not one that
// asks who it is.
const (
	headerTime  = 5 * time.Second
	requestTime = 15 * time.Second
	answerTime  = 2 * time.Minute
	idleTime    = 30 * time.Second
	maxHeader   = 8 << 10
	maxBody     = 64 << 10
)

// Config is what a Server is made of.
type Config struct {
	// Snapshot gives the topology of the moment.
	Snapshot func() *topology.Snapshot
	Log      *slog.Logger
	// Now is the time; nil is time.Now.
	Now func() time.Time
}

// Server answers requests for metadata.
type Server struct {
	snapshot func() *topology.Snapshot
	now      func() time.Time
	door     door
	log      accessLog
	tokens   tokens

	mu        sync.Mutex
	upstreams map[*topology.MetadataSpec]*upstream // guarded by mu
}

// New returns a Server that takes no connections yet.
func New(c Config) *Server {
	s := &Server{snapshot: c.Snapshot, now: c.Now, upstreams: map[*topology.MetadataSpec]*upstream{}}
	if s.now == nil {
		s.now = time.Now
	}
	s.log = accessLog{out: c.Log, now: s.now}
	s.door = door{snapshot: c.Snapshot, ports: map[uint16]*visits{}}
	_, _ = rand.Read(s.tokens.key[:]) // never fails (crypto/rand)
	return s
}

// Serve answers what comes by l until ctx ends or l is closed, and closes it.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTime, ReadTimeout: requestTime, WriteTimeout: answerTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader,
		// What clients do wrong is counted, not told.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	h.Protocols = new(http.Protocols)
	h.Protocols.SetHTTP1(true)
	stop := context.AfterFunc(ctx, func() { h.Close() })
	defer stop()
	err := h.Serve(s.door.at(l))
	h.Close() // its connections go with it
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
