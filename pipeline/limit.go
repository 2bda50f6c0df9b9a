package pipeline

import "time"

// Limit is a token bucket: Rate frames a second, Burst frames at once.
// Unlimited buckets never empty.
type Limit struct {
	Rate, Burst uint32
	Unlimited   bool
}

// budgets are one worker's token buckets, by port key and class. A port belongs
// to one worker, so nothing here is shared.
type budgets struct {
	generation uint64
	ports      [][]bucket
}

// bucket is the state of one token bucket. Tokens are counted in nanoseconds of
// refill, so that taking one needs no division.
type bucket struct {
	known   bool
	free    bool // no limit
	cost    time.Duration
	full    time.Duration
	credit  time.Duration
	touched time.Time
}

// refresh forgets all limits when the configuration that gave them is another.
func (b *budgets) refresh(c *Config) {
	if c.Generation == nil {
		return
	}
	if g := c.Generation(); g != b.generation {
		b.generation = g
		for _, classes := range b.ports {
			for i := range classes {
				classes[i].known = false
			}
		}
	}
}

// take spends one token of a port and class; false means there is none.
func (b *budgets) take(c *Config, port uint16, class uint8, now time.Time) bool {
	k := b.bucket(c, port, class, now)
	if k.free {
		return true
	}
	if k.cost == 0 {
		return false
	}
	k.credit = min(k.credit+now.Sub(k.touched), k.full)
	k.touched = now
	if k.credit < k.cost {
		return false
	}
	k.credit -= k.cost
	return true
}

// bucket finds a port's bucket and sets it up when it is new or its limit may
// have changed. A changed limit keeps what credit fits.
func (b *budgets) bucket(c *Config, port uint16, class uint8, now time.Time) *bucket {
	if int(port) >= len(b.ports) {
		b.ports = append(b.ports, make([][]bucket, int(port)+1-len(b.ports))...)
	}
	if int(class) >= len(b.ports[port]) {
		b.ports[port] = append(b.ports[port], make([]bucket, int(class)+1-len(b.ports[port]))...)
	}
	k := &b.ports[port][class]
	if k.known {
		return k
	}
	l := c.Limit(port, class)
	isNew := k.touched.IsZero()
	k.known, k.free, k.cost, k.full = true, l.Unlimited, 0, 0
	if l.Rate > 0 {
		k.cost = max(time.Second/time.Duration(l.Rate), 1)
		k.full = k.cost * time.Duration(max(l.Burst, 1))
	}
	if isNew {
		k.credit, k.touched = k.full, now
	}
	k.credit = min(k.credit, k.full)
	return k
}
