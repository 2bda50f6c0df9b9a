// Package multicast finds out who listens to which multicast groups and where
// multicast routers are: the snooping of RFC 4541 by the states of RFC 9777 section 7,
// the querier that asks for them, and Multicast Router Discovery (RFC 4286).
//
// The map:
//
//	multicast.go  what is told: Event
//	table.go      Table: networks, ports, groups and who is a member of what
//	serve.go      what a new topology changes
//	report.go     what listeners say
//	wants.go      what is wanted of a group, by one port and by several
//	leave.go      what is left of a listener that leaves
//	query.go      the querier: when it asks, and when another does
//	proxy.go      what a router listens to on behalf of its other networks (RFC 4605)
//	answer.go     what of that is answered to who asks
//	change.go     how often a change of that is told
//	record.go     the records in which it is
//	router.go     multicast routers, found and made known
//	timer.go      what happens when nobody says anything
//	bound.go      how much a port may take
//	view.go       what others see
//	adopt.go      what a bridge held already
//
// Of each port and group the Table knows a filter mode and sources, as a router
// knows them of a link (RFC 9777 section 7.2): one guest a port makes these its
// guest's own, so that who leaves is believed at once. Where several may be behind a
// port they are asked first.
//
// A Table is one goroutine's. It sends nothing: what is to be sent are Events, which
// its owner takes after each group of messages. Time is passed in, as uptime. Of who
// listens nothing is stored: after a restart the flows of the bridge say it, until the
// first answers are in. Who advertised is remembered, so that it can be ended.
//
// Ports and networks go by name, since their numbers may pass to others.
package multicast
