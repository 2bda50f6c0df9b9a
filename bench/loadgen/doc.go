// Package loadgen loads whatever answers guests behind a switch, and checks every
// answer. Command damselfly-load runs it; the benchmarks and the comparison with
// other programs do.
//
// A Load speaks for many guests, each by a packet socket at an interface of its
// own, with many frames a system call. Its guests have so many slots of each Kind;
// a slot is one exchange at a time, of one request or several. Run keeps so many
// exchanges outstanding (closed loop), or begins so many a second (open loop) and
// counts each from when it was due, whether or not it could begin then: a stall is
// told by all exchanges that it held up, not by one.
//
//	site.go        Site, Guest, Router: who asks, and what is right there
//	kinds.go       Kind, and the exchanges of each
//	fixed.go       questions that are the same each time: NS, RS, echo
//	dhcpv6.go      SOLICIT, INFORMATION-REQUEST, and four-way exchanges of ever new clients
//	dhcpv6read.go  what a client must be told
//	load.go        Load: stations, slots, and what comes for them
//	own.go         what guests are asked themselves
//	run.go         Run: closed and open loop, mixes
//	result.go      Result, and histogram.go how long answers took
//	flood.go       Flood: one guest that sends all it can
//	carried.go     Carrier: frames from one guest to another, counted where they arrive
//
// Every answer is held against what its request asks for: link-layer and network
// addresses, hop limit, checksum, target, flags, transaction and client, and that
// no two clients get one address. The first of each question that is always the
// same is decoded by other people's code; later ones must be the same octets. A
// wrong answer ends the run with an error.
package loadgen
