package dhcpv6

// Option codes. Options not named here are carried by their number.
const (
	OptionClientID           = 1   // RFC 9915 section 21.2
	OptionServerID           = 2   // RFC 9915 section 21.3
	OptionIANA               = 3   // RFC 9915 section 21.4
	OptionIATA               = 4   // RFC 9915 section 21.5: obsolete, known only to be refused where no IA may be
	OptionIAAddr             = 5   // RFC 9915 section 21.6
	OptionORO                = 6   // RFC 9915 section 21.7
	OptionPreference         = 7   // RFC 9915 section 21.8
	OptionElapsedTime        = 8   // RFC 9915 section 21.9
	OptionRelayMessage       = 9   // RFC 9915 section 21.10
	OptionAuth               = 11  // RFC 9915 section 21.11
	OptionStatusCode         = 13  // RFC 9915 section 21.13
	OptionRapidCommit        = 14  // RFC 9915 section 21.14
	OptionUserClass          = 15  // RFC 9915 section 21.15
	OptionVendorClass        = 16  // RFC 9915 section 21.16
	OptionVendorOpts         = 17  // RFC 9915 section 21.17
	OptionInterfaceID        = 18  // RFC 9915 section 21.18
	OptionReconfMessage      = 19  // RFC 9915 section 21.19
	OptionReconfAccept       = 20  // RFC 9915 section 21.20
	OptionDNSServers         = 23  // RFC 3646 section 3
	OptionDomainList         = 24  // RFC 3646 section 4
	OptionIAPD               = 25  // RFC 9915 section 21.21
	OptionIAPrefix           = 26  // RFC 9915 section 21.22
	OptionSNTPServers        = 31  // RFC 4075 section 4
	OptionInformationRefresh = 32  // RFC 9915 section 21.23
	OptionRemoteID           = 37  // RFC 4649 section 3
	OptionSubscriberID       = 38  // RFC 4580 section 2
	OptionFQDN               = 39  // RFC 4704 section 4
	OptionEchoRequest        = 43  // RFC 4994 section 4
	OptionNTPServer          = 56  // RFC 5908 section 4
	OptionBootFileURL        = 59  // RFC 5970 section 3.1
	OptionBootFileParam      = 60  // RFC 5970 section 3.2
	OptionArchType           = 61  // RFC 5970 section 3.3
	OptionPDExclude          = 67  // RFC 6603 section 4.2
	OptionClientLinkLayer    = 79  // RFC 6939 section 4
	OptionSolMaxRT           = 82  // RFC 9915 section 21.24
	OptionInfMaxRT           = 83  // RFC 9915 section 21.25
	OptionS46ContMAPE        = 94  // RFC 7598 section 5.1
	OptionS46ContMAPT        = 95  // RFC 7598 section 5.2
	OptionS46ContLW          = 96  // RFC 7598 section 5.3
	OptionCaptivePortal      = 103 // RFC 8910 section 2.2
	OptionRelayPort          = 135 // RFC 8357 section 5.1
	OptionDNR                = 144 // RFC 9463 section 4.1
	OptionAddrRegEnable      = 148 // RFC 9686 section 4.1
)
