package dhcpv6

// Fault says why a message is not acceptable. Bad input is an outcome, not an
// error: each rule has a Fault of its own, so that a counter or a test names
// the very rule that was broken. A message that breaks several rules gets the
// one tested first.
type Fault uint8

// The faults. Their names (String) are stable: operators graph them.
const (
	// FaultNone: the message passed.
	FaultNone Fault = iota

	// FaultShort: fewer octets than the fixed part of its message has (RFC 9915 sections 8 and 9).
	FaultShort
	// FaultUnknownType: a message type that is not known here (RFC 9915 section 16).
	FaultUnknownType
	// FaultServerMessage: a message that only servers send (RFC 9915 sections 16.3, 16.10, 16.11 and 16.14).
	FaultServerMessage
	// FaultNotMulticast: a client's message to a unicast address (RFC 9915 section 16).
	FaultNotMulticast

	// FaultOptionHeader: one to three octets where an option's header should be (RFC 9915 section 21.1).
	FaultOptionHeader
	// FaultOptionLength: an option that ends behind the message (RFC 9915 section 21.1).
	FaultOptionLength
	// FaultNestedOption: an option inside another that does not fit into it (RFC 9915 section 21.1).
	FaultNestedOption
	// FaultMisplacedOption: an IA Address or IA Prefix outside of the IA it belongs in (RFC 9915 sections 21.6 and 21.22).
	FaultMisplacedOption
	// FaultDuplicateOption: twice an option of which there may be one, identifiers apart (RFC 9915 section 24).
	FaultDuplicateOption

	// FaultRelayHops: a hop count over HopCountLimit, or more nested relays than it allows (RFC 9915 section 19.1.2).
	FaultRelayHops
	// FaultNoRelayMessage: a relay's message without a Relay Message option (RFC 9915 section 9).
	FaultNoRelayMessage
	// FaultRelayOption: a Client Link-Layer Address or Remote-ID option of a relay that is too short (RFC 6939 section 4, RFC 4649 section 3).
	FaultRelayOption

	// FaultNoClientID: no Client Identifier where there must be one (RFC 9915 sections 16.2 to 16.9).
	FaultNoClientID
	// FaultClientIDLength: a client's DUID that is not 3 to 130 octets long (RFC 9915 section 11.1).
	FaultClientIDLength
	// FaultDuplicateClientID: two Client Identifiers.
	FaultDuplicateClientID
	// FaultNoServerID: no Server Identifier where there must be one (RFC 9915 sections 16.4, 16.6, 16.8 and 16.9).
	FaultNoServerID
	// FaultServerIDLength: a server's DUID that is not 3 to 130 octets long (RFC 9915 section 11.1).
	FaultServerIDLength
	// FaultDuplicateServerID: two Server Identifiers.
	FaultDuplicateServerID
	// FaultUnexpectedServerID: a Server Identifier where there may be none (RFC 9915 sections 16.2, 16.5 and 16.7).
	FaultUnexpectedServerID
	// FaultWrongServerID: another server is meant (RFC 9915 sections 16.4, 16.6, 16.8, 16.9 and 16.12).
	FaultWrongServerID

	// FaultIAInInformationRequest: an Information-request with an IA (RFC 9915 section 16.12).
	FaultIAInInformationRequest
	// FaultIALength: an IA_NA or IA_PD shorter than 12 octets (RFC 9915 sections 21.4 and 21.21).
	FaultIALength
	// FaultDuplicateIAID: two IAs of one kind with the same IAID (RFC 9915 section 12).
	FaultDuplicateIAID
	// FaultTooManyIAs: more than MaxIAs.
	FaultTooManyIAs
	// FaultAddressLength: an IA Address shorter than 24 octets (RFC 9915 section 21.6).
	FaultAddressLength
	// FaultPrefixLength: an IA Prefix shorter than 25 octets (RFC 9915 section 21.22).
	FaultPrefixLength
	// FaultPrefixBits: an IA Prefix longer than 128 bits (RFC 9915 section 21.22).
	FaultPrefixBits
	// FaultTooManyHints: more than MaxHints addresses and prefixes.
	FaultTooManyHints
	// FaultNoAddress: a Confirm that names no address, which is not answered (RFC 9915 section 18.3.3).
	FaultNoAddress

	// FaultORO: an Option Request of an odd number of octets (RFC 9915 section 21.7).
	FaultORO
	// FaultElapsedTime: an Elapsed Time that is not 2 octets (RFC 9915 section 21.9).
	FaultElapsedTime
	// FaultRapidCommit: a Rapid Commit that is not empty (RFC 9915 section 21.14).
	FaultRapidCommit
	// FaultReconfAccept: a Reconfigure Accept that is not empty (RFC 9915 section 21.20).
	FaultReconfAccept
	// FaultStatusCode: a Status Code shorter than 2 octets (RFC 9915 section 21.13).
	FaultStatusCode
	// FaultAuth: an Authentication shorter than 11 octets (RFC 9915 section 21.11).
	FaultAuth
	// FaultUserClass: user classes that do not fill their option (RFC 9915 section 21.15).
	FaultUserClass
	// FaultVendorClass: a vendor class without number or with classes that do not fill it (RFC 9915 section 21.16).
	FaultVendorClass
	// FaultVendorOpts: vendor options without number or that do not fill it (RFC 9915 section 21.17).
	FaultVendorOpts
	// FaultFQDN: a Client FQDN without flags or whose name is no name (RFC 4704 section 4).
	FaultFQDN
	// FaultName: a name with a label over 63 octets, a compression pointer, over 255 octets, or cut short (RFC 9915 section 10).
	FaultName

	// FaultRegistration: an ADDR-REG-INFORM without exactly one IA Address, or with an IA or an Option Request (RFC 9686 section 4.2.1).
	FaultRegistration
	// FaultRegistrationSource: an ADDR-REG-INFORM not sent from the address that it registers (RFC 9686 section 4.2.1).
	FaultRegistrationSource

	faultEnd
)

// Faults is the number of Fault values: they run from FaultNone to Faults-1.
const Faults = int(faultEnd)

var faultNames = [Faults]string{
	FaultNone:                   "none",
	FaultShort:                  "short",
	FaultUnknownType:            "unknown-message-type",
	FaultServerMessage:          "server-message",
	FaultNotMulticast:           "not-multicast",
	FaultOptionHeader:           "option-header-truncated",
	FaultOptionLength:           "option-length",
	FaultNestedOption:           "nested-option-malformed",
	FaultMisplacedOption:        "misplaced-option",
	FaultDuplicateOption:        "duplicate-option",
	FaultRelayHops:              "relay-hops",
	FaultNoRelayMessage:         "no-relay-message",
	FaultRelayOption:            "bad-relay-option",
	FaultNoClientID:             "no-client-id",
	FaultClientIDLength:         "bad-client-id-length",
	FaultDuplicateClientID:      "duplicate-client-id",
	FaultNoServerID:             "no-server-id",
	FaultServerIDLength:         "bad-server-id-length",
	FaultDuplicateServerID:      "duplicate-server-id",
	FaultUnexpectedServerID:     "unexpected-server-id",
	FaultWrongServerID:          "wrong-server-id",
	FaultIAInInformationRequest: "ia-in-information-request",
	FaultIALength:               "bad-ia-length",
	FaultDuplicateIAID:          "duplicate-iaid",
	FaultTooManyIAs:             "too-many-ias",
	FaultAddressLength:          "bad-ia-address-length",
	FaultPrefixLength:           "bad-ia-prefix-length",
	FaultPrefixBits:             "prefix-over-128-bits",
	FaultTooManyHints:           "too-many-addresses",
	FaultNoAddress:              "confirm-without-address",
	FaultORO:                    "bad-option-request",
	FaultElapsedTime:            "bad-elapsed-time",
	FaultRapidCommit:            "bad-rapid-commit",
	FaultReconfAccept:           "bad-reconfigure-accept",
	FaultStatusCode:             "bad-status-code",
	FaultAuth:                   "bad-authentication",
	FaultUserClass:              "bad-user-class",
	FaultVendorClass:            "bad-vendor-class",
	FaultVendorOpts:             "bad-vendor-options",
	FaultFQDN:                   "bad-fqdn",
	FaultName:                   "bad-name",
	FaultRegistration:           "bad-registration",
	FaultRegistrationSource:     "registration-source",
}

// String is the fault's stable name in kebab case, such as "no-client-id".
func (f Fault) String() string {
	if int(f) < Faults {
		return faultNames[f]
	}
	return "unknown-fault"
}
