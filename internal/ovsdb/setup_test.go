package ovsdb

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Fields of tables that are looked up by prefix.
var (
	sourceFields      = []string{"ipv6_dst", "ipv6_src", "nw_src"}
	destinationFields = []string{"ipv6_dst", "nw_dst"}
)

var testSetup = Setup{Create: true, DatapathType: "netdev", ControllerQueueSize: 512, PrefixTables: map[uint8][]string{2: sourceFields, 5: sourceFields, 200: destinationFields}, Ports: []string{"dfp-br0"}}

// setUp runs every method that Plan plans; it reports how many changed something.
func setUp(t *testing.T, c *Client, s Setup) (changes int) {
	t.Helper()
	ctx := within(t)
	steps := map[string]func() (bool, error){
		"1 EnsureBridge":           func() (bool, error) { return c.EnsureBridge(ctx, s.Create, s.DatapathType) },
		"2 SetFailModeSecure":      func() (bool, error) { return c.SetFailModeSecure(ctx) },
		"3 SetControllerQueueSize": func() (bool, error) { return c.SetControllerQueueSize(ctx, s.ControllerQueueSize) },
		"4 SetFlowTablePrefixes":   func() (bool, error) { return c.SetFlowTablePrefixes(ctx, s.PrefixTables) },
		"5 AddPort": func() (bool, error) {
			return c.AddPort(ctx, s.Ports[0], "", map[string]string{"purpose": "pulse"})
		},
	}
	for _, name := range []string{"1 EnsureBridge", "2 SetFailModeSecure", "3 SetControllerQueueSize", "4 SetFlowTablePrefixes", "5 AddPort"} {
		changed, err := steps[name]()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if changed {
			changes++
		}
	}
	return changes
}

// bridgeState is what an operator would see of the bridge, row identities aside.
func (s *testSwitch) bridgeState() string {
	s.t.Helper()
	return s.vsctl("--columns=name,datapath_type,fail_mode,other_config,external_ids,controller", "list", "Bridge") +
		s.vsctl("--columns=name,tag,external_ids", "list", "Port") +
		s.vsctl("--columns=name,type,external_ids", "list", "Interface") +
		s.vsctl("--columns=prefixes,external_ids", "list", "Flow_Table") +
		s.vsctl("--if-exists", "get", "Bridge", "br0", "flow_tables")
}

func (s *testSwitch) databaseFile() []byte {
	s.t.Helper()
	b, err := os.ReadFile(s.path("conf.db"))
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func planText(t *testing.T, c *Client, s Setup) string {
	t.Helper()
	v, _ := c.View()
	plan, err := v.Plan(s)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, p := range plan {
		if p.Disruptive {
			p.Text = "! " + p.Text
		}
		lines = append(lines, p.Text)
	}
	return strings.Join(lines, "\n")
}

func TestSetUpAndClear(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		before  []string
		changes int
		plan    string
		done    []string
	}{
		{
			name:    "no bridge",
			before:  []string{"show"},
			changes: 4,
			plan: "create bridge br0 with datapath_type=\"netdev\" and fail_mode=secure\n" +
				"set controller-queue-size of bridge br0 from 0 to 512\n" +
				"look up addresses by prefix in tables [2 5 200] of bridge br0\n" +
				"add port dfp-br0 to bridge br0",
			done: []string{"removed bridge br0"},
		},
		{
			name: "somebody's bridge",
			before: []string{"add-br", "br0", "--", "set", "Bridge", "br0", "fail_mode=standalone", "other_config:controller-queue-size=200",
				"other_config:theirs=1", "external_ids:theirs=2", "--", "add-port", "br0", "theirs", "tag=3",
				"--", "--id=@f", "create", "Flow_Table", "prefixes=ipv6_dst,ipv6_src,nw_src", "--", "set", "Bridge", "br0", "flow_tables:5=@f"},
			changes: 4,
			plan: "! set fail_mode of bridge br0 from standalone to secure, which flushes its flows\n" +
				"set controller-queue-size of bridge br0 from 200 to 512\n" +
				"look up addresses by prefix in tables [2 200] of bridge br0\n" +
				"add port dfp-br0 to bridge br0",
			done: []string{"removed port dfp-br0", "removed the prefixes of tables [2 200]", "set fail_mode back to standalone", "set controller-queue-size back to 200"},
		},
		{
			name:    "a bridge with nothing set",
			before:  []string{"add-br", "br0"},
			changes: 4,
			plan: "! set fail_mode of bridge br0 from none to secure, which flushes its flows\n" +
				"set controller-queue-size of bridge br0 from 0 to 512\n" +
				"look up addresses by prefix in tables [2 5 200] of bridge br0\n" +
				"add port dfp-br0 to bridge br0",
			done: []string{"removed port dfp-br0", "removed the prefixes of tables [2 5 200]", "set fail_mode back to none", "set controller-queue-size back to none"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSwitch(t)
			s.vsctl(tt.before...)
			before := s.bridgeState()
			c := s.dial()
			if err := c.Wait(within(t)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.plan, planText(t, c, testSetup)); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			if got := setUp(t, c, testSetup); got != tt.changes {
				t.Errorf("first set-up made %d changes, want %d", got, tt.changes)
			}
			if got := planText(t, c, testSetup); got != "" {
				t.Errorf("planned after the set-up: %s", got)
			}
			after := s.databaseFile()
			if got := setUp(t, c, testSetup); got != 0 {
				t.Errorf("second set-up made %d changes", got)
			}
			if string(after) != string(s.databaseFile()) {
				t.Error("the second set-up wrote to the database")
			}

			done, err := c.Clear(within(t))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.done, done); diff != "" {
				t.Errorf("Clear (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, s.bridgeState()); diff != "" {
				t.Errorf("after Clear the bridge is not as before (-before +after):\n%s", diff)
			}
			if done, err := c.Clear(within(t)); err != nil || len(done) != 0 {
				t.Errorf("second Clear: %v, %v", done, err)
			}
		})
	}
}

func TestSetUpWrites(t *testing.T) {
	t.Parallel()
	s := newSwitch(t)
	c := s.dial()
	setUp(t, c, testSetup)
	for _, tt := range []struct{ args, want string }{
		{"get Bridge br0 fail_mode", "secure"},
		{"get Bridge br0 datapath_type", "netdev"},
		{"get Bridge br0 other_config:controller-queue-size", `"512"`},
		{"get Interface br0 type", "internal"},
		{"get Interface dfp-br0 type", `""`},
		{"get Interface dfp-br0 external_ids", "{damselfly=port, purpose=pulse}"},
		{"get Port dfp-br0 external_ids", "{damselfly=port}"},
		{"list-ports br0", "dfp-br0"},
	} {
		if got := strings.TrimSpace(s.vsctl(strings.Fields(tt.args)...)); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.args, got, tt.want)
		}
	}
	rows := strings.Fields(strings.ReplaceAll(s.vsctl("--bare", "--columns=prefixes", "list", "Flow_Table"), "\n\n", "\n,\n"))
	if got := strings.Split(strings.Join(rows, " "), " , "); !slices.Contains(got, "ipv6_dst ipv6_src nw_src") || !slices.Contains(got, "ipv6_dst nw_dst") || len(got) != 2 {
		t.Errorf("prefixes: got %q", got)
	}
	tables := s.vsctl("get", "Bridge", "br0", "flow_tables")
	for _, key := range []string{"{2=", " 5=", " 200="} {
		if !strings.Contains(tables, key) {
			t.Errorf("flow_tables %s lacks %s", tables, key)
		}
	}
	if v, _ := c.View(); len(v.Interfaces) != 2 || !v.Interfaces[1].Ours || v.Interfaces[0].Ours {
		t.Errorf("the view lags behind our own transaction: %+v", v.Interfaces)
	}
}

func TestPrefixTablesFollow(t *testing.T) {
	t.Parallel()
	s := newSwitch(t)
	s.vsctl("add-br", "br0")
	c := s.dial()
	ctx := within(t)
	for _, tt := range []struct {
		tables map[uint8][]string
		rows   int
	}{
		{map[uint8][]string{1: sourceFields, 2: sourceFields}, 1},
		{map[uint8][]string{2: sourceFields, 3: sourceFields, 4: destinationFields}, 2},
		{map[uint8][]string{2: sourceFields, 3: destinationFields, 4: destinationFields}, 2},
		{map[uint8][]string{9: sourceFields}, 1},
		{map[uint8][]string{}, 0},
	} {
		if changed, err := c.SetFlowTablePrefixes(ctx, tt.tables); err != nil || !changed {
			t.Fatalf("tables %v: %v, %v", tt.tables, changed, err)
		}
		v, _ := c.View()
		if diff := cmp.Diff(tt.tables, v.FlowTablePrefixes); diff != "" {
			t.Errorf("tables %v (-want +got):\n%s", tt.tables, diff)
		}
		if rows := strings.Count(s.vsctl("--columns=_uuid", "list", "Flow_Table"), "_uuid"); rows != tt.rows {
			t.Errorf("tables %v: %d rows, want %d", tt.tables, rows, tt.rows)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := newSwitch(t)
	c := s.dial()
	ctx := within(t)
	missing := func(_ bool, err error) {
		t.Helper()
		if !errors.Is(err, ErrNoBridge) || !strings.Contains(err.Error(), "ovs-vsctl add-br br0") {
			t.Errorf("without a bridge: %v", err)
		}
	}
	missing(c.EnsureBridge(ctx, false, ""))
	missing(c.SetFailModeSecure(ctx))
	missing(c.SetControllerQueueSize(ctx, 512))
	missing(c.SetFlowTablePrefixes(ctx, map[uint8][]string{1: sourceFields}))
	missing(c.AddPort(ctx, "p", "", nil))
	if v, _ := c.View(); v.Exists {
		t.Fatal("a bridge came from nowhere")
	} else if _, err := v.Plan(Setup{}); !errors.Is(err, ErrNoBridge) {
		t.Errorf("plan without a bridge: %v", err)
	}

	s.vsctl("add-br", "br0", "--", "add-port", "br0", "theirs", "--", "add-br", "other", "--", "add-port", "other", "elsewhere",
		"--", "--id=@f", "create", "Flow_Table", "prefixes=ip_dst", "--", "set", "Bridge", "br0", "flow_tables:7=@f")
	waitFor(t, c, "the bridge", func(v View) bool { return v.FlowTablePrefixes[7] != nil })
	before := s.databaseFile()
	foreign := func(_ bool, err error) {
		t.Helper()
		if !errors.Is(err, ErrForeignPort) {
			t.Errorf("somebody's port: %v", err)
		}
	}
	foreign(c.AddPort(ctx, "theirs", "", nil))
	foreign(c.AddPort(ctx, "elsewhere", "", nil))
	foreign(c.DelPort(ctx, "theirs"))
	v, _ := c.View()
	for _, name := range []string{"theirs", "elsewhere"} {
		if _, err := v.Plan(Setup{Ports: []string{name}}); !errors.Is(err, ErrForeignPort) {
			t.Errorf("plan with somebody's port %s: %v", name, err)
		}
	}
	for _, tables := range []map[uint8][]string{{7: sourceFields}, {255: sourceFields}} {
		if _, err := c.SetFlowTablePrefixes(ctx, tables); err == nil {
			t.Errorf("prefixes of tables %v were set", tables)
		}
	}
	if changed, err := c.DelPort(ctx, "nowhere"); changed || err != nil {
		t.Errorf("removing a port that is not there: %v, %v", changed, err)
	}
	if string(before) != string(s.databaseFile()) {
		t.Error("a refusal wrote to the database")
	}
}

func TestPortsComeAndGo(t *testing.T) {
	t.Parallel()
	s := newSwitch(t)
	s.vsctl("add-br", "br0")
	c := s.dial()
	ctx := within(t)
	for _, step := range []struct {
		ifaceType string
		ids       map[string]string
		changed   bool
	}{
		{"internal", map[string]string{"a": "1"}, true},
		{"internal", map[string]string{"a": "1"}, false},
		{"internal", map[string]string{"a": "2"}, true},
		{"", nil, true},
	} {
		if changed, err := c.AddPort(ctx, "mine", step.ifaceType, step.ids); err != nil || changed != step.changed {
			t.Errorf("%+v: %v, %v", step, changed, err)
		}
	}
	if changed, err := c.DelPort(ctx, "mine"); err != nil || !changed {
		t.Errorf("DelPort: %v, %v", changed, err)
	}
	if got := s.vsctl("list-ports", "br0"); got != "" {
		t.Errorf("ports left: %s", got)
	}
}

// Whoever changed a setting after us keeps it; a bridge of ours with somebody's
// port on it stays.
func TestClearLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	s := newSwitch(t)
	c := s.dial()
	setUp(t, c, testSetup)
	s.vsctl("add-port", "br0", "theirs", "--", "set", "Bridge", "br0", "other_config:controller-queue-size=77")
	waitFor(t, c, "their change", func(v View) bool { return v.ControllerQueueSize == 77 })
	done, err := c.Clear(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"removed port dfp-br0", "removed the prefixes of tables [2 5 200]"}, done); diff != "" {
		t.Errorf("Clear (-want +got):\n%s", diff)
	}
	if got := strings.TrimSpace(s.vsctl("get", "Bridge", "br0", "other_config:controller-queue-size")); got != `"77"` {
		t.Errorf("their queue size became %s", got)
	}
	s.vsctl("del-port", "theirs")
	waitFor(t, c, "their port left", func(v View) bool { return len(v.Interfaces) == 1 })
	if done, err := c.Clear(within(t)); err != nil || len(done) != 1 {
		t.Errorf("second Clear should remove the bridge: %v, %v", done, err)
	}
	if got := s.vsctl("list-br"); got != "" {
		t.Errorf("bridges left: %s", got)
	}
}

func TestQueueSizeRemembersTheFirstValue(t *testing.T) {
	t.Parallel()
	s := newSwitch(t)
	s.vsctl("add-br", "br0", "--", "set", "Bridge", "br0", "other_config:controller-queue-size=200")
	c := s.dial()
	for _, n := range []int{400, 512} {
		if _, err := c.SetControllerQueueSize(within(t), n); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.SetControllerQueueSize(within(t), 513); err == nil {
		t.Error("513 was taken")
	}
	if _, err := c.Clear(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(s.vsctl("get", "Bridge", "br0", "other_config:controller-queue-size")); got != `"200"` {
		t.Errorf("after Clear the queue size is %s, want the first one, 200", got)
	}
}

func TestWriteWithoutServer(t *testing.T) {
	t.Parallel()
	s := newSwitch(t)
	c := s.dial()
	if err := c.Wait(within(t)); err != nil {
		t.Fatal(err)
	}
	s.KillOVSDB()
	waitFor(t, c, "cut off", func(v View) bool { return !v.Connected })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.SetFailModeSecure(ctx); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "cannot be used") {
		t.Errorf("without a server: %v", err)
	}
	c.Close()
	if _, err := c.SetFailModeSecure(t.Context()); err == nil {
		t.Error("a closed client wrote")
	}
}
