package lab

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// pollInterval is how often Eventually looks.
const pollInterval = 10 * time.Millisecond

// permanent marks an error that waiting cannot mend.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Eventually calls condition until it returns nil. When ctx ends first, the
// error holds the reason ctx gives and the condition's last error.
func Eventually(ctx context.Context, condition func() error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := condition()
		if err == nil {
			return nil
		}
		if p := (permanent{}); errors.As(err, &p) {
			return p.error
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; last seen: %w", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}
