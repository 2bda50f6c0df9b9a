package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"damselfly/internal/lab"
	"damselfly/internal/stage"
)

// metadataTopology has two networks with the metadata service, whose guests have
// the same MACs and so the same link-local addresses, and one without.
const metadataTopology = `
networks:
  - name: blue
    metadata: {}
    subnets: [{prefix: "fd00:b1::/64"}]
  - name: red
    metadata: {}
  - name: bare
    subnets: [{prefix: "fd00:ba::/64"}]
routers:
  - {name: r1, networks: [blue]}
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11", addresses: [192.0.2.11], project: p1, metadata: {hostname: one}}
  - {name: vm2, network: red, mac: "02:00:00:00:00:11", addresses: [192.0.2.11], metadata: {instance_id: i-2, hostname: two}}
  - {name: vm3, network: blue, mac: "02:00:00:00:00:13"}
  - {name: vm4, network: bare, mac: "02:00:00:00:00:14", metadata: {}}
`

const serviceURL = "http://[fe80::a9fe:a9fe%25eth0]"

// fetch has a guest read a path of the metadata service.
func fetch(g *lab.Guest, base, path string, flags ...string) (string, error) {
	args := append([]string{"-gsS", "--fail-with-body", "-m", "5"}, flags...)
	return g.Run("curl", append(args, base+path)...)
}

// metadataPlay is a stage with the guests of metadataTopology.
func metadataPlay(t *testing.T, ndExt bool) (s *stage.Stage, d *stage.Daemon, guests map[string]*lab.Guest) {
	t.Helper()
	s = newStage(t, ndExt, metadataTopology)
	d = serve(t, s)
	guests = map[string]*lab.Guest{}
	for i, mac := range []string{"11", "11", "13", "14"} {
		name := fmt.Sprintf("vm%d", i+1)
		o := lab.GuestOptions{Name: name, MAC: "02:00:00:00:00:" + mac}
		if i < 2 {
			o.Addresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.11/24")}
		}
		guests[name] = addGuest(t, s, o)
	}
	return s, d, guests
}

// TestMetadata has guests ask who they are, by every address of the service.
func TestMetadata(t *testing.T) {
	twice(t, func(t *testing.T, ndExt bool) {
		_, _, guests := metadataPlay(t, ndExt)
		vm1 := guests["vm1"]
		lab.WaitFor(t, patience, "vm1 to hear who it is", func() error {
			out, err := fetch(vm1, serviceURL, "/latest/meta-data/hostname")
			if err == nil && strings.TrimSpace(out) != "one" {
				err = fmt.Errorf("it is %q", out)
			}
			return err
		})
	})
}
