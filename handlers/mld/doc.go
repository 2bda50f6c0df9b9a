// Package mld hears who listens to multicast groups and who routes them: Multicast
// Listener Discovery (RFC 9777, RFC 2710) as a snooping switch does (RFC 4541 section 3), and
// Multicast Router Discovery (RFC 4286).
//
//	lane.go   Lane: what a message does, in the fast lane handed over, in the slow one decided
//	send.go   what Damselfly asks and tells
//
// It is to package multicast what learn is to binding.
package mld
