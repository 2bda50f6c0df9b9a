package openflow

import (
	"bytes"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"

	"damselfly/flows"
)

// seeds adds every recorded message.
func seeds(f *testing.F, add func(m Message)) {
	data, err := os.ReadFile(goldenFile)
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		m, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil {
			f.Fatal(err)
		}
		add(m)
	}
}

// FuzzMessage cuts a stream into messages and asks every decoder to read each.
// A message has no room behind its end, so that a decoder which reads past it
// panics.
func FuzzMessage(f *testing.F) {
	seeds(f, func(m Message) { f.Add([]byte(m)) })
	for _, m := range samples() {
		f.Add([]byte(m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for len(b) > 0 {
			m, err := Frame(b)
			if m == nil || err != nil {
				return
			}
			if len(m) < headerLen || cap(m) != len(m) {
				t.Fatalf("message of %d octets in room for %d", len(m), cap(m))
			}
			decodeAll(m)
			b = b[len(m):]
		}
	})
}

// decodeAll gives a message, and its body, to everything that decodes.
func decodeAll(m Message) {
	var p PacketIn
	p.Decode(m)
	DecodeError(m)
	DecodeEvent(m)
	versionNames(helloVersions(m))
	decodeFeatures(m.Body())
	decodeRole(m.Body())
	decodeConfig(m.Body())
	if len(m) < multipartLen {
		return
	}
	for _, body := range [][]byte{m.Body(), m[multipartLen:]} {
		DecodeFlows(nil, body)
		DecodeGroups(nil, body)
		DecodeMeters(nil, body)
		DecodeMeterStats(nil, body)
		DecodePorts(nil, body)
		decodeAggregate(body)
	}
}

// samples are messages as a switch sends them.
func samples() (out []Message) {
	out = append(out, appendHello(nil, 1), appendSetAsync(nil, 2, 1, 2, 3), appendRole(nil, 3, RoleEqual, 4),
		put32(AppendHeader(nil, TypeError, 5), 4<<16|9), packetInMessage(testFrame(1)))
	for i := range out {
		out[i] = finish(out[i], 0)
	}
	return out
}

// FuzzMatch checks that what decodes is the same after encoding and decoding.
func FuzzMatch(f *testing.F) {
	seeds(f, func(m Message) {
		if m.Type() == TypeFlowMod {
			if entries, _, err := cutMatch(m[flowModLen:]); err == nil {
				f.Add(entries)
			}
		}
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		match, err := DecodeMatch(b)
		if err != nil {
			return
		}
		wire := AppendMatch(nil, match)
		entries, rest, err := cutMatch(wire)
		if err != nil || len(rest) != 0 || len(wire)%8 != 0 {
			t.Fatalf("%v encodes as %x: %v", match, wire, err)
		}
		again, err := DecodeMatch(entries)
		if err != nil || !again.Equal(match) {
			t.Fatalf("%v comes back as %v: %v", match, again, err)
		}
	})
}

// FuzzActions checks that what decodes is the same after encoding and decoding,
// and that encoding it twice gives the same octets.
func FuzzActions(f *testing.F) {
	for _, a := range corpusActions() {
		f.Add(AppendActions(nil, []flows.Action{a}))
	}
	f.Add(AppendActions(nil, corpusAnswer()))
	f.Fuzz(func(t *testing.T, b []byte) {
		actions, err := DecodeActions(b)
		if err != nil {
			return
		}
		wire := AppendActions(nil, actions)
		again, err := DecodeActions(wire)
		if err != nil || !slices.Equal(actions, again) {
			t.Fatalf("%v comes back as %v: %v", actions, again, err)
		}
		if twice := AppendActions(nil, again); !bytes.Equal(wire, twice) {
			t.Fatalf("%x encodes anew as %x", wire, twice)
		}
	})
}

// FuzzPacketIn checks that a packet-in never yields octets that are not its own,
// and that a place in the topology comes only with our userdata.
func FuzzPacketIn(f *testing.F) {
	f.Add([]byte(packetInMessage(testFrame(1))))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Frame(b)
		if m == nil || err != nil {
			return
		}
		var p PacketIn
		if !p.Decode(m) {
			return
		}
		if !within(m, p.Frame) || !within(m, p.Userdata) {
			t.Fatal("a packet-in holds octets from outside its message")
		}
		lane := Lane{s: &stream{buf: m, w: len(m)}}
		batch := make([]frame, 1)
		n, err := lane.cut(batch)
		if n != 1 || err != nil {
			t.Fatalf("the lane made %d frames of a packet-in: %v", n, err)
		}
		if batch[0].Port != 0 && (len(p.Userdata) == 0 || p.Userdata[0] != 1) {
			t.Fatalf("port %d from userdata %x", batch[0].Port, p.Userdata)
		}
	})
}

// within reports whether part lies in m.
func within(m, part []byte) bool {
	return len(part) == 0 || bytes.Contains(m, part)
}
