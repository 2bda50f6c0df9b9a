package agent

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"damselfly/flows"
	"damselfly/handlers"
)

// printDrops lists what was dropped, of which port and what for.
func (s *Status) printDrops(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	header := "\nPORT\tDROPPED\tFRAMES\tMEANS\n"
	for _, p := range s.Ports {
		for _, why := range slices.Sorted(maps.Keys(p.Drops)) {
			fmt.Fprintf(tw, "%s%s\t%s\t%d\t%s\n", header, p.Name, why, p.Drops[why], meaning(why))
			header = ""
		}
	}
	return tw.Flush()
}

// meaning says what a reason to drop means.
func meaning(why string) string {
	if class, ok := strings.CutPrefix(why, "limit-"); ok {
		return fmt.Sprintf("more frames of class %s than the port's limit lets through", class)
	}
	if why == flows.RoleDropUnsorted.String() {
		return "dropped before there was a counter of the port's for what"
	}
	if r, ok := flows.RoleNamed(why); ok {
		c := r.Clause()
		text := strings.TrimPrefix(c.Text, "is dropped: ")
		if c.RFC != "" {
			text += " (" + c.RFC + ")"
		}
		return text
	}
	return handlers.ExplainName(why)
}
