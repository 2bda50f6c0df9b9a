package main

import (
	"context"
	"fmt"
	"io"

	"damselfly/internal/agent"
	"damselfly/internal/config"
	"damselfly/internal/ovsdb"
)

type planCmd struct {
	configured
	database
}

// Run implements the command.
func (c *planCmd) Run(e *env) error {
	return onBridge(e, c.Config, c.OVSDB, func(ctx context.Context, cfg *config.Config, _ *ovsdb.Client, view ovsdb.View) error {
		p, err := agent.MakePlan(ctx, cfg, view, e.log)
		if err != nil {
			return err
		}
		if e.json {
			return printJSON(e.out, p)
		}
		printPlan(e.out, p)
		return nil
	})
}

func printPlan(w io.Writer, p *agent.Plan) {
	for _, text := range p.Objections {
		fmt.Fprintln(w, "objection:", text)
	}
	for _, text := range p.Settings {
		fmt.Fprintln(w, "database: ", text)
	}
	for _, text := range p.Problems {
		fmt.Fprintln(w, "problem:  ", text)
	}
	for _, line := range p.Changes {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintf(w, "%d flows wanted; %d flow, %d group and %d meter changes\n", p.Wanted, p.Flows, p.Groups, p.Meters)
}
