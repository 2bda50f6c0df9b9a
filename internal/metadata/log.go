package metadata

import (
	"log/slog"
	"sync"
	"time"

	"damselfly/internal/punt"
)

// metadataClass has the limit of a port's connections and requests.
const metadataClass = punt.Metadata

// loggedPerSecond is how many requests a second have a line of their own.
const loggedPerSecond = 20

// accessLog tells of requests, as long as they are few.
type accessLog struct {
	out *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	second int64  // guarded by mu
	lines  int    // guarded by mu; in that second
	left   uint64 // guarded by mu; requests without a line since the last one
}

// request tells of a request, or leaves it out and has the next line say so.
func (l *accessLog) request(c *call, w *recorder, took time.Duration) {
	l.mu.Lock()
	if s := l.now().Unix(); s != l.second {
		l.second, l.lines = s, 0
	}
	if l.lines++; l.lines > loggedPerSecond {
		l.left++
		l.mu.Unlock()
		return
	}
	left := l.left
	l.left = 0
	l.mu.Unlock()
	args := []any{
		"port", c.port.Name, "network", c.network.Name, "from", c.from, "method", c.Method, "path", shorten(c.URL.Path),
		"status", w.status, "octets", w.octets, "took", took.Round(time.Microsecond),
	}
	if left > 0 {
		args = append(args, "not_logged_before", left)
	}
	l.out.Info("metadata", args...)
}

// shorten bounds what a guest can put on a line.
func shorten(path string) string {
	const most = 128
	if len(path) > most {
		return path[:most] + "..."
	}
	return path
}
