// Package lease keeps who holds which address and delegated prefix: what DHCPv6
// gave (RFC 9915) and what guests registered (RFC 9686).
//
// The map:
//
//	lease.go     Lease, Kind, State, Grant, Filter: what is told and asked
//	book.go      Book: Open, Begin, and the timer and change feed of its owner
//	tx.go        Tx: lookups that see the transaction's own writes
//	bind.go      Tx: Bind, Release, Decline, Revoke, Expire
//	choose.go    Tx: which address or prefix a client gets
//	pool.go      ranges of up to 2^128 places, and the keyed function that picks one
//	scarce.go    pools that are nearly full: found exactly, once, not per request
//	commit.go    Tx: Commit; a group of changes becomes durable, then visible
//	table.go     the published clients, read without a lock
//	held.go      which addresses and prefixes of a network are taken
//	expiry.go    when the next lease ends
//	view.go      View: lookups and lists from any goroutine
//	addresses.go the addresses of each port, and which ports' changed
//	routes.go    routes of delegated prefixes, and the feed of changes
//	record.go    a lease as octets
//	storage.go   Storage: the three things a store must do, and the embedded one
//
// One goroutine owns a Book and its transactions:
//
//	tx := book.Begin(now)
//	...             // decide a group of requests: Find, Choose, Bind, Release
//	err := tx.Commit() // one durable write for the group
//	...             // only now answer; on an error answer nothing of the group
//
// Everybody else reads the View. It shows what was committed, never what is
// being decided, and is safe without locks: a client's leases are one immutable
// value that a commit replaces.
//
// A client is a port and a DUID, opaque octets: the same DUID behind another
// port is another client. Ports and networks go by name, since their numbers may
// pass to others while a lease lasts.
//
// Time is passed in. Whether a lease still runs follows from its record and a
// store.Clock alone, so an expired lease is free before anybody swept it, and a
// step of the wall clock neither ends a lease nor prolongs it.
package lease
