package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"damselfly/internal/agent"
	"damselfly/internal/config"
)

type statusCmd struct {
	What string `arg:"" optional:"" enum:"all,routes,neighbors,multicast,metadata" default:"all" help:"What of it: ${enum}."`

	Config string `short:"c" placeholder:"FILE" help:"Configuration that names the API's address."`
	API    string `name:"api" default:"${api}" help:"Address of the running damselfly's API."`
}

// Run implements the command.
func (c *statusCmd) Run(e *env) error {
	address := c.API
	if c.Config != "" {
		cfg, err := config.Load(c.Config)
		if err != nil {
			return err
		}
		address = cfg.API
	}
	if c.What == "routes" {
		var list []agent.RouteStatus
		if err := ask(e.ctx, address, "/routes", &list); err != nil {
			return err
		}
		if e.json {
			return printJSON(e.out, list)
		}
		return printRoutes(e.out, list)
	}
	if c.What == "metadata" {
		var s agent.MetadataStatus
		if err := ask(e.ctx, address, "/metadata", &s); err != nil {
			return err
		}
		if e.json {
			return printJSON(e.out, s)
		}
		return s.Print(e.out)
	}
	var s agent.Status
	if err := ask(e.ctx, address, "/status", &s); err != nil {
		return err
	}
	neighbors, multicast := c.What == "neighbors", c.What == "multicast"
	switch {
	case neighbors && e.json:
		return printJSON(e.out, s.Neighbors)
	case neighbors:
		return s.PrintNeighbors(e.out)
	case multicast && e.json:
		return printJSON(e.out, s.Multicast)
	case multicast:
		return s.PrintMulticast(e.out)
	case e.json:
		return printJSON(e.out, s)
	}
	return s.Print(e.out)
}

// ask reads one document of a running damselfly's API.
func ask(ctx context.Context, address, path string, into any) error {
	if address == "" {
		return fmt.Errorf("the API is turned off in the configuration (`api: \"\"`), so a running damselfly can't be asked")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return fmt.Errorf("api %q: %w", address, err)
	}
	return exchange(http.DefaultClient, req, address, into)
}

// exchange asks a running damselfly at an address or socket, and decodes what it
// answers.
func exchange(client *http.Client, req *http.Request, at string, into any) error {
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no damselfly answers at %s: is it running, and is that where it listens? (%w)", at, err)
	}
	defer resp.Body.Close()
	path := req.URL.Path
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusBadRequest, http.StatusServiceUnavailable:
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 4096)) // half of it says more than nothing
		return errors.New(strings.TrimSpace(string(text)))
	default:
		return fmt.Errorf("%s at %s answers %s: another program listens there", path, at, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("%s at %s: %w: another program listens there", path, at, err)
	}
	return nil
}
