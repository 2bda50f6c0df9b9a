// Package agent is Damselfly at work: it joins the parts and keeps them in step
// with the configuration, the database and the bridge.
//
//	agent.go      the parts, in which order they start and stop
//	connection.go the connection that changes and dumps go over
//	reload.go     a changed configuration
//	pulse.go      the port that tells the switch of our death
//	puntport.go   whether frames come by that port, and its MTU
//	metadata.go   the metadata service and its port of the bridge; metadatastatus.go shows what it did
//	reconcile.go  what is wanted and known -> snapshot -> bridge, whenever anything changed
//	inputs.go     where the snapshot's inputs come from
//	adopt.go      the first meeting with a bridge: lock and objections
//	plan.go       what a run would change
//	would.go      what a run would serve, for those who ask of a frame
//	status.go     what `damselfly status` shows
//	neighbors.go  neighbours that nobody configured, and the routers behind uplinks; neighbormemory.go keeps them over a restart, neighborstatus.go shows them
//	drops.go      what the switch drops, told apart by port; dropstatus.go shows it
//	metrics.go    what Prometheus reads, routemetrics.go of routes and neighbours
//	serve.go      the HTTP server
//	control.go    the socket for what changes state
//	dhcpv6.go     DHCPv6 at work: the lanes, the slow lane, the leases
//	reconfigure.go  clients asked to come back after a change
//	asking.go     asking them again until they do
//	replay.go     numbers that only grow
//	learned.go    addresses learned from guests, beside the leases in the slow lane
//	secure.go     the lane that verifies and makes signatures; modifiers.go what routers' addresses are made of
//	events.go     what the log tells of leases
//	exhausted.go  pools with nothing left
//	leases.go     what `damselfly leases` shows
//	relay.go      the socket to external DHCPv6 servers
//
// Everything is level-triggered: a change of any input rings, and reconciling
// reads the state of all of them.
package agent
