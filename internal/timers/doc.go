// Package timers is the one home of what nobody asked for: unsolicited Router
// Advertisements, the memory of what they promised, and unsolicited Neighbor
// Advertisements of addresses that moved.
//
// The map:
//
//	owner.go      Owner: one goroutine, one timer, everything due in one heap
//	adopt.go      a new snapshot: which networks begin, change and end
//	schedule.go   when a network's next advertisement is due (RFC 4861 section 6.2.4)
//	farewell.go   the last advertisements of routers that are gone (RFC 4861 section 6.2.5)
//	heap.go       entries by due time
//	memory.go     Memory: what was promised, over crashes and changes
//	prefix.go     how far ahead a promise is recorded, and what is left of it
//	routes.go     which routes guests were told of, and are to be told the end of
//	routers.go    who was a default router, and whose end hosts must be told
//	announce.go   Announcer: who is told of addresses that moved, how often and how fast (RFC 4861 section 7.2.6)
//	places.go     where each address is and was
//	refresh.go    Memory's own goroutine: pushing records forward, forgetting them
//
// The order of a change of the topology: the Builder validates it and makes a
// Snapshot; Memory.Reconcile records what that Snapshot will promise and says
// which prefixes and routers are to be ended; with these the Builder makes the
// Snapshot that is published; Owner.Update gets that one. So whatever is
// advertised, solicited or not, was recorded before.
//
// Stopping the process ends no advertising: nothing is sent then, so guests
// keep their routes while Damselfly is away.
//
// A network that left the configuration gets no last advertisements: with it
// went the flows that would carry them, and its ports may serve another network
// already, whose router may have the same link-local address. What its guests
// were told lapses by itself.
package timers
