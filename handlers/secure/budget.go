package secure

import (
	"time"

	"damselfly/handlers/packet"
	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

// bucket is one port's share of signatures: what is left, in time that refills it.
// It is here and not in the switch, where nothing shows which messages are signed.
type bucket struct {
	limit  topology.Limit
	credit time.Duration
	at     time.Time
}

// afford takes one signature from the port's budget; false means that there is none.
func (l *Lane) afford(p *packet.Packet) bool {
	limit := p.Port.Limits[punt.SEND]
	switch {
	case limit == topology.Unlimited:
		return true
	case limit.Rate == 0:
		return false
	}
	if int(p.Port.Key) >= len(l.budgets) {
		l.budgets = append(l.budgets, make([]bucket, int(p.Port.Key)+1-len(l.budgets))...)
	}
	cost := time.Second / time.Duration(limit.Rate)
	full := cost * time.Duration(max(limit.Burst, 1))
	b := &l.budgets[p.Port.Key]
	if b.limit != limit {
		*b = bucket{limit: limit, credit: full, at: p.Now}
	}
	b.credit = min(b.credit+max(p.Now.Sub(b.at), 0), full)
	b.at = p.Now
	if b.credit < cost {
		return false
	}
	b.credit -= cost
	return true
}
