package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"damselfly/bench/loadgen"
	"damselfly/internal/lab"
	"damselfly/internal/wire"
)

// options say what is measured.
type options struct {
	folder, binary string
	rounds         int
	turn           time.Duration
	// out is for the table, log for what happens meanwhile.
	out, log io.Writer
	// own has only Damselfly and the bare responders take part.
	own bool
}

// contender is one who answers.
type contender struct {
	name string
	ours bool
	// kinds are what it is asked.
	kinds []loadgen.Kind
	site  loadgen.Site
	// pids are the processes whose processor time and memory are its own.
	pids []int
}

// Guests of each contender, and what they may ask at once.
const (
	guests   = 4
	spare    = 6 // addresses of a guest
	perGuest = 16
)

// prefix is where guests make addresses, leases where they are given some.
var (
	prefix = netip.MustParsePrefix("fd00:b1::/64")
	leases = netip.MustParsePrefix("fd00:d1::/64")
)

// Of all kinds, what some are asked.
var (
	bareKinds  = []loadgen.Kind{loadgen.NS, loadgen.RS, loadgen.Solicit, loadgen.Request}
	leaseKinds = []loadgen.Kind{loadgen.Solicit, loadgen.Information, loadgen.Request}
)

// shared is a writer for programs and those who watch them.
type shared struct {
	mu sync.Mutex
	w  io.Writer // guarded by mu
}

// Write implements io.Writer.
func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// house is one lab under one ovs-vswitchd, with a bridge for each contender.
type house struct {
	*lab.Lab
	options
	contenders []*contender
	absent     []string // who does not take part, and why
	versions   map[string]string
	switchPID  int
	dir        string // for the files of those who answer
	seed       uint8  // of the last load with new clients
	closing    atomic.Bool
}

// newHouse brings all up. Who cannot be is told and does not take part.
func newHouse(ctx context.Context, o options) (*house, error) {
	o.log = &shared{w: o.log}
	l, err := lab.New(ctx)
	if err != nil {
		return nil, err
	}
	h := &house{Lab: l, options: o, versions: map[string]string{}, switchPID: l.VswitchdPID(), dir: filepath.Join(l.RunDir, "peers")}
	if err := errors.Join(os.Mkdir(h.dir, 0o755), l.SetNDExt(false)); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	h.versions["Open vSwitch"] = h.version("ovs-vswitchd", "--version")
	type resident struct {
		name string
		add  func(ctx context.Context) (*contender, error)
	}
	list := []resident{
		{barePacketIn, func(ctx context.Context) (*contender, error) { return h.bare(ctx, false) }},
		{barePort, func(ctx context.Context) (*contender, error) { return h.bare(ctx, true) }},
		{oursPacketIn, func(ctx context.Context) (*contender, error) { return h.damselfly(ctx, oursPacketIn, "packet-in") }},
		{oursPort, func(ctx context.Context) (*contender, error) { return h.damselfly(ctx, oursPort, "port") }},
	}
	if !o.own {
		list = append([]resident{{ovn, h.ovn}, {kea, h.kea}, {radvd, h.radvd}, {dnsmasq, h.dnsmasq}}, list...)
	}
	for _, r := range list {
		c, err := r.add(ctx)
		if err == nil {
			err = h.settle(ctx, c)
		}
		if ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), h.Close())
		}
		if err != nil {
			h.absent = append(h.absent, fmt.Sprintf("%s does not take part: %v", r.name, err))
			fmt.Fprintln(o.log, h.absent[len(h.absent)-1])
			continue
		}
		h.contenders = append(h.contenders, c)
		fmt.Fprintln(o.log, r.name, "answers", c.kinds)
	}
	return h, nil
}

// readyTime is how long somebody who was started may take to answer.
const readyTime = 20 * time.Second

// settle waits until a contender answers each kind. One that it does not is left
// out and told; none is an error.
func (h *house) settle(ctx context.Context, c *contender) error {
	var kinds []loadgen.Kind
	for _, k := range c.kinds {
		if err := h.answers(ctx, c, k); err == nil {
			kinds = append(kinds, k)
		} else {
			h.absent = append(h.absent, fmt.Sprintf("%s is not asked %s: %v", c.name, k, err))
			fmt.Fprintln(h.log, h.absent[len(h.absent)-1])
		}
	}
	if len(kinds) == 0 {
		return fmt.Errorf("it answers nothing of %v", c.kinds)
	}
	c.kinds = kinds
	return nil
}

// answers waits until a contender answers a kind.
func (h *house) answers(ctx context.Context, c *contender, k loadgen.Kind) error {
	l, err := h.load(c, k, 1)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	err = lab.Eventually(ctx, func() error {
		r, err := l.Run(ctx, loadgen.Plan{Count: guests, Patience: 500 * time.Millisecond})
		if err == nil && r.Total().Answered == 0 {
			err = ctx.Err()
		}
		return err
	})
	return errors.Join(err, l.Close())
}

// load is a contender's guests, with so many slots each.
func (h *house) load(c *contender, k loadgen.Kind, each int) (*loadgen.Load, error) {
	s := c.site
	h.seed++
	s.Seed = h.seed
	return loadgen.New(s, each, loadgen.Share{Kind: k, Weight: 1})
}

func guestMAC(g int) wire.MAC { return wire.MAC{2, 0, 0, 0, 0, byte(0x11 + g)} }

// guestAddress is the n-th address of a guest.
func guestAddress(g, n int) netip.Addr {
	a := prefix.Addr().As16()
	a[13], a[15] = byte(g+1), byte(n+1)
	return netip.AddrFrom16(a)
}

// guestsOf makes the guests of a bridge; their ports are name0, name1 and so on.
func (h *house) guestsOf(name, bridge string) (s loadgen.Site, err error) {
	var macs []net.HardwareAddr
	for g := range guests {
		mac := guestMAC(g)
		macs = append(macs, mac[:])
	}
	c, err := h.AddCrowd(name, bridge, macs...)
	if err != nil {
		return s, err
	}
	s.Leases = leases
	for g, m := range c.Members {
		guest := loadgen.Guest{Interface: m.Index, Within: c.Within, MAC: guestMAC(g)}
		for n := range spare {
			guest.Addresses = append(guest.Addresses, guestAddress(g, n))
		}
		s.Guests = append(s.Guests, guest)
	}
	return s, nil
}

// server makes a guest with a kernel on a learning bridge of its own, where others
// ask it; who answers there runs in it.
func (h *house) server(ctx context.Context, name string, addresses ...netip.Prefix) (*lab.Guest, loadgen.Site, error) {
	fail := func(err error) (*lab.Guest, loadgen.Site, error) { return nil, loadgen.Site{}, err }
	bridge := "br-" + name
	if err := h.AddBridge(bridge); err != nil {
		return fail(err)
	}
	g, err := h.AddGuest(lab.GuestOptions{Name: name, Bridge: bridge, MAC: "02:00:00:00:ff:01", Addresses: addresses, Sysctls: map[string]string{
		"net.ipv6.conf.eth0.accept_dad": "0", "net.ipv6.conf.all.forwarding": "1", "net.ipv6.conf.eth0.forwarding": "1",
		"net.ipv6.auto_flowlabels": "0", "net.ipv6.conf.eth0.accept_ra": "0",
	}})
	if err != nil {
		return fail(err)
	}
	s, err := h.guestsOf(name[:1]+"g", bridge)
	if err != nil {
		return fail(err)
	}
	link, err := g.WaitAddr(ctx, netip.MustParsePrefix("fe80::/64"))
	if err != nil {
		return fail(err)
	}
	s.Router = loadgen.Router{MAC: wire.MAC(g.MAC), LinkLocal: link.Address, Gateway: link.Address, Lifetime: 30 * time.Minute}
	return g, s, nil
}

// running is a program that was started; the lab's end is its own.
type running struct {
	pid  int
	done chan struct{} // closed when it has ended
}

// ended reports whether it has.
func (r *running) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// start runs a program in the lab's namespace or a guest's. What it prints is in a
// file of its name, and told if it ends before the house does.
func (h *house) start(in interface {
	Command(name string, args ...string) *exec.Cmd
}, env []string, program string, args ...string) (*running, error) {
	out, err := os.Create(filepath.Join(h.dir, filepath.Base(program)+".out"))
	if err != nil {
		return nil, err
	}
	// All have the priority that ovs-vswitchd, ovn-controller and Damselfly have.
	cmd := in.Command("nice", append([]string{"-n", "-10", program}, args...)...)
	cmd.Env = append(cmd.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := errors.Join(cmd.Start(), out.Close()); err != nil {
		return nil, err
	}
	r := &running{pid: cmd.Process.Pid, done: make(chan struct{})}
	go func() {
		err := cmd.Wait()
		close(r.done)
		if !h.closing.Load() {
			text, _ := os.ReadFile(out.Name()) // it may have said nothing
			fmt.Fprintf(h.log, "%s ended: %v\n%s", filepath.Base(program), err, text[max(0, len(text)-1000):])
		}
	}()
	return r, nil
}

// Close ends all.
func (h *house) Close() error {
	h.closing.Store(true)
	return h.Lab.Close()
}

// file writes a file for a program and returns its path.
func (h *house) file(name, text string) (string, error) {
	path := filepath.Join(h.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// version is the first line that a program says of itself.
func (h *house) version(program string, args ...string) string {
	out, err := h.Command(program, args...).CombinedOutput()
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if first == "" && err != nil {
		return "of unknown version" // some tell it and end as if they had failed
	}
	first, _, _ = strings.Cut(first, " Copyright")
	return strings.TrimSpace(first)
}
