package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
)

// given wants every answer to messages of a type to give, in each IA_NA, the
// addresses that were asked for, in lifetimes that are finite and in order, or
// to withdraw them.
func given(asked dhcpv6.MessageType) func(dialogue) error {
	return func(d dialogue) error {
		list := d.answers(asked)
		if len(list) == 0 {
			return fmt.Errorf("no %v was answered", asked)
		}
		for _, a := range list {
			for _, ia := range a.asked.inner.Options.IANA() {
				got := iaOf(a.reply.inner, ia.IaId)
				if got == nil {
					return fmt.Errorf("%v has no IA_NA %x", a.reply.inner, ia.IaId)
				}
				for _, want := range ia.Options.Addresses() {
					if !slices.ContainsFunc(got.Options.Addresses(), func(g *dhcpv6.OptIAAddress) bool { return g.IPv6Addr.Equal(want.IPv6Addr) }) {
						return fmt.Errorf("%v is missing in %v", want.IPv6Addr, got)
					}
				}
				if err := ordered(got); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// iaOf is the IA_NA of a message under an IAID.
func iaOf(m *dhcpv6.Message, id [4]byte) *dhcpv6.OptIANA {
	for _, ia := range m.Options.IANA() {
		if ia.IaId == id {
			return ia
		}
	}
	return nil
}

// ordered wants T1 < T2 < preferred < valid of all that is not withdrawn.
func ordered(ia *dhcpv6.OptIANA) error {
	for _, a := range ia.Options.Addresses() {
		if a.ValidLifetime == 0 && a.PreferredLifetime == 0 {
			continue
		}
		if !(0 < ia.T1 && ia.T1 < ia.T2 && ia.T2 < a.PreferredLifetime && a.PreferredLifetime < a.ValidLifetime && a.ValidLifetime < 24*time.Hour) {
			return fmt.Errorf("T1 %v, T2 %v, preferred %v, valid %v", ia.T1, ia.T2, a.PreferredLifetime, a.ValidLifetime)
		}
	}
	return nil
}

// delegated wants answers to messages of a type to give the prefix asked for.
func delegated(asked dhcpv6.MessageType) func(dialogue) error {
	return func(d dialogue) error {
		list := d.answers(asked)
		if len(list) == 0 {
			return fmt.Errorf("no %v was answered", asked)
		}
		for _, a := range list {
			want, got := a.asked.inner.Options.OneIAPD(), a.reply.inner.Options.OneIAPD()
			if want == nil || got == nil || len(got.Options.Prefixes()) != 1 || len(want.Options.Prefixes()) != 1 {
				return fmt.Errorf("%v is answered by %v", want, got)
			}
			w, g := want.Options.Prefixes()[0], got.Options.Prefixes()[0]
			if g.Prefix.String() != w.Prefix.String() || !(0 < got.T1 && got.T1 < got.T2 && got.T2 < g.PreferredLifetime && g.PreferredLifetime < g.ValidLifetime) {
				return fmt.Errorf("%v is answered by %v", want, got)
			}
		}
		return nil
	}
}

// elsewhere is an address of no link here.
var elsewhere = net.ParseIP("fd00:bad::1")

// renumbered wants the address of an old prefix back with lifetimes of 0, beside
// one that lives.
func renumbered(d dialogue) error {
	list := d.answers(dhcpv6.MessageTypeRenew)
	if len(list) == 0 {
		return errors.New("no Renew was answered")
	}
	ended, alive := 0, 0
	for _, a := range list[0].reply.inner.Options.OneIANA().Options.Addresses() {
		switch zero := a.ValidLifetime == 0 && a.PreferredLifetime == 0; {
		case a.IPv6Addr.Equal(elsewhere) && zero:
			ended++
		case !a.IPv6Addr.Equal(elsewhere) && !zero:
			alive++
		}
	}
	if ended != 1 || alive != 1 {
		return fmt.Errorf("%d addresses ended and %d live on: %v", ended, alive, list[0].reply.inner)
	}
	return nil
}

// declined wants a Decline to succeed, and the Request after it to give another
// address.
func declined(d dialogue) error {
	if err := told(dhcpv6.MessageTypeDecline, iana.StatusSuccess, status)(d); err != nil {
		return err
	}
	bad := d.answers(dhcpv6.MessageTypeDecline)[0].asked.inner.Options.OneIANA().Options.OneAddress()
	requests := d.answers(dhcpv6.MessageTypeRequest)
	last := requests[len(requests)-1].reply.inner.Options.OneIANA().Options.OneAddress()
	if last == nil || last.IPv6Addr.Equal(bad.IPv6Addr) {
		return fmt.Errorf("after %v was declined, %v was given", bad, last)
	}
	return nil
}

// reconfigured wants a Reconfigure that asks for a Renew, signed with the key that
// a Reply gave before (RFC 9915 section 20.4), and the client to come back once,
// although another, signed with no such key, came too. Of a replay only the
// Replies are new: the Reconfigures are those that were captured.
func reconfigured(d dialogue) error {
	var keys [][]byte
	good, bad := 0, 0
	back := map[dhcpv6.TransactionID]bool{}
	for _, s := range d {
		auth := s.inner.GetOneOption(dhcpv6.OptionAuth)
		switch {
		case s.client && s.inner.MessageType == dhcpv6.MessageTypeRenew:
			back[s.inner.TransactionID] = true
		case auth == nil:
		case s.inner.MessageType == dhcpv6.MessageTypeReply:
			if b := auth.ToBytes(); len(b) == 28 && bytes.Equal(b[:3], []byte{3, 1, 0}) && b[11] == 1 {
				keys = append(keys, b[12:])
			}
		case s.inner.MessageType == dhcpv6.MessageTypeReconfigure:
			if how := s.inner.GetOneOption(dhcpv6.OptionReconfMessage); how == nil || !bytes.Equal(how.ToBytes(), []byte{byte(dhcpv6.MessageTypeRenew)}) {
				return fmt.Errorf("a Reconfigure asks for %v", how)
			}
			if slices.ContainsFunc(keys, func(key []byte) bool { return signed(s.inner, auth, key) }) {
				good++
			} else {
				bad++
			}
		}
	}
	if good != 2 || bad != 1 || len(back) != 1 || len(d.answers(dhcpv6.MessageTypeRenew)) == 0 {
		return fmt.Errorf("%d keys, %d Reconfigures signed with one, %d with another, upon which the client came back %d times", len(keys), good, bad, len(back))
	}
	return nil
}

// signed checks a digest by hand: HMAC-MD5 of the message with zeroes in its place.
func signed(m *dhcpv6.Message, auth dhcpv6.Option, key []byte) bool {
	raw, b := m.ToBytes(), auth.ToBytes()
	if len(b) != 28 || b[0] != 3 || b[11] != 2 {
		return false
	}
	at := bytes.Index(raw, b) + 12
	clear(raw[at : at+16])
	h := hmac.New(md5.New, key)
	h.Write(raw)
	return hmac.Equal(h.Sum(nil), b[12:])
}

// registered wants an ADDR-REG-REPLY that repeats the address (RFC 9686 section
// 4.2.1): types 36 and 37.
func registered(d dialogue) error {
	list := d.answers(36)
	if len(list) == 0 {
		return errors.New("no registration was answered")
	}
	asked, reply := list[0].asked.inner, list[0].reply.inner
	if reply.MessageType != 37 || !bytes.Equal(asked.GetOneOption(dhcpv6.OptionIAAddr).ToBytes(), reply.GetOneOption(dhcpv6.OptionIAAddr).ToBytes()) {
		return fmt.Errorf("%v is answered by %v", asked, reply)
	}
	return nil
}

// relayedBack wants every answer to come back through two relays as the question
// went: same place, Interface-ID and, where there was one, Remote-ID.
func relayedBack(d dialogue) error {
	answers := 0
	for _, typ := range []dhcpv6.MessageType{dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeRequest} {
		for _, a := range d.answers(typ) {
			answers++
			q, _ := a.asked.whole.(*dhcpv6.RelayMessage)
			r, _ := a.reply.whole.(*dhcpv6.RelayMessage)
			for level := range 2 {
				if q == nil || r == nil || r.MessageType != dhcpv6.MessageTypeRelayReply || q.HopCount != r.HopCount || q.HopCount != uint8(1-level) ||
					!q.LinkAddr.Equal(r.LinkAddr) || !q.PeerAddr.Equal(r.PeerAddr) || len(q.Options.InterfaceID()) == 0 ||
					!bytes.Equal(q.Options.InterfaceID(), r.Options.InterfaceID()) || fmt.Sprint(q.Options.RemoteID()) != fmt.Sprint(r.Options.RemoteID()) {
					return fmt.Errorf("level %d: %v is answered by %v", level, q, r)
				}
				q, _ = q.Options.RelayMessage().(*dhcpv6.RelayMessage)
				r, _ = r.Options.RelayMessage().(*dhcpv6.RelayMessage)
			}
			if q != nil || r != nil {
				return fmt.Errorf("more than two relays deep: %v, %v", q, r)
			}
		}
	}
	if answers == 0 {
		return errors.New("nothing was answered")
	}
	return nil
}

// relayedToKea wants Relay-forwards that name port and MAC, and what Kea gives
// back at the client.
func relayedToKea(d dialogue) error {
	forwards := 0
	for _, s := range d {
		m, _ := s.whole.(*dhcpv6.RelayMessage)
		if m == nil || m.MessageType != dhcpv6.MessageTypeRelayForward {
			continue
		}
		forwards++
		kind, mac := m.Options.ClientLinkLayerAddress()
		if string(m.Options.InterfaceID()) != "vm1" || kind != iana.HWTypeEthernet || mac.String() != mac1 ||
			m.HopCount != 0 || m.LinkAddr.String() != "fd00:d5::1" || !m.PeerAddr.IsLinkLocalUnicast() {
			return fmt.Errorf("Kea is asked by %v", m)
		}
	}
	if forwards < 3 {
		return fmt.Errorf("Kea was asked %d times", forwards)
	}
	for _, s := range d {
		if !s.client && s.whole == dhcpv6.DHCPv6(s.inner) && s.inner.MessageType == dhcpv6.MessageTypeReply {
			if a := addressIn(s.inner).String(); !strings.HasPrefix(a, "fd00:d5::1:") {
				return fmt.Errorf("the client was given %s", a)
			}
			return nil
		}
	}
	return errors.New("no Reply came to the client")
}

// severalIAs wants two IA_NA, the one of IAID 0 with two addresses, beside an
// IA_PD, and no address in two of them.
func severalIAs(d dialogue) error {
	list := d.answers(dhcpv6.MessageTypeRequest)
	if len(list) == 0 {
		return errors.New("no Request was answered")
	}
	m := list[0].reply.inner
	count, seen := map[[4]byte]int{}, map[string]bool{}
	for _, ia := range m.Options.IANA() {
		if err := ordered(ia); err != nil {
			return err
		}
		for _, a := range ia.Options.Addresses() {
			count[ia.IaId]++
			seen[a.IPv6Addr.String()] = true
		}
	}
	if count[[4]byte{}] != 2 || count[[4]byte{0, 0, 0, 7}] != 1 || len(seen) != 3 || len(m.Options.IAPD()) != 1 {
		return fmt.Errorf("addresses by IAID %v, %v, and %d prefixes", count, seen, len(m.Options.IAPD()))
	}
	return nil
}

// excluded wants the third /64 of the /56 out of it (RFC 6603 section 4.2).
func excluded(d dialogue) error {
	list := d.answers(dhcpv6.MessageTypeSolicit)
	if len(list) == 0 || list[0].reply.inner.Options.OneIAPD() == nil {
		return errors.New("no prefix came")
	}
	for _, p := range list[0].reply.inner.Options.OneIAPD().Options.Prefixes() {
		if ones, _ := p.Prefix.Mask.Size(); ones != 56 {
			return fmt.Errorf("delegated %v", p)
		}
		if x := p.Options.GetOne(67); x == nil || !bytes.Equal(x.ToBytes(), []byte{64, 3}) {
			return fmt.Errorf("excluded %v of %v", x, p)
		}
	}
	return nil
}
