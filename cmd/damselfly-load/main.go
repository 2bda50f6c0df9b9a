// Command damselfly-load loads whatever answers Neighbor Discovery, echo and
// DHCPv6 on a link, checks every answer and tells how many there were and how long
// they took. It speaks for guests by packet sockets, so it needs CAP_NET_RAW, and
// interfaces whose kernel does not answer for them.
//
//	damselfly-load -guest eth0 -neighbor fd00:b1::12=02:00:00:00:00:12 -mix ns=1 -outstanding 16
//	damselfly-load -guest eth0 -leases fd00:c1::/64 -mix request=1 -rate 500 -for 10s
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"damselfly/bench/loadgen"
	"damselfly/internal/wire"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "damselfly-load:", err)
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	site loadgen.Site
	mix  []loadgen.Share
	each int
	plan loadgen.Plan
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args, out)
	if err != nil {
		return err
	}
	l, err := loadgen.New(o.site, o.each, o.mix...)
	if err != nil {
		return err
	}
	r, err := l.Run(ctx, o.plan)
	if err := errors.Join(err, l.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprint(out, r)
	return err
}

// parse reads the command line, or prints what it may be.
func parse(args []string, out io.Writer) (o options, err error) {
	o.site.Router.Lifetime = 30 * time.Minute
	o.site.AnyClass = true
	o.each = 16
	f := flag.NewFlagSet("damselfly-load", flag.ContinueOnError)
	f.Func("guest", "an `INTERFACE[,ADDRESS...]` that asks, by its MAC; the others ask for its addresses, and the first sends its echoes (again for each guest)", o.addGuest)
	f.Func("neighbor", "`ADDRESS=MAC` that ns asks for too (again for each)", o.addNeighbor)
	f.Func("mix", "`KIND=WEIGHT,...` of what is asked: ns, rs, echo, solicit, request, information-request", o.setMix)
	f.IntVar(&o.each, "slots", o.each, "how `many` exchanges of a kind a guest makes at once at most")
	f.IntVar(&o.plan.Outstanding, "outstanding", 0, "how `many` exchanges there may be at once, 0 for all slots")
	f.Float64Var(&o.plan.Rate, "rate", 0, "begin so many exchanges a `second`, 0 one whenever another has ended")
	f.Uint64Var(&o.plan.Count, "count", 0, "end after so `many` exchanges")
	f.DurationVar(&o.plan.Time, "for", 0, "end after a `time`; 10s if there is no count either")
	f.DurationVar(&o.plan.Patience, "patience", 5*time.Second, "after what `time` an exchange is lost")
	f.Func("router-mac", "the router's `MAC`, for rs and echo", func(s string) (err error) { o.site.Router.MAC, err = wire.ParseMAC(s); return err })
	f.TextVar(&o.site.Router.LinkLocal, "router", netip.Addr{}, "the `address` that it advertises from")
	f.TextVar(&o.site.Router.Gateway, "gateway", netip.Addr{}, "the `address` that echoes go to")
	f.DurationVar(&o.site.Router.Lifetime, "lifetime", o.site.Router.Lifetime, "the `time` that its advertisements give")
	f.TextVar(&o.site.Router.Prefix, "prefix", netip.Prefix{}, "a `prefix` that they must have")
	f.TextVar(&o.site.Leases, "leases", netip.Prefix{}, "the `prefix` that addresses by DHCPv6 must lie in")
	f.Func("dns", "a `server` that information-request must be told of (again for each)", func(s string) error {
		a, err := netip.ParseAddr(s)
		o.site.DNS = append(o.site.DNS, a)
		return err
	})
	seed := f.Uint("seed", 0, "a `number` up to 255 in the names of new clients: a server that knows those of another run needs another")
	f.SetOutput(io.Discard)
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			f.SetOutput(out)
			f.PrintDefaults()
		}
		return o, err
	}
	if f.NArg() > 0 || *seed > 255 {
		return o, fmt.Errorf("%v and a seed of %d: no arguments are taken, and a seed is at most 255", f.Args(), *seed)
	}
	if len(o.mix) == 0 || len(o.site.Guests) == 0 {
		return o, errors.New("give a -guest and a -mix; -help tells all")
	}
	if o.plan.Count == 0 && o.plan.Time == 0 {
		o.plan.Time = 10 * time.Second
	}
	o.site.Seed = uint8(*seed)
	return o, nil
}

func (o *options) addGuest(s string) error {
	name, list, _ := strings.Cut(s, ",")
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	if len(ifi.HardwareAddr) != wire.MACLen {
		return fmt.Errorf("%s has no MAC", name)
	}
	g := loadgen.Guest{Interface: ifi.Index, MAC: wire.MAC(ifi.HardwareAddr)}
	for list != "" {
		var a string
		a, list, _ = strings.Cut(list, ",")
		address, err := netip.ParseAddr(a)
		if err != nil {
			return err
		}
		g.Addresses = append(g.Addresses, address)
	}
	o.site.Guests = append(o.site.Guests, g)
	return nil
}

func (o *options) addNeighbor(s string) error {
	a, m, _ := strings.Cut(s, "=")
	address, err := netip.ParseAddr(a)
	if err != nil {
		return err
	}
	mac, err := wire.ParseMAC(m)
	o.site.Neighbors = append(o.site.Neighbors, loadgen.Neighbor{Address: address, MAC: mac})
	return err
}

func (o *options) setMix(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		kind, weight, found := strings.Cut(part, "=")
		n := 1
		if found {
			var err error
			if n, err = strconv.Atoi(weight); err != nil {
				return err
			}
		}
		o.mix = append(o.mix, loadgen.Share{Kind: loadgen.Kind(kind), Weight: n})
	}
	return nil
}
