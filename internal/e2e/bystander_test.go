package e2e

import (
	octets "encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"damselfly/bench/loadgen"
	"damselfly/internal/lab"
)

// bystanderAddresses is how many addresses each bystander asks from, in turn.
const bystanderAddresses = 32

// bystanderAddress is the i-th of vm n.
func bystanderAddress(n, i int) string { return fmt.Sprintf("fd00:b1::%d:%x", n, i+1) }

// What bystanders ask, in the order of a tally.
var questions = [...]string{"NS", "RS", "SOLICIT", "connections"}

const (
	questionNS = iota
	questionRS
	questionSolicit
	// questionData is a connection that the bystander begins: its first packet
	// is answered by the test, and the answer comes only by what the switch
	// remembers of it.
	questionData
)

// bystander is a guest that asks while others flood. What it sent and got is
// read from its capture, with the kernel's times.
type bystander struct {
	number   int
	mac      string
	guest    *lab.Guest
	capture  *lab.Capture
	seen     int // frames of the capture that were read before
	answered int // frames of the capture that were looked at for connections to answer
	asked    int // rounds
}

func newBystander(t *testing.T, number int, g *lab.Guest) *bystander {
	t.Helper()
	b := &bystander{number: number, mac: g.MAC.String(), guest: g}
	b.capture = watch(t, g, func(f []byte) bool { return b.question(f) >= 0 })
	if err := b.capture.Without(hardware(t, mac1), hardware(t, mac4)); err != nil {
		t.Fatal(err)
	}
	return b
}

// question tells what a frame asks or answers, -1 for nothing of ours.
func (b *bystander) question(f []byte) int {
	switch {
	case len(f) < 66 || f[12] != 0x86 || f[13] != 0xdd:
		return -1
	case f[20] == 58 && (f[54] == layers.ICMPv6TypeNeighborSolicitation && f[6+5] == byte(0x10+b.number) || f[54] == layers.ICMPv6TypeNeighborAdvertisement):
		return questionNS
	case f[20] == 58 && (f[54] == layers.ICMPv6TypeRouterSolicitation || f[54] == layers.ICMPv6TypeRouterAdvertisement && f[38] == 0xfd):
		return questionRS
	case f[20] == 17 && (f[57] == 546&0xff || f[57] == 547&0xff) && f[56] == 2:
		return questionSolicit
	case f[20] == 17 && f[54] == 0x20 && f[56] == 0x21 || f[20] == 17 && f[54] == 0x21 && f[56] == 0x20:
		return questionData
	}
	return -1
}

// key is the same of a question and its answer.
func (b *bystander) key(kind int, f lab.Frame) string {
	own, port := f.Data[38:54], f.Data[56:58]
	if f.Sent {
		own, port = f.Data[22:38], f.Data[54:56]
	}
	switch kind {
	case questionSolicit:
		return "solicit" + string(f.Data[63:66]) // the transaction
	case questionData:
		return "data" + string(port)
	}
	return questions[kind] + string(own)
}

// ask has all bystanders ask for a while and returns what became of it. Each
// asks 50 times a second for a neighbour or the router's address, and 10 times
// for routers, for DHCPv6 servers and over a new connection. now and then is
// called meanwhile.
func (o *ordeal) ask(t *testing.T, span time.Duration, nowAndThen func()) tally {
	t.Helper()
	for _, b := range o.bystanders {
		b.seen = len(b.capture.Frames())
	}
	stop := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for nowAndThen != nil {
			select {
			case <-stop:
				return
			case <-time.After(300 * time.Millisecond):
				nowAndThen()
			}
		}
	}()
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for began := time.Now(); time.Since(began) < span; <-pace.C {
		for i, b := range o.bystanders {
			b.answer(t)
			b.round(t, o.bystanders[1-i])
		}
	}
	close(stop)
	<-watched
	return o.settle(t)
}

// settle waits until every question has its answer, and no longer than it takes
// to say that the others are lost.
func (o *ordeal) settle(t *testing.T) (sum tally) {
	for deadline := time.Now().Add(3 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		sum = tally{}
		for _, b := range o.bystanders {
			b.answer(t)
			b.tell(&sum)
		}
		if sum.lost() == 0 || time.Now().After(deadline) {
			return sum
		}
	}
}

// round is what is asked in 20 ms.
func (b *bystander) round(t *testing.T, other *bystander) {
	n := b.asked
	b.asked++
	from := bystanderAddress(b.number, n%bystanderAddresses)
	link := layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: hardware(t, b.mac)}}
	targets := []string{"fd00:b1::1", bystanderAddress(other.number, 1), bystanderAddress(other.number, 2)}
	target := netip.MustParseAddr(targets[n%len(targets)]).As16()
	options := link
	if n%len(targets) == 2 {
		// With a nonce (RFC 3971 section 5.3.2) no flow answers.
		options = append(options, layers.ICMPv6Option{Type: 14, Data: []byte{1, 2, 3, 4, 5, byte(n)}})
	}
	group, mac := netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: target[13], 14: target[14], 15: target[15]}), fmt.Sprintf("33:33:ff:%02x:%02x:%02x", target[13], target[14], target[15])
	inject(t, b.guest, icmp6Frame(t, b.mac, mac, from, group.String(), layers.ICMPv6TypeNeighborSolicitation,
		&layers.ICMPv6NeighborSolicitation{TargetAddress: target[:], Options: options}))
	switch n % 5 {
	case 0:
		inject(t, b.guest, icmp6Frame(t, b.mac, "33:33:00:00:00:02", from, "ff02::2", layers.ICMPv6TypeRouterSolicitation,
			&layers.ICMPv6RouterSolicitation{Options: link}))
	case 2:
		inject(t, b.guest, solicit(t, b.mac, fmt.Sprintf("fe80::ff:fe00:1%d", b.number), b.mac, n))
	case 4:
		if b.number == 3 { // the other one is not in its group
			inject(t, b.guest, datagram6(t, b.mac, other.mac, bystanderAddress(b.number, 0), bystanderAddress(other.number, 0),
				layers.UDPPort(0x2000|n/5&0xff), 0x2100))
		}
	}
}

// answer answers the connections that came in.
func (b *bystander) answer(t *testing.T) {
	frames := b.capture.Frames()
	for _, f := range frames[b.answered:] {
		if !f.Sent && b.question(f.Data) == questionData && f.Data[54] == 0x20 {
			inject(t, b.guest, datagram6(t, b.mac, fmt.Sprintf("02:00:00:00:00:%x", f.Data[11]), bystanderAddress(b.number, 0),
				netip.AddrFrom16([16]byte(f.Data[22:38])).String(), 0x2100, layers.UDPPort(octets.BigEndian.Uint16(f.Data[54:]))))
		}
	}
	b.answered = len(frames)
}

// datagram6 goes from one UDP port to another.
func datagram6(t *testing.T, src, dst, from, to string, sport, dport layers.UDPPort) []byte {
	t.Helper()
	ip := ipv6(from, to, layers.IPProtocolUDP)
	udp := &layers.UDP{SrcPort: sport, DstPort: dport}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return frameOf(t, ethernet(t, src, dst, layers.EthernetTypeIPv6), ip, udp, gopacket.Payload("hello"))
}

// solicit asks DHCPv6 servers for an address; n ends the transaction's number.
func solicit(t *testing.T, mac, from, client string, n int) []byte {
	t.Helper()
	m := message(t, dhcpv6.MessageTypeSolicit, &dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: hardware(t, client)}, &dhcpv6.OptIANA{})
	octets.BigEndian.PutUint16(m.TransactionID[1:], uint16(n))
	ip := ipv6(from, "ff02::1:2", layers.IPProtocolUDP)
	udp := &layers.UDP{SrcPort: 546, DstPort: 547}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return frameOf(t, ethernet(t, mac, "33:33:00:01:00:02", layers.EthernetTypeIPv6), ip, udp, gopacket.Payload(m.ToBytes()))
}

// tally is what became of questions.
type tally [len(questions)]struct {
	asked, lost int
	times       loadgen.Histogram // of the answers
}

// tell adds what this bystander asked since ask began.
func (b *bystander) tell(sum *tally) {
	type question struct {
		kind int
		at   []time.Time
	}
	open := map[string]*question{}
	for _, f := range b.capture.Frames()[b.seen:] {
		kind := b.question(f.Data)
		key := b.key(kind, f)
		q := open[key]
		switch {
		case f.Sent && kind == questionData && f.Data[54] == 0x21:
			// An answer of the test's to the other one.
		case f.Sent:
			if q == nil {
				q = &question{kind: kind}
				open[key] = q
			}
			q.at = append(q.at, f.Time)
			sum[kind].asked++
		case q != nil && len(q.at) > 0:
			sum[kind].times.Add(f.Time.Sub(q.at[0]))
			q.at = q.at[1:]
		}
	}
	for _, q := range open {
		sum[q.kind].lost += len(q.at)
	}
}

func (s tally) asked() (n int) {
	for _, k := range s {
		n += k.asked
	}
	return n
}

func (s tally) lost() (n int) {
	for _, k := range s {
		n += k.lost
	}
	return n
}

// quantile is of the answers to one kind of question.
func (s tally) quantile(kind int, q float64) time.Duration {
	return s[kind].times.Quantile(q)
}

// verdict says of each p99 whether it is under its bound, the larger of 10 ms and
// three times that of quiet. Connections are answered by the test, whose time is
// no measure.
func (s tally) verdict(quiet tally) string {
	var parts []string
	for kind := range questionData {
		got, bound, word := s.quantile(kind, .99), max(10*time.Millisecond, 3*quiet.quantile(kind, .99)), "under"
		if got > bound {
			word = "SLOW, over"
		}
		parts = append(parts, fmt.Sprintf("%s p99 %v %s %v", questions[kind], got.Round(time.Microsecond), word, bound.Round(time.Microsecond)))
	}
	return strings.Join(parts, "; ")
}

// String tells how many were asked, lost, and how long answers took.
func (s tally) String() string {
	var parts []string
	for kind, k := range s {
		parts = append(parts, fmt.Sprintf("%s: %d of %d lost, p50 %v, p99 %v, max %v", questions[kind], k.lost, k.asked,
			s.quantile(kind, .5).Round(time.Microsecond), s.quantile(kind, .99).Round(time.Microsecond), s.quantile(kind, 1).Round(time.Microsecond)))
	}
	return strings.Join(parts, "; ")
}
