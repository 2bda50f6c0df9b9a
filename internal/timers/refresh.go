package timers

import (
	"context"
	"errors"
	"time"

	"damselfly/internal/store"
)

// retryRecords is the time until a failed write is tried again. The smallest
// slack allows for none of it to matter.
const retryRecords = minSlack / 4

// Run keeps the records ahead of what is promised and forgets what has lapsed,
// until ctx ends; it returns nil. It sleeps until the next record is due.
func (m *Memory) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.nudge:
		case <-timer.C:
		}
		timer.Stop()
		if next := m.tend(); next < store.Infinite {
			timer.Reset(next)
		}
	}
}

// tend does what is due and returns how long nothing else will be.
func (m *Memory) tend() time.Duration {
	now, err := m.c.Clock()
	if err != nil {
		m.c.Log.Error("advertised prefixes are not recorded", "error", err)
		return retryRecords
	}
	m.mu.Lock()
	err = errors.Join(m.write(now), m.forgetSaid(), m.saveRouters())
	ended, forgetErr := m.forgetLapsed(now)
	ended = m.lapseRoutes(now) || ended
	err = errors.Join(err, forgetErr, m.saveRoutes())
	if err != nil && !m.failing {
		m.c.Log.Error("advertised prefixes are not recorded; a crash may forget them until this works again", "error", err)
	}
	m.failing = err != nil
	next := m.nextDue(now)
	if m.failing {
		next = max(next, retryRecords)
	}
	m.mu.Unlock()
	if ended {
		m.c.Ended()
	}
	return next
}

// nextDue is how long until a record is in need or a deprecated prefix lapses.
func (m *Memory) nextDue(now store.Clock) time.Duration {
	next := store.Infinite
	for _, p := range m.promises {
		next = min(next, p.due(now))
	}
	for _, r := range m.routes {
		next = min(next, r.left(now))
	}
	return next
}

// forgetLapsed drops deprecated prefixes whose valid lifetime has ended.
func (m *Memory) forgetLapsed(now store.Clock) (ended bool, err error) {
	for k, p := range m.promises {
		if !p.lapsed(now) {
			continue
		}
		if err := m.c.Store.Forget(k.network, k.prefix); err != nil {
			return ended, err
		}
		delete(m.promises, k)
		ended = true
	}
	return ended, nil
}

// wake makes Run look at what is due.
func (m *Memory) wake() {
	select {
	case m.nudge <- struct{}{}:
	default:
	}
}
