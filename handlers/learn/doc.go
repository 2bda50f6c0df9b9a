// Package learn judges messages about addresses that nobody configured: whether
// a guest may use one, and which guest holds it (RFC 6620, FCFS SAVI).
//
//	lane.go     Lane: what a message does, in the fast lane handed over, in the slow one decided
//	ask.go      what Damselfly itself asks and tells guests
//
// The same code of a protocol runs in both lanes. In the fast one a Lane only
// hands the frame over, and nothing of it is answered; in the slow one it decides
// by the bindings. Without a Lane nothing is learned: what is not known is left
// to the guests.
package learn
