package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"damselfly/bench"
	"damselfly/bench/loadgen"
	"damselfly/internal/lab"
)

func TestMain(m *testing.M) {
	if bare, err := bench.BeBare(); err != nil {
		fmt.Fprintln(os.Stderr, "bare responder:", err)
		os.Exit(1)
	} else if bare {
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestSmoke measures Damselfly and the bare responders, with turns that say
// nothing, and reads what is written of it.
func TestSmoke(t *testing.T) {
	t.Parallel()
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "damselfly")
	if out, err := exec.Command("go", "build", "-o", binary, "damselfly/cmd/damselfly").CombinedOutput(); err != nil {
		t.Fatalf("building damselfly: %v\n%s", err, out)
	}
	var log bytes.Buffer
	o := options{folder: filepath.Join(dir, "results"), binary: binary, rounds: 1, turn: 20 * time.Millisecond, out: &log, log: &log, own: true}
	if err := run(t.Context(), o); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	text, err := os.ReadFile(filepath.Join(o.folder, "peers.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Rows    []row
		Budgets []verdict
		Absent  []string
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	want := 2*len(bareKinds) + 2*len(loadgen.Kinds) + 4 // request is tried twice
	if len(r.Rows) != want || len(r.Absent) > 0 || len(r.Budgets) == 0 {
		t.Errorf("%d rows, want %d; absent: %v; %d budgets", len(r.Rows), want, r.Absent, len(r.Budgets))
	}
	for _, l := range r.Rows {
		if l.Rate <= 0 || l.OwnUS < 0 || l.OVSUS < 0 || l.Lost > 0 {
			t.Errorf("a row that cannot be: %+v", l)
		}
	}
	for _, name := range []string{"cpu.svg", "rate.svg", "latency.svg"} {
		picture, err := os.ReadFile(filepath.Join(o.folder, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := xml.NewDecoder(bytes.NewReader(picture)).Decode(new(struct{})); err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Contains(picture, []byte(oursPacketIn)) {
			t.Errorf("%s does not show %s", name, oursPacketIn)
		}
	}
}

// cells are of one contender each, with turns of rates and costs.
func cells(kind loadgen.Kind, outstanding int, of map[string][]turn) (list []*cell) {
	for who, turns := range of {
		list = append(list, &cell{trial: trial{kind: kind, outstanding: outstanding}, who: &contender{name: who}, turns: turns})
	}
	return list
}

// TestVerdicts holds ratios and what is said of them against turns whose ratios
// are known: medians turn by turn, so that a turn in which all were slow counts for
// all.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	r := &report{}
	r.cells = append(r.cells, cells(loadgen.NS, 64, map[string][]turn{
		ovn:          {{rate: 10, own: 20, ovs: 80}, {rate: 1, own: 200, ovs: 800}, {rate: 10, own: 20, ovs: 80}},
		oursPacketIn: {{rate: 20, own: 10, ovs: 40}, {rate: 2, own: 100, ovs: 400}, {rate: 20, own: 10, ovs: 90}},
		barePacketIn: {{rate: 25, own: 10, ovs: 20}, {rate: 2.5, own: 300}, {rate: 25, own: 30}},
		oursPort:     {{rate: 20, own: 10, ovs: 40}},
	})...)
	r.cells = append(r.cells, cells(loadgen.Request, 64, map[string][]turn{
		kea:      {{rate: 100, own: 50, ovs: 50}},
		oursPort: {{rate: 200, own: 20, ovs: 30}},
	})...)
	r.cells = append(r.cells, cells(loadgen.Request, 256, map[string][]turn{
		kea:      {{rate: 1000, lost: 0.01}},
		oursPort: {{rate: 250, own: 20, ovs: 20}},
	})...)
	said := map[string]string{}
	for _, v := range r.verdicts() {
		said[v.What+": "+v.Who] = v.String()
	}
	for what, want := range map[string]string{
		"ns: processor time an answer, of OVN's: " + oursPacketIn:                    "got 0.50: holds (a bare responder: 0.30)",
		"ns: processor time an answer, of OVN's: " + oursPort:                        "got 0.50: short by 11.1 %",
		"ns: answers a second, of the bare responder's: " + oursPacketIn:             "got 0.80: short by 11.1 %",
		"ns: answers a second, of the bare responder's: " + oursPort:                 "not measured",
		"rs: processor time an answer, of OVN's: " + oursPort:                        "not measured",
		"request: four-way exchanges a second, of Kea's: " + oursPort:                "got 2.50: holds", // with 256, Kea's with 64: it lost of 256
		"request: processor time with ovs-vswitchd, of Kea's alone: " + oursPort:     "got 0.80: short by 60.0 %",
		"request: processor time with ovs-vswitchd, of Kea's with it: " + oursPort:   "got 0.40: holds",
		"request: of those of a responder that stores nothing: " + oursPort:          "not measured",
		"request: processor time with ovs-vswitchd, of Kea's alone: " + oursPacketIn: "not measured",
	} {
		if got, found := said[what]; !found || !strings.HasSuffix(got, want) {
			t.Errorf("%s: got %q, want %q at its end", what, got, want)
		}
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		list []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{4, 1, 2}, 2}, {[]float64{4, 1, 2, 3}, 2.5}} {
		if got := median(tt.list); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("median(%v) = %v, want %v", tt.list, got, tt.want)
		}
	}
}
