package main

import (
	"fmt"
	"os"

	"damselfly/internal/config"
	"damselfly/internal/replay"
)

type replayCmd struct {
	configured
	In  string `arg:"" placeholder:"IN.pcap" help:"Capture to read, pcap or pcapng."`
	Out string `arg:"" placeholder:"OUT.pcap" help:"Where the replies go, as pcap."`
}

// Run implements the command.
func (c *replayCmd) Run(e *env) error {
	cfg, err := config.Load(c.Config)
	if err != nil {
		return err
	}
	in, err := os.Open(c.In)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(c.Out)
	if err != nil {
		return err
	}
	verdicts, failed := replay.Run(cfg.Topology, in, out)
	if err := out.Close(); err != nil {
		return err
	}
	if e.json {
		err = printJSON(e.out, verdicts)
	} else {
		for _, v := range verdicts {
			fmt.Fprintln(e.out, v)
		}
	}
	if failed != nil {
		return fmt.Errorf("%s: %w", c.In, failed)
	}
	return err
}
