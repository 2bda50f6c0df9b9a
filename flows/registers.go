package flows

import "damselfly/internal/punt"

// Registers. The network's key is in the metadata field. What a packet-in
// carries is fixed in package punt.
const (
	// regPort is the ingress port's key.
	regPort = Reg0 + punt.RegPort
	// regClass is the punt class, set where a frame may be handed over.
	regClass = Reg0 + punt.RegClass
	// regOut is the egress port's key.
	regOut = Reg2
	// regND is what the ND tables found out about a frame, the bits below.
	regND = Reg3
	// regFlags carries the R, S and O flags from an answer to its finishing table.
	regFlags = Reg4
)

// Bits of regND.
const (
	// ndOwnSource: the IPv6 and Ethernet source are an address of the sending port.
	ndOwnSource = 1 << 0
	// ndOnLinkSource: the source is on a prefix of the network.
	ndOnLinkSource = 1 << 1
	// ndOwnOption: the link-layer option is there and holds the port's MAC.
	ndOwnOption = 1 << 2
	// ndNoRouter: the advertisement does not claim to be a router's, or the
	// datapath cannot tell.
	ndNoRouter = 1 << 3
	// ndLonger: longer than the message with just the options that matched.
	ndLonger = 1 << ndLongerBit
	// ndFull: at least as long as that. Exact length is ndFull without ndLonger.
	ndFull = 1 << ndFullBit

	ndLongerBit = 8
	ndFullBit   = 9
)
