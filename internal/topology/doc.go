// Package topology is the model everything else reads: what networks, routers
// and ports there are, whose an address is, and what their Router
// Advertisements say, as immutable snapshots.
//
// The way through it:
//
//	Spec        what is wanted, as configuration says it (spec.go)
//	Validate    everything that makes a Spec impossible, each Problem with its place and RFC clause (validate*.go)
//	Input       a Spec with what the switch and the store know: bindings, keys, prefixes to deprecate (input.go)
//	Builder     Input -> Snapshot; shares what did not change with the last one (builder.go, network.go, port.go)
//	Snapshot    the result (snapshot.go)
//	DHCPv6      what the server gives and its compiled options (dhcpv6.go, dhcpv6_spec.go, dhcpv6_build.go, dhcpv6_option.go)
//	security    what a port may send from: pairs, leased and learned addresses (security.go, pair.go, held.go)
//	adverts     compiled Router Advertisements and the final ones (advert.go, option.go, final.go)
//
// There is no clock, no I/O and no concurrency here. A Spec is validated whole
// and refused whole; what is only wrong with one Interface isolates its port.
package topology
