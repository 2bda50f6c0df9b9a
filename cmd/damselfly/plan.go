package main

import (
	"context"
	"fmt"
	"io"

	"damselfly/internal/agent"
	"damselfly/internal/config"
)

type planCmd struct {
	configured
	database
}

// Run implements the command.
func (c *planCmd) Run(e *env) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(e.ctx, 4*reachTime)
	defer cancel()
	db, view, err := openDatabase(ctx, c.OVSDB, cfg.Bridge, e)
	if err != nil {
		return err
	}
	defer db.Close()
	p, err := agent.MakePlan(ctx, cfg, view, e.log)
	if err != nil {
		return err
	}
	if e.json {
		return printJSON(e.out, p)
	}
	printPlan(e.out, p)
	return nil
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
