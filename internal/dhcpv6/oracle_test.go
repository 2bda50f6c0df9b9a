package dhcpv6

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	insomniac "github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/mdlayher/dhcp6"
	"github.com/mdlayher/dhcp6/dhcp6opts"
)

// judged is whether Request.Read looks into an option of a client's message.
// The rest is removed before insomniacslk/dhcp reads a message, since there
// one option it cannot read fails the message.
func judged(code uint16) bool {
	switch code {
	case OptionClientID, OptionServerID, OptionIANA, OptionIAPD, OptionIAAddr, OptionIAPrefix, OptionORO, OptionElapsedTime,
		OptionAuth, OptionStatusCode, OptionRapidCommit, OptionUserClass, OptionVendorClass, OptionVendorOpts, OptionReconfAccept, OptionFQDN:
		return true
	}
	return false
}

// onlyJudged is o without the options that are not judged, inside of IAs too.
func onlyJudged(o Options) (out []byte) {
	for len(o) > 0 {
		opt, rest, f := o.Next()
		if f != FaultNone {
			panic(f)
		}
		o = rest
		code, body := opt.Code(), opt.Body()
		if !judged(code) || code == OptionVendorClass && len(body) == enterpriseLen { // there a vendor class must have classes
			continue
		}
		fixed := map[uint16]int{OptionIANA: iaLen, OptionIAPD: iaLen, OptionIAAddr: iaAddrLen, OptionIAPrefix: iaPrefLen}[code]
		switch {
		case fixed == iaLen:
			body = append(append([]byte{}, body[:fixed]...), onlyJudgedInIA(Options(body[fixed:]))...)
		case fixed > 0:
			body = body[:fixed]
		}
		out = binary.BigEndian.AppendUint16(out, code)
		out = binary.BigEndian.AppendUint16(out, uint16(len(body)))
		out = append(out, body...)
	}
	return out
}

// onlyJudgedInIA leaves only addresses and prefixes.
func onlyJudgedInIA(o Options) (out []byte) {
	for len(o) > 0 {
		opt, rest, f := o.Next()
		if f != FaultNone {
			panic(f)
		}
		o = rest
		if code := opt.Code(); code == OptionIAAddr || code == OptionIAPrefix {
			out = append(out, onlyJudged(Options(opt))...)
		}
	}
	return out
}

// typedDUID reports whether both oracles can read a DUID at all: they read
// inside of it, although it is opaque (RFC 9915 section 11).
func typedDUID(d DUID) bool {
	if d == nil {
		return true
	}
	if _, err := insomniac.DUIDFromBytes(d); err != nil {
		return false
	}
	switch binary.BigEndian.Uint16(d) {
	case DUIDLLT:
		return len(d) > 8
	case DUIDEN:
		return len(d) > 6
	case DUIDLL:
		return len(d) > 4
	case DUIDUUID:
		return len(d) == 18
	}
	return false // mdlayher/dhcp6 knows no other
}

// agreesWithInsomniac compares what r says of its message with insomniacslk/dhcp.
func agreesWithInsomniac(t *testing.T, r *Request) {
	t.Helper()
	for _, d := range []DUID{r.ClientID, r.ServerID} {
		if d == nil {
			continue
		}
		if _, err := insomniac.DUIDFromBytes(d); err != nil {
			return // it insists on what is inside
		}
	}
	m, err := insomniac.MessageFromBytes(append(r.Message[:MessageLen:MessageLen], onlyJudged(r.Message.Options())...))
	if err != nil {
		t.Fatalf("%x passes, insomniacslk/dhcp: %v", r.Message, err)
	}
	if uint8(m.MessageType) != uint8(r.Type()) || binary.BigEndian.Uint32(append([]byte{0}, m.TransactionID[:]...)) != r.TransactionID() {
		t.Fatalf("head: %v %x, ours %v %x", m.MessageType, m.TransactionID, r.Type(), r.TransactionID())
	}
	if id := m.Options.ClientID(); (id != nil) != (r.ClientID != nil) || id != nil && string(id.ToBytes()) != string(r.ClientID) {
		t.Fatalf("client id: %v, ours %x", id, r.ClientID)
	}
	if id := m.Options.ServerID(); (id != nil) != (r.ServerID != nil) || id != nil && string(id.ToBytes()) != string(r.ServerID) {
		t.Fatalf("server id: %v, ours %x", id, r.ServerID)
	}
	for _, code := range m.Options.RequestedOptions() {
		if !r.Requested(uint16(code)) {
			t.Fatalf("%v requested, not so ours: %x", code, r.ORO)
		}
	}
	if e := m.Options.ElapsedTime(); e != r.Elapsed {
		t.Fatalf("elapsed %v, ours %v", e, r.Elapsed)
	}
	if (m.GetOneOption(insomniac.OptionRapidCommit) != nil) != r.RapidCommit || (m.GetOneOption(insomniac.OptionReconfAccept) != nil) != r.ReconfAccept {
		t.Fatalf("flags: %v, ours %+v", m, r.head)
	}
	if f := m.Options.FQDN(); (f != nil) != (r.FQDN != nil) || f != nil && f.Flags != r.FQDN.Flags() {
		t.Fatalf("name: %v, ours %x", f, r.FQDN)
	}
	var got []flatIA
	for _, ia := range m.Options.IANA() {
		f := flatIA{OptionIANA, ia.IaId, ia.T1, ia.T2, nil}
		for _, a := range ia.Options.Addresses() {
			f.hints = append(f.hints, flat(a.IPv6Addr, 128, a.PreferredLifetime, a.ValidLifetime))
		}
		got = append(got, f)
	}
	for _, ia := range m.Options.IAPD() {
		f := flatIA{OptionIAPD, ia.IaId, ia.T1, ia.T2, nil}
		for _, p := range ia.Options.Prefixes() {
			h := flatHint{preferred: p.PreferredLifetime, valid: p.ValidLifetime, prefix: netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
			if p.Prefix != nil { // a length of 0 is none there
				bits, _ := p.Prefix.Mask.Size()
				h = flat(p.Prefix.IP, bits, p.PreferredLifetime, p.ValidLifetime)
			}
			f.hints = append(f.hints, h)
		}
		got = append(got, f)
	}
	sameIAs(t, "insomniacslk/dhcp", r, got)
}

// agreesWithMdlayher compares what r says of its message with mdlayher/dhcp6.
func agreesWithMdlayher(t *testing.T, r *Request) {
	t.Helper()
	var p dhcp6.Packet
	if err := p.UnmarshalBinary(r.Message); err != nil {
		t.Fatalf("%x passes, mdlayher/dhcp6: %v", r.Message, err)
	}
	if uint8(p.MessageType) != uint8(r.Type()) {
		t.Fatalf("type %v, ours %v", p.MessageType, r.Type())
	}
	if typedDUID(r.ClientID) && r.ClientID != nil {
		id, err := dhcp6opts.GetClientID(p.Options)
		if err != nil {
			t.Fatalf("client id %x: %v", r.ClientID, err)
		}
		if b, err := id.MarshalBinary(); err != nil || string(b) != string(r.ClientID) {
			t.Fatalf("client id %x, ours %x", b, r.ClientID)
		}
	}
	for i := range r.hints[:r.nHints] {
		if h := &r.hints[i]; h.Preferred > h.Valid {
			return // hides all of an IA there
		}
	}
	var got []flatIA
	nas, err := dhcp6opts.GetIANA(p.Options)
	for _, ia := range nas {
		f := flatIA{OptionIANA, ia.IAID, ia.T1, ia.T2, nil}
		addrs, _ := dhcp6opts.GetIAAddr(ia.Options)
		for _, a := range addrs {
			f.hints = append(f.hints, flat(a.IP, 128, a.PreferredLifetime, a.ValidLifetime))
		}
		got = append(got, f)
	}
	if err != nil && err != dhcp6.ErrOptionNotPresent {
		t.Fatalf("IA_NA: %v", err)
	}
	pds, err := dhcp6opts.GetIAPD(p.Options)
	for _, ia := range pds {
		f := flatIA{OptionIAPD, ia.IAID, ia.T1, ia.T2, nil}
		prefixes, _ := dhcp6opts.GetIAPrefix(ia.Options)
		for _, p := range prefixes {
			f.hints = append(f.hints, flat(p.Prefix, int(p.PrefixLength), p.PreferredLifetime, p.ValidLifetime))
		}
		got = append(got, f)
	}
	if err != nil && err != dhcp6.ErrOptionNotPresent {
		t.Fatalf("IA_PD: %v", err)
	}
	sameIAs(t, "mdlayher/dhcp6", r, got)
}

type flatIA struct {
	code   uint16
	id     [4]byte
	t1, t2 time.Duration
	hints  []flatHint
}

type flatHint struct {
	prefix           netip.Prefix
	preferred, valid time.Duration
}

func flat(ip net.IP, bits int, preferred, valid time.Duration) flatHint {
	return flatHint{netip.PrefixFrom(netip.AddrFrom16([16]byte(ip.To16())), bits).Masked(), preferred, valid}
}

// sameIAs compares the IAs of r with an oracle's, which has those for addresses first.
func sameIAs(t *testing.T, oracle string, r *Request, got []flatIA) {
	t.Helper()
	if len(got) != len(r.IAs()) {
		t.Fatalf("%s: %d IAs, ours %d", oracle, len(got), len(r.IAs()))
	}
	i := 0
	for _, code := range []uint16{OptionIANA, OptionIAPD} {
		for k := range r.IAs() {
			ia := &r.IAs()[k]
			if ia.Code != code {
				continue
			}
			g := got[i]
			i++
			if g.code != code || binary.BigEndian.Uint32(g.id[:]) != ia.ID || g.t1 != seconds(ia.T1) || g.t2 != seconds(ia.T2) || len(g.hints) != len(r.Hints(ia)) {
				t.Fatalf("%s: %+v, ours %+v", oracle, g, ia)
			}
			for j, h := range r.Hints(ia) {
				if want := (flatHint{h.Prefix(), seconds(h.Preferred), seconds(h.Valid)}); g.hints[j] != want {
					t.Fatalf("%s: %+v, ours %+v", oracle, g.hints[j], want)
				}
			}
		}
	}
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }
