package reason

import (
	"damselfly/internal/send"
	"damselfly/pipeline"
)

// OfSEND returns the reason of a message that is signed wrongly: each Fault has its
// own, under the Fault's name behind "send-". f is not send.FaultNone.
func OfSEND(f send.Fault) pipeline.Reason {
	return firstSEND + pipeline.Reason(f) - 1
}

// sendFault is the inverse of OfSEND.
func sendFault(r pipeline.Reason) send.Fault { return send.Fault(r-firstSEND) + 1 }

// sendTexts tells an operator what each Fault means; a test holds it complete.
var sendTexts = [send.Faults]string{
	send.FaultDuplicateOption: "a CGA, Timestamp or Nonce option twice before the signature",
	send.FaultCGAOption:       "a CGA option whose padding does not fit",
	send.FaultTimestampOption: "a Timestamp option that is not 16 octets",
	send.FaultSignatureOption: "a signature that does not fit its option or its key",
	send.FaultNoCGA:           "a signature without the key that it is by",
	send.FaultNoTimestamp:     "a signature without a timestamp, which could be sent again at any time",
	send.FaultNoNonce:         "a signed solicitation without a nonce",
	send.FaultNonceLength:     "a nonce longer than anybody needs",
	send.FaultNonce:           "a signed answer that does not have the nonce of the question",
	send.FaultNoAddress:       "a signed Router Solicitation from ::, for which nobody can sign",
	send.FaultTarget:          "a signed advertisement of another address than the one that it is signed for",
	send.FaultBehind:          "a link-layer address behind the signature, which does not cover it",
	send.FaultParameters:      "CGA Parameters without a whole key",
	send.FaultCollisionCount:  "CGA Parameters with a collision count above 2",
	send.FaultPrefix:          "CGA Parameters of another prefix than the address's",
	send.FaultHash1:           "an address that is not made of the key it comes with",
	send.FaultHash2:           "CGA Parameters that do not pay for the address's Sec bits",
	send.FaultKeySize:         "a key shorter than `min_bits`, or too long to compute with",
	send.FaultKey:             "a key that is none of RSA",
	send.FaultKeyHash:         "a signature that names another key",
	send.FaultTimestamp:       "a timestamp more than five minutes off: the guest's clock, or an old message sent again",
	send.FaultReplay:          "a timestamp that is not newer than the last one: an old message sent again, or a clock that was set back",
	send.FaultSignature:       "a signature that does not verify: the message was changed, or made by who does not have the key",
	send.FaultPeers:           "no room to remember one more signer",
	send.FaultIdentifier:      "a Certification Path Solicitation with identifier 0",
	send.FaultTrustAnchor:     "a Trust Anchor option whose padding does not fit",
}

// sendClauses are those of messages that are signed wrongly.
var sendClauses = [send.Faults]string{
	send.FaultCGAOption:       "RFC 3971 section 5.1",
	send.FaultTimestampOption: "RFC 3971 section 5.3.1",
	send.FaultSignatureOption: "RFC 3971 section 5.2.2",
	send.FaultNoCGA:           "RFC 3971 section 5.1.2",
	send.FaultNoTimestamp:     "RFC 3971 section 5.3.4",
	send.FaultNoNonce:         "RFC 3971 section 5.3.4",
	send.FaultNonce:           "RFC 3971 section 5.3.4.1",
	send.FaultNoAddress:       "RFC 3971 section 5.1.1",
	send.FaultTarget:          "RFC 3971 section 7.4",
	send.FaultBehind:          "RFC 3971 section 5.2.2",
	send.FaultParameters:      "RFC 3972 section 3",
	send.FaultCollisionCount:  "RFC 3972 section 5",
	send.FaultPrefix:          "RFC 3972 section 5",
	send.FaultHash1:           "RFC 3972 section 5",
	send.FaultHash2:           "RFC 3972 section 5",
	send.FaultKeySize:         "RFC 3971 section 5.1.3",
	send.FaultKey:             "RFC 3972 section 3",
	send.FaultKeyHash:         "RFC 3971 section 5.2.2",
	send.FaultTimestamp:       "RFC 3971 section 5.3.4.2",
	send.FaultReplay:          "RFC 3971 section 5.3.4.2",
	send.FaultSignature:       "RFC 3971 section 5.2.2",
	send.FaultIdentifier:      "RFC 3971 section 6.4.1",
	send.FaultTrustAnchor:     "RFC 3971 section 6.4.3",
}
