package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"damselfly/internal/config"
)

type checkCmd struct{ configured }

// Run implements the command.
func (c *checkCmd) Run(e *env) error {
	cfg, err := config.Load(c.Config)
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

// printJSON writes v for programs.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
