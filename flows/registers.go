package flows

import "damselfly/internal/punt"

// Registers. The network's key is in the metadata field. What a packet-in
// carries is fixed in package punt.
const (
	// regPort is the ingress port's key.
	regPort = Reg0 + punt.RegPort
	// regClass is the punt class, set where a frame may be handed over.
	regClass = Reg0 + punt.RegClass
	// regOut is the egress port's key; before that, in the source tables, the key of who holds
	// the source; and of what came from the punt port, until the sent table has taken it off, sentThroughBit (0x4000).
	regOut = Reg2
	// regND is what the ND tables found out about a frame, the bits below.
	regND = Reg3
	// regFlags carries the R flag from an answer to its finishing table, and with it
	// the S flag where the answer is a proxy's, without the O flag.
	regFlags = Reg4
	// regMACLow is the last two octets of the one MAC that a frame may have, and macStage. No
	// answer's flags are left where a MAC is looked for.
	regMACLow = Reg4
	// regGroup is the security group whose rules are asked.
	regGroup = Reg5
	// regMACHigh is the first four octets of that MAC. Rules have been asked by then, or load
	// their group.
	regMACHigh = Reg5
	// regRemote is the class of the remote address, 0 for none: the groups it is a member of.
	regRemote = Reg6
	// regVerdict is what the rules said, the bits below.
	regVerdict = Reg7
	// regRule is the logging rule that matched last, and ruleRejected.
	regRule = Reg0 + punt.RegRule
	// regRouter is the router of the sender's network, 0 for none.
	regRouter = Reg11
	// regVia is the key of the network that a router carries a packet to, and viaTooBig; before, that which its source is reached by.
	regVia = Reg12
	// regTrouble is why a router could not carry a packet on.
	regTrouble = Reg0 + punt.RegTrouble
	// regFloating is the key of the network whose floating addresses count for a
	// packet, and the bits below. It is never the metadata service's.
	regFloating = Reg0 + punt.RegFloating
	// regDrop is the role of the drop that sent a frame to be counted for its port.
	regDrop = Reg8
	// regDropPort is the key of the port that it counts for: its sender, or the
	// receiver whose rules it did not pass.
	regDropPort = Reg9
)

// Bits of regND.
const (
	// ndOwnSource: the IPv6 and Ethernet source are an address of the sending port.
	ndOwnSource = 1 << 0
	// ndOwnOption: the link-layer option is there and holds the port's MAC.
	ndOwnOption = 1 << 2
	// ndForeign: the Ethernet source is not the port's MAC, which a port that is not secured may have.
	ndForeign = 1 << 1
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

// Bits of regFloating, above the network's key.
const (
	// floatingIn: the packet is for a floating address, which has been replaced.
	floatingIn = punt.FloatingIn
	// floatingError: it is an ICMPv6 error.
	floatingError = 1 << 17
	// floatingDone: its source is what it is to be.
	floatingDone = 1 << 18

	floatingNetwork = 0xffff
)

// macStage are the bits of regMACLow that say how far a MAC was followed, and
// what it would be.
const macStage = 0xffff

// Bits of regVerdict.
const (
	// verdictAllow: some rule allows it.
	verdictAllow = 1 << 0
	// verdictReject: some rule rejects it.
	verdictReject = 1 << 1
	// verdictLog: a rule that matched is to be told of.
	verdictLog = 1 << 2
	// verdictCut: the connection is marked as forbidden.
	verdictCut = 1 << 3
)

// ruleRejected is the bit of regRule that says that the packet was rejected.
const ruleRejected = punt.RuleRejected
