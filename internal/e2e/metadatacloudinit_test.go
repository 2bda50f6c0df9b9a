package e2e

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"damselfly/internal/lab"
)

// cloudInit is where .ci/setup unpacked Debian's package.
func cloudInit(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(cache, "damselfly", "cloud-init")
	if _, err := os.Stat(filepath.Join(dir, "usr/lib/python3/dist-packages/cloudinit")); err != nil {
		t.Skipf("cloud-init is not unpacked; .ci/setup does that: %v", err)
	}
	return dir
}

const cloudInitTopology = `
networks:
  - name: blue
    metadata: {}
    subnets: [{prefix: "fd00:b1::/64", dns: ["2001:db8::53"]}]
routers:
  - {name: r1, networks: [blue]}
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11", addresses: [192.0.2.11], metadata: {instance_id: i-1, hostname: one, user_data: one.yaml, ssh_keys: ["ssh-ed25519 AAAA me@here"]}}
`

// TestCloudInit has cloud-init find its data as EC2's and as OpenStack's source do,
// each with the settings below: a list of sources, and what firmware tells. None
// names a URL.
func TestCloudInit(t *testing.T) {
	t.Parallel()
	unpacked := cloudInit(t)
	for _, c := range []struct {
		name, settings, product, serial string
		ipv4, ndExt                     bool
		want                            []string
	}{
		// Over IPv6 alone, with fd00:ec2::254, by the default route of the router.
		{"ec2", "datasource_list: [Ec2]", "", "", false, false, []string{"DataSourceEc2"}},
		// With the session tokens of EC2's own machines.
		{"ec2-tokens", "datasource_list: [Ec2]", "", "ec2a0000-0000-4000-8000-000000000001", false, true, []string{"DataSourceEc2", "Fetching Ec2 IMDSv2 API Token"}},
		// This source of Debian 12 knows the address of IPv4 alone.
		{"openstack", "datasource_list: [OpenStack]", "OpenStack Nova", "", true, true, []string{"DataSourceOpenStack"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, c.ndExt, cloudInitTopology)
			if err := os.WriteFile(filepath.Join(s.RunDir, "one.yaml"), []byte("#cloud-config\ntimezone: Etc/UTC\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			serve(t, s)
			o := quick("vm1", "02:00:00:00:00:11")
			if c.ipv4 {
				o.Addresses = []netip.Prefix{netip.MustParsePrefix("192.0.2.11/24")}
			}
			vm1 := addGuest(t, s, o)
			waitAddr(t, vm1, "fd00:b1::/64")
			if c.ipv4 {
				if _, err := vm1.Run("ip", "route", "add", "169.254.169.254", "dev", "eth0"); err != nil {
					t.Fatal(err)
				}
			}
			lab.WaitFor(t, patience, "the default route", func() error { _, err := fetch(vm1, serviceFar, "/latest/meta-data/instance-id"); return err })
			settings := c.settings + "\nnetwork: {config: disabled}\ncloud_init_modules: [set_hostname]"
			out, err := vm1.Run("unshare", "--mount", "--uts", "--propagation", "private", "sh", "testdata/cloudinit.sh", unpacked, t.TempDir(), settings, c.product, c.serial)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range append(c.want, "instance-id i-1\n", "hostname one\n", "user-data #cloud-config\ntimezone: Etc/UTC\n") {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
			t.Logf("settings: %s; firmware says product %q, serial and UUID %q\n%s", c.settings, c.product, c.serial, out)
		})
	}
}
