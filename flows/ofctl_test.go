package flows

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOfctlReadsGoldens has ovs-ofctl parse every golden file: it must accept
// each flow and print back what the file says.
func TestOfctlReadsGoldens(t *testing.T) {
	ofctl, err := exec.LookPath("ovs-ofctl")
	if err != nil {
		t.Skip("ovs-ofctl is not installed: make setup installs it")
	}
	files, err := filepath.Glob("../fixtures/flows/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var ours []string
			for line := range strings.Lines(string(text)) {
				if strings.HasPrefix(line, "cookie=") {
					ours = append(ours, strings.TrimSpace(line))
				}
			}
			in := filepath.Join(t.TempDir(), "flows")
			if err := os.WriteFile(in, []byte(strings.Join(ours, "\n")+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(ofctl, "-O", "OpenFlow15", "parse-flows", in).Output()
			if err != nil {
				if e, ok := err.(*exec.ExitError); ok {
					err = &exec.Error{Name: string(e.Stderr), Err: err}
				}
				t.Fatal(err)
			}
			var theirs []string
			for line := range strings.Lines(string(out)) {
				if _, mod, ok := strings.Cut(line, "ADD "); ok {
					theirs = append(theirs, normal(mod))
				}
			}
			for i := range ours {
				ours[i] = normal(ours[i])
			}
			if diff := cmp.Diff(theirs, ours); diff != "" {
				t.Errorf("ovs-ofctl says it otherwise (-ovs-ofctl +ours):\n%s", diff)
			}
		})
	}
}

// attribute is what stands before the match in a flow and behind it in a
// flow-mod: cookie and table.
var attribute = regexp.MustCompile(`(cookie[:=]0x[0-9a-f]+|table[:=]\d+),? ?`)

// normal is a flow in words of one order: fields of a match sorted, cookie and
// table taken out of the match and table 0 said.
func normal(flow string) string {
	match, actions, _ := strings.Cut(strings.TrimSpace(flow), "actions=")
	table, cookie := "table:0", ""
	for _, a := range attribute.FindAllStringSubmatch(match, -1) {
		a := strings.Replace(a[1], "=", ":", 1)
		if strings.HasPrefix(a, "table") {
			table = a
		} else {
			cookie = a
		}
	}
	match = attribute.ReplaceAllString(match, "")
	match = strings.Replace(match, "sctp6", "ipv6,nw_proto=132", 1)
	match = strings.Replace(match, "sctp", "ip,nw_proto=132", 1)
	fields := strings.FieldsFunc(match, func(r rune) bool { return r == ',' || r == ' ' })
	slices.Sort(fields)
	return table + " " + cookie + " " + strings.Join(fields, ",") + " actions=" + actions
}
