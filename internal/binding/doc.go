// Package binding learns which guest holds which of the addresses that nobody
// configured and no server leased: the bindings of FCFS SAVI (RFC 6620 section
// 3.2), first come, first served.
//
// The map:
//
//	binding.go   Claim, Outcome, Event, Binding: what is told and asked; the times
//	table.go     Table: what a guest's message does to the binding of an address
//	contest.go   what happens when two ports want one address
//	timer.go     what happens when nobody says anything
//	bound.go     how many addresses a port may hold
//	storage.go   Storage: the two things a store must do, and the embedded one
//	commit.go    what is bound becomes durable, and visible to others
//
// An address is in no state, or in one of three:
//
//	         probe, or a message from it
//	(none) ------------------------------> tentative   the others are asked
//	tentative -- 250 ms, no objection ---> valid       told to whoever reads Bound
//	tentative -- another holds it -------> valid, of that port
//	valid -- another's probe, or silence -> testing     the holder is asked
//	testing -- a sign of life -----------> valid
//	testing -- none ---------------------> valid of who probed, or (none)
//
// A Table is one goroutine's. It sends nothing: what is to be sent or told are
// Events, which its owner takes after each group of messages. Time is passed in.
//
// Only valid and testing bindings are stored; one that was tentative at a crash
// is made anew by the guest's next packet. A store that fails keeps no guest
// from its address: what could not be written is written later.
//
// Ports and networks go by name, since their numbers may pass to others.
package binding
