package topology

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mdlayher/ndp"

	"damselfly/internal/wire"
)

const (
	// prefixFlagsOffset and prefixValidOffset are where the flags and the
	// valid lifetime stand in a Prefix Information option (RFC 4861 section 4.6.2).
	prefixFlagsOffset = 3
	prefixValidOffset = 4
	// prefixFlagP says that the prefix is better used for prefix delegation (RFC 9762 section 4).
	prefixFlagP = 0x10

	optionCaptivePortal = 37  // RFC 8910 section 2.3
	optionEncryptedDNS  = 144 // RFC 9463 section 6.1

	// listOctets bounds the options that list servers or domains, which are
	// repeated as needed (RFC 8106 section 5.3.1): the library composes none
	// of 256 octets or more.
	listOctets = 31 * wire.OptionUnit
	// maxPREF64Lifetime is the largest of 13 bits in units of 8 s (RFC 8781 section 4).
	maxPREF64Lifetime = 8191 * pref64Unit
	pref64Unit        = 8 * time.Second

	serviceParameterALPN = 1 // RFC 9460 section 14.3.2
)

// option is one option in wire form.
type option struct {
	bytes []byte
	// until is when the valid lifetime of a prefix that is deprecated ends.
	until time.Time
}

// marshal composes a message whose parts Validate has seen. An error is
// therefore a fault of ours.
func marshal(m ndp.Message) []byte {
	b, err := ndp.MarshalMessage(m)
	if err != nil {
		panic(fmt.Sprintf("topology: composing a validated advertisement: %v", err))
	}
	return b
}

// compose is one option of the library's in wire form.
func compose(o ndp.Option) option {
	return option{bytes: marshal(&ndp.RouterAdvertisement{Options: []ndp.Option{o}})[wire.RouterAdvertLen:]}
}

// raw is an option that the library lacks, or composes wrongly; body is what
// follows type and length, and is padded with zeros.
func raw(typ uint8, body []byte) option {
	b := append([]byte{typ, 0}, body...)
	for len(b)%wire.OptionUnit != 0 {
		b = append(b, 0)
	}
	b[1] = uint8(len(b) / wire.OptionUnit)
	return option{bytes: b}
}

func prefixOption(s *Subnet, preferred, valid time.Duration) option {
	o := compose(&ndp.PrefixInformation{
		Prefix: s.Prefix.Addr(), PrefixLength: uint8(s.Prefix.Bits()),
		OnLink: s.OnLink, AutonomousAddressConfiguration: s.Autonomous,
		PreferredLifetime: preferred, ValidLifetime: valid,
	})
	if s.PDPreferred {
		o.bytes[prefixFlagsOffset] |= prefixFlagP
	}
	return o
}

// deprecatedOptions tell hosts to stop using prefixes: preferred lifetime 0,
// and a valid lifetime that the sender counts down to its end, whatever hosts
// make of it (RFC 9096 section 3.5, RFC 4862 section 5.5.3).
func deprecatedOptions(list []Deprecated) []option {
	var options []option
	for _, d := range list {
		s := Subnet{Prefix: d.Prefix.Masked(), OnLink: d.OnLink, Autonomous: d.Autonomous}
		o := prefixOption(&s, 0, 0)
		o.until = d.ValidUntil
		options = append(options, o)
	}
	return options
}

// dnsOptions list the servers and domains of all subnets, each once.
func dnsOptions(subnets []Subnet, lifetime time.Duration) []option {
	var servers []netip.Addr
	var domains []string
	for i := range subnets {
		for _, a := range subnets[i].DNS {
			if !slices.Contains(servers, a) {
				servers = append(servers, a)
			}
		}
		for _, d := range subnets[i].Search {
			if d = canonicalDomain(d); !slices.Contains(domains, d) {
				domains = append(domains, d)
			}
		}
	}
	var options []option
	for some := range slices.Chunk(servers, (listOctets-wire.OptionUnit)/16) {
		options = append(options, compose(&ndp.RecursiveDNSServer{Lifetime: lifetime, Servers: some}))
	}
	for len(domains) > 0 {
		n, size := 0, wire.OptionUnit
		// A name takes an octet a label more than its text has letters and dots, and the end (RFC 1035 section 3.1).
		for n < len(domains) && (n == 0 || size+len(domains[n])+2 <= listOctets) {
			size += len(domains[n]) + 2
			n++
		}
		options = append(options, searchOption(domains[:n], lifetime))
		domains = domains[n:]
	}
	return options
}

// searchOption is a DNS Search List (RFC 8106 section 5.2). One domain may be
// as long as 255 octets, more than the library can compose.
func searchOption(domains []string, lifetime time.Duration) option {
	b := make([]byte, 2, listOctets)
	b = binary.BigEndian.AppendUint32(b, seconds(lifetime))
	for _, d := range domains {
		b = appendDomain(b, d)
	}
	return raw(wire.OptionDNSSL, b)
}

func routeOption(r RouteSpec, lifetime time.Duration) option {
	d := r.Destination.Masked()
	return compose(&ndp.RouteInformation{
		Prefix: d.Addr(), PrefixLength: uint8(d.Bits()), Preference: r.Preference.ndp(), RouteLifetime: lifetime,
	})
}

// pref64Option rounds the lifetime up to the option's units of 8 s (RFC 8781 section 4.1).
func pref64Option(p netip.Prefix, lifetime time.Duration) option {
	lifetime = min((lifetime + pref64Unit - 1).Truncate(pref64Unit), maxPREF64Lifetime)
	return compose(&ndp.PREF64{Prefix: p, Lifetime: lifetime})
}

// captivePortalOption holds the URI, padded (RFC 8910 section 2.3). The
// library cannot compose one of 246 octets or more.
func captivePortalOption(uri string) option {
	return raw(optionCaptivePortal, []byte(uri))
}

// encryptedDNSOption is a resolver with its name, addresses and protocols (RFC
// 9463 section 6.1).
func encryptedDNSOption(e *EncryptedDNSSpec, priority uint16, lifetime time.Duration) option {
	b := binary.BigEndian.AppendUint16(nil, priority)
	b = binary.BigEndian.AppendUint32(b, seconds(lifetime))
	b = e.appendNameAndAddresses(b)
	parameters := e.appendParameters(nil)
	b = binary.BigEndian.AppendUint16(b, uint16(len(parameters)))
	return raw(optionEncryptedDNS, append(b, parameters...))
}

// appendNameAndAddresses appends the resolver's name and its addresses, each
// behind its length, as advertisements and DHCPv6 both have them (RFC 9463
// sections 4.1 and 6.1).
func (e *EncryptedDNSSpec) appendNameAndAddresses(b []byte) []byte {
	name := appendDomain(nil, canonicalDomain(e.Name))
	b = binary.BigEndian.AppendUint16(b, uint16(len(name)))
	b = append(b, name...)
	b = binary.BigEndian.AppendUint16(b, uint16(16*len(e.Addresses)))
	for _, a := range e.Addresses {
		b = append(b, a.AsSlice()...)
	}
	return b
}

// appendParameters appends the service parameters: the protocols (RFC 9460
// sections 2.2 and 7.1).
func (e *EncryptedDNSSpec) appendParameters(b []byte) []byte {
	var alpn []byte
	for _, id := range e.protocols() {
		alpn = append(append(alpn, uint8(len(id))), id...)
	}
	b = binary.BigEndian.AppendUint16(b, serviceParameterALPN)
	b = binary.BigEndian.AppendUint16(b, uint16(len(alpn)))
	return append(b, alpn...)
}

// protocols are the ALPN identifiers of the resolver, DNS over TLS if none is
// said (RFC 7858 section 3.1).
func (e *EncryptedDNSSpec) protocols() []string {
	if len(e.ALPN) == 0 {
		return []string{"dot"}
	}
	return e.ALPN
}

// canonicalDomain is the lower-case form without the root's dot.
func canonicalDomain(d string) string {
	return strings.ToLower(strings.TrimSuffix(d, "."))
}

// appendDomain appends labels, each behind its length, and the root (RFC 1035 section 3.1).
func appendDomain(b []byte, domain string) []byte {
	for label := range strings.SplitSeq(domain, ".") {
		b = append(append(b, uint8(len(label))), label...)
	}
	return append(b, 0)
}
