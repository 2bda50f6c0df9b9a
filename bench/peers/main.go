// Command peers puts Damselfly beside what else answers IPv6 guests on Open vSwitch,
// in one run on one machine: OVN, Kea, radvd and dnsmasq as Debian packages them,
// and bare responders, the least that can answer at all. `make bench-peers` runs it;
// ../README.md says what each number means.
//
//	main.go       the command line
//	house.go      one lab in which all of them live, each on a bridge of its own
//	packages.go   programs that are unpacked, not installed, so that no service starts
//	ovn.go, kea.go, radvd.go, dnsmasq.go, bare.go, damselfly.go
//	              who answers, and what is right there
//	measure.go    turns, A B A B, and latency at a fixed rate
//	budgets.go    what is wanted, and by how much it is missed
//	report.go     the table, and the same as JSON
//	charts.go     the table as pictures
//	machine.go    where all that was
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"damselfly/bench"
)

func main() {
	if bare, err := bench.BeBare(); err != nil {
		fmt.Fprintln(os.Stderr, "bare responder:", err)
		os.Exit(1)
	} else if bare {
		return
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	o := options{out: os.Stdout, log: os.Stderr}
	flag.StringVar(&o.folder, "results", "bench/results", "the `folder` that table and charts are written to")
	flag.StringVar(&o.binary, "damselfly", "bin/damselfly", "the `program` to measure")
	flag.IntVar(&o.rounds, "rounds", 8, "how `many` turns each has")
	flag.DurationVar(&o.turn, "turn", 500*time.Millisecond, "how `long` a turn is")
	flag.Parse()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// run measures and writes what came of it.
func run(ctx context.Context, o options) error {
	h, err := newHouse(ctx, o)
	if err != nil {
		return err
	}
	r, err := h.measure(ctx)
	if err := errors.Join(err, h.Close()); err != nil {
		return err
	}
	text := r.text()
	if _, err := io.WriteString(o.out, text); err != nil {
		return err
	}
	if err := os.MkdirAll(o.folder, 0o755); err != nil {
		return err
	}
	document, err := r.json()
	if err != nil {
		return err
	}
	errs := []error{
		os.WriteFile(filepath.Join(o.folder, "peers.txt"), []byte(text), 0o644),
		os.WriteFile(filepath.Join(o.folder, "peers.json"), document, 0o644),
	}
	for name, c := range r.charts() {
		f, err := os.Create(filepath.Join(o.folder, name))
		if err != nil {
			return err
		}
		_, err = c.WriteTo(f)
		errs = append(errs, err, f.Close())
	}
	return errors.Join(errs...)
}
