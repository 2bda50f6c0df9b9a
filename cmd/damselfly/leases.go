package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"damselfly/internal/agent"
	"damselfly/internal/config"
)

type leasesCmd struct {
	Config string `short:"c" placeholder:"FILE" help:"Configuration that names the API's address and the bridge; needed to release."`
	API    string `name:"api" default:"${api}" help:"Address of the running damselfly's API."`
	database

	// A filter that is given and empty is refused, so nil is another thing.
	Port    *string `placeholder:"NAME" help:"Only leases of this port."`
	Network *string `placeholder:"NAME" help:"Only leases on this network."`
	Address *string `placeholder:"ADDRESS" help:"Only leases of this address, or of what lies in this prefix."`
	DUID    *string `name:"duid" placeholder:"HEX" help:"Only leases of this client."`
	Kind    *string `placeholder:"KIND" help:"Only leases of this kind: address, prefix or registration."`
	State   *string `placeholder:"STATE" help:"Only leases in this state: bound or declined."`

	Release bool `help:"End the leases selected instead. Their clients go on using them until they renew."`
}

// Run implements the command.
func (c *leasesCmd) Run(e *env) error {
	address, bridge := c.API, ""
	if c.Config != "" {
		cfg, err := config.Load(c.Config)
		if err != nil {
			return err
		}
		address, bridge = cfg.API, cfg.Bridge
	}
	if c.Release {
		return c.release(e, bridge)
	}
	var list []agent.LeaseStatus
	if err := ask(e.ctx, address, "/leases?"+c.query().Encode(), &list); err != nil {
		return err
	}
	if e.json {
		return printJSON(e.out, list)
	}
	return printLeases(e.out, list)
}

// query is the filters as the API takes them.
func (c *leasesCmd) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]*string{
		"port": c.Port, "network": c.Network, "address": c.Address, "duid": c.DUID, "kind": c.Kind, "state": c.State,
	} {
		if value != nil {
			q.Set(name, *value)
		}
	}
	return q
}

// release ends the leases selected, over the control socket of the bridge.
func (c *leasesCmd) release(e *env, bridge string) error {
	query := c.query()
	if len(query) == 0 {
		return errors.New("--release needs to know which: add --port, --network, --address, --duid, --kind or --state")
	}
	if bridge == "" {
		return errors.New("--release needs the configuration that names the bridge: add -c FILE")
	}
	ctx, cancel := context.WithTimeout(e.ctx, 4*reachTime)
	defer cancel()
	db, view, err := openDatabase(ctx, c.OVSDB, bridge, e)
	if err != nil {
		return err
	}
	db.Close()
	socket := agent.ControlSocket(view.RunDir, view.BridgeName)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://damselfly/leases/release?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	var done agent.Released
	if err := exchange(client, req, socket, &done); err != nil {
		return err
	}
	if e.json {
		return printJSON(e.out, done)
	}
	if done.Released == 0 {
		fmt.Fprintln(e.out, "no lease is selected, so none was released")
		return nil
	}
	fmt.Fprintf(e.out, "released %d leases\n", done.Released)
	return nil
}

func printLeases(w io.Writer, list []agent.LeaseStatus) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no leases")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PORT\tNETWORK\tKIND\tPREFIX\tDUID\tIAID\tSTATE\tPREFERRED\tVALID")
	for _, l := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n",
			l.Port, l.Network, l.Kind, l.Prefix, l.DUID, l.IAID, l.State, lifetime(l.Preferred), lifetime(l.Valid))
	}
	return t.Flush()
}

// lifetime writes seconds that are left.
func lifetime(seconds int64) string {
	if seconds == agent.Forever {
		return "forever"
	}
	return (time.Duration(seconds) * time.Second).String()
}
