package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/bridge"
	"damselfly/internal/topology"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestStatusPrint compares with testdata/status.txt; -update rewrites it. The
// clock stands still, so that the time to the next advertisement does.
func TestStatusPrint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		due := time.Now().Add(90 * time.Second)
		for name, s := range map[string]Status{
			"status": {
				Bridge: "br-dfly", OVS: "3.1.0", Connected: true, NDExt: true, Pulse: true, Punt: "port", FlowsWanted: 120, FlowsInstalled: 120, Resyncs: 2,
				Networks: []NetworkStatus{
					{Name: "blue", Key: 1, Prefixes: []netip.Prefix{netip.MustParsePrefix("fd00:b1::/64")}, Router: "fe80::1 (da:f1:00:00:00:01)", Advertisements: 3, NextAdvertisement: &due},
					{Name: "red", Key: 2},
				},
				Ports: []PortStatus{
					{Name: "br-dfly", Key: 3, Network: "red", MAC: "02:00:00:00:00:01", OFPort: 0xfffffffe},
					{Name: "vm1", Key: 1, Network: "blue", MAC: "02:00:00:00:00:11", OFPort: 4, Addresses: []netip.Addr{netip.MustParseAddr("fe80::ff:fe00:11")}, Learned: []netip.Addr{netip.MustParseAddr("fe80::ff:fe00:11")}, MaxLearned: 32, Frames: map[string]uint64{"answered": 7, "checksum": 1}, Drops: map[string]uint64{"checksum": 1, "drop-guest-ra": 12, "limit-ns": 3}},
					{Name: "vm2", Key: 2, Network: "blue", MAC: "02:00:00:00:00:12", MaxLearned: -1},
				},
				Floating: []FloatingStatus{
					{Network: "ext", Prefix: netip.MustParsePrefix("2001:db8:1::10/128"), Form: "routed", Router: "r1", Port: "vm2", Away: true},
					{Network: "ext", Prefix: netip.MustParsePrefix("2001:db8:1::20/128"), Form: "nat", Fixed: netip.MustParsePrefix("fd00:b1::ff:fe00:11/128"), Router: "r1", Port: "vm1", Translations: 1},
					{Network: "ext", Prefix: netip.MustParsePrefix("2001:db8:f::/48"), Form: "nptv6", Fixed: netip.MustParsePrefix("fd00:b2::/48"), Router: "r1", Translations: 2},
				},
			},
			"status_trouble": {
				Bridge: "br-dfly", OVS: "3.1.0", FlowsWanted: 120, FlowsInstalled: 4,
				ConfigError: "damselfly.yaml:3:1: bridge: is missing", BridgeError: "changing flows: refused",
				Conflicts: []string{"foreign flow"}, Problems: []string{"port vm1: has no MAC"},
				Networks: []NetworkStatus{{Name: "blue", Key: 1, Exhausted: []string{"address in fd00:b1::/64", "prefix"}}},
			},
		} {
			var out bytes.Buffer
			if err := s.Print(&out); err != nil {
				t.Fatal(err)
			}
			golden := "testdata/" + name + ".txt"
			if *update {
				if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), out.String()); diff != "" {
				t.Errorf("%s:\n%s", golden, diff)
			}
		}
	})
}

// TestStatusJSON: what /status sends is what `damselfly status` reads.
func TestStatusJSON(t *testing.T) {
	t.Parallel()
	want := Status{Bridge: "br", Problems: []string{"p"}, Ports: []PortStatus{{Name: "vm1", Frames: map[string]uint64{"answered": 1}}}}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Status
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestReport: each problem is told once, as is that it is over.
func TestReport(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	a := &Agent{log: slog.New(slog.NewTextHandler(&log, nil))}
	first := topology.Problem{Object: "port vm1", Message: "the first"}
	second := topology.Problem{Object: "port vm1", Message: "the second"}
	said := func(text string) int { return strings.Count(log.String(), text) }
	for range 3 {
		a.report([]topology.Problem{first, second})
	}
	if said("the first") != 1 || said("the second") != 1 || said("served again") != 0 {
		t.Errorf("three times the same:\n%s", &log)
	}
	if diff := cmp.Diff([]string{"port vm1: the first", "port vm1: the second"}, a.status.Problems); diff != "" {
		t.Error(diff)
	}
	a.report([]topology.Problem{second})
	if said("served again") != 0 {
		t.Errorf("one problem is left:\n%s", &log)
	}
	a.report(nil)
	a.report(nil)
	if said("served again") != 1 {
		t.Errorf("all is over:\n%s", &log)
	}
	a.report([]topology.Problem{first})
	if said("the first") != 2 {
		t.Errorf("it came back:\n%s", &log)
	}
}

// TestJudge: what --take-over may override and what it may not.
func TestJudge(t *testing.T) {
	t.Parallel()
	fatal, other := bridge.Objection{Text: "in the way", Fatal: true}, bridge.Objection{Text: "would break"}
	for _, c := range []struct {
		name       string
		objections []bridge.Objection
		takeOver   bool
		want       string // in the error, "" for none
	}{
		{"none", nil, false, ""},
		{"one", []bridge.Objection{other}, false, "--take-over"},
		{"one, taken over", []bridge.Objection{other}, true, ""},
		{"a fatal one", []bridge.Objection{other, fatal}, false, "in the way"},
		{"a fatal one, taken over", []bridge.Objection{other, fatal}, true, "in the way"},
	} {
		a := &Agent{o: Options{TakeOver: c.takeOver}, log: slog.New(slog.DiscardHandler)}
		err := a.judge(c.objections)
		if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, ErrObjections) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestAwait: each new reason is told once, and none in the first moments.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		a := &Agent{log: slog.New(slog.NewTextHandler(&log, nil))}
		began := time.Now()
		err := a.await(t.Context(), func() error {
			switch age := time.Since(began); {
			case age < 200*time.Millisecond:
				return errors.New("a start is no fault")
			case age < 2*time.Second:
				return errors.New("no database")
			case age < 4*time.Second:
				return errors.New("no bridge")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string]int{"a start is no fault": 0, "no database": 1, "no bridge": 1} {
			if got := strings.Count(log.String(), text); got != want {
				t.Errorf("%q told %d times, want %d", text, got, want)
			}
		}
	})
}
