// Package store keeps Damselfly's durable state in one file behind a small
// interface: what must outlive a crash, and what may only be said after it is
// on disk.
//
// The map:
//
//	bucket.go    the buckets, one line each
//	store.go     Store: Open, Close, and the steps of opening in their order
//	tx.go        Update (one fsync, atomic) and View; records are sealed with a checksum
//	journal.go   the leases' changes: one sync a group, folded into their bucket later
//	groups.go    one of the journal's two files: groups, their octets, reading them back
//	inuse.go     which of the two files must be there, so that a lost one is told
//	present.go   refusing to write where the files were removed meanwhile
//	format.go    the format number: newer is refused, older is backed up and migrated
//	lock.go      one process a directory
//	inspect.go   reads every page of the file before the database library may map it
//	page.go      the layout of one page, with every offset checked
//	damage.go    putting damaged files aside, and dropping damaged records
//	clock.go     Clock: wall time, boot and uptime, passed in as a value
//	deadline.go  Deadline: an instant that a step of the wall clock does not move
//	keys.go      stable small numbers for ports and networks, by name
//	prefixes.go  prefixes that were advertised and may still be in use by guests
//	modifiers.go what routers' addresses are made of beside their keys
//	routers.go   who advertised on a network, to say goodbye after a crash
//
// The file is a bbolt database named state.db. One goroutine owns each kind of
// record and writes many of them in one Update, because an Update costs one
// fsync however many records it carries. Everybody may read. The records of
// leases, which change by the thousand a second under keys scattered all over,
// go through a Journal of two more files instead, state.journal-0 and -1.
//
// A file that cannot be trusted never stops a start: it is put aside under a
// name of its own, reported, and the store starts afresh.
package store
