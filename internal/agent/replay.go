package agent

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"time"

	"damselfly/internal/store"
)

// replay gives the values of replay detection, which have to grow as long as any
// client knows this server (RFC 9915 section 20.3): also over restarts, and while
// the clock is set back. A value is an era in its high and a count in its low 32
// bits. Each run begins an era of its own and makes it durable before the first
// value is used; its number is that of the seconds of the clock, or one more than
// the last if that is greater. It is the slow lane's.
type replay struct {
	store *store.Store
	wall  func() time.Time
	log   *slog.Logger
	last  uint64 // 0 before the first era
	told  bool   // that there is no era, since guests decide how often one is tried
}

// replayKey is the record of the latest era, 4 octets in network order.
func replayKey() []byte { return []byte("replay") }

// next returns a value greater than all before; false if that could not be made
// sure, since the state can't be written. It writes once a run.
func (r *replay) next() (uint64, bool) {
	if uint32(r.last+1) == 0 || r.last == 0 {
		era, err := r.begin()
		if err != nil {
			if !r.told {
				r.log.Warn("no client is told its reconfigure key or asked to come back", "error", err)
			}
			r.told = true
			return 0, false
		}
		r.last, r.told = uint64(era)<<32, false
	}
	r.last++
	return r.last, true
}

// begin makes a new era durable.
func (r *replay) begin() (era uint32, err error) {
	err = r.store.Update(func(tx *store.Tx) error {
		era = uint32(max(r.wall().Unix(), 1))
		if v, ok := tx.Get(store.BucketServer, replayKey()); ok && len(v) == 4 {
			era = max(era, binary.BigEndian.Uint32(v)+1)
		}
		return tx.Put(store.BucketServer, replayKey(), binary.BigEndian.AppendUint32(nil, era))
	})
	if err != nil {
		return 0, fmt.Errorf("replay detection: %w", err)
	}
	return era, nil
}
