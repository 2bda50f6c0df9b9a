// Package secure puts Secure Neighbor Discovery (RFC 3971) in front of the handlers
// of Neighbor Discovery: which messages have to be verified or need a signature
// for their answer, and what becomes of those that are not signed.
//
//	lane.go     Lane.Take: what a message needs, and where it gets that
//	policy.go   what is not signed, by the network's mode (RFC 3971 section 8)
//	verify.go   what is
//	budget.go   how many signatures a port may cost
//	adverts.go  signed Router Advertisements that all who do not sign themselves get
//	path.go     Certification Path Solicitations (RFC 3971 section 6.4.5)
//	ask.go      Damselfly's own questions, signed
//
// A signature takes a millisecond or two, so it is made and verified in a lane of
// its own, which holds up neither the workers nor what changes leases. What needs
// none is decided where it came; what was verified goes on, with a mark in its
// note, as any message does.
package secure
