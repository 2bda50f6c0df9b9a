package config

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// textOf is the text of a value that must be one.
func textOf(v value, example string) (string, bool) {
	switch n := v.node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	}
	if _, ok := entriesOf(v.node); ok {
		v.wrong("is a map; write a text such as %s, in quotes if it has a colon", example)
		return "", false
	}
	v.wrong("is %s; write a text such as %s", kindOf(v.node), example)
	return "", false
}

// text reads any text.
func text(to *string) reader {
	return func(v value) {
		if s, ok := textOf(v, `"blue", in quotes where it looks like something else`); ok {
			*to = s
		}
	}
}

// folder reads a path, which is relative to the file it stands in.
func folder(to *string) reader {
	return func(v value) {
		s, ok := textOf(v, DefaultState)
		switch {
		case !ok:
		case s == "" || strings.ContainsRune(s, 0):
			v.wrong("is no path; write one such as %s", DefaultState)
		default:
			if !filepath.IsAbs(s) {
				s = filepath.Join(filepath.Dir(v.d.file), s)
			}
			if a, err := filepath.Abs(s); err == nil {
				s = a
			}
			*to = s
		}
	}
}

// listen reads the address of a TCP listener, or "" for none.
func listen(to *string) reader {
	return func(v value) {
		s, ok := textOf(v, DefaultAPI)
		if !ok || s == "" {
			if ok {
				*to = ""
			}
			return
		}
		_, port, err := net.SplitHostPort(s)
		if n, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || n == 0 {
			v.wrong("%q is no address and port; write one such as %s, or \"\" to turn it off", s, DefaultAPI)
			return
		}
		*to = s
	}
}

// integer reads a whole number from least to most; hexadecimal is fine.
func integer[T int | uint32](to *T, least, most int64) reader {
	return func(v value) {
		n, ok := v.node.(*ast.IntegerNode)
		if !ok {
			v.wrong("is %s; write a whole number from %d to %d", kindOf(v.node), least, most)
			return
		}
		var i int64
		switch x := n.Value.(type) {
		case int64:
			i = x
		case uint64:
			i = int64(min(x, math.MaxInt64))
		}
		if i < least || i > most {
			v.wrong("%s is out of range; give %d to %d", n.GetToken().Value, least, most)
			return
		}
		*to = T(i)
	}
}

// optional reads into a new T that to will point to.
func optional[T any](to **T, read func(*T) reader) reader {
	return func(v value) {
		*to = new(T)
		read(*to)(v)
	}
}

// boolean reads true or false.
func boolean(to *bool) reader {
	return func(v value) {
		n, ok := v.node.(*ast.BoolNode)
		if !ok {
			v.wrong("is %s; write true or false", kindOf(v.node))
			return
		}
		*to = n.Value
	}
}

// duration reads what is written as 600s or 4h.
func duration(to *time.Duration) reader {
	return func(v value) {
		s, ok := textOf(v, "600s or 4h, with its unit")
		if !ok {
			return
		}
		d, err := time.ParseDuration(s)
		if err != nil {
			v.wrong("%q is no duration; write one such as 600s, 90m or 4h", s)
			return
		}
		*to = d
	}
}

// address reads an IPv6 address.
func address(to *netip.Addr) reader {
	return func(v value) {
		s, ok := textOf(v, "fd00:b1::11")
		if !ok {
			return
		}
		a, err := netip.ParseAddr(s)
		if err != nil || !isAddress(a) {
			v.wrong("%q is no IPv6 address; write one such as fd00:b1::11", s)
			return
		}
		*to = a
	}
}

// prefix reads an IPv6 prefix, or an address with its prefix's length.
func prefix(to *netip.Prefix, example string) reader {
	return func(v value) {
		s, ok := textOf(v, example)
		if !ok {
			return
		}
		p, err := netip.ParsePrefix(s)
		if err != nil || !p.Addr().Is6() || p.Addr().Is4In6() {
			v.wrong("%q is no IPv6 prefix; write one such as %s", s, example)
			return
		}
		*to = p
	}
}

// mac reads an Ethernet address.
func mac(to *wire.MAC) reader {
	return func(v value) {
		s, ok := textOf(v, `"02:00:00:00:00:11"`)
		if !ok {
			return
		}
		m, err := wire.ParseMAC(s)
		switch {
		case err != nil:
			v.wrong("%q is no MAC address; write one such as 02:00:00:00:00:11", s)
		case m.IsZero():
			v.wrong("%s is nobody's MAC; give the guest's, or leave the key out", s)
		default:
			*to = m
		}
	}
}

// choice reads one of some words.
func choice[T any](to *T, words []string, values []T) reader {
	return func(v value) {
		s, ok := textOf(v, words[0])
		if !ok {
			return
		}
		for i, w := range words {
			if s == w {
				*to = values[i]
				return
			}
		}
		v.wrong("%q is not known; write one of %s", s, strings.Join(words, ", "))
	}
}

// limit reads a budget as 200/400, or none.
func limit(to *topology.Limit) reader {
	return func(v value) {
		s, ok := textOf(v, "200/400, frames a second and burst, or none")
		if !ok {
			return
		}
		l, err := parseLimit(s)
		if err != nil {
			v.wrong("%q is no limit; write frames a second and burst such as 200/400, or none", s)
			return
		}
		*to = l
	}
}

func parseLimit(s string) (topology.Limit, error) {
	if s == "none" {
		return topology.Unlimited, nil
	}
	rate, burst, ok := strings.Cut(s, "/")
	if !ok {
		return topology.Limit{}, fmt.Errorf("no burst in %q", s)
	}
	// All ones is Unlimited, in one field too.
	r, err := strconv.ParseUint(rate, 10, 31)
	if err != nil {
		return topology.Limit{}, err
	}
	b, err := strconv.ParseUint(burst, 10, 31)
	return topology.Limit{Rate: uint32(r), Burst: uint32(b)}, err
}
