package explain

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damselfly/fixtures"
	"damselfly/flows"
	"damselfly/internal/config"
	"damselfly/internal/lab"
	"damselfly/internal/replay"
	"damselfly/internal/topology"
	"damselfly/internal/unixctl"
)

// With -update the lab's Open vSwitch is asked again, and testdata is written.
var update = flag.Bool("update", false, "ask a real switch again and rewrite testdata")

// env is what the flows of the recorded switch depend on.
func env(ndExt bool) flows.Env { return flows.Env{NDExt: ndExt, FirstGroup: 0xdf000000} }

// world is the configuration of the tests.
func world(t *testing.T) Options {
	t.Helper()
	cfg, places, err := config.LoadPlaced("testdata/world.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := replay.Snapshot(cfg.Topology)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Snapshot: s, Env: env(false), Spec: cfg.Topology, Places: places, Bridge: cfg.Bridge}
}

// cases are frames of vm1's, or of the port named, by what they are called.
func cases(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	w := fixtures.NewNDWorld()
	for _, c := range fixtures.NDCases() {
		switch c.Name {
		case "NS multicast for a guest", "NS unicast for a guest", "NS hop limit 254", "NS with another's SLLA", "NS checksum",
			"DAD for a guest's address", "DAD for an unknown address", "NA multicast of an own address", "NA with R of a plain guest",
			"NS trailing octet", "NS with Nonce before SLLA", "NS multicast for the gateway", "NS atomic fragment":
			out[c.Name] = c.Frame(w)
		}
	}
	router := topology.RouterMAC("blue").String()
	for name, digits := range map[string]string{
		"RA of a guest":             "333300000001" + "020000000011" + "86dd" + "6000000000103aff" + ll(0x11) + group(1) + "8600" + "0000" + strings.Repeat("00", 12),
		"RS":                        "333300000002" + "020000000011" + "86dd" + "6000000000083aff" + ll(0x11) + group(2) + "85007e2600000000",
		"Redirect":                  "020000000012" + "020000000011" + "86dd" + "6000000000283aff" + ll(0x11) + ll(0x12) + "8900" + "0000" + strings.Repeat("00", 36),
		"tagged":                    "020000000012" + "020000000011" + "81000005" + ipv4,
		"to a neighbour":            "020000000012" + "020000000011" + ipv4,
		"to nobody":                 "020000000099" + "020000000011" + ipv4,
		"to all":                    "ffffffffffff" + "020000000011" + ipv4,
		"LLDP":                      "0180c200000e" + "020000000011" + "88cc" + "0207046162636465660000",
		"from a group":              "020000000012" + "030000000011" + ipv4,
		"DHCPv6 Advertise":          "020000000012" + "020000000011" + "86dd" + "60000000000c1140" + ll(0x11) + ll(0x12) + "02230222000c0000" + "02010203",
		"DHCPv6 Solicit":            "333300010002" + "020000000011" + "86dd" + "60000000000c1140" + ll(0x11) + "ff020000000000000000000000010002" + "02220223000c0000" + "01010203",
		"echo to the gateway":       strings.ReplaceAll(router, ":", "") + "020000000011" + "86dd" + "6000000000083a40" + ll(0x11) + "fe800000000000000000000000000001" + "800083a700010001",
		"echo to all nodes":         "333300000001" + "020000000011" + "86dd" + "6000000000083a40" + ll(0x11) + group(1) + "8000832500010001",
		"unknown next header":       "020000000012" + "020000000011" + "86dd" + "600000000008c840" + ll(0x11) + ll(0x12) + strings.Repeat("00", 8),
		"later fragment to group":   "333300000001" + "020000000011" + "86dd" + "6000000000102c40" + ll(0x11) + group(1) + "3a00001000000001" + strings.Repeat("00", 8),
		"TCP that a rule allows":    syn(80),
		"TCP that a rule rejects":   syn(23),
		"TCP without a rule":        syn(22),
		"listener query of a guest": "333300000001" + "020000000011" + "86dd" + "6000000000240001" + ll(0x11) + group(1) + alert + "8200578627100000" + strings.Repeat("00", 16) + "027d0000",
		"listener report":           "333300000016" + "020000000011" + "86dd" + "6000000000240001" + ll(0x11) + group(0x16) + alert + "8f0070e600000001" + "04000000" + "ff150000000000000000000000000001",
		"router of multicast":       "33330000006a" + "020000000011" + "86dd" + "6000000000100001" + ll(0x11) + group(0x6a) + alert + "97146b2b007d0002",
		"inverse solicitation":      "333300000001" + "020000000011" + "86dd" + "6000000000183aff" + ll(0x11) + group(1) + "8d006ef200000000" + "0101020000000011" + "0201020000000012",
		"path solicitation":         "333300000002" + "020000000011" + "86dd" + "6000000000083aff" + ll(0x11) + group(2) + "94006f2600000000",
		"ARP":                       "ffffffffffff" + "020000000011" + "0806" + "0001080006040001" + "020000000011c0000201" + "000000000000c0000202",
	} {
		frame, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = frame
	}
	return out
}

// alert is a Hop-by-Hop Options header with the Router Alert of Multicast Listener Discovery, before ICMPv6.
const alert = "3a00050200000100"

// ipv4 is a datagram of UDP with its Ethernet type.
const ipv4 = "0800" + "4500001c00000000401100" + "00" + "c0000201c0000202" + "0001000200080000"

// syn opens a connection from vm1 to a port of vm4, which rules filter.
func syn(port uint16) string {
	return "020000000014" + "020000000011" + "86dd" + "6000000000140640" + "fd0000b1000000000000000000000011" + "fd0000b1000000000000000000000014" +
		fmt.Sprintf("1000%04x", port) + "00000001" + "00000000" + "50022000" + "00000000"
}

// ll is the link-local address of a guest by the last octet of its MAC.
func ll(n byte) string { return fmt.Sprintf("fe80000000000000000000fffe0000%02x", n) }

func group(n byte) string { return fmt.Sprintf("ff0200000000000000000000000000%02x", n) }

// recorded answers with what a real switch did: a file with the commands, each
// after a mark, and the answers.
type recorded struct {
	t    *testing.T
	path string
	real Switch // asked with -update
	text strings.Builder
	want []string
}

const mark = "#> "

func record(t *testing.T, path string, real Switch) *recorded {
	r := &recorded{t: t, path: path, real: real}
	if real == nil {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v: run the test with -update to record it", err)
		}
		r.want = strings.Split(string(text), mark)[1:]
	}
	return r
}

// Call implements Switch.
func (r *recorded) Call(ctx context.Context, command string, args ...string) (string, error) {
	call := strings.Join(append([]string{command}, args...), " ")
	if r.real != nil {
		answer, err := r.real.Call(ctx, command, args...)
		fmt.Fprintf(&r.text, "%s%s\n%s\n", mark, call, answer)
		return answer, err
	}
	if len(r.want) == 0 {
		return "", errors.New("the recorded switch was not asked that: " + call)
	}
	asked, answer, _ := strings.Cut(r.want[0], "\n")
	if asked != call {
		r.t.Errorf("asked\n%s\nwhere the recorded switch was asked\n%s", call, asked)
	}
	r.want = r.want[1:]
	return strings.TrimSuffix(answer, "\n"), nil
}

// done writes what was recorded, or holds that all of it was asked for.
func (r *recorded) done() {
	if r.real != nil {
		if err := os.WriteFile(r.path, []byte(r.text.String()), 0o644); err != nil {
			r.t.Fatal(err)
		}
	} else if len(r.want) > 0 {
		r.t.Errorf("the recorded switch was asked on: %s", r.want[0])
	}
}

// realSwitch is a lab's bridge with the flows of the world on it.
func realSwitch(t *testing.T, o Options, ndExt bool) Switch {
	t.Helper()
	l := lab.Start(t)
	if err := l.AddBridge(o.Bridge, "fail_mode=secure"); err != nil {
		t.Fatal(err)
	}
	if err := l.SetNDExt(ndExt); err != nil {
		t.Fatal(err)
	}
	must := func(_ string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range o.Snapshot.Ports {
		must(l.Vsctl("add-port", o.Bridge, p.Name, "--", "set", "Interface", p.Name, "type=internal", fmt.Sprintf("ofport_request=%d", p.OFPort)))
	}
	set := flows.Compile(o.Snapshot, env(ndExt))
	for _, m := range set.Meters {
		must(l.Ofctl("add-meter", o.Bridge, m.String()))
	}
	for _, g := range set.Groups {
		must(l.Ofctl("add-group", o.Bridge, g.String()))
	}
	file := filepath.Join(l.RunDir, "flows")
	var b strings.Builder
	for _, f := range set.Sorted() {
		fmt.Fprintln(&b, f)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	must(l.Ofctl("add-flows", o.Bridge, file))
	must(l.Ofctl("set-frags", o.Bridge, "nx-match"))
	path, err := unixctl.Find(l.RunDir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := unixctl.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// noon is when all frames come.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestExplain compares what is said of each case with testdata.
func TestExplain(t *testing.T) {
	t.Parallel()
	for mode, ndExt := range map[string]bool{"nd_ext": true, "plain": false} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			o := world(t)
			var real Switch
			if *update {
				real = realSwitch(t, o, ndExt)
			}
			sw := record(t, filepath.Join("testdata", mode+".trace"), real)
			o.Switch = sw
			var text bytes.Buffer
			frames := cases(t)
			for _, name := range slices.Sorted(maps.Keys(frames)) {
				f := replay.Frame{Data: frames[name], At: noon}
				e, err := New(o, []replay.Frame{f})
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&text, "== %s\n", name)
				x := e.Explain(t.Context(), o.Snapshot.Port(1), f)
				if err := x.Print(&text); err != nil {
					t.Fatal(err)
				}
			}
			sw.done()
			golden(t, filepath.Join("testdata", mode+".txt"), text.String())
		})
	}
}

// golden compares with a file, which -update rewrites.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got)\n%s", path, diff)
	}
}

// script is a switch that answers one trace after the other.
type script []string

// Call implements Switch.
func (s *script) Call(context.Context, string, ...string) (string, error) {
	if len(*s) == 0 {
		return "", errors.New("no more")
	}
	text := (*s)[0]
	*s = (*s)[1:]
	return text, nil
}

// TestStrangeTraces: what a trace may say that the lab's does not.
func TestStrangeTraces(t *testing.T) {
	t.Parallel()
	const first = "Flow: udp,in_port=1\n"
	const classified = " 0. in_port=1, priority 30100, cookie 0xdf1e010100000001\n    set_field:0x1->reg0\n    resubmit(,10)\n"
	for _, tt := range []struct {
		name    string
		trace   []string
		outcome string
		says    []string // in what is printed
	}{
		{"no flow at all", []string{first, "\n0. No match.\n    drop\n"}, "dropped", []string{"it meets no flow"}},
		{"another's flow", []string{first, " 0. priority 40000, cookie 0x7\n    output:2\n"}, "delivered", []string{"none of Damselfly's", "port vm2"}},
		{"a cookieless flow", []string{first, " 0. priority 0\n    NORMAL\n"}, "lost", []string{"none of Damselfly's", "goes nowhere"}},
		{"a flow of another configuration", []string{first, " 0. in_port=77, priority 30100, cookie 0xdf1e010100000077\n    drop\n"}, "dropped", []string{"does not want"}},
		{"a flow of another version", []string{first, " 0. in_port=1, priority 30100, cookie 0xdf1e01fe00000001\n    drop\n"}, "dropped", []string{"another version"}},
		{"to the bridge itself", []string{first, classified + "10. ip, priority 100, cookie 0xdf1e010200000000\n    LOCAL\n"}, "delivered", []string{"port 4294967294 of the switch"}},
		{"a translation that fails", []string{first, classified + "Datapath actions: drop\nTranslation failed (Too many resubmits), packet is dropped.\n"}, "lost", []string{"the switch says: Translation failed"}},
		{"a connection", []string{first, classified + "    ct(table=41,zone=1)\n    drop\n" +
			"====\nrecirc(0x1) - resume conntrack with default ct_state=trk|new (use --ct-next to customize)\n====\n" +
			"    thaw\n        Resuming from table 41\n41. priority 9\n    output:2\n",
			"41. priority 0, cookie 0xdf1e012a00000000\n    drop\n"}, "dropped",
			[]string{"first packet of a connection", "belongs to no connection"}},
		{"nobody is there to hand it to", []string{first, classified + "    group:3741319169\n     -> no live bucket\n"}, "lost", []string{"goes nowhere"}},
		{"a way without an end", []string{first, classified + "    group:3741319170\n     -> no live bucket\n"}, "lost", []string{"given up after 64 times"}},
		{"something else behind a check", []string{first, classified + "    check_pkt_larger(86)->NXM_NX_REG3[8]\n    dec_ttl\n    output:2\n"}, "delivered", []string{"both ways of a check"}},
		{"no trace", []string{"what?"}, "dropped", []string{"could not be asked", "what?"}},
		{"nothing", nil, "dropped", []string{"could not be asked", "no more", "If the switch hands it over"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := world(t)
			answers := script(tt.trace)
			if tt.name == "a way without an end" {
				answers = append(script{first}, slices.Repeat([]string{tt.trace[1]}, 99)...)
			}
			o.Switch = &answers
			f := replay.Frame{Data: cases(t)["to nobody"], At: noon}
			e, err := New(o, []replay.Frame{f})
			if err != nil {
				t.Fatal(err)
			}
			x := e.Explain(t.Context(), o.Snapshot.Port(1), f)
			var text bytes.Buffer
			if err := x.Print(&text); err != nil {
				t.Fatal(err)
			}
			if x.Outcome != tt.outcome {
				t.Errorf("outcome %s, want %s", x.Outcome, tt.outcome)
			}
			for _, s := range tt.says {
				if !strings.Contains(text.String(), s) {
					t.Errorf("%q is not said:\n%s", s, &text)
				}
			}
		})
	}
}

// TestBuckets: what a group's bucket writes is not what follows it has.
func TestBuckets(t *testing.T) {
	t.Parallel()
	r := &reader{way: &way{}, index: index{}, registers: registers{}, addresses: addresses{}, octets: 60}
	next := r.read(strings.Join([]string{
		" 0. priority 1", "    set_field:0x1->reg0", "    set_field:0x6/0x2->reg3", "    group:7",
		"    bucket 1", "            set_field:0x9->reg0", "            resubmit(,70)", "        70. priority 1", "            output:2",
		"    bucket 2", "            set_field:8->reg2",
		"    set_field:0x10->metadata", "    check_pkt_larger(60)->NXM_NX_REG3[8]", "    check_pkt_larger(59)->NXM_NX_REG3[9]", "    resubmit(,24)",
	}, "\n"))
	if next == nil {
		t.Fatal("the trace is not taken up again")
	}
	if got, want := next.actions(), "set_field:0x10->metadata,set_field:0x1->reg0,set_field:0x202->reg3,resubmit(,24)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestLook: any octets are called something.
func TestLook(t *testing.T) {
	t.Parallel()
	frame := cases(t)["NS multicast for a guest"]
	for n := range len(frame) {
		if got := look(frame[:n]).text; got == "" {
			t.Errorf("%d octets: nothing is said", n)
		}
	}
	if got := look(nil).text; !strings.Contains(got, "0 octets") {
		t.Errorf("nothing: got %q", got)
	}
}

// TestUnboundPort: a port that is not there has the code's verdict.
func TestUnboundPort(t *testing.T) {
	t.Parallel()
	o := world(t)
	p := *o.Snapshot.Port(1)
	p.OFPort = 0
	o.Switch = &script{}
	f := replay.Frame{Data: cases(t)["RA of a guest"], At: noon}
	e, err := New(o, []replay.Frame{f})
	if err != nil {
		t.Fatal(err)
	}
	x := e.Explain(t.Context(), &p, f)
	if len(x.Notes) != 1 || !strings.Contains(x.Notes[0], "not on the switch") || len(x.Way) > 0 {
		t.Errorf("got %+v", x)
	}
}
