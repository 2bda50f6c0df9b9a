package main

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damselfly/fixtures"
	"damselfly/internal/agent"
	"damselfly/internal/config"
)

// write makes a file in a folder of the test's.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRun: what each command line ends with and says, where no switch is needed.
func TestRun(t *testing.T) {
	t.Parallel()
	good := write(t, "good.yaml", config.Minimal)
	bad := write(t, "bad.yaml", "bridge: br\nports: [{name: vm1, network: none}]\nroutrs: []\n")
	silent := write(t, "silent.yaml", "bridge: br\napi: \"\"\n")
	gone := filepath.Join(t.TempDir(), "gone.yaml")
	noSocket := "unix:" + filepath.Join(t.TempDir(), "db.sock")
	for _, c := range []struct {
		name string
		args []string
		code int
		out  []string // in what was printed
		err  []string // in what was complained of
	}{
		{"help", []string{"--help"}, 0, []string{"run", "check", "plan", "replay", "explain", "status", "leases", "clear", "--json", "--log-level"}, nil},
		{"a command's help", []string{"run", "--help"}, 0, []string{"--take-over", "--capture", "--ovsdb"}, nil},
		{"nothing", nil, 2, nil, []string{"damselfly: ", "--help"}},
		{"no such command", []string{"walk"}, 2, nil, []string{"walk", "--help"}},
		{"no such flag", []string{"check", "-c", good, "--fast"}, 2, nil, []string{"--fast"}},
		{"no such level", []string{"check", "-c", good, "--log-level", "loud"}, 2, nil, []string{"log-level"}},
		{"no configuration", []string{"check"}, 2, nil, []string{"--config"}},
		{"check", []string{"check", "-c", good}, 0, []string{good + ": valid: bridge "}, nil},
		{"check mistakes", []string{"check", "-c", bad}, 1, []string{bad + ":2:", bad + ":3:1: routrs", "routers"}, nil},
		{"check nothing", []string{"check", "-c", gone}, 1, []string{gone}, nil},
		{"run mistakes", []string{"run", "-c", bad}, 1, nil, []string{bad + ":2:"}},
		{"plan mistakes", []string{"plan", "-c", bad}, 1, nil, []string{bad + ":2:"}},
		{"clear mistakes", []string{"clear", "-c", bad}, 1, nil, []string{bad + ":2:"}},
		{"no such database form", []string{"plan", "-c", good, "--ovsdb", "ftp:x"}, 1, nil, []string{"ftp:x"}},
		{"replay nothing", []string{"replay", "-c", good, gone, gone}, 1, nil, []string{gone}},
		{"replay no capture", []string{"replay", "-c", good, good, filepath.Join(t.TempDir(), "out")}, 1, nil, []string{good}},
		{"explain mistakes", []string{"explain", "-c", bad, "--port", "vm1", "00"}, 1, nil, []string{bad + ":2:"}},
		{"explain without a port", []string{"explain", "-c", good, "00"}, 2, nil, []string{"--port", "--help"}},
		{"explain no frame", []string{"explain", "-c", good, "--port", "vm1", "walk"}, 1, nil, []string{"walk is no file", "hexadecimal"}},
		{"explain half a frame", []string{"explain", "-c", good, "--port", "vm1", "33 33", "00:00"}, 1, nil, []string{"4 octets", "tcpdump -xx"}},
		{"explain no capture", []string{"explain", "-c", good, "--port", "vm1", good}, 1, nil, []string{good, "no pcap or pcapng capture"}},
		{"status of nobody", []string{"status", "--api", "127.0.0.1:1"}, 1, nil, []string{"no damselfly answers at 127.0.0.1:1"}},
		{"leases of nobody", []string{"leases", "--api", "127.0.0.1:1"}, 1, nil, []string{"no damselfly answers at 127.0.0.1:1"}},
		{"release all", []string{"leases", "-c", good, "--release"}, 1, nil, []string{"--release", "--port"}},
		{"release nowhere", []string{"leases", "--release", "--port", "vm1"}, 1, nil, []string{"-c FILE"}},
		{"status turned off", []string{"status", "-c", silent}, 1, nil, []string{"turned off"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out, complaint bytes.Buffer
			if code := run(c.args, &out, &complaint); code != c.code {
				t.Errorf("exit %d, want %d\n%s%s", code, c.code, &out, &complaint)
			}
			for _, w := range c.out {
				if !strings.Contains(out.String(), w) {
					t.Errorf("%q was not printed:\n%s", w, &out)
				}
			}
			for _, w := range c.err {
				if !strings.Contains(complaint.String(), w) {
					t.Errorf("%q was not said:\n%s", w, &complaint)
				}
			}
			if c.err == nil && complaint.Len() > 0 {
				t.Errorf("complained: %s", &complaint)
			}
		})
	}
	t.Run("a database that is not there", func(t *testing.T) {
		t.Parallel()
		if testing.Short() {
			t.Skip("the command waits some seconds for the database; run without -short")
		}
		var out, complaint bytes.Buffer
		if code := run([]string{"plan", "-c", good, "--ovsdb", noSocket}, &out, &complaint); code != 1 ||
			!strings.Contains(complaint.String(), "is Open vSwitch running") {
			t.Errorf("exit %d\n%s", code, &complaint)
		}
	})
}

// TestCheckJSON: a program reads the mistakes.
func TestCheckJSON(t *testing.T) {
	t.Parallel()
	bad := write(t, "bad.yaml", "bridge: br\nroutrs: []\n")
	var out, complaint bytes.Buffer
	if code := run([]string{"check", "--json", "-c", bad}, &out, &complaint); code != 1 || complaint.Len() > 0 {
		t.Errorf("exit %d, %s", code, &complaint)
	}
	var got struct {
		Valid    bool
		Mistakes config.Mistakes
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Valid || len(got.Mistakes) != 1 || got.Mistakes[0].File != bad || got.Mistakes[0].Line != 2 || got.Mistakes[0].Path != "routrs" {
		t.Errorf("%s", &out)
	}
}

// TestCheckDates: a certificate that hosts do not take any more is a mistake.
func TestCheckDates(t *testing.T) {
	t.Parallel()
	block, _ := pem.Decode(fixtures.RouterKey)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	of := func(until time.Time) string {
		c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: until.AddDate(-1, 0, 0), NotAfter: until}
		der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		return write(t, "router.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	}
	for _, tt := range []struct {
		until time.Time
		code  int
		want  string
	}{
		{time.Now().Add(time.Hour), 0, "valid: bridge br"},
		{time.Date(2020, 1, 2, 3, 4, 0, 0, time.UTC), 1, "damselfly.yaml:4:16: networks[0].send.certificate: of network blue: its certificates were valid until 2020-01-02 03:04 UTC: hosts"},
	} {
		file := write(t, "damselfly.yaml", fmt.Sprintf(`
bridge: br
networks: [{name: blue, subnets: [{prefix: "fd00:b1::/64"}], send: {mode: prefer, key: %s,
  certificate: %s}}]
routers: [{name: r1, networks: [blue]}]
`, write(t, "router.key", string(fixtures.RouterKey)), of(tt.until)))
		var out, complaint bytes.Buffer
		if code := run([]string{"check", "-c", file}, &out, &complaint); code != tt.code || !strings.Contains(out.String(), tt.want) {
			t.Errorf("until %v: exit %d, %s%s", tt.until, code, &out, &complaint)
		}
	}
}

// TestStatus asks a server in the place of a running damselfly.
func TestStatus(t *testing.T) {
	t.Parallel()
	want := agent.Status{Bridge: "br-dfly", Connected: true, FlowsWanted: 7, FlowsInstalled: 7}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status" {
			http.NotFound(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(want)
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	var text, document bytes.Buffer
	if code := run([]string{"status", "--api", address}, &text, &text); code != 0 || !strings.Contains(text.String(), "bridge br-dfly: connected") {
		t.Errorf("exit %d\n%s", code, &text)
	}
	var got agent.Status
	if code := run([]string{"status", "--json", "--api", address}, &document, &document); code != 0 {
		t.Errorf("exit %d", code)
	}
	if err := json.Unmarshal(document.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestStatusOfAnother: other programs at the address are told apart.
func TestStatusOfAnother(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"not found": http.NotFound,
		"no JSON":   func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) },
	} {
		server := httptest.NewServer(handler)
		var out, complaint bytes.Buffer
		code := run([]string{"status", "--api", strings.TrimPrefix(server.URL, "http://")}, &out, &complaint)
		if code != 1 || !strings.Contains(complaint.String(), "another program listens there") {
			t.Errorf("%s: exit %d\n%s", name, code, &complaint)
		}
		server.Close()
	}
}
