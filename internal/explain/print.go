package explain

import (
	"fmt"
	"io"
)

// mostSteps is how many tables are shown to people; a flood comes to one for
// each port.
const mostSteps = 40

// Print writes the explanation for people.
func (x *Explanation) Print(w io.Writer) error {
	fmt.Fprintf(w, "From port %s on network %s: %s.\n", x.Port, x.Network, x.Is)
	for i := range x.Way {
		if i == mostSteps {
			fmt.Fprintf(w, "     and %d tables more\n", len(x.Way)-i)
			break
		}
		s := &x.Way[i]
		fmt.Fprintf(w, "%4d %-14s it %s", s.Table, s.Name, s.Does)
		if s.Object != "" {
			fmt.Fprintf(w, " [%s]", s.Object)
		}
		fmt.Fprintf(w, " (priority %d%s)\n", s.Priority, comma(s.Match))
	}
	fmt.Fprintf(w, "=> %s\n", x.Verdict)
	if x.RFC != "" {
		fmt.Fprintf(w, "   The clause is %s.\n", x.RFC)
	} else if x.Outcome == "dropped" {
		fmt.Fprintln(w, "   No RFC asks for that; it is a rule of Damselfly's or the configuration's.")
	}
	for _, l := range x.Configuration {
		fmt.Fprintf(w, "   %s\n", l)
	}
	for _, n := range x.Notes {
		fmt.Fprintf(w, "   Note: %s.\n", n)
	}
	_, err := fmt.Fprintln(w)
	return err
}

func comma(match string) string {
	if match == "" {
		return ""
	}
	return ", " + match
}
