package openflow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// Dialer gives the socket of a new connection to the bridge.
type Dialer func(ctx context.Context) (net.Conn, error)

// Dial connects to a bridge's OpenFlow socket: "unix:PATH", which for the
// management socket is unix:RUNDIR/BRIDGE.mgmt, or "tcp:HOST:PORT".
func Dial(ctx context.Context, target string, o Options) (*Conn, error) {
	return Open(ctx, Target(target), o)
}

// Target returns the Dialer of a target as Dial takes it.
func Target(target string) Dialer {
	return func(ctx context.Context) (net.Conn, error) {
		network, addr, err := splitTarget(target)
		if err != nil {
			return nil, err
		}
		var d net.Dialer
		nc, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, dialError(target, network, err)
		}
		return nc, nil
	}
}

func splitTarget(target string) (network, addr string, err error) {
	network, addr, ok := strings.Cut(target, ":")
	if !ok || addr == "" || network != "unix" && network != "tcp" {
		return "", "", fmt.Errorf("openflow: %q is no target: write unix:PATH or tcp:HOST:PORT", target)
	}
	return network, addr, nil
}

func dialError(target, network string, err error) error {
	remedy := ""
	switch {
	case errors.Is(err, os.ErrNotExist):
		remedy = ": the bridge is not there or ovs-vswitchd is not running; see `ovs-vsctl show`"
	case errors.Is(err, os.ErrPermission):
		remedy = ": run as root or as a member of the group that owns the socket"
	case errors.Is(err, syscall.ECONNREFUSED) && network == "unix":
		remedy = ": ovs-vswitchd is not running, only its socket is left; start openvswitch-switch"
	case errors.Is(err, syscall.ECONNREFUSED):
		remedy = ": nothing listens there; a bridge listens with `ovs-vsctl set-controller BRIDGE ptcp:PORT`"
	}
	return fmt.Errorf("openflow: connect to %s: %w%s", target, err, remedy)
}
