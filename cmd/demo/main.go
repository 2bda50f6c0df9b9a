// Command demo is what `make demo` runs: two guests on a private bridge get
// their IPv6 from Damselfly, and their own tools tell what they got.
package main

import (
	"flag"
	"fmt"
	"os"

	"damselfly/internal/demo"
)

func main() {
	var o demo.Options
	flag.StringVar(&o.Binary, "damselfly", "bin/damselfly", "the `program` to show")
	flag.StringVar(&o.Break, "break", "", "sabotage one `row`: ra, nd or dad")
	flag.BoolVar(&o.Keep, "keep", false, "leave everything up until interrupted")
	flag.Parse()
	ok, err := demo.Run(os.Stdout, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}
