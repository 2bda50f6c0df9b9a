package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"

	"damselfly/bench"
	"damselfly/internal/wire"
)

// The bare responders, by their transport.
const (
	barePacketIn = "bare, packet-in"
	barePort     = "bare, punt port"
)

// bare runs this program as a bare responder, by packet-ins or behind a port.
func (h *house) bare(_ context.Context, port bool) (*contender, error) {
	name, bridge, what := barePacketIn, "br-bare", bench.BarePacketIn+" "+h.Mgmt("br-bare")
	flows := bench.BareFlows
	if port {
		name, bridge, what = barePort, "br-bareport", bench.BareByTap+" bare-tap"
	}
	if err := h.AddBridge(bridge, "fail_mode=secure"); err != nil {
		return nil, err
	}
	s, err := h.guestsOf(bridge[3:]+"-", bridge)
	if err != nil {
		return nil, err
	}
	s.Answerer = bench.BareMAC
	s.Router.MAC, s.Router.LinkLocal, s.Router.Lifetime = bench.BareMAC, wire.LinkLocal(bench.BareMAC), bench.BareLifetime
	pid, err := h.self(what)
	if err != nil {
		return nil, err
	}
	if port {
		if _, err := h.Vsctl("add-port", bridge, "bare-tap"); err != nil {
			return nil, err
		}
		number, err := h.OFPort("bare-tap")
		if err != nil {
			return nil, err
		}
		flows = bench.BarePuntFlows(number)
	}
	for _, f := range flows {
		if _, err := h.Ofctl("add-flow", bridge, f); err != nil {
			return nil, err
		}
	}
	return &contender{name: name, kinds: bareKinds, site: s, pids: []int{pid}}, nil
}

// self starts this program as a bare responder and returns its process once it
// serves.
func (h *house) self(what string) (int, error) {
	me, err := os.Executable()
	if err != nil {
		return 0, err
	}
	cmd := h.Command("nice", "-n", "-10", me)
	cmd.Env = append(cmd.Environ(), bench.BareVariable+"="+what)
	cmd.Stderr = h.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		return 0, fmt.Errorf("the bare responder said %q: %w", line, err)
	}
	go func(cmd *exec.Cmd) { _ = cmd.Wait() }(cmd)
	return cmd.Process.Pid, nil
}
