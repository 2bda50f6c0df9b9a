// Package slowlane carries frames that must change durable state from the
// workers to the one goroutine that owns the state, and its replies back to the
// switch. It knows no protocol.
//
//	worker --Push--> Ring --Pop--> Owner: Decide up to N, commit once, write the replies
//
// The map:
//
//	ring.go    Ring: a bounded queue of copied frames, one producer, one consumer
//	share.go   how many of a Ring's places one port may hold
//	owner.go   Owner: drains the rings fairly, and stops without leaving anything unanswered
//
// A worker pushes copies of frames while it serves a batch and calls Wake once
// at the batch's end: no lock and no channel operation per frame. The places and
// their buffers are used again, so a warm ring allocates nothing.
//
// No reply leaves before Decide has returned: Decide commits what the replies
// promise, and takes back the replies it could not commit.
//
// Stop: the workers first, so that nobody pushes any more; then the context of
// Run ends; Run takes what is in the rings, answers it and returns.
package slowlane
