package binding

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"time"
)

// memory is a Storage in a map.
type memory struct {
	records map[string]string
	fail    bool
}

func (m *memory) Load(each func(key, value []byte)) error {
	for k, v := range m.records {
		each([]byte(k), []byte(v))
	}
	return nil
}

func (m *memory) Apply(changes []Change) error {
	if m.fail {
		return errors.New("disk full")
	}
	for _, c := range changes {
		if c.Value == nil {
			delete(m.records, string(c.Key))
		} else {
			m.records[string(c.Key)] = string(c.Value)
		}
	}
	return nil
}

// world is a Table with a clock and the switch's ports.
type world struct {
	*Table
	disk *memory
	now  time.Duration
	away map[string]bool
}

func newWorld(t interface{ Fatal(...any) }) *world {
	w := &world{disk: &memory{records: map[string]string{}}, now: time.Hour, away: map[string]bool{}}
	w.reopen(t)
	return w
}

// reopen is a crash and a start.
func (w *world) reopen(t interface{ Fatal(...any) }) {
	var logged bytes.Buffer
	table, err := Open(w.disk, w.now, slog.New(slog.NewTextHandler(&logged, nil)))
	if err != nil || logged.Len() > 0 {
		t.Fatal(err, logged.String())
	}
	table.Present = func(_, port string) bool { return !w.away[port] }
	w.Table = table
}

// pass lets time pass; each tick's events go to hear.
func (w *world) pass(d time.Duration, hear func(Event)) {
	for end := w.now + d; ; {
		rest := w.Tick(w.now)
		for _, e := range w.Events() {
			hear(e)
		}
		if rest = min(rest, w.Tick(w.now)); w.now+rest > end {
			w.now = end
			return
		}
		w.now += rest
	}
}

// holder is who the View says holds an address.
func (w *world) holder(a netip.Addr) string {
	for _, b := range w.View().Bound() {
		if b.Addr == a {
			return b.Port
		}
	}
	return ""
}

func (w *world) commit(t *testing.T) {
	t.Helper()
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

var (
	addrA = netip.MustParseAddr("2001:db8::a")
	addrB = netip.MustParseAddr("2001:db8::b")
	addrC = netip.MustParseAddr("2001:db8::c")
)

func claim(port string, a netip.Addr) Claim { return Claim{"blue", port, a, 32, false} }
