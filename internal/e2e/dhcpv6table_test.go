package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
)

// TestDHCPv6Table replays the capture of every row and judges it as the live
// dialogue was judged in the test that the row names. Its printed form is the
// list of who asked what.
func TestDHCPv6Table(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MESSAGE OR OPTION\tCLIENT\tLIVE\tCAPTURE\tGOLDEN")
	replayed := map[string]dialogue{}
	for _, r := range dhcpv6Rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s.pcap\t%[4]s.golden\n", r.what, r.client, r.live, r.capture)
		golden := filepath.Join(captureFolder, r.capture+".golden")
		if _, err := os.Stat(golden); err != nil {
			t.Errorf("%s: %v: run the tests of package fixtures with -update", r.what, err)
			continue
		}
		d, ok := replayed[r.capture]
		if !ok {
			d = dialogueOf(t, r.capture)
			replayed[r.capture] = d
		}
		if err := r.check(d); err != nil {
			t.Errorf("%s, %s, replayed: %v", r.what, r.client, err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", text.String())
}

// TestDHCPv6TableWhole wants a row for every message type that clients and relays
// send, and every capture of the folders in some row.
func TestDHCPv6TableWhole(t *testing.T) {
	t.Parallel()
	said := map[string]bool{}
	rows := map[string]bool{}
	for _, r := range dhcpv6Rows {
		said[strings.FieldsFunc(r.what, func(c rune) bool { return strings.ContainsRune(" ,;", c) })[0]] = true
		rows[r.capture] = true
	}
	for _, word := range []string{"SOLICIT", "REQUEST", "CONFIRM", "RENEW", "REBIND", "RELEASE", "DECLINE",
		"INFORMATION-REQUEST", "RECONFIGURE", "RELAY-FORWARD", "ADDR-REG-INFORM"} {
		if !said[word] {
			t.Errorf("no row is about %s", word)
		}
	}
	for _, folder := range []string{"life", "options", "relayed"} {
		files, err := filepath.Glob(filepath.Join(captureFolder, folder, "*.pcap"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			name := filepath.Join(folder, strings.TrimSuffix(filepath.Base(f), ".pcap"))
			if !rows[name] {
				t.Errorf("no row is about %s", name)
			}
		}
	}
}
