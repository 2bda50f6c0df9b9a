// Package demo shows Damselfly at work on a private bridge: it makes two guests,
// looks at them with their own tools and prints a table of what was seen.
package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// Options are what the demo was told.
type Options struct {
	// Binary is the damselfly to show.
	Binary string
	// Break names a row to sabotage, "" for none: the demo must then show just
	// that row as failed.
	Break string
	// Keep leaves everything up until SIGINT or SIGTERM.
	Keep bool
}

// The topology of the demo. The second guest's address is not in it: its
// kernel makes one that nobody could have configured (RFC 7217).
const topology = `
networks:
  - name: blue
    mtu: 1442
    subnets:
      - {prefix: "fd00:b1::/64", mode: slaac, dns: ["fd00:b1::53"], search: [example.test]%s}
    router_advertisement: {interval: 30s, min_interval: 10s%s}
routers:
  - {name: r1, networks: [blue]}
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11"}
  - {name: vm2, network: blue, mac: "02:00:00:00:00:12"}
`

// row is one check of the table.
type row struct {
	name string
	// look returns what was seen, and an error if that is not right.
	look func(ctx context.Context, d *scene) (seen string, err error)
	// sabotage is a flow that breaks it; "" if the configuration does.
	sabotage string
}

// scene is what the rows look at.
type scene struct {
	*stage.Stage
	vm1, vm2 *lab.Guest
}

// lookTime is how long one row may take.
const lookTime = 20 * time.Second

// Run shows the demo on w; ok is false if a row failed.
func Run(w io.Writer, o Options) (ok bool, err error) {
	if o.Break != "" && o.Break != "ra" && o.Break != "nd" && o.Break != "dad" {
		return false, fmt.Errorf("-break %q: there are ra, nd and dad", o.Break)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.Binary, err = filepath.Abs(o.Binary); err != nil {
		return false, err
	}
	l, err := lab.New(ctx)
	if err != nil {
		return false, err
	}
	defer func() {
		if closeErr := l.Close(); err == nil {
			err = closeErr
		}
	}()
	s, daemon, err := open(ctx, l, o)
	if err != nil {
		return false, err
	}
	ok = show(ctx, w, s, o.Break)
	if o.Keep {
		fmt.Fprint(w, around(s))
		<-ctx.Done()
	}
	return ok, daemon.Stop()
}

// open sets the scene: bridge, Damselfly, two guests that boot. What it made
// before an error is the lab's to close, the daemon included.
func open(ctx context.Context, l *lab.Lab, o Options) (*scene, *stage.Daemon, error) {
	st, err := stage.New(l, o.Binary)
	if err != nil {
		return nil, nil, err
	}
	s := &scene{Stage: st}
	subnet, ra := "", ""
	if o.Break == "ra" {
		subnet, ra = ", autonomous: false", ", lifetime: 0s"
	}
	if err := st.Configure(fmt.Sprintf(topology, subnet, ra)); err != nil {
		return nil, nil, err
	}
	ready, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	daemon, err := st.Serve(ready)
	if err != nil {
		return nil, nil, err
	}
	s.vm1, err = l.AddGuest(lab.GuestOptions{Name: "vm1", Bridge: stage.Bridge, MAC: "02:00:00:00:00:11", AddrGen: lab.EUI64})
	if err != nil {
		return nil, nil, err
	}
	s.vm2, err = l.AddGuest(lab.GuestOptions{Name: "vm2", Bridge: stage.Bridge, MAC: "02:00:00:00:00:12", AddrGen: lab.StablePrivacy, Offloads: true})
	return s, daemon, err
}

// show looks at every row and prints the table.
func show(ctx context.Context, w io.Writer, s *scene, broken string) bool {
	all := true
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(tw, "%s\tCHECK\tSEEN\n", paint(w, ""))
	for _, r := range rows {
		seen, err := s.look(ctx, r, broken)
		verdict := "ok"
		if err != nil {
			all = false
			verdict, seen = "FAIL", strings.TrimSpace(seen+" "+err.Error())
		}
		for i, line := range strings.Split(seen, "\n") {
			if i == 0 {
				fmt.Fprintf(tw, "%s\t%s\t%s\n", paint(w, verdict), r.name, line)
			} else {
				fmt.Fprintf(tw, "%s\t\t%s\n", paint(w, ""), line)
			}
		}
	}
	tw.Flush()
	return all
}

// look runs one row, sabotaged if it is the one to break.
func (s *scene) look(ctx context.Context, r row, broken string) (string, error) {
	if strings.HasPrefix(r.name, broken+":") && r.sabotage != "" {
		if _, err := s.Ofctl("add-flow", s.Mgmt(stage.Bridge), r.sabotage); err != nil {
			return "", err
		}
		// A mistake here costs nothing: the lab ends soon.
		defer s.Ofctl("del-flows", s.Mgmt(stage.Bridge), "cookie=0xbad/-1")
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	return r.look(ctx, s)
}

// paint colours a verdict where w is a terminal. All are of equal length, so that
// columns stay in line.
func paint(w io.Writer, verdict string) string {
	f, ok := w.(*os.File)
	if !ok {
		return verdict
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return verdict
	}
	colour := map[string]string{"ok": "\x1b[32m", "FAIL": "\x1b[31m"}[verdict]
	if colour == "" {
		colour = "\x1b[39m"
	}
	return colour + verdict + "\x1b[0m"
}

// around says how to look at what is kept.
func around(s *scene) string {
	return fmt.Sprintf(`
Left up until Ctrl-C. In another terminal, as root:
  ip netns exec %[1]s ip -6 addr                 # a guest; the other is %[2]s
  ip netns exec %[1]s ndisc6 fe80::1 eth0
  ip netns exec %[3]s %[4]s status
  ovs-ofctl -O OpenFlow15 dump-flows %[5]s
`, s.vm1.Namespace, s.vm2.Namespace, s.Namespace, s.Binary, s.Mgmt(stage.Bridge))
}
