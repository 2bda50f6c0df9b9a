package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"damselfly/internal/config"
	"damselfly/internal/ovsdb"
	"damselfly/internal/pulse"
	"damselfly/internal/topology"
)

// Would is what a damselfly would serve that ran now.
type Would struct {
	Snapshot *topology.Snapshot
	// Running says that one runs, and told what it knows beside the configuration
	// and the bridge. Otherwise that is what the store holds.
	Running bool
}

// WouldServe makes the snapshot of cfg on the bridge of view. It changes nothing.
func WouldServe(ctx context.Context, cfg *config.Config, view ovsdb.View, log *slog.Logger) (*Would, error) {
	snap, problems, err := plannedSnapshot(ctx, cfg, view, pulse.Name(view.BridgeName), nil, log)
	if err != nil {
		return nil, err
	}
	if snap == nil {
		return nil, fmt.Errorf("nothing could be served: %v", problems)
	}
	return &Would{snap, answers(ctx, cfg.API)}, nil
}

// answers reports whether a damselfly does.
func answers(ctx context.Context, address string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/keys", address), nil)
	if address == "" || err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
