package reason

import (
	"damselfly/internal/dhcpv6"
	"damselfly/pipeline"
)

// OfDHCPv6 returns the reason of a message that DHCPv6's gate refused: each
// Fault has its own, under the Fault's name behind "dhcpv6-". f is not
// dhcpv6.FaultNone.
func OfDHCPv6(f dhcpv6.Fault) pipeline.Reason {
	return firstDHCPv6 + pipeline.Reason(f) - 1
}

// dhcpv6Fault is the inverse of OfDHCPv6, for firstDHCPv6 <= r < Count.
func dhcpv6Fault(r pipeline.Reason) dhcpv6.Fault {
	return dhcpv6.Fault(r-firstDHCPv6) + 1
}

// dhcpv6Texts tells an operator what each Fault means; a test holds it complete.
var dhcpv6Texts = [dhcpv6.Faults]string{
	dhcpv6.FaultShort:                  "a DHCPv6 message shorter than its fixed part",
	dhcpv6.FaultUnknownType:            "a DHCPv6 message type that is not known here",
	dhcpv6.FaultServerMessage:          "a guest sent what only DHCPv6 servers send",
	dhcpv6.FaultNotMulticast:           "a client's message to a unicast address, which servers no longer take",
	dhcpv6.FaultOptionHeader:           "a DHCPv6 message that ends within the header of an option",
	dhcpv6.FaultOptionLength:           "a DHCPv6 option that ends behind its message",
	dhcpv6.FaultNestedOption:           "a DHCPv6 option that ends behind the option it is in",
	dhcpv6.FaultMisplacedOption:        "an address or prefix outside of an IA that could hold it",
	dhcpv6.FaultDuplicateOption:        "twice a DHCPv6 option of which there may be one",
	dhcpv6.FaultRelayHops:              "a message that passed more relays than may be",
	dhcpv6.FaultNoRelayMessage:         "a relay's message with nothing inside",
	dhcpv6.FaultRelayOption:            "an option of a relay that is too short",
	dhcpv6.FaultNoClientID:             "no Client Identifier",
	dhcpv6.FaultClientIDLength:         "a client's DUID that is not 3 to 130 octets long",
	dhcpv6.FaultDuplicateClientID:      "two Client Identifiers",
	dhcpv6.FaultNoServerID:             "no Server Identifier in a message that is for one server",
	dhcpv6.FaultServerIDLength:         "a server's DUID that is not 3 to 130 octets long",
	dhcpv6.FaultDuplicateServerID:      "two Server Identifiers",
	dhcpv6.FaultUnexpectedServerID:     "a Server Identifier in a message that is for all servers",
	dhcpv6.FaultWrongServerID:          "for another DHCPv6 server; normal for a client that came from elsewhere",
	dhcpv6.FaultIAInInformationRequest: "an Information-request that asks for addresses",
	dhcpv6.FaultIALength:               "an IA shorter than its fixed part",
	dhcpv6.FaultDuplicateIAID:          "two IAs of one kind under the same IAID",
	dhcpv6.FaultTooManyIAs:             "more IAs than are read",
	dhcpv6.FaultAddressLength:          "an IA Address shorter than its fixed part",
	dhcpv6.FaultPrefixLength:           "an IA Prefix shorter than its fixed part",
	dhcpv6.FaultPrefixBits:             "a prefix longer than 128 bits",
	dhcpv6.FaultTooManyHints:           "more addresses and prefixes than are read",
	dhcpv6.FaultNoAddress:              "a Confirm that names no address; silence is the right answer",
	dhcpv6.FaultORO:                    "an Option Request of an odd number of octets",
	dhcpv6.FaultElapsedTime:            "an Elapsed Time that is not 2 octets",
	dhcpv6.FaultRapidCommit:            "a Rapid Commit that is not empty",
	dhcpv6.FaultReconfAccept:           "a Reconfigure Accept that is not empty",
	dhcpv6.FaultStatusCode:             "a Status Code shorter than 2 octets",
	dhcpv6.FaultAuth:                   "an Authentication that is too short",
	dhcpv6.FaultUserClass:              "user classes that do not fill their option",
	dhcpv6.FaultVendorClass:            "a vendor class that does not fill its option",
	dhcpv6.FaultVendorOpts:             "vendor options that do not fill their option",
	dhcpv6.FaultFQDN:                   "a Client FQDN that holds no name",
	dhcpv6.FaultName:                   "a domain name that is none",
	dhcpv6.FaultRegistration:           "an address registration without exactly one address",
	dhcpv6.FaultRegistrationSource:     "an address registration that was not sent from the address",
}
