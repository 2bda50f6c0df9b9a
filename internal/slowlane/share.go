package slowlane

// share counts the places each port holds, so that one port cannot fill a ring.
// The worker alone uses it: it wrote the port of every place itself, so it finds
// out from the Owner's position which ports got places back.
type share struct {
	most    uint32 // places a port may hold
	settled uint64 // the Owner's position up to which places were counted back
	held    []uint32
}

// settle counts back the places that the Owner freed. Each is looked at once.
func (s *share) settle(r *Ring, free uint64) {
	for ; s.settled != free; s.settled++ {
		s.held[r.places[s.settled&r.mask].Port]--
	}
}

// take counts one more place for a port; false means that it has its share.
func (s *share) take(port uint16) bool {
	if int(port) >= len(s.held) {
		s.held = append(s.held, make([]uint32, int(port)+1-len(s.held))...)
	}
	if s.held[port] >= s.most {
		return false
	}
	s.held[port]++
	return true
}
