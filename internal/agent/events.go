package agent

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"damselfly/internal/lease"
	"damselfly/internal/topology"
)

// told is a transaction that tells the log what it did. Guests decide how often
// leases come and go, so that is told at level debug; what an operator should
// look into is a warning, for each subject now and then.
type told struct {
	*lease.Tx
	log    *slog.Logger
	debug  bool
	uptime time.Duration
	events []event // told once they are durable
	alarms map[string]alarm
	// exhausted are the pools with nothing left.
	exhausted *exhausted
}

func newTold(log *slog.Logger) told {
	return told{log: log, exhausted: &exhausted{log: log}}
}

// event is something that happened to a lease.
type event struct {
	text, port, duid string
	prefix           netip.Prefix
}

// alarm is a warning about one subject.
type alarm struct {
	at     time.Duration // uptime when it was logged last
	silent int           // how often it was not since then
}

const (
	// alarmPause is the least time between two warnings about one subject.
	alarmPause = time.Minute
	// alarmSubjects is how many subjects are remembered.
	alarmSubjects = 4096
)

// begin makes t tell of tx.
func (t *told) begin(tx *lease.Tx, uptime time.Duration) {
	t.Tx, t.uptime, t.events = tx, uptime, t.events[:0]
	t.debug = t.log.Enabled(context.Background(), slog.LevelDebug)
}

// committed tells what is durable now.
func (t *told) committed() {
	for i := range t.events {
		e := &t.events[i]
		if e.text == eventDeclined {
			t.warn("declined "+e.port, "a guest declined an address: somebody else answers for it", "port", e.port, "address", e.prefix.Addr())
			continue
		}
		t.log.Debug(e.text, "port", e.port, "prefix", e.prefix, "duid", e.duid)
	}
}

// Texts of events.
const (
	eventGranted  = "lease granted"
	eventReleased = "lease released"
	eventDeclined = "address declined"
)

// Bind is lease.Tx's; an extended lease is no event.
func (t *told) Bind(g lease.Grant) error {
	isNew := t.debug && !slices.ContainsFunc(t.Find(nil, g.Port, g.DUID, g.Kind, g.IAID), func(l lease.Lease) bool {
		return l.Prefix == g.Prefix && l.Network == g.Network
	})
	err := t.Tx.Bind(g)
	if err == nil && isNew {
		t.events = append(t.events, event{eventGranted, g.Port, hex.EncodeToString(g.DUID), g.Prefix})
	}
	return err
}

// Release is lease.Tx's.
func (t *told) Release(port string, duid []byte, kind lease.Kind, iaid uint32, p netip.Prefix) bool {
	ok := t.Tx.Release(port, duid, kind, iaid, p)
	if ok && t.debug {
		t.events = append(t.events, event{eventReleased, port, hex.EncodeToString(duid), p})
	}
	return ok
}

// Decline is lease.Tx's.
func (t *told) Decline(port string, duid []byte, iaid uint32, a netip.Addr, quarantine time.Duration) bool {
	ok := t.Tx.Decline(port, duid, iaid, a, quarantine)
	if ok {
		t.events = append(t.events, event{text: eventDeclined, port: port, prefix: netip.PrefixFrom(a, a.BitLen())})
	}
	return ok
}

// Choose is lease.Tx's.
func (t *told) Choose(a lease.Ask, s *topology.Subnet, hint netip.Addr) ([]netip.Addr, error) {
	list, err := t.Tx.Choose(a, s, hint)
	switch {
	case !errors.Is(err, lease.ErrNoAddress):
	case len(s.Pools) > 0:
		logged := t.warn("exhausted "+a.Network.Name+" "+s.Prefix.String(), "no address is left to give: make the subnet's `pools` larger",
			"network", a.Network.Name, "subnet", s.Prefix, "port", a.Port.Name)
		t.exhausted.raise(pool{a.Network.Name, s.Prefix}, logged)
	case len(a.Given) == 0: // else the client has them itself
		t.warn("withheld "+a.Network.Name+" "+s.Prefix.String(), "the addresses fixed or reserved for a guest are declined, or others hold them: see `damselfly leases`",
			"network", a.Network.Name, "subnet", s.Prefix, "port", a.Port.Name)
	}
	return list, err
}

// ChoosePrefix is lease.Tx's.
func (t *told) ChoosePrefix(a lease.Ask, hint netip.Prefix) (netip.Prefix, *topology.Delegation, error) {
	p, from, err := t.Tx.ChoosePrefix(a, hint)
	if errors.Is(err, lease.ErrNoPrefix) {
		logged := t.warn("exhausted "+a.Network.Name, "no prefix is left to delegate: add to the network's `delegation`",
			"network", a.Network.Name, "port", a.Port.Name)
		t.exhausted.raise(pool{network: a.Network.Name}, logged)
	}
	return p, from, err
}

// warn logs a warning, and reports whether it did: not if there was one about the
// subject a short time ago.
func (t *told) warn(subject, text string, args ...any) bool {
	last, known := t.alarms[subject]
	if known && t.uptime-last.at < alarmPause {
		last.silent++
		t.alarms[subject] = last
		return false
	}
	if t.alarms == nil || len(t.alarms) >= alarmSubjects {
		t.alarms = map[string]alarm{}
	}
	t.alarms[subject] = alarm{at: t.uptime}
	t.log.Warn(text, append(args, "unlogged", last.silent)...)
	return true
}
