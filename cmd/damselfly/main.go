// Command damselfly gives the virtual networks of an Open vSwitch bridge their
// IPv6. See the README for a first run; `damselfly --help` lists the commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"

	"damselfly/internal/annex"
	"damselfly/internal/config"
)

// cli is the command line. Every command has a file of its own.
type cli struct {
	Run     runCmd     `cmd:"" help:"Serve a bridge until SIGINT or SIGTERM."`
	Check   checkCmd   `cmd:"" help:"Validate a configuration; exit 1 and the place of each mistake if there are any."`
	Plan    planCmd    `cmd:"" help:"Show the flow changes that a run would make."`
	Replay  replayCmd  `cmd:"" help:"Put the frames of a capture through the same code, one verdict a frame."`
	Explain explainCmd `cmd:"" help:"Say in sentences what becomes of a frame from a port: which rule, RFC and line of the configuration decide."`
	Status  statusCmd  `cmd:"" help:"Show the state of a running damselfly."`
	Leases  leasesCmd  `cmd:"" help:"List the DHCPv6 leases of a running damselfly, or release some."`
	Clear   clearCmd   `cmd:"" help:"Remove everything of Damselfly's from a bridge, undoing a take-over."`

	JSON     bool   `help:"Print JSON instead of text."`
	LogLevel string `help:"Least level that is logged: ${enum}." enum:"debug,info,warn,error" default:"info"`
}

// database is the flag of the commands that need Open vSwitch.
type database struct {
	OVSDB string `name:"ovsdb" help:"Open vSwitch's database." default:"unix:/var/run/openvswitch/db.sock"`
}

// configured is the flag of the commands that need a configuration.
type configured struct {
	Config string `short:"c" required:"" placeholder:"FILE" help:"Configuration: a YAML file, or a folder of them."`
}

// env is what commands get beside their flags.
type env struct {
	ctx  context.Context
	out  io.Writer
	log  *slog.Logger
	json bool
}

// errFound ends a command with exit 1 after it has printed what it found.
var errFound = errors.New("")

func main() {
	annex.Child()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its surroundings passed in: 0 is success, 1 that the command
// failed or found mistakes, 2 a command line that is wrong.
func run(args []string, out, errOut io.Writer) int {
	var c cli
	exit := -1
	parser := kong.Must(&c,
		kong.Name("damselfly"),
		kong.Description("IPv6 for the virtual networks of an Open vSwitch bridge."),
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { exit = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"api": config.DefaultAPI},
	)
	ctx, err := parser.Parse(args)
	if exit >= 0 { // --help has printed
		return exit
	}
	if err != nil {
		fmt.Fprintf(errOut, "damselfly: %v; see damselfly --help\n", err)
		return 2
	}
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // kong has checked it
	e := &env{
		ctx: context.Background(), out: out, json: c.JSON,
		log: slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: level})),
	}
	if err := ctx.Run(e); err != nil {
		if !errors.Is(err, errFound) {
			fmt.Fprintf(errOut, "damselfly: %v\n", err)
		}
		return 1
	}
	return 0
}
