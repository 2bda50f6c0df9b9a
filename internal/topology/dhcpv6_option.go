package topology

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
)

// Codes of the DHCPv6 options that have a Kind of their own here.
const (
	codePreference         = 7
	codeVendorOpts         = 17
	codeDNSServers         = 23
	codeDomainSearch       = 24
	codeSNTPServers        = 31
	codeInformationRefresh = 32
	codePOSIXTimezone      = 41
	codeTZDBTimezone       = 42
	codeNTPServer          = 56
	codeBootfileURL        = 59
	codeBootfileParam      = 60
	codeSolMaxRT           = 82
	codeInfMaxRT           = 83
	codeCaptivePortal      = 103
	codeEncryptedDNS       = 144
)

// Kind is the form of an option's value.
type Kind uint8

// The kinds.
const (
	// KindRaw is octets as they are.
	KindRaw Kind = iota
	// KindAddresses is one or more addresses.
	KindAddresses
	// KindDomains is one or more names as labels (RFC 9915 section 10).
	KindDomains
	// KindText is one text.
	KindText
	// KindTexts is texts, each behind a length of two octets (RFC 5970 section 3.2).
	KindTexts
	// KindOctet is a number of one octet.
	KindOctet
	// KindSeconds is a time of four octets.
	KindSeconds
	// KindTimeServers is addresses, multicast ones or names, an option each (RFC 5908 section 4).
	KindTimeServers
	// KindResolvers is encrypted resolvers, an option each (RFC 9463 section 4.1).
	KindResolvers
	// KindVendors is a vendor's own options, an option a vendor (RFC 9915 section 21.17).
	KindVendors
)

// NamedOption is an option that the configuration knows by name.
type NamedOption struct {
	Name string
	Code uint16
	Kind Kind
	// RFC is the clause that defines it.
	RFC string
	// Least and Most bound a number; Most 0 means what its octets can hold.
	Least, Most uint32
}

// namedOptions are sorted by code.
var namedOptions = [...]NamedOption{
	{"preference", codePreference, KindOctet, "RFC 9915 section 21.8", 0, 255},
	{"vendor-opts", codeVendorOpts, KindVendors, "RFC 9915 section 21.17", 0, 0},
	{"dns-servers", codeDNSServers, KindAddresses, "RFC 3646 section 3", 0, 0},
	{"domain-search", codeDomainSearch, KindDomains, "RFC 3646 section 4", 0, 0},
	{"sntp-servers", codeSNTPServers, KindAddresses, "RFC 4075 section 4", 0, 0},
	{"information-refresh-time", codeInformationRefresh, KindSeconds, "RFC 9915 section 21.23", 600, 0},
	{"posix-timezone", codePOSIXTimezone, KindText, "RFC 4833 section 3", 0, 0},
	{"tzdb-timezone", codeTZDBTimezone, KindText, "RFC 4833 section 3", 0, 0},
	{"ntp-server", codeNTPServer, KindTimeServers, "RFC 5908 section 4", 0, 0},
	{"bootfile-url", codeBootfileURL, KindText, "RFC 5970 section 3.1", 0, 0},
	{"bootfile-param", codeBootfileParam, KindTexts, "RFC 5970 section 3.2", 0, 0},
	{"sol-max-rt", codeSolMaxRT, KindSeconds, "RFC 9915 section 21.24", 60, 86400},
	{"inf-max-rt", codeInfMaxRT, KindSeconds, "RFC 9915 section 21.25", 60, 86400},
	{"captive-portal", codeCaptivePortal, KindText, "RFC 8910 section 2.2", 0, 0},
	{"dnr", codeEncryptedDNS, KindResolvers, "RFC 9463 section 4.1", 0, 0},
}

// NamedOptions lists the options that have names, sorted by code.
func NamedOptions() []NamedOption { return slices.Clone(namedOptions[:]) }

// named finds the option of a code.
func named(code uint16) (NamedOption, bool) {
	for _, o := range namedOptions {
		if o.Code == code {
			return o, true
		}
	}
	return NamedOption{Code: code, Kind: KindRaw}, false
}

// compileOptions merges the options of one port, its own given, with those of
// its network's subnets and of the network. Of each code the nearest scope
// counts alone; of the subnets the first that has it. nil if there are none.
func compileOptions(own []OptionSpec, n *NetworkSpec) *OptionSet {
	scopes := [][]OptionSpec{own}
	for i := range n.Subnets {
		scopes = append(scopes, n.Subnets[i].Options)
	}
	scopes = append(scopes, subnetNames(n), n.Options)
	var set OptionSet
	said := make(map[uint16]bool)
	for _, scope := range scopes {
		here := make(map[uint16]bool)
		for i := range scope {
			o := &scope[i]
			if said[o.Code] {
				continue
			}
			here[o.Code] = true
			for _, data := range o.data() {
				set.Options = append(set.Options, Option{Code: o.Code, Wire: frameOption(o.Code, data)})
			}
		}
		for code := range here {
			said[code] = true
		}
	}
	if len(set.Options) == 0 {
		return nil
	}
	slices.SortStableFunc(set.Options, func(a, b Option) int { return cmp.Compare(a.Code, b.Code) })
	return &set
}

// subnetNames are the options made of the `dns` and `search` of all subnets,
// each server and domain once.
func subnetNames(n *NetworkSpec) []OptionSpec {
	servers, domains := OptionSpec{Code: codeDNSServers}, OptionSpec{Code: codeDomainSearch}
	for i := range n.Subnets {
		for _, a := range n.Subnets[i].DNS {
			if !slices.Contains(servers.Addresses, a) {
				servers.Addresses = append(servers.Addresses, a)
			}
		}
		for _, d := range n.Subnets[i].Search {
			if d = canonicalDomain(d); !slices.Contains(domains.Texts, d) {
				domains.Texts = append(domains.Texts, d)
			}
		}
	}
	var list []OptionSpec
	if len(servers.Addresses) > 0 {
		list = append(list, servers)
	}
	if len(domains.Texts) > 0 {
		list = append(list, domains)
	}
	return list
}

// frameOption puts code and length in front of an option's data (RFC 9915 section 21.1).
func frameOption(code uint16, data []byte) []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, optionHeader+len(data)), code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

// optionHeader is code and length in octets.
const optionHeader = 4

// data is the content of each option that an OptionSpec makes: several where
// one option has room for one thing only.
func (o *OptionSpec) data() [][]byte {
	kind, _ := named(o.Code)
	var b []byte
	switch kind.Kind {
	case KindAddresses:
		for _, a := range o.Addresses {
			b = append(b, a.AsSlice()...)
		}
	case KindDomains:
		for _, d := range o.Texts {
			b = appendDomain(b, canonicalDomain(d))
		}
	case KindText:
		for _, t := range o.Texts {
			b = append(b, t...)
		}
	case KindTexts:
		for _, t := range o.Texts {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(t))), t...)
		}
	case KindOctet:
		b = []byte{uint8(o.Number)}
	case KindSeconds:
		b = binary.BigEndian.AppendUint32(nil, o.Number)
	case KindTimeServers:
		return each(o.Texts, timeServer)
	case KindResolvers:
		return each(o.Resolvers, resolver)
	case KindVendors:
		return each(o.Vendors, vendor)
	default:
		b = o.Raw
	}
	return [][]byte{b}
}

// each makes one option's data of each entry.
func each[T any](list []T, data func(i int, v *T) []byte) [][]byte {
	all := make([][]byte, len(list))
	for i := range list {
		all[i] = data(i, &list[i])
	}
	return all
}

// Suboptions of the NTP server option (RFC 5908 sections 4.1 to 4.3).
const (
	ntpServer    = 1
	ntpMulticast = 2
	ntpName      = 3
)

// timeServer is one time source: an option has exactly one (RFC 5908 section 4).
func timeServer(_ int, s *string) []byte {
	a, err := netip.ParseAddr(*s)
	switch {
	case err != nil:
		return frameOption(ntpName, appendDomain(nil, canonicalDomain(*s)))
	case a.IsMulticast():
		return frameOption(ntpMulticast, a.AsSlice())
	}
	return frameOption(ntpServer, a.AsSlice())
}

// resolver is one encrypted resolver, the first in the list preferred (RFC 9463
// section 4.1). Unlike in an advertisement there is no lifetime, and nothing
// says how long the service parameters are.
func resolver(i int, e *EncryptedDNSSpec) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(i+1))
	b = e.appendNameAndAddresses(b)
	return e.appendParameters(b)
}

// vendor is one vendor's options behind its number (RFC 9915 section 21.17).
func vendor(_ int, v *VendorSpec) []byte {
	b := binary.BigEndian.AppendUint32(nil, v.Enterprise)
	for _, o := range v.Options {
		b = append(b, frameOption(o.Code, o.Data)...)
	}
	return b
}
