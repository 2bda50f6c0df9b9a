package config

import (
	"encoding/hex"
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"damselfly/internal/topology"
)

// optionDraft is a DHCPv6 option being read. Keys come in any order, so what
// its value is can only be told at the end.
type optionDraft struct {
	name  string
	code  int
	value value
	hex   []byte

	hasCode, hasValue, hasHex bool
}

// option reads `{name, value}` or `{code, hex}`.
func option(o *topology.OptionSpec) reader {
	return func(v value) {
		var d optionDraft
		before := len(v.d.mistakes)
		v.fields(keys{
			"name":  text(&d.name),
			"code":  also(&d.hasCode, integer(&d.code, 0, math.MaxUint16)),
			"value": func(v value) { d.value, d.hasValue = v, true },
			"hex":   also(&d.hasHex, octets(&d.hex)),
		})
		if len(v.d.mistakes) > before {
			return
		}
		switch {
		case d.name != "" && (d.hasCode || d.hasHex), d.hasCode && d.hasValue:
			v.wrong("mixes two forms; write a name and its value, or a code and its data in hex")
		case d.name != "" && d.hasValue:
			d.byName(v, o)
		case d.hasCode && d.hasHex:
			// Not nil even where it is empty: an option may have no data.
			o.Code, o.Raw = uint16(d.code), append([]byte{}, d.hex...)
		default:
			v.wrong("is no option; write a name and its value, or a code and its data in hex")
		}
	}
}

// also notes that a key is there.
func also(there *bool, r reader) reader {
	return func(v value) {
		*there = true
		r(v)
	}
}

// byName reads the value of an option as its kind wants it.
func (d *optionDraft) byName(v value, o *topology.OptionSpec) {
	var names []string
	for _, known := range topology.NamedOptions() {
		if known.Name == d.name {
			o.Code = known.Code
			d.value.read(kindReader(known.Kind, o))
			return
		}
		names = append(names, known.Name)
	}
	v.wrong("%q is no option with a name; known are %s; write others as code and hex", d.name, strings.Join(names, ", "))
}

// kindReader reads a value into the field that the kind uses.
func kindReader(kind topology.Kind, o *topology.OptionSpec) reader {
	switch kind {
	case topology.KindAddresses:
		return many(&o.Addresses, address)
	case topology.KindText:
		o.Texts = make([]string, 1)
		return text(&o.Texts[0])
	case topology.KindOctet:
		return integer(&o.Number, 0, math.MaxUint8)
	case topology.KindSeconds:
		return wholeSeconds(&o.Number)
	case topology.KindResolvers:
		return many(&o.Resolvers, encryptedDNS)
	case topology.KindVendors:
		return many(&o.Vendors, vendor)
	default:
		return many(&o.Texts, text)
	}
}

// wholeSeconds reads a duration as a number of seconds.
func wholeSeconds(to *uint32) reader {
	return func(v value) {
		before := len(v.d.mistakes)
		var d time.Duration
		duration(&d)(v)
		switch {
		case len(v.d.mistakes) > before:
		case d < 0 || d > math.MaxUint32*time.Second || d%time.Second != 0:
			v.wrong("%s is no number of seconds; write one such as 600s or 4h", d)
		default:
			*to = uint32(d / time.Second)
		}
	}
}

// vendor reads one vendor's options.
func vendor(s *topology.VendorSpec) reader {
	return func(v value) {
		v.fields(keys{
			"enterprise": integer(&s.Enterprise, 0, math.MaxUint32),
			"options": many(&s.Options, func(o *topology.SubOptionSpec) reader {
				return func(v value) {
					var code int
					v.fields(keys{"code": integer(&code, 0, math.MaxUint16), "hex": octets(&o.Data)})
					o.Code = uint16(code)
				}
			}),
		})
	}
}

// octets reads hexadecimal digits, with colons between octets or without.
func octets(to *[]byte) reader {
	return func(v value) {
		s, ok := textOf(v, `"0001", in quotes`)
		if !ok {
			return
		}
		b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
		if err != nil {
			v.wrong("%q is not hexadecimal; write two digits an octet such as \"0001\"", s)
			return
		}
		*to = b
	}
}

// reservation reads addresses of a client.
func reservation(r *topology.Reservation) reader {
	return func(v value) {
		v.fields(keys{
			"duid": func(v value) {
				var b []byte
				octets(&b)(v)
				r.DUID = string(b)
			},
			"addresses": many(&r.Addresses, address),
		})
	}
}

// pool reads a range of addresses, both ends included.
func pool(r *topology.AddrRange) reader {
	const example = "fd00:b1::1:0-fd00:b1::1:ffff"
	return func(v value) {
		s, ok := textOf(v, example)
		if !ok {
			return
		}
		first, last, _ := strings.Cut(s, "-")
		a, err := netip.ParseAddr(strings.TrimSpace(first))
		b, err2 := netip.ParseAddr(strings.TrimSpace(last))
		if err != nil || err2 != nil || !isAddress(a) || !isAddress(b) {
			v.wrong("%q is no range of IPv6 addresses; write one such as %s", s, example)
			return
		}
		*r = topology.AddrRange{First: a, Last: b}
	}
}

func isAddress(a netip.Addr) bool { return a.Is6() && !a.Is4In6() && a.Zone() == "" }

// delegation reads a pool of prefixes.
func delegation(d *topology.DelegationSpec) reader {
	return func(v value) {
		v.fields(keys{
			"pool":   prefix(&d.Pool, "2001:db8:8000::/40"),
			"length": integer(&d.Length, 1, 128),
			"exclude": optional(&d.Exclude, func(e *topology.ExcludeSpec) reader {
				return func(v value) {
					var subnet uint32
					v.fields(keys{"length": integer(&e.Length, 1, 128), "subnet": integer(&subnet, 0, math.MaxUint32)})
					e.Subnet = uint64(subnet)
				}
			}),
			"preferred": optional(&d.Preferred, duration),
			"valid":     optional(&d.Valid, duration),
		})
	}
}

// numberOrNone reads a number up to most, or the word none, which stands for a
// value of its own.
func numberOrNone(to **int, most int64, none int) reader {
	return func(v value) {
		n := new(int)
		if s, ok := v.node.(*ast.StringNode); ok && s.Value == "none" {
			*n, *to = none, n
			return
		}
		before := len(v.d.mistakes)
		integer(n, 0, most)(v)
		if len(v.d.mistakes) == before {
			*to = n
		}
	}
}
