package e2e

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/internal/lab"
)

// crowd is a network with room for the simulated clients behind vm1.
const crowd = `
limits: {dhcpv6: 50000/50000}
networks:
  - name: blue
    mtu: 1442
    subnets:
      - {prefix: "fd00:d1::/64", mode: dhcpv6-stateful, pools: ["fd00:d1::1:0:0:0-fd00:d1::1:ffff:ffff:ffff"], preferred: 3600s, valid: 7200s}
routers: [{name: r1, networks: [blue]}]
ports:
  - {name: vm1, network: blue, mac: "02:00:00:00:00:11", limits: {leases: none}}
`

// acked is what clients saw acknowledged: who got an address in a Reply, by the
// address.
type acked map[string]string

// note adds what the Replies of a capture gave; an address that two clients were
// given fails the test.
func (a acked) note(t *testing.T, c *lab.Capture) {
	t.Helper()
	for _, f := range c.Frames() {
		if f.Sent || dhcpv6Type(f.Data) != typeReply {
			continue
		}
		m, err := dhcpv6.MessageFromBytes(f.Data[dhcpv6Start:])
		if err != nil {
			t.Fatal(err)
		}
		address := addressIn(m)
		if !address.IsValid() {
			continue
		}
		who := fmt.Sprintf("%s/%x", hex.EncodeToString(m.Options.ClientID().ToBytes()), m.Options.OneIANA().IaId)
		if was, ok := a[address.String()]; ok && was != who {
			t.Errorf("%s was given to %s and to %s", address, was, who)
		}
		a[address.String()] = who
	}
}

// TestDHCPv6Kill ends Damselfly with SIGKILL at random moments under load: what a
// client saw acknowledged is there after the restart, and nothing is given twice.
func TestDHCPv6Kill(t *testing.T) {
	t.Parallel()
	needs(t, "perfdhcp")
	rounds := 3
	if os.Getenv("DAMSELFLY_SOAK") != "" {
		rounds = 50
	}
	s := newStage(t, true, crowd)
	d := serve(t, s)
	vm1 := addGuest(t, s, lab.GuestOptions{Name: "vm1", MAC: "02:00:00:00:00:11"})
	linkReady(t, vm1)
	all := acked{}
	for round := range rounds {
		seen, err := vm1.Capture("", func(frame []byte) bool { return dhcpv6Type(frame) == typeReply })
		if err != nil {
			t.Fatal(err)
		}
		load := vm1.Command("perfdhcp", "-6", "-l", "eth0", "-r", "500", "-R", "100000", "-p", "60", "-g", "single",
			"-b", fmt.Sprintf("mac=02:ee:%02x:00:00:00", round), "all")
		done := startLoad(t, load)
		waitMessage(t, seen, typeReply, 0)
		after := rand.N(600 * time.Millisecond)
		time.Sleep(after) // the moment of death
		if err := d.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = load.Process.Kill()
		<-done
		if err := seen.Stop(); err != nil {
			t.Fatal(err)
		}
		before := len(all)
		all.note(t, seen)
		d = serve(t, s)
		listed := map[string]string{}
		for _, l := range leasesOf(t, d) {
			listed[l.Prefix] = fmt.Sprintf("%s/%08x", l.DUID, l.IAID)
		}
		missing := 0
		for address, who := range all {
			if listed[address] != who {
				missing++
			}
		}
		if missing > 0 {
			t.Errorf("round %d, killed %v after the first Reply: %d of %d acknowledged leases are gone", round, after, missing, len(all))
		}
		t.Logf("round %d: killed after %v, %d new acknowledged leases, %d listed", round, after, len(all)-before, len(listed))
	}
}

// startLoad starts a command and gives a channel that its end closes.
func startLoad(t *testing.T, cmd *exec.Cmd) <-chan struct{} {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
	})
	return done
}
