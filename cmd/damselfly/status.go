package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"damselfly/internal/agent"
	"damselfly/internal/config"
)

type statusCmd struct {
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
	var s agent.Status
	if err := ask(e.ctx, address, "/status", &s); err != nil {
		return err
	}
	if e.json {
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
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("no damselfly answers at %s: is it running, and is that its `api` address? (%w)", address, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s at %s answers %s: another program listens there", path, address, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("%s at %s: %w: another program listens there", path, address, err)
	}
	return nil
}
