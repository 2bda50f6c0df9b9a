package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"damselfly/internal/config"
	"damselfly/internal/topology"
)

type checkCmd struct{ configured }

// Run implements the command.
func (c *checkCmd) Run(e *env) error {
	cfg, places, err := config.LoadPlaced(c.Config)
	if err == nil {
		err = dated(places, cfg, time.Now())
	}
	var mistakes config.Mistakes
	switch {
	case errors.As(err, &mistakes):
	case err != nil:
		return err
	}
	if e.json {
		if err := printJSON(e.out, map[string]any{"valid": err == nil, "mistakes": append(config.Mistakes{}, mistakes...)}); err != nil {
			return err
		}
	} else if err != nil {
		fmt.Fprintln(e.out, err)
	} else {
		t := cfg.Topology
		fmt.Fprintf(e.out, "%s: valid: bridge %s, %d networks, %d routers, %d ports\n",
			c.Config, cfg.Bridge, len(t.Networks), len(t.Routers), len(t.Ports))
	}
	if err != nil {
		return errFound
	}
	return nil
}

// dated is what is wrong with the dates of certificates. A daemon serves with them all
// the same, as those who sign nothing do not mind.
func dated(places *config.Places, cfg *config.Config, now time.Time) error {
	var mistakes config.Mistakes
	for i, n := range cfg.Topology.Networks {
		if n.Send == nil || n.Send.Chain == nil {
			continue
		}
		routed := slices.ContainsFunc(cfg.Topology.Routers, func(r topology.RouterSpec) bool {
			return slices.ContainsFunc(r.Networks, func(p topology.PresenceSpec) bool { return p.Network == n.Name })
		})
		if what, valid := n.Send.Chain.Dated(now); routed && !valid {
			path := fmt.Sprintf("networks[%d].send.certificate", i)
			mistakes = append(mistakes, places.Mistake(path, "of network "+n.Name+": "+what))
		}
	}
	if len(mistakes) > 0 {
		return mistakes
	}
	return nil
}

// printJSON writes v for programs.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
