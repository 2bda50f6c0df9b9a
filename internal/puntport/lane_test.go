package puntport

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"damselfly/internal/punt"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// tagged is an untagged frame with a tag behind its MACs (IEEE 802.1Q section 9.5).
func tagged(frame []byte, typ, tag uint16) []byte {
	q := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, typ), tag)
	return slices.Concat(frame[:12], q, frame[12:])
}

// udp6 and icmp6 are frames of that upper layer with four octets of it, behind as
// many empty Destination Options as said.
func upper(protocol byte, payload []byte, extensions int) []byte {
	f := slices.Concat(make([]byte, 5), []byte{1}, []byte{2, 0, 0, 0, 0, 1}, []byte{0x86, 0xdd}, make([]byte, 40))
	f[14] = 0x60
	next := &f[20]
	f[37], f[53] = 1, 2 // addresses that are some
	f[22], f[38] = 0xfe, 0xfe
	for range extensions {
		*next = 60
		f = append(f, 0, 0, 1, 4, 0, 0, 0, 0)
		next = &f[len(f)-8]
	}
	*next = protocol
	f = append(f, payload...)
	binary.BigEndian.PutUint16(f[18:], uint16(len(f)-54))
	return f
}

func TestClassOf(t *testing.T) {
	t.Parallel()
	message := func(typ byte) []byte { return append([]byte{typ}, make([]byte, 31)...) }
	to := func(port uint16) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{2, 34}, port), make([]byte, 4)...)
	}
	for name, tt := range map[string]struct {
		frame []byte
		want  punt.Class
	}{
		"solicitation":            {upper(58, message(135), 0), punt.NS},
		"advertisement":           {upper(58, message(136), 0), punt.NA},
		"router solicitation":     {upper(58, message(133), 0), punt.RS},
		"router advertisement":    {upper(58, message(134), 0), punt.RS},
		"listener report":         {upper(58, message(143), 1), punt.MLD},
		"router discovery":        {upper(58, message(152), 0), punt.MLD},
		"inverse solicitation":    {upper(58, message(141), 0), punt.Inverse},
		"echo":                    {upper(58, message(128), 0), punt.Echo},
		"behind an extension":     {upper(58, message(135), 1), punt.NS},
		"behind too many":         {upper(58, message(135), 9), punt.None},
		"DHCPv6":                  {upper(17, to(547), 0), punt.DHCPv6},
		"DHCPv6 behind extension": {upper(17, to(547), 2), punt.DHCPv6},
		"other UDP":               {upper(17, to(53), 0), punt.None},
		"path":                    {upper(58, message(148), 0), punt.SEND},
		"echo reply":              {upper(58, message(129), 0), punt.None},
		"TCP":                     {upper(6, to(547), 0), punt.None},
		"IPv4":                    {append(make([]byte, 12), 8, 0, 0x45), punt.None},
		"short":                   {upper(58, nil, 0), punt.None},
		"empty":                   {nil, punt.None},
	} {
		if got := classOf(tt.frame); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// TestCut: the tag tells the port and is gone; what has none, or one that is
// nobody's, is counted and dropped.
func TestCut(t *testing.T) {
	t.Parallel()
	ask := upper(58, append([]byte{135}, make([]byte, 31)...), 0)
	var raw [][]byte
	for _, tt := range []struct{ typ, tag uint16 }{
		{0x8100, 1}, {0x8100, 4094}, {0x8100, 1<<13 | 1}, {0x8100, 3<<13 | 3712},
		{0x8100, 0}, {0x8100, 4095}, {0x8100, 1 << 13}, {0x8100, punt.TagThrough | 1}, {0x8100, 1<<12 | 1},
		{0x8100, 3<<13 | 3713}, {0x88a8, 1},
	} {
		raw = append(raw, tagged(ask, tt.typ, tt.tag))
	}
	raw = append(raw, ask, nil, ask[:13])
	l := NewLane(nil)
	batch := make([]pipeline.Frame, pipeline.MaxBatch)
	n := l.cut(batch, raw)
	var keys []uint16
	for _, f := range batch[:n] {
		keys = append(keys, f.Port)
		if !slices.Equal(f.Data, ask) || f.Class != uint8(punt.NS) || f.InPort != 0 {
			t.Errorf("key %d: got %+v", f.Port, f)
		}
	}
	if want := []uint16{1, 4094, 4097, 16000}; !slices.Equal(keys, want) {
		t.Errorf("keys %v, want %v", keys, want)
	}
	if s := l.Stats(); s.Frames != 4 || s.Strange != 10 {
		t.Errorf("counted %+v", s)
	}
}

// TestTags: every key has a tag of its own that says it, but for those that would
// have to use VLAN 0 or 4095.
func TestTags(t *testing.T) {
	t.Parallel()
	seen, without := map[uint16]bool{}, 0
	for key := uint16(1); key <= punt.MaxKey; key++ {
		tag, ok := punt.Tag(key)
		if !ok {
			without++
			continue
		}
		if vid := tag & 0xfff; vid == 0 || vid == 4095 || tag&(1<<12) != 0 || seen[tag] || punt.OfTag(tag) != key {
			t.Fatalf("key %d has tag %#x, which says %d", key, tag, punt.OfTag(tag))
		}
		seen[tag] = true
	}
	if without != 6 {
		t.Errorf("%d keys have no tag", without)
	}
	for tag := range 1 << 16 {
		if key := punt.OfTag(uint16(tag)); key != 0 && !seen[uint16(tag)] {
			t.Errorf("tag %#x says %d", tag, key)
		}
	}
}

// kept is a Sink that keeps what it is given.
type kept struct {
	list []pipeline.Reply
	err  error
}

func (k *kept) WriteReplies(r *pipeline.Replies) error {
	k.list = append(k.list, r.List()...)
	return k.err
}

// TestCompose parts replies by where they can go.
func TestCompose(t *testing.T) {
	answer := upper(58, append([]byte{136}, make([]byte, 31)...), 0)
	r := pipeline.NewReplies(0)
	from := pipeline.Frame{InPort: 3, Port: 4097, Network: 2, VLAN: 100}
	put := func(b []byte) { copy(b, answer) }
	put(r.Back(&from, len(answer)))
	put(r.Onward(&from, len(answer)))
	put(r.Into(2, len(answer)))
	put(r.To(3, 100, len(answer)))
	none := from
	none.Port = 4096 // whose tag would be of VLAN 0
	put(r.Back(&none, len(answer)))
	copy(r.Back(&from, 4), answer)
	s := NewLane(nil).NewSink(nil)
	s.compose(r)
	want := [][]byte{tagged(answer, 0x8100, 1<<13|1), tagged(answer, 0x8100, 1<<15|1<<13|1)}
	if !slices.EqualFunc(s.frames, want, slices.Equal) {
		t.Errorf("got  %x\nwant %x", s.frames, want)
	}
	if got := s.others.List(); len(got) != 4 || got[0].Network != 2 || got[1].Out != 3 || got[2].Port != 4096 || len(got[3].Data) != 4 {
		t.Errorf("others: %+v", got)
	}
	if n := testing.AllocsPerRun(100, func() { s.compose(r) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestUnusedPort: while there is no port, or the switch takes nothing by it, all
// goes the other way.
func TestUnusedPort(t *testing.T) {
	t.Parallel()
	r := pipeline.NewReplies(0)
	r.Back(&pipeline.Frame{InPort: 3, Port: 1}, wire.EthernetLen)
	l := NewLane(nil)
	rest := &kept{err: errors.New("no")}
	s := l.NewSink(rest)
	l.Use(true)
	if err := s.WriteReplies(r); !errors.Is(err, rest.err) || len(rest.list) != 1 {
		t.Errorf("without a tap: %v, %d replies", err, len(rest.list))
	}
	if l.Stats().Replies != 0 {
		t.Errorf("counted %+v", l.Stats())
	}
}
