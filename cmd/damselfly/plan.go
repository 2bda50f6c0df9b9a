package main

import (
	"context"
	"fmt"
	"io"

	"damselfly/flows"
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
	printDelta(w, &p.Delta)
	fmt.Fprintf(w, "%d flows wanted; %d flow, %d group and %d meter changes\n", p.Wanted, p.Delta.FlowMods(), p.Delta.GroupMods(),
		p.Delta.Mods()-p.Delta.FlowMods()-p.Delta.GroupMods())
}

// printDelta writes one change a line, with + for what comes, ~ for what
// changes and - for what goes.
func printDelta(w io.Writer, d *flows.Delta) {
	for _, m := range d.AddMeters {
		fmt.Fprintln(w, "+", m)
	}
	for _, m := range d.ModMeters {
		fmt.Fprintln(w, "~", m)
	}
	for i := range d.AddGroups {
		fmt.Fprintln(w, "+", &d.AddGroups[i])
	}
	for i := range d.ModGroups {
		fmt.Fprintln(w, "~", &d.ModGroups[i])
	}
	for _, b := range d.RemoveBuckets {
		fmt.Fprintf(w, "- group_id=%d bucket_id=%d\n", b.Group, b.Bucket.ID)
	}
	for _, b := range d.InsertBuckets {
		fmt.Fprintf(w, "+ group_id=%d bucket_id=%d\n", b.Group, b.Bucket.ID)
	}
	for i := range d.AddFlows {
		fmt.Fprintln(w, "+", &d.AddFlows[i])
	}
	for i := range d.DelFlows {
		fmt.Fprintln(w, "-", &d.DelFlows[i])
	}
	for _, id := range d.DelGroups {
		fmt.Fprintf(w, "- group_id=%d\n", id)
	}
	for _, id := range d.DelMeters {
		fmt.Fprintf(w, "- meter=%d\n", id)
	}
}
