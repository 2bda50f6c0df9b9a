package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"damselfly/fixtures"
	"damselfly/internal/lab"
)

const (
	novaSecret   = "meiquoh2Ohs6ne"
	novaTopology = `
limits: {metadata: none}
networks:
  - name: blue
    metadata: {upstream: "http://127.0.0.1:8775", secret_file: secret}
    subnets: [{prefix: "fd00:b1::/64"}]
routers:
  - {name: r1, networks: [blue]}
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11", addresses: [192.0.2.11], project: p1, metadata: {instance_id: i-1}}
`
)

// notTheirs are headers that no guest may say to Nova.
var notTheirs = []string{
	"X-Instance-ID", "X-Instance-ID-Signature", "X-Tenant-ID", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port",
	"X-Metadata-Provider", "X-Metadata-Provider-Signature", "X-Neutron-Network-ID", "X-Neutron-Router-ID", "Forwarded", "X-Real-IP",
	"Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "TE", "Trailer",
}

// TestMetadataNova has a guest say everything to Nova's metadata API that is not its
// to say: the API, which verifies as Nova does, hears who the guest is and nothing of
// the rest.
func TestMetadataNova(t *testing.T) {
	t.Parallel()
	s := newStage(t, false, novaTopology)
	if err := os.WriteFile(filepath.Join(s.RunDir, "secret"), []byte(novaSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var l net.Listener
	if err := s.Within(func() (err error) { l, err = net.Listen("tcp", "127.0.0.1:8775"); return err }); err != nil {
		t.Fatal(err)
	}
	nova := &http.Server{Handler: fixtures.Nova(novaSecret), ReadHeaderTimeout: time.Minute}
	go func() { _ = nova.Serve(l) }()
	t.Cleanup(func() { _ = nova.Close() })
	serve(t, s)
	o := quick("vm1", mac1)
	o.Addresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.11/24")}
	vm1 := addGuest(t, s, o)
	waitAddr(t, vm1, "fd00:b1::/64")
	if _, err := vm1.Run("ip", "route", "add", "169.254.169.254", "dev", "eth0"); err != nil {
		t.Fatal(err)
	}
	const path = "/openstack/latest/meta_data.json"
	// By number: net keeps for a minute which name is which number, for whatever
	// namespace it looked in.
	linkLocal := fmt.Sprintf("[fe80::a9fe:a9fe%%%d]:80", indexOf(t, vm1))
	for from, to := range map[string]string{"fe80::ff:fe00:11": linkLocal, "fd00:b1::ff:fe00:11": "[fd00:ec2::254]:80", "192.0.2.11": "169.254.169.254:80"} {
		// Once it is answered at all, each way to say them is tried.
		lab.WaitFor(t, patience, "Nova by "+to, func() error { _, err := says(vm1, to, path, ""); return err })
		want := fmt.Sprintf("200 GET %s id=i-1 tenant=p1 for=%s body=\nmine=ours trailers=map[] te=[]\n", path, from)
		tried := 0
		for how, lines := range forgeries() {
			got, err := says(vm1, to, path, lines)
			if err != nil || got != want {
				t.Errorf("to %s, %s: got %v\n%swant\n%s", to, how, err, got, want)
			}
			tried++
		}
		t.Logf("to %s: %d requests with what is not the guest's to say; Nova heard for=%s", to, tried, from)
	}
}

// forgeries are lines of headers by how they are written.
func forgeries() map[string]string {
	out := map[string]string{}
	for _, name := range notTheirs {
		for how, written := range map[string]string{
			"as it is": name, "lower": strings.ToLower(name), "upper": strings.ToUpper(name),
			"underscores": strings.ReplaceAll(name, "-", "_"), "the first an underscore": strings.Replace(name, "-", "_", 1),
		} {
			line := written + ": forged\r\n"
			out[name+" "+how] = line
			out[name+" twice "+how] = line + line
			// What Connection names goes no further than the next hop (RFC 9110 section
			// 7.6.1): it must not take Damselfly's own away.
			out[name+" named by Connection "+how] = "Connection: " + written + "\r\n" + line
		}
	}
	out["all of Damselfly's named by Connection"] = "Connection: X-Instance-ID, x-tenant-id,X-INSTANCE-ID-SIGNATURE , X-Forwarded-For, close\r\n"
	return out
}

// says has a guest make a request with lines of headers of its own, and returns the
// status and the answer.
func says(g *lab.Guest, to, path, lines string) (answer string, err error) {
	err = g.Within(func() error {
		c, err := net.DialTimeout("tcp", to, 5*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: metadata\r\nX-Mine: ours\r\n"+lines+"\r\n"); err != nil {
			return err
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		answer = fmt.Sprintf("%d %s", resp.StatusCode, body)
		return err
	})
	return answer, err
}
