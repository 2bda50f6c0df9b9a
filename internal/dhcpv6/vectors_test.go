package dhcpv6

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

// Datagrams of real clients and servers, from tcpdump's own test captures: a
// client's exchanges for an address and for a prefix, and a dhcpcd behind a relay.
const (
	solicitNA = "0190b45c 0001000a00030001000102030405 0006000400170018 000800020000 0003000c0203040500000e1000001518"
	requestNA = "032ffdd1 0001000a00030001000102030405 0002000e000100011846488c001122334455 0006000400170018 000800020000" +
		"000300280203040500000e1000001518 000500182a0000010001020038e6b22ec440acdf00001c2000001d4c"
	replyNA = "072ffdd1 000300280203040500000e1000001518 000500182a0000010001020038e6b22ec440acdf0000119400001c20" +
		"0001000a00030001000102030405 0002000e000100011846488c001122334455"
	requestPD = "0312b08a 0001000a00030001000102030405 0002000e00010001184649990011223344550006000400170018 000800020000" +
		"001900290203040500000e1000001518 001a001900001c2000001d4c382a000001000101000000000000000000"
	replyPD = "07e1e093 001900290203040500000e1000001518 001a00190000119400001c20382a000001000101000000000000000000" +
		"0001000a00030001000102030405 0002000e00010001184649990011223344 55"
	relayed = "0c00200108a810060003022584fffedb2380fe80000000000000ba27ebfffeb853c8000900c60178244b0001000e000100011e62770bb827" +
		"ebb853c80008000200000010003300009f08002d6468637063642d362e31312e353a4c696e75782d342e312e31382d76372b3a61726d7637" +
		"6c3a42434d32373039000e00000003000cebb853c800000000000000000027000d010b72617370626572727970690070003668747470733a" +
		"2f2f6d756463746c2e6578616d706c652e636f6d2f2e77656c6c2d6b6e6f776e2f6d75642f76312f7261736270313031001400000006000c" +
		"00170018001f0027005200530012000400000008"

	// reconfigureDigest is what python3 -c with hmac and hashlib.md5 says.
	reconfigureDigest = "6b2ee5617c9e0c41898e28887ea3eab3"

	clientDUID = "00030001000102030405"
	serverDUID = "000100011846488c001122334455"
)

// octets reads hexadecimal with spaces for the eye.
func octets(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// message is a type, a transaction id and options in hexadecimal.
func message(t MessageType, options ...string) []byte {
	return append([]byte{byte(t), 0xab, 0xcd, 0xef}, octets(strings.Join(options, ""))...)
}

// relay puts a Relay-forward around data.
func relay(hops uint8, data []byte, options ...string) []byte {
	b := append([]byte{byte(RelayForward), hops}, make([]byte, 32)...)
	b[2], b[3], b[17], b[18], b[19], b[33] = 0x20, 0x01, 1, 0xfe, 0x80, 2
	b = append(b, octets(strings.Join(options, ""))...)
	b = append(b, 0, OptionRelayMessage, byte(len(data)>>8), byte(len(data)))
	return append(b, data...)
}

// onLink is the context of a client on the link.
func onLink() *Context {
	return &Context{ServerID: octets(serverDUID), Source: netip.MustParseAddr("fe80::2"), Multicast: true}
}

// full is a Solicit as a router sends it, for benchmarks.
const full = "01abcdef" + cid + "000e0000 000800020000 0006000800170018001f0052" +
	"0003000c 00000001 00000000 00000000 00190029 00000002 00000000 00000000 001a0019 00000000 00000000 38 00000000000000000000000000000000"

const (
	cid  = "0001000a00030001000102030405"
	sid  = "0002000e000100011846488c001122334455"
	sid2 = "0002000e000100011846488c001122334456"
	iana = "0003002800000000 00000000 00000000 0005001820010db8000000000000000000000001 00000000 00000000"
	addr = "0005001820010db8000000000000000000000001 00000e10 00001c20"
)

func mustRead(t testing.TB, data []byte, c *Context) *Request {
	t.Helper()
	r := new(Request)
	if f := r.Read(data, c); f != FaultNone {
		t.Fatalf("%x: %v", data, f)
	}
	return r
}
