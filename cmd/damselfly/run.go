package main

import "damselfly/internal/agent"

type runCmd struct {
	configured
	database
	TakeOver bool   `help:"Serve a bridge although that breaks what it does now; without it, run stops and lists what."`
	Capture  string `placeholder:"FILE" help:"Write punted frames and replies to this pcapng file."`
}

// Run implements the command.
func (c *runCmd) Run(e *env) error {
	return agent.Run(e.ctx, agent.Options{
		Config: c.Config, OVSDB: c.OVSDB, TakeOver: c.TakeOver, Capture: c.Capture, Log: e.log,
	})
}
