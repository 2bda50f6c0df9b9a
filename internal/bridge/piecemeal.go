package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"damselfly/flows"
	"damselfly/internal/openflow"
	"damselfly/internal/topology"
)

// refusal is a part of the topology that the bridge did not take.
type refusal struct {
	// piece is what it refused: another one is worth another try.
	piece *flows.Piece
	err   error
}

// isRefusal reports whether err is the bridge's answer to what it was asked,
// not a fault of the connection.
func isRefusal(err error) bool {
	var refused *openflow.Error
	return errors.As(err, &refused)
}

func (in *Installer) isRefused(id flows.PieceID) bool {
	_, ok := in.refused[id]
	return ok
}

// reasons says why parts are not served, in the order of their names.
func (in *Installer) reasons() []error {
	errs := make([]error, 0, len(in.refused))
	for _, r := range in.refused {
		errs = append(errs, r.err)
	}
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return errs
}

// piecemeal installs part by part what the bridge would not take as a whole, so
// that one part it refuses costs no other. It returns the set that is in.
func (in *Installer) piecemeal(ctx context.Context, s *topology.Snapshot, want *flows.Pieces, r *Result) (*flows.Set, error) {
	held, err := Dump(ctx, in.conn, in.ids) // anew: the try as a whole may have added meters
	if err != nil {
		return nil, err
	}
	in.refused = map[flows.PieceID]refusal{}
	for id, piece := range want.Each {
		if err := in.try(ctx, held.Ours, id, piece, s, r); err != nil {
			return nil, err
		}
	}
	set := want.Without(in.isRefused).Set()
	gone := flows.Surplus(held.Ours, set)
	return set, in.apply(ctx, &gone, r)
}

// retry tries the parts once more that were refused and have changed since, and
// forgets those that are gone.
func (in *Installer) retry(ctx context.Context, s *topology.Snapshot, want *flows.Pieces, r *Result) error {
	maps.DeleteFunc(in.refused, func(id flows.PieceID, _ refusal) bool { return want.Get(id) == nil })
	if len(in.refused) == 0 {
		return nil
	}
	for id, piece := range want.Each {
		was, ok := in.refused[id]
		if !ok || was.piece == piece {
			continue
		}
		delete(in.refused, id)
		if err := in.try(ctx, flows.NewSet(), id, piece, s, r); err != nil {
			return err
		}
	}
	return nil
}

// try adds what have lacks of one part. If the bridge refuses that, it is
// remembered and no error, unless nothing could be served without the part.
func (in *Installer) try(ctx context.Context, have *flows.Set, id flows.PieceID, piece *flows.Piece, s *topology.Snapshot, r *Result) error {
	d := flows.Missing(have, piece.Set())
	err := in.apply(ctx, &d, r)
	if !isRefusal(err) {
		return err
	}
	err = fmt.Errorf("%s is not served: %w", id.In(s), err)
	if id.Base() {
		return err
	}
	in.refused[id] = refusal{piece, err}
	// Meters are no part of a bundle: the part's own may be in.
	back := flows.Delta{}
	for _, m := range d.AddMeters {
		back.DelMeters = append(back.DelMeters, m.ID)
	}
	return in.apply(ctx, &back, r)
}
