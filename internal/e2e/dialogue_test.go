package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/internal/config"
	"damselfly/internal/lab"
	"damselfly/internal/replay"
)

// spoken is one message of a dialogue, as insomniacslk/dhcp reads it.
type spoken struct {
	client bool // said by the client's side
	whole  dhcpv6.DHCPv6
	inner  *dhcpv6.Message // what relays wrapped, else whole
}

// dialogue is what a client and Damselfly said to each other, in order.
type dialogue []spoken

// answered is a message and what answered it.
type answered struct{ asked, reply spoken }

// hear adds the message of a frame, if it has one.
func (d dialogue) hear(t *testing.T, frame []byte, client bool) dialogue {
	t.Helper()
	if dhcpv6Type(frame) == 0 {
		return d
	}
	m, err := dhcpv6.FromBytes(frame[dhcpv6Start:])
	if err != nil {
		t.Fatalf("%v: % x", err, frame)
	}
	inner, err := m.GetInnerMessage()
	if err != nil {
		t.Fatal(err)
	}
	return append(d, spoken{client, m, inner})
}

// dialogueAt is what was captured at a guest.
func dialogueAt(t *testing.T, frames []lab.Frame) (d dialogue) {
	t.Helper()
	for _, f := range frames {
		d = d.hear(t, f.Data, f.Sent)
	}
	return d
}

// dialogueOf replays a capture.
func dialogueOf(t *testing.T, name string) (d dialogue) {
	t.Helper()
	file := filepath.Join(captureFolder, name+".pcap")
	cfg, err := config.Load(filepath.Join(filepath.Dir(file), "damselfly.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	verdicts, err := replay.Run(cfg.Topology, bytes.NewReader(in), &out)
	if err != nil {
		t.Fatal(err)
	}
	sent, replies := pcapFrames(t, in), pcapFrames(t, out.Bytes())
	for i, v := range verdicts {
		d = d.hear(t, sent[i], v.Port != "")
		for _, r := range replies[:v.Replies] {
			d = d.hear(t, r, false)
		}
		replies = replies[v.Replies:]
	}
	return d
}

// pcapFrames are those of a pcap capture.
func pcapFrames(t *testing.T, capture []byte) (out [][]byte) {
	t.Helper()
	r, err := pcapgo.NewReader(bytes.NewReader(capture))
	if err != nil {
		t.Fatal(err)
	}
	for p := range gopacket.NewPacketSource(r, layers.LinkTypeEthernet).Packets() {
		out = append(out, p.Data())
	}
	return out
}

// answers are the client's messages of a type, relayed or not, that were
// answered, each with its first answer.
func (d dialogue) answers(typ dhcpv6.MessageType) (list []answered) {
	for i, q := range d {
		if !q.client || q.inner.MessageType != typ {
			continue
		}
		for _, a := range d[i+1:] {
			if !a.client && a.inner.TransactionID == q.inner.TransactionID && a.inner.MessageType != q.inner.MessageType {
				list = append(list, answered{q, a})
				break
			}
		}
	}
	return list
}

// judge holds a dialogue against the rows of the table that have this capture.
func judge(t *testing.T, capture string, frames []lab.Frame) {
	t.Helper()
	d := dialogueAt(t, frames)
	found := false
	for _, r := range dhcpv6Rows {
		if r.capture != capture {
			continue
		}
		found = true
		if err := r.check(d); err != nil {
			t.Errorf("%s, %s: %v", r.what, r.client, err)
		}
	}
	if !found {
		t.Errorf("no row of the table is about %s", capture)
	}
}
