package lease

// scarce is a pool so full that guessing found nothing. Its free places are
// looked for one by one, once, and then kept in a list; so it is exhausted
// exactly, and asking an exhausted pool costs nothing.
type scarce struct {
	span      span
	delegated bool
	// list holds every place that is free, if whole, and maybe some that are
	// no more.
	list  []place
	whole bool
}

const (
	// guesses are how often a pool is asked before it is searched, and
	// manyGuesses how often one too large to search.
	guesses     = 16
	manyGuesses = 128
	// searchable is the largest pool that is searched, in places. In a larger
	// one guessing fails only beside millions of leases.
	searchable = 1 << 20
	// listed is how many free places are kept.
	listed = 1 << 16
)

// freed notes that a place of the network became free.
func (s *scarce) freed(delegated bool, p place) {
	switch {
	case delegated != s.delegated:
	case s.span.contains(p) && len(s.list) < listed:
		s.list = append(s.list, p)
	case s.span.overlaps(p):
		s.whole = false
	}
}

// search fills the list with what is free in the committed state.
func (s *scarce) search(free func(place) bool) {
	s.list, s.whole = s.list[:0], true
	for i := range s.span.count.lo {
		p := s.span.at(wide{0, i})
		if !free(p) {
			continue
		}
		if len(s.list) == listed {
			s.whole = false
			return
		}
		s.list = append(s.list, p)
	}
}

// take returns a place that is both free in the committed state and allowed,
// beginning at the start-th and dropping what is not free.
func (s *scarce) take(start uint64, free, allowed func(place) bool) (place, bool) {
	if len(s.list) == 0 {
		return place{}, false
	}
	at := int(start % uint64(len(s.list)))
	for left := len(s.list); left > 0; left-- {
		if at >= len(s.list) {
			at = 0
		}
		p := s.list[at]
		if !free(p) {
			last := len(s.list) - 1
			s.list[at] = s.list[last]
			s.list = s.list[:last]
			continue
		}
		if allowed(p) {
			return p, true
		}
		at++
	}
	return place{}, false
}

// pick chooses a place of a span for an IA.
func (tx *Tx) pick(a *Ask, n *network, s span, delegated bool) (place, bool) {
	pool := n.pools[s]
	allowed := func(p place) bool { return tx.grantable(a, n, p, delegated) }
	if pool != nil && pool.whole && len(pool.list) == 0 {
		return tx.freed(n, s, delegated, allowed)
	}
	small := s.count.hi == 0 && s.count.lo <= searchable && s.count.lo > 0
	tries := uint32(manyGuesses)
	if small {
		tries = guesses
	}
	c := newChooser(tx.b.identity.Secret, n.name, s, a.DUID, a.IAID)
	for i := range tries {
		if p := s.at(c.number(i, s.count)); allowed(p) {
			return p, true
		}
	}
	if !small {
		return place{}, false
	}
	if pool == nil {
		pool = &scarce{span: s, delegated: delegated}
		n.pools[s] = pool
	}
	free := func(p place) bool { return !tx.b.occupied(a.Network, n, p, delegated) }
	start := c.number(tries, wide{1, 0}).lo
	p, ok := pool.take(start, free, allowed)
	if !ok && !pool.whole {
		pool.search(free)
		p, ok = pool.take(start, free, allowed)
	}
	if !ok {
		p, ok = tx.freed(n, s, delegated, allowed)
	}
	return p, ok
}

// freed returns the first place of a span that became free in this transaction,
// which no list knows of before the commit.
func (tx *Tx) freed(n *network, s span, delegated bool, allowed func(place) bool) (found place, ok bool) {
	for h, c := range tx.moved {
		if c == nil && h.net == n && h.delegated == delegated && s.contains(h.at) &&
			(!ok || wideOf(h.at.addr).less(wideOf(found.addr))) && allowed(h.at) {
			found, ok = h.at, true
		}
	}
	return found, ok
}
