// Package send is the cryptography and the messages of Secure Neighbor Discovery
// (RFC 3971) and of the addresses that go with it, made of a public key (CGA, RFC
// 3972). It holds no socket and knows no topology; time is passed in.
//
// The map:
//
//	cga.go       Parameters: what an address is made of; made, read and verified
//	key.go       Key: a router's private key, and the search for a modifier
//	option.go    Message: the options of a signed message, found before its signature
//	sign.go      Identity: a key with an address, signs frames
//	verify.go    Message.Verify: address, key and signature
//	timestamp.go Stamp and Peers: who spoke last and when, so that nothing is replayed
//	question.go  Questions: nonces of Damselfly's own solicitations
//	path.go      Certification Path Solicitations and Advertisements (RFC 3971 section 6)
//	cert.go      Chain: the router's certificate up to its trust anchor (RFC 6494)
//	resource.go  the address blocks that a certificate is about (RFC 3779)
//	fault.go     Fault: why a message is refused, each rule by a name of its own
//
// The checksum in what is signed: RFC 3971 section 5.2 has the signature cover the
// ICMPv6 checksum, and the checksum the signature. All implementations known
// sign the checksum of the message as it is without the RSA Signature option,
// payload length included, and so does this one.
package send
