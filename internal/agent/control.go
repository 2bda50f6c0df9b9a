package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"damselfly/internal/lease"
	"damselfly/internal/slowlane"
	"damselfly/pipeline"
)

// ControlSocket is the path of the unix socket over which the running damselfly
// of a bridge takes what changes its state, as HTTP. Only its own user and root
// can open it. runDir is where the bridge's other sockets are.
func ControlSocket(runDir, bridge string) string {
	return filepath.Join(runDir, bridge+".damselfly.ctl")
}

// Released is what POST /leases/release answers.
type Released struct {
	// Released is how many leases were.
	Released int `json:"released"`
}

// listenControl opens the control socket. The bridge's lock is held, so one that
// is there already is a dead process's.
func (a *Agent) listenControl(runDir, bridge string) (*api, error) {
	path := ControlSocket(runDir, bridge)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	// The mode is that of the socket before it has a name, so that there is no
	// moment at which others could open it.
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if failed := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); failed != nil {
			return failed
		}
		return err
	}}
	l, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w: Damselfly must be able to write where Open vSwitch has its sockets", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /leases/release", a.serveRelease)
	return newAPI(l, mux), nil
}

// serveRelease answers POST /leases/release, whose query selects leases as that
// of GET /leases does.
func (a *Agent) serveRelease(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if len(query) == 0 {
		http.Error(w, "say which leases: a release without a filter would end all of them", http.StatusBadRequest)
		return
	}
	f, err := leaseFilter(query)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n, err := a.leases.release(r.Context(), f)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	a.log.Info("leases released by an operator", "leases", n, "filter", query.Encode())
	reply(w, Released{n})
}

// release ends the leases that a filter selects and returns how many; their
// clients are asked to come back. On an error none has ended.
func (l *leases) release(ctx context.Context, f lease.Filter) (n int, err error) {
	var ended []lease.Lease
	called := l.owner.Call(ctx, func(*pipeline.Replies) {
		now := l.now()
		tx := l.book.Begin(now)
		tx.Expire(expireMost) // what has ended is not there to be released
		ended = l.book.View().Leases(f, now)
		n = tx.Revoke(f)
		err = tx.Commit()
	})
	if errors.Is(called, slowlane.ErrStopped) {
		return 0, errors.New("damselfly is stopping")
	}
	if err = errors.Join(called, err); err != nil {
		return 0, err
	}
	// A client that renews finds that it holds nothing any more.
	l.asking.ask(ended)
	return n, nil
}
