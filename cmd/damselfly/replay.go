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
	if same(c.In, c.Out) {
		return fmt.Errorf("%s: the replies would be written over the capture they answer; name another file", c.Out)
	}
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

// same reports whether two paths lead to one file.
func same(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}
