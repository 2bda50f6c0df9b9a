package agent

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"damselfly/internal/lease"
	"damselfly/internal/slowlane"
)

const (
	// recTimeout is how long a client has to come back after the first Reconfigure;
	// after each further one it has twice as long (RFC 9915 section 18.3.11).
	recTimeout = 2 * time.Second
	// recMaxRC is how often a client is sent Reconfigure (RFC 9915 section 7.6).
	recMaxRC = 8
	// askMost is how many are sent at once, between two groups of requests.
	askMost = 256
)

// asking sends Reconfigure to clients until they come back, or have been asked
// often enough. The zero value asks nobody.
type asking struct {
	// send sends each client one Reconfigure.
	send func(ctx context.Context, clients []lease.Lease) error
	log  *slog.Logger
	wake chan struct{} // of capacity 1

	waiting atomic.Int64 // len(clients), for lanes that wait for nobody
	mu      sync.Mutex
	clients map[asked]*attempt // guarded by mu
}

// asked is who is asked.
type asked struct{ port, duid string }

// attempt is how far asking one client has come.
type attempt struct {
	client lease.Lease // one of its leases, maybe ended: where it is reached, and its key
	sent   int
	due    time.Time // the next one, or the end
}

// newAsking returns one whose run is still to be called.
func newAsking(send func(context.Context, []lease.Lease) error, log *slog.Logger) *asking {
	return &asking{send: send, log: log, wake: make(chan struct{}, 1), clients: map[asked]*attempt{}}
}

// ask begins anew with the clients of leases, each once, whose order puts those
// of one client together. Those that accept no Reconfigure are left out.
func (q *asking) ask(leases []lease.Lease) {
	q.mu.Lock()
	for i := range leases {
		if l := &leases[i]; l.ReconfAccept() && l.LinkLocal.IsValid() {
			q.clients[asked{l.Port, l.DUID}] = &attempt{client: *l}
		}
	}
	n := len(q.clients)
	q.waiting.Store(int64(n))
	q.mu.Unlock()
	if n == 0 {
		return
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// heard says that a client came back. It may be called from any goroutine.
func (q *asking) heard(port string, duid []byte) {
	if q.waiting.Load() == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.clients, asked{port, string(duid)})
	q.waiting.Store(int64(len(q.clients)))
}

// run sends what is due until ctx ends.
func (q *asking) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-q.wake:
		case <-timer.C:
		}
		list, wait := q.due(time.Now())
		for some := range slices.Chunk(list, askMost) {
			if err := q.send(ctx, some); err != nil && !errors.Is(err, slowlane.ErrStopped) && ctx.Err() == nil {
				q.log.Warn("clients were not asked to come back", "clients", len(some), "error", err)
			}
		}
		timer.Reset(wait)
	}
}

// due takes the clients whose time has come, and says how long nothing more is
// to be done. Those that were asked often enough are given up.
func (q *asking) due(now time.Time) (list []lease.Lease, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	wait = time.Hour
	silent := 0
	for who, a := range q.clients {
		if !a.due.After(now) {
			if a.sent == recMaxRC {
				delete(q.clients, who)
				silent++
				continue
			}
			a.due = now.Add(recTimeout << a.sent)
			a.sent++
			list = append(list, a.client)
		}
		wait = min(wait, a.due.Sub(now))
	}
	q.waiting.Store(int64(len(q.clients)))
	if silent > 0 {
		q.log.Warn("clients did not come back when asked to; they learn of what changed when they renew", "clients", silent)
	}
	slices.SortFunc(list, func(a, b lease.Lease) int {
		return cmp.Or(strings.Compare(a.Port, b.Port), strings.Compare(a.DUID, b.DUID))
	})
	return list, wait
}
