// Package metadata is the metadata service: what guests ask over HTTP to learn
// who they are.
//
// Who asks is told by the switch, in the source address of the connection (see
// topology.Caller): never by anything that the guest says. A request goes to the
// network's upstream, signed as Nova's metadata API wants it, or is answered from
// the configuration, as EC2 and as OpenStack.
//
//	server.go     a listener's connections: HTTP with its bounds
//	door.go       how many connections each port and all have
//	request.go    who asks, whether it may, and what of its request is sound
//	upstream.go   the proxy: what is taken off a request and what is added
//	answer.go     without an upstream: which tree a path is of
//	ec2.go        the tree of EC2, with its tokens (token.go)
//	openstack.go  the tree of OpenStack
//	log.go        a line for each request, as long as they are few
//	stats.go      what is counted
package metadata
