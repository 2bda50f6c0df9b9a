package reason

import (
	"damselfly/internal/dhcpv6"
	"damselfly/internal/wire"
	"damselfly/pipeline"
)

// RFC returns the clause that has a frame end as r says, such as "RFC 4861
// section 7.1.1"; "" where it is a rule of Damselfly's own.
func RFC(r pipeline.Reason) string {
	switch {
	case r < firstFault:
		return clauses[r]
	case r < firstDHCPv6:
		return faultClauses[fault(r)]
	case r < firstSEND:
		return dhcpv6Clauses[dhcpv6Fault(r)]
	case int(r) < Count:
		return sendClauses[sendFault(r)]
	}
	return ""
}

// clauses are those of decisions.
var clauses = [firstFault]string{
	Defended:              "RFC 4862 section 5.4.3",
	Relayed:               "RFC 4861 section 7.2",
	OwnAddress:            "RFC 4862 section 5.4.4",
	NoErrorDue:            "RFC 4443 section 2.4",
	TimeExceeded:          "RFC 4443 section 3.3",
	ParameterProblem:      "RFC 4443 section 3.4",
	OptionDiscards:        "RFC 8200 section 4.2",
	NoRoute:               "RFC 4443 section 3.1",
	AddressUnreachable:    "RFC 4443 section 3.1",
	RouteProhibits:        "RFC 4443 section 3.1",
	RouteRejects:          "RFC 4443 section 3.1",
	BeyondScope:           "RFC 4443 section 3.1",
	PacketTooBig:          "RFC 4443 section 3.2",
	NoMapping:             "RFC 6296 section 3.7",
	Translated:            "RFC 4443 section 2.4",
	NobodyListens:         "RFC 4443 section 3.1",
	ForgedMAC:             "RFC 3756 section 4.1.1",
	ForgedLinkLayer:       "RFC 3756 section 4.1.1",
	ForgedSource:          "RFC 3756 section 4.1.1",
	ForgedTarget:          "RFC 3756 section 4.1.1",
	ForgedRouterFlag:      "RFC 4861 section 7.2.5",
	GuestRA:               "RFC 6105 section 1",
	GuestRedirect:         "RFC 4861 section 8.1",
	SendUnsigned:          "RFC 3971 section 8",
	SendUnsecured:         "RFC 3971 section 8",
	NoCertificate:         "RFC 3971 section 6.4.5",
	GuestPathAdvert:       "RFC 3971 section 6.4.2",
	InverseOff:            "RFC 3122 section 5",
	GuestInverseAdvert:    "RFC 3122 section 5",
	ForgedAddressList:     "RFC 3122 section 5",
	Resolving:             "RFC 4861 section 7.2.2",
	Forwarded:             "RFC 4861 section 7.2.2",
	TooManyUnresolved:     "RFC 6583 section 6.4",
	NeighborHeard:         "RFC 4861 section 7.2.5",
	RouterHeard:           "RFC 4861 section 6.3.4",
	UplinkRouter:          "RFC 6105 section 1",
	ListenerHeard:         "RFC 9777 section 7.4",
	ListenersAsked:        "RFC 9777 section 5.1.15",
	TooManyGroups:         "RFC 4541 section 4",
	TooManySources:        "RFC 9777 section 10",
	MulticastRouterAsked:  "RFC 4286 section 4",
	DHCPv6RelayNotAllowed: "RFC 9915 section 19",
	DHCPv6SourceAddress:   "RFC 9915 section 18.2",
	DHCPv6CannotJudge:     "RFC 9915 section 18.3.3",
	DHCPv6Registration:    "RFC 9686 section 4.2.1",
}

// faultClauses are those of malformed frames.
var faultClauses = [wire.Faults]string{
	wire.FaultBadVersion:               "RFC 8200 section 3",
	wire.FaultMulticastSource:          "RFC 4291 section 2.7",
	wire.FaultInternalSource:           "RFC 4291 section 2.5.3",
	wire.FaultUnspecifiedDestination:   "RFC 4291 section 2.5.2",
	wire.FaultHopByHopNotFirst:         "RFC 8200 section 4.1",
	wire.FaultChainTruncated:           "RFC 7112 section 5",
	wire.FaultNoUpperLayer:             "RFC 8200 section 4.7",
	wire.FaultUnknownNextHeader:        "RFC 7045 section 2.1",
	wire.FaultFragment:                 "RFC 6980 section 5",
	wire.FaultHopLimit:                 "RFC 4861 section 7.1.1",
	wire.FaultCode:                     "RFC 4861 section 7.1.1",
	wire.FaultShort:                    "RFC 4861 section 7.1.1",
	wire.FaultChecksum:                 "RFC 4443 section 2.3",
	wire.FaultZeroChecksum:             "RFC 8200 section 8.1",
	wire.FaultOptionZeroLength:         "RFC 4861 section 4.6",
	wire.FaultOptionTruncated:          "RFC 4861 section 4.6",
	wire.FaultLinkLayerLength:          "RFC 2464 section 6",
	wire.FaultMulticastTarget:          "RFC 4861 section 7.1.1",
	wire.FaultUnspecifiedWithLinkLayer: "RFC 4861 section 6.1.1",
	wire.FaultNotSolicitedNode:         "RFC 4861 section 7.1.1",
	wire.FaultSolicitedMulticast:       "RFC 4861 section 7.1.2",
	wire.FaultNotLinkLocal:             "RFC 4861 section 6.1.2",
	wire.FaultUnspecifiedSource:        "RFC 4291 section 2.5.2",
	wire.FaultMissingLinkLayer:         "RFC 3122 section 4.3.1",
	wire.FaultAddressList:              "RFC 3122 section 3.1",
	wire.FaultMTULength:                "RFC 4861 section 4.6.4",
	wire.FaultAuthentication:           "RFC 3122 section 4.3.1",
	wire.FaultHopLimitNotOne:           "RFC 9777 section 5",
	wire.FaultNoRouterAlert:            "RFC 9777 section 5",
	wire.FaultListenerLength:           "RFC 9777 section 8.1",
	wire.FaultNotGroup:                 "RFC 9777 section 5.2.9",
	wire.FaultListenerDestination:      "RFC 9777 section 5.1.15",
}

// dhcpv6Clauses are those of malformed DHCPv6.
var dhcpv6Clauses = [dhcpv6.Faults]string{
	dhcpv6.FaultShort:                  "RFC 9915 section 8",
	dhcpv6.FaultUnknownType:            "RFC 9915 section 16",
	dhcpv6.FaultServerMessage:          "RFC 9915 section 16.3",
	dhcpv6.FaultNotMulticast:           "RFC 9915 section 16",
	dhcpv6.FaultOptionHeader:           "RFC 9915 section 21.1",
	dhcpv6.FaultOptionLength:           "RFC 9915 section 21.1",
	dhcpv6.FaultNestedOption:           "RFC 9915 section 21.1",
	dhcpv6.FaultMisplacedOption:        "RFC 9915 section 21.6",
	dhcpv6.FaultDuplicateOption:        "RFC 9915 section 24",
	dhcpv6.FaultRelayHops:              "RFC 9915 section 19.1.2",
	dhcpv6.FaultNoRelayMessage:         "RFC 9915 section 9",
	dhcpv6.FaultRelayOption:            "RFC 6939 section 4",
	dhcpv6.FaultNoClientID:             "RFC 9915 section 16.2",
	dhcpv6.FaultClientIDLength:         "RFC 9915 section 11.1",
	dhcpv6.FaultNoServerID:             "RFC 9915 section 16.4",
	dhcpv6.FaultServerIDLength:         "RFC 9915 section 11.1",
	dhcpv6.FaultUnexpectedServerID:     "RFC 9915 section 16.2",
	dhcpv6.FaultWrongServerID:          "RFC 9915 section 16.4",
	dhcpv6.FaultIAInInformationRequest: "RFC 9915 section 16.12",
	dhcpv6.FaultIALength:               "RFC 9915 section 21.4",
	dhcpv6.FaultDuplicateIAID:          "RFC 9915 section 12",
	dhcpv6.FaultAddressLength:          "RFC 9915 section 21.6",
	dhcpv6.FaultPrefixLength:           "RFC 9915 section 21.22",
	dhcpv6.FaultPrefixBits:             "RFC 9915 section 21.22",
	dhcpv6.FaultNoAddress:              "RFC 9915 section 18.3.3",
	dhcpv6.FaultORO:                    "RFC 9915 section 21.7",
	dhcpv6.FaultElapsedTime:            "RFC 9915 section 21.9",
	dhcpv6.FaultRapidCommit:            "RFC 9915 section 21.14",
	dhcpv6.FaultReconfAccept:           "RFC 9915 section 21.20",
	dhcpv6.FaultStatusCode:             "RFC 9915 section 21.13",
	dhcpv6.FaultAuth:                   "RFC 9915 section 21.11",
	dhcpv6.FaultUserClass:              "RFC 9915 section 21.15",
	dhcpv6.FaultVendorClass:            "RFC 9915 section 21.16",
	dhcpv6.FaultVendorOpts:             "RFC 9915 section 21.17",
	dhcpv6.FaultFQDN:                   "RFC 4704 section 4",
	dhcpv6.FaultName:                   "RFC 9915 section 10",
	dhcpv6.FaultRegistration:           "RFC 9686 section 4.2.1",
	dhcpv6.FaultRegistrationSource:     "RFC 9686 section 4.2.1",
}
