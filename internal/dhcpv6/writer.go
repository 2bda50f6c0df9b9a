package dhcpv6

import (
	"encoding/binary"
	"net/netip"
)

// maxDepth is how many lengths can be open at once: those of all relays, an
// IA's, an address's, and one to spare.
const maxDepth = MaxRelays + 3

// Writer writes one message into the caller's buffer, option by option. What
// does not fit is left out whole and remembered: Finish then gives false, and
// nothing of the message is to be sent. The zero Writer has no room; Reset
// gives it some. It allocates nothing.
//
//	w.Reset(buf)
//	w.OpenRelayReplies(r)                  // nothing for a client on the link
//	w.Begin(dhcpv6.Reply, r.TransactionID())
//	w.Option(dhcpv6.OptionServerID, id)
//	w.OpenIANA(ia.ID, t1, t2)
//	w.Address(addr, preferred, valid)
//	w.Close()
//	message, ok := w.Finish()
type Writer struct {
	b     []byte
	n     int
	start int
	open  [maxDepth]int // where the length fields not yet known are
	depth int
	full  bool
}

// Reset lets w begin anew in b, whose length is the room there is.
func (w *Writer) Reset(b []byte) {
	w.b, w.n, w.start, w.depth, w.full = b, 0, 0, 0, false
}

// Begin writes the fixed part of a message: its type and the low 24 bits of
// its transaction id, which is 0 in a Reconfigure (RFC 9915 section 18.3.11).
func (w *Writer) Begin(t MessageType, transactionID uint32) {
	w.start = w.n
	if b := w.take(MessageLen); b != nil {
		binary.BigEndian.PutUint32(b, uint32(t)<<24|transactionID&0xffffff)
	}
}

// Option writes an option whole; body is copied.
func (w *Writer) Option(code uint16, body []byte) {
	if b := w.option(code, len(body)); b != nil {
		copy(b, body)
	}
}

// Raw writes options that were made before, with their codes and lengths.
func (w *Writer) Raw(options []byte) {
	if b := w.take(len(options)); b != nil {
		copy(b, options)
	}
}

// Open begins an option that holds others, until Close; fixed is what stands
// before them.
func (w *Writer) Open(code uint16, fixed []byte) {
	if b := w.openOption(code, len(fixed)); b != nil {
		copy(b, fixed)
	}
}

// Close ends what was opened last and puts its length in.
func (w *Writer) Close() {
	if w.depth == 0 || w.full {
		return
	}
	w.depth--
	at := w.open[w.depth]
	n := w.n - at - 2
	if n > 0xffff {
		w.full = true
		return
	}
	binary.BigEndian.PutUint16(w.b[at:], uint16(n))
}

// Uint8 writes an option of one octet, such as a Preference.
func (w *Writer) Uint8(code uint16, v uint8) {
	if b := w.option(code, 1); b != nil {
		b[0] = v
	}
}

// Uint32 writes an option of one 32-bit number, such as an Information Refresh
// Time, SOL_MAX_RT or INF_MAX_RT in seconds.
func (w *Writer) Uint32(code uint16, v uint32) {
	if b := w.option(code, 4); b != nil {
		binary.BigEndian.PutUint32(b, v)
	}
}

// Addresses writes an option that is a list of IPv6 addresses, such as DNS servers.
func (w *Writer) Addresses(code uint16, list []netip.Addr) {
	b := w.option(code, 16*len(list))
	if b == nil {
		return
	}
	for i, a := range list {
		a16 := a.As16()
		copy(b[16*i:], a16[:])
	}
}

// Status writes a Status Code with a text for people, in UTF-8 (RFC 9915 section 21.13).
func (w *Writer) Status(s Status, text string) {
	if b := w.option(OptionStatusCode, statusLen+len(text)); b != nil {
		binary.BigEndian.PutUint16(b, uint16(s))
		copy(b[statusLen:], text)
	}
}

// Message is the message begun last as far as it is written, without the
// relays around it.
func (w *Writer) Message() Message { return Message(w.b[w.start:w.n]) }

// Full reports whether something did not fit.
func (w *Writer) Full() bool { return w.full }

// Finish closes what is open and gives all that was written; false if
// something did not fit.
func (w *Writer) Finish() ([]byte, bool) {
	for w.depth > 0 && !w.full {
		w.Close()
	}
	if w.full {
		return nil, false
	}
	return w.b[:w.n], true
}

// take is the next n octets, nil if there is no room for them or was none before.
func (w *Writer) take(n int) []byte {
	if w.full || n > len(w.b)-w.n {
		w.full = true
		return nil
	}
	b := w.b[w.n : w.n+n]
	w.n += n
	return b
}

// option writes an option's header and is the room for its body.
func (w *Writer) option(code uint16, n int) []byte {
	if n > 0xffff {
		w.full = true
		return nil
	}
	b := w.take(optionHeaderLen + n)
	if b == nil {
		return nil
	}
	binary.BigEndian.PutUint16(b, code)
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	return b[optionHeaderLen:]
}

// openOption writes the header of an option whose length is put in by Close,
// and is the room for its fixed part.
func (w *Writer) openOption(code uint16, fixed int) []byte {
	if w.depth == len(w.open) {
		w.full = true
		return nil
	}
	at := w.n + 2
	b := w.option(code, fixed)
	if b != nil {
		w.open[w.depth] = at
		w.depth++
	}
	return b
}
