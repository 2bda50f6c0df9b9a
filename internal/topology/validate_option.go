package topology

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"strings"

	"damselfly/internal/wire"
)

// maxOptions is how many octets the options of one list may have: with them
// still fits, on the smallest link, what a reply says of identities and
// addresses.
const maxOptions = minLink - wire.IPv6Len - udpLen - maxIdentity

const (
	// udpLen is a UDP header (RFC 768).
	udpLen = 8
	// maxIdentity is the room that a reply keeps for its header, both DUIDs and an address.
	maxIdentity = 208
)

// ownCodes are options that the server makes itself, and what to do instead.
var ownCodes = map[uint16]string{
	0:   "0 is no option: give its number",
	1:   "the client's identifier is what it sends: leave it out",
	2:   "the server's identifier is kept in the state folder: leave it out",
	3:   "addresses come from ports, reservations and pools: write those",
	4:   "temporary addresses are gone (RFC 9915 section 21.5): leave it out",
	5:   "addresses come from ports, reservations and pools: write those",
	6:   "this is what a client asks for: leave it out",
	8:   "this is how long a client has tried: leave it out",
	9:   "relaying is the server's own: leave it out",
	11:  "keys are made by the server for each client: leave it out",
	12:  "the Server Unicast option is gone, and no client may use it (RFC 9915 section 21.12): leave it out",
	13:  "the status is the server's answer: leave it out",
	14:  "write `rapid_commit: true` in the subnet",
	15:  "this is what a client says of its user: leave it out",
	16:  "this is what a client says of its make: write vendor-opts to answer it",
	18:  "this is a relay's: leave it out",
	19:  "the server sends it when the configuration changes: leave it out",
	20:  "the server says it to clients that do: leave it out",
	25:  "prefixes come from `delegation`: write that",
	26:  "prefixes come from `delegation`: write that",
	37:  "this is a relay's: leave it out",
	38:  "this is a relay's: leave it out",
	39:  "a client's name is answered as it is asked: leave it out",
	67:  "write `exclude` in `delegation`",
	79:  "this is a relay's: leave it out",
	135: "this is a relay's: leave it out",
	148: "the server says itself that addresses can be registered: leave it out",
}

// optionList checks the options of one scope.
func (c *checker) optionList(object string, list []OptionSpec) {
	if !c.few(object, len(list)) {
		return
	}
	octets := 0
	seen := make(map[uint16]bool)
	for i := range list {
		o := &list[i]
		at := fmt.Sprintf("%s[%d]", object, i)
		kind, isNamed := named(o.Code)
		if o.Code == 0 && o.Raw == nil {
			continue // could not be read, and is reported
		}
		if own, ok := ownCodes[o.Code]; ok {
			c.add(at+".code", "RFC 9915 section 21", "option %d is not for the configuration: %s", o.Code, own)
			continue
		}
		if isNamed && seen[o.Code] {
			c.add(at+".name", "", "%s is there twice: put its values into one", kind.Name)
		}
		seen[o.Code] = true
		if isNamed && o.Raw != nil {
			c.add(at+".code", kind.RFC, "option %d has a name: write `name: %s` and its value", o.Code, kind.Name)
			continue
		}
		before := len(c.problems)
		c.option(at+".value", kind, o)
		if len(c.problems) > before {
			continue
		}
		for _, data := range o.data() {
			octets += optionHeader + len(data)
		}
	}
	if octets > maxOptions {
		c.add(object, "RFC 8200 section 5", "the options take %d octets, and a reply has room for %d: give fewer", octets, maxOptions)
	}
}

// option checks one option's value.
func (c *checker) option(object string, kind NamedOption, o *OptionSpec) {
	entries := len(o.Addresses) + len(o.Texts) + len(o.Resolvers) + len(o.Vendors)
	if !c.few(object, entries) {
		return
	}
	switch kind.Kind {
	case KindRaw:
		return
	case KindOctet, KindSeconds:
		if o.Number < kind.Least || o.Number > mostOf(kind) {
			c.add(object, kind.RFC, "%d is out of range: give %d to %d", o.Number, kind.Least, mostOf(kind))
		}
		return
	}
	if entries == 0 {
		c.add(object, kind.RFC, "%s has no value: give at least one, or leave the option out", kind.Name)
		return
	}
	for i, a := range o.Addresses {
		c.unicast(fmt.Sprintf("%s[%d]", object, i), a)
	}
	for i, t := range o.Texts {
		at := fmt.Sprintf("%s[%d]", object, i)
		if kind.Kind == KindText {
			at = object
		}
		c.optionText(at, kind, t)
	}
	for i := range o.Resolvers {
		c.encryptedDNS(fmt.Sprintf("%s[%d]", object, i), &o.Resolvers[i])
	}
	vendors := make(map[uint32]bool)
	for i, v := range o.Vendors {
		at := fmt.Sprintf("%s[%d]", object, i)
		if vendors[v.Enterprise] {
			c.add(at+".enterprise", kind.RFC, "enterprise %d is there twice: put its options into one", v.Enterprise)
		}
		vendors[v.Enterprise] = true
		c.few(at+".options", len(v.Options))
	}
}

// mostOf is the largest number of an option.
func mostOf(o NamedOption) uint32 {
	switch {
	case o.Most > 0:
		return o.Most
	case o.Kind == KindOctet:
		return math.MaxUint8
	}
	return math.MaxUint32
}

// optionText checks one text of an option.
func (c *checker) optionText(object string, kind NamedOption, text string) {
	switch {
	case kind.Kind == KindDomains:
		c.domain(object, text)
	case kind.Kind == KindTimeServers:
		c.timeServer(object, text)
	case kind.Code == codeCaptivePortal && text == "":
		c.add(object, kind.RFC, "the URI is empty: give one, or leave the option out")
	case kind.Code == codeCaptivePortal:
		c.portal(object, text)
	case kind.Code == codeBootfileURL:
		if u, err := url.Parse(text); err != nil || u.Scheme == "" || !plain(text) {
			c.add(object, kind.RFC, "%q is no URL: write one such as tftp://[2001:db8::69]/boot.efi", text)
		}
	case text == "" || strings.ContainsRune(text, 0):
		c.add(object, kind.RFC, "%q is no text for this: give one without zero octets", text)
	}
}

// plain reports whether a text is printable ASCII without blanks, as URIs are
// (RFC 3986 section 2).
func plain(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// timeServer checks an address or a name.
func (c *checker) timeServer(object, text string) {
	a, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		c.domain(object, text)
	case a.IsMulticast() && a.Is6():
	default:
		c.unicast(object, a)
	}
}
