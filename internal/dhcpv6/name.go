package dhcpv6

import (
	"fmt"
	"strings"
)

const (
	// maxLabel is the most octets of one label (RFC 1035 section 2.3.4).
	maxLabel = 63
	// maxName is the most octets of a name with its length octets and root label (RFC 1035 section 2.3.4).
	maxName = 255
)

// Name is one name in label form, never compressed (RFC 9915 section 10). Its
// gate is NextName, or Request.Read for an FQDN's.
type Name []byte

// NextName cuts the first name off b, a list of names as DNS search lists are
// (RFC 3646 section 4). Each ends in the root label. The fault is FaultName.
func NextName(b []byte) (Name, []byte, Fault) {
	n, f := nameLen(b)
	if f != FaultNone || n == 0 || b[n-1] != 0 {
		return nil, nil, FaultName
	}
	return Name(b[:n:n]), b[n:], FaultNone
}

// nameLen is the length of the name at the start of b: up to its root label,
// or all of b if that ends behind a label.
func nameLen(b []byte) (int, Fault) {
	n := 0
	for n < len(b) {
		l := int(b[n])
		if l > maxLabel || n+1+l > len(b) {
			return 0, FaultName
		}
		n += 1 + l
		if n > maxName {
			return 0, FaultName
		}
		if l == 0 {
			break
		}
	}
	return n, FaultNone
}

// Complete reports whether the name ends in the root label, and so is fully qualified.
func (n Name) Complete() bool { return len(n) > 0 && n[len(n)-1] == 0 }

// String is the name in text, without a dot at the end; octets that are no
// letter, digit, hyphen or underscore are written as a backslash and three
// digits (RFC 1035 section 5.1).
func (n Name) String() string {
	var s strings.Builder
	for len(n) > 0 && n[0] != 0 {
		if s.Len() > 0 {
			s.WriteByte('.')
		}
		for _, c := range n[1 : 1+n[0]] {
			if plain(c) {
				s.WriteByte(c)
			} else {
				fmt.Fprintf(&s, `\%03d`, c)
			}
		}
		n = n[1+n[0]:]
	}
	return s.String()
}

// plain reports whether c stands for itself in a name's text.
func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// AppendName appends name, such as "example.com", with or without a dot at the
// end, in label form. The error says what is wrong with it.
func AppendName(b []byte, name string) ([]byte, error) {
	text := strings.TrimSuffix(name, ".")
	// Each dot becomes a length octet; the first length and the root label come on top.
	if len(text)+2 > maxName {
		return b, fmt.Errorf("name of %d octets is too long: use at most 253", len(text))
	}
	for label := range strings.SplitSeq(text, ".") {
		if len(label) == 0 || len(label) > maxLabel {
			return b, fmt.Errorf("name %q: each part between dots needs 1 to 63 letters", name)
		}
		for i := range len(label) {
			if !plain(label[i]) {
				return b, fmt.Errorf("name %q: use letters, digits, hyphens and underscores only", name)
			}
		}
	}
	for label := range strings.SplitSeq(text, ".") {
		b = append(b, byte(len(label)))
		b = append(b, label...)
	}
	return append(b, 0), nil
}
