package metadata

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

var update = flag.Bool("update", false, "rewrite testdata")

// TestTrees reads everything there is for vm1 by following the listings, as
// clients do, and compares with testdata/trees.txt.
func TestTrees(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *topology.Spec) { s.Limits = topology.Limits{punt.Metadata: topology.Unlimited} })
	var out strings.Builder
	var walk func(path string)
	walk = func(path string) {
		status, body := w.get("vm1", path)
		fmt.Fprintf(&out, "== %d %s\n%s\n", status, path, body)
		if !strings.HasSuffix(path, "/") {
			return
		}
		for name := range strings.SplitSeq(body, "\n") {
			if index, _, isKey := strings.Cut(name, "="); isKey {
				name = index + "/"
			}
			walk(path + name)
		}
	}
	for _, path := range []string{"/", "/2009-04-04/", "/openstack", "/openstack/latest/"} {
		if strings.HasSuffix(path, "/") && path != "/" {
			walk(path)
			continue
		}
		status, body := w.get("vm1", path)
		fmt.Fprintf(&out, "== %d %s\n%s\n", status, path, body)
	}
	if *update {
		if err := os.WriteFile("testdata/trees.txt", []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/trees.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("trees (-want +got):\n%s", diff)
	}
	for path, want := range map[string]int{
		"/latest/meta-data": 200, "/latest/meta-data/nothing": 404, "/latest/meta-data/instance-id/more": 404, "/1999-01-01/": 404,
		"/latest/meta-data/public-keys/0/openssh-key/x": 404, "/latest/meta-data/public-keys/2/": 404, "/openstack/latest/etc": 404, "/latest/api": 404,
	} {
		if status, body := w.get("vm1", path); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _ := w.get("vm2", "/latest/user-data"); status != 404 {
		t.Errorf("user data that is none: %d", status)
	}
}

// TestTokens: a token is the port's that put it, for as long as it asked for.
func TestTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	now := time.Unix(1000, 0)
	w.Server.now = func() time.Time { return now }
	put := func(port, header string) (int, string) {
		resp, body := w.raw(w.caller(port, "fe80::1"), "PUT /latest/api/token HTTP/1.1\r\nHost: x\r\n"+header+"\r\n")
		return resp.StatusCode, body
	}
	for _, bad := range []string{"", "X-aws-ec2-metadata-token-ttl-seconds: 0\r\n", "X-aws-ec2-metadata-token-ttl-seconds: 21601\r\n", "X-aws-ec2-metadata-token-ttl-seconds: x\r\n"} {
		if status, _ := put("vm1", bad); status != 400 {
			t.Errorf("%q: %d", bad, status)
		}
	}
	status, token := put("vm1", "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n")
	if status != 200 || token == "" {
		t.Fatalf("%d %q", status, token)
	}
	if status, _ := w.get("vm1", "/latest/api/token"); status != 405 {
		t.Errorf("a token that is got: %d", status)
	}
	header := "X-aws-ec2-metadata-token: " + token
	for _, c := range []struct {
		name, port, header string
		after              time.Duration
		want               int
	}{
		{"its own", "vm1", header, 0, 200},
		{"none", "vm1", "X-A: b", 0, 200},
		{"another's", "vm2", header, 0, 401},
		{"made up", "vm1", header + "A", 0, 401},
		{"cut", "vm1", header[:len(header)-4], 0, 401},
		{"still", "vm1", header, 59 * time.Second, 200},
		{"ended", "vm1", header, time.Second, 401},
	} {
		now = now.Add(c.after)
		if status, body := w.get(c.port, "/latest/meta-data/instance-id", c.header); status != c.want {
			t.Errorf("%s: %d %s", c.name, status, body)
		}
	}
	if status, _ := w.get("vm1", "/openstack/latest/meta_data.json", header+"A"); status != 200 {
		t.Errorf("OpenStack knows no tokens: %d", status)
	}
}
