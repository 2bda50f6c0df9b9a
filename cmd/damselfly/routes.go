package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"damselfly/internal/agent"
)

// printRoutes lists routes as `ip route` does, a router at a time.
func printRoutes(w io.Writer, list []agent.RouteStatus) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no routes")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ROUTER\tDESTINATION\tORIGIN\tTYPE\tNETWORK\tNEXTHOP\tPORT")
	for _, r := range list {
		via := "-"
		if r.NextHop.IsValid() {
			via = r.NextHop.String()
		}
		port := r.Port
		switch {
		case port != "":
		case r.NextHop.IsValid():
			port = "unknown"
		default:
			port = "-"
		}
		network := r.Network
		if network == "" {
			network = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Router, r.Prefix, r.Origin, r.Type, network, via, port)
	}
	return t.Flush()
}
