package ovsdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
)

// Client follows one bridge in one database and reconnects for ever. All its
// methods may be called from several goroutines at once.
type Client struct {
	endpoint string
	bridge   string
	log      *slog.Logger
	model    model.ClientDBModel

	cancel  context.CancelFunc
	done    chan struct{} // closed when the session goroutine has ended
	changed chan struct{} // capacity 1; sent to by rebuild
	view    atomic.Pointer[View]

	// writing lets one read-then-write transaction at a time through.
	writing sync.Mutex
	// building keeps an older reading from being published over a newer one.
	building sync.Mutex

	mu   sync.Mutex
	live client.Client // guarded by mu; nil while cut off
	up   chan struct{} // guarded by mu; closed while live is set
	err  error         // guarded by mu; why live is nil
}

// Dial starts following bridge in the database at endpoint: "unix:" and an
// absolute path, or "tcp:" and host:port. It does not wait for the database: an
// unreachable one is logged, reported by [Client.Err], and tried again at most
// a second later until ctx ends or Close is called. The error is about the
// endpoint's form only.
func Dial(ctx context.Context, endpoint, bridge string, log *slog.Logger) (*Client, error) {
	if err := checkEndpoint(endpoint); err != nil {
		return nil, err
	}
	if bridge == "" {
		return nil, errors.New("no bridge named: give the name of the bridge to serve")
	}
	m, err := model.NewClientDBModel(databaseName, models())
	if err != nil {
		return nil, fmt.Errorf("OVSDB model: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &Client{
		endpoint: endpoint,
		bridge:   bridge,
		log:      log.With("ovsdb", endpoint),
		model:    m,
		cancel:   cancel,
		done:     make(chan struct{}),
		changed:  make(chan struct{}, 1),
		up:       make(chan struct{}),
		err:      fmt.Errorf("OVSDB at %s has not answered yet", endpoint),
	}
	go c.run(ctx)
	return c, nil
}

// checkEndpoint refuses what the library below would quietly replace by a
// default of its own.
func checkEndpoint(endpoint string) error {
	kind, rest, _ := strings.Cut(endpoint, ":")
	switch kind {
	case "unix":
		if !filepath.IsAbs(rest) {
			return fmt.Errorf("OVSDB endpoint %q: write unix: and an absolute path, as unix:%s/db.sock", endpoint, defaultRunDir)
		}
	case "tcp":
		if _, _, err := net.SplitHostPort(rest); err != nil {
			return fmt.Errorf("OVSDB endpoint %q: write tcp:HOST:PORT, as tcp:127.0.0.1:6640", endpoint)
		}
	default:
		return fmt.Errorf("OVSDB endpoint %q: only unix:PATH and tcp:HOST:PORT are supported", endpoint)
	}
	return nil
}

// Close ends the connection and returns when nothing of the client runs on. The
// last view stays readable.
func (c *Client) Close() {
	c.cancel()
	<-c.done
}

// Changed rings when the view differs from the one before. Rings are coalesced:
// read View after each, and once at the start.
func (c *Client) Changed() <-chan struct{} { return c.changed }

// View returns the newest state; ok is false until the database has been read
// for the first time.
func (c *Client) View() (v View, ok bool) {
	p := c.view.Load()
	if p == nil {
		return View{BridgeName: c.bridge}, false
	}
	return *p, true
}

// Err says why the database cannot be reached and what to do; nil while it can.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Wait blocks until the database is connected and read. When ctx ends before,
// the error is what stood in the way.
func (c *Client) Wait(ctx context.Context) error {
	_, err := c.connection(ctx)
	return err
}

// connection waits for the live connection.
func (c *Client) connection(ctx context.Context) (client.Client, error) {
	for {
		c.mu.Lock()
		live, up := c.live, c.up
		c.mu.Unlock()
		if live != nil {
			return live, nil
		}
		select {
		case <-up:
		case <-c.done:
			return nil, errors.New("the OVSDB client is closed")
		case <-ctx.Done():
			return nil, fmt.Errorf("%w (%w)", c.Err(), ctx.Err())
		}
	}
}

// rebuild reads the whole replica, publishes the view and rings if it differs.
// first says that lib is not the live connection yet; else one that is cut off
// publishes nothing any more.
func (c *Client) rebuild(lib client.Client, first bool) {
	c.building.Lock()
	defer c.building.Unlock()
	c.mu.Lock()
	live := c.live
	c.mu.Unlock()
	if !first && live != lib {
		return
	}
	if r, ok := readRows(lib, c.bridge); ok {
		c.publish(buildView(r, c.endpoint, c.bridge))
	}
}

// publish is called with building held.
func (c *Client) publish(v *View) {
	if old := c.view.Load(); old != nil && reflect.DeepEqual(old, v) {
		return
	}
	c.view.Store(v)
	select {
	case c.changed <- struct{}{}:
	default:
	}
}
