package send

// Fault says why a signed message is refused. As those of package wire, bad input
// is an outcome, and each rule has a Fault of its own.
type Fault uint8

// The faults, in the order in which they are tested.
const (
	// FaultNone: nothing is wrong.
	FaultNone Fault = iota
	// FaultDuplicateOption: a CGA, Timestamp or Nonce option twice before the signature.
	FaultDuplicateOption
	// FaultCGAOption: a CGA option whose padding does not fit (RFC 3971 section 5.1).
	FaultCGAOption
	// FaultTimestampOption: a Timestamp option that is not 16 octets (RFC 3971 section 5.3.1).
	FaultTimestampOption
	// FaultSignatureOption: an RSA Signature option too short for its fields (RFC 3971 section 5.2).
	FaultSignatureOption
	// FaultNoTimestamp: a signature without a Timestamp option (RFC 3971 section 5.3.4).
	FaultNoTimestamp
	// FaultNoNonce: a signed solicitation without a Nonce option (RFC 3971 section 5.3.4).
	FaultNoNonce
	// FaultNonceLength: a nonce longer than anybody needs.
	FaultNonceLength
	// FaultNonce: an answer to a question of ours with another nonce (RFC 3971 section 5.3.4.1).
	FaultNonce
	// FaultNoAddress: a signed Router Solicitation from ::, which is nobody's to sign for (RFC 3971 section 5.1.1).
	FaultNoAddress
	// FaultTarget: an advertisement of another address than the one it is signed for.
	FaultTarget
	// FaultBehind: a link-layer address behind the signature, which does not cover it (RFC 3971 section 5.2.2).
	FaultBehind
	// FaultNoCGA: a signature without a CGA option, so that the key is not known (RFC 3971 section 5.1.2).
	FaultNoCGA
	// FaultParameters: CGA Parameters that do not hold a key and whole extension fields (RFC 3972 section 3, RFC 4581 section 2).
	FaultParameters
	// FaultCollisionCount: a collision count above 2 (RFC 3972 section 5).
	FaultCollisionCount
	// FaultPrefix: CGA Parameters of another prefix than the address's (RFC 3972 section 5).
	FaultPrefix
	// FaultHash1: the address is not made of these parameters (RFC 3972 section 5).
	FaultHash1
	// FaultHash2: the modifier does not pay for the Sec bits (RFC 3972 section 5).
	FaultHash2
	// FaultKeySize: a key too short to trust, or too long to compute with (RFC 3971 section 5.1.3).
	FaultKeySize
	// FaultKey: no RSA key (RFC 3972 section 3).
	FaultKey
	// FaultKeyHash: the signature names another key (RFC 3971 section 5.2.2).
	FaultKeyHash
	// FaultTimestamp: a timestamp too far from the time it came at (RFC 3971 section 5.3.4.2).
	FaultTimestamp
	// FaultReplay: a timestamp that was there already, or is older than the last one (RFC 3971 section 5.3.4.2).
	FaultReplay
	// FaultSignature: the signature does not verify (RFC 3971 section 5.2.2).
	FaultSignature
	// FaultPeers: no room to remember one more signer.
	FaultPeers
	// FaultIdentifier: a Certification Path Solicitation with identifier 0 (RFC 3971 section 6.4.1).
	FaultIdentifier
	// FaultTrustAnchor: a Trust Anchor option whose padding does not fit (RFC 3971 section 6.4.3).
	FaultTrustAnchor

	faultEnd
)

// Faults is the number of Fault values: they run from FaultNone to Faults-1.
const Faults = int(faultEnd)

var faultNames = [Faults]string{
	FaultNone:            "none",
	FaultDuplicateOption: "duplicate-option",
	FaultCGAOption:       "bad-cga-option",
	FaultTimestampOption: "bad-timestamp-option",
	FaultSignatureOption: "bad-signature-option",
	FaultNoTimestamp:     "no-timestamp",
	FaultNoNonce:         "no-nonce",
	FaultNonceLength:     "nonce-length",
	FaultNonce:           "wrong-nonce",
	FaultNoAddress:       "no-address",
	FaultTarget:          "target-not-source",
	FaultBehind:          "behind-signature",
	FaultNoCGA:           "no-cga",
	FaultParameters:      "bad-cga-parameters",
	FaultCollisionCount:  "collision-count",
	FaultPrefix:          "cga-prefix",
	FaultHash1:           "cga-hash1",
	FaultHash2:           "cga-hash2",
	FaultKeySize:         "key-size",
	FaultKey:             "no-rsa-key",
	FaultKeyHash:         "key-hash",
	FaultTimestamp:       "timestamp",
	FaultReplay:          "replay",
	FaultSignature:       "bad-signature",
	FaultPeers:           "too-many-peers",
	FaultIdentifier:      "no-identifier",
	FaultTrustAnchor:     "bad-trust-anchor",
}

// String is the fault's stable name in kebab case.
func (f Fault) String() string {
	if int(f) < Faults {
		return faultNames[f]
	}
	return "unknown-fault"
}
