package flows

// The tables, in the order frames pass them. Numbers leave room between
// neighbours and are part of the flows in a live switch.
const (
	// TableClassify tells who sent a frame: ingress port to port key and network.
	TableClassify = 0
	// TableGuard drops what no service may see: broken header chains, unknown
	// next headers, foreign Ethernet types.
	TableGuard = 10
	// TableOwnMAC compares the source MAC, and that in ARP, with the port's.
	TableOwnMAC = 11
	// TableSource finds which of the sending port's own MACs a source may be.
	TableSource = 12
	// TableSourceAddress passes what comes from an address of the sending port's own.
	TableSourceAddress = 13
	// TableLearn hands over packets from addresses that nobody is known to hold.
	TableLearn = 14
	// TableSpoofed ends what a secured port may not send.
	TableSpoofed = 15
	// TableSent sends on what Damselfly sent by the punt port.
	TableSent = 16
	// TableServices takes out what Damselfly or its flows answer.
	TableServices = 20
	// TableHolder passes what comes from an address that the sending port itself holds.
	TableHolder = 21
	// TableNDOptions marks link-layer options of the sender's own and the
	// frame's exact length.
	TableNDOptions = 22
	// TableNDFlags marks advertisements that claim no router, where the datapath
	// can see their flags.
	TableNDFlags = 23
	// TableNDTarget answers, forwards or punts by the target.
	TableNDTarget = 24
	// TableNDReply finishes an answer: its option fields exist only once the
	// type says Neighbor Advertisement.
	TableNDReply = 25
	// TableEcho meters Echo Requests to addresses of Damselfly.
	TableEcho = 26
	// TableEchoReply answers them.
	TableEchoReply = 27
	// TableDHCPv6 meters messages to DHCPv6 servers.
	TableDHCPv6 = 28
	// TablePunt hands frames to Damselfly.
	TablePunt = 30
	// TableAway is what happens to them while Damselfly is away.
	TableAway = 31
	// TableMLD meters what is said of who listens to multicast groups and who routes them.
	TableMLD = 32
	// TableGroups finds who listens to a multicast group.
	TableGroups = 33
	// TableSources finds whether a listener wants a group from a source.
	TableSources = 34
	// TableTrouble hands over what the router cannot carry on.
	TableTrouble = 39
	// TableMulticastSource lets in to a router what comes to a multicast group from where its source is.
	TableMulticastSource = 35
	// TableMulticastRoute finds the networks of a router where somebody listens to a multicast group.
	TableMulticastRoute = 36
	// TableEgress sends what a filtered port sends to its rules.
	TableEgress = 40
	// TableEgressState finds the connection that it belongs to, and passes replies.
	TableEgressState = 41
	// TableEgressGroups asks the security groups of the port.
	TableEgressGroups = 42
	// TableEgressRemote finds the groups of the address it goes to.
	TableEgressRemote = 43
	// TableEgressRules matches the rules of one security group.
	TableEgressRules = 44
	// TableEgressVerdict does what the rules of all groups of the port came to.
	TableEgressVerdict = 45
	// TableReject hands what a rule rejects over to be answered.
	TableReject = 46
	// TableLog hands over a copy of what a logging rule decided.
	TableLog = 47
	// TableConnections passes what begins a connection that is to be remembered, within the limit of who sends it.
	TableConnections = 48
	// TableDestination compares a destination MAC with the one that it may be, and goes on with its port.
	TableDestination = 49
	// TableSwitch finds whose a destination MAC may be.
	TableSwitch = 50
	// TableFloating lets in to floating addresses who may send there.
	TableFloating = 51
	// TableInward turns a floating address into the one that it stands for.
	TableInward = 52
	// TableOutward turns the source into its floating address.
	TableOutward = 53
	// TableRouteSource finds the network that the source of what was sent to the router is reached by.
	TableRouteSource = 58
	// TableReversePath lets in to the router what comes from there.
	TableReversePath = 59
	// TableRoute finds the next hop of what was sent to the router.
	TableRoute = 60
	// TableNeighbor finds who has an address on the network it is routed to.
	TableNeighbor = 61
	// TableLength finds what is longer than the link that it leaves on.
	TableLength = 62
	// TableForward takes from the hop limit and sends out on the next network.
	TableForward = 63
	// TableIngress sends what a filtered port is to get to its rules.
	TableIngress = 64
	// TableIngressState finds the connection that it belongs to, and passes replies.
	TableIngressState = 65
	// TableIngressGroups asks the security groups of the port.
	TableIngressGroups = 66
	// TableIngressRemote finds the groups of the address it comes from.
	TableIngressRemote = 67
	// TableIngressRules matches the rules of one security group.
	TableIngressRules = 68
	// TableIngressVerdict does what the rules of all groups of the port came to.
	TableIngressVerdict = 69
	// TableOutput delivers to a port by its key.
	TableOutput = 70
	// TableReturn sends an answer back to the port that asked.
	TableReturn = 71
	// TableMetadata finds by which prefix or address the caller of the metadata service can be answered.
	TableMetadata = 76
	// TableMetadataGate meters what a port sends there and hands it on as the port's.
	TableMetadataGate = 77
	// TableMetadataReply finds the port that the metadata service answers, and answers ARP for it.
	TableMetadataReply = 78
	// TableMetadataBack gives the answer the caller's own address again.
	TableMetadataBack = 79
	// TableDropped counts by port what other tables end for all ports alike.
	TableDropped = 80
	// TableProbe is where the datapath's capabilities are tried out.
	TableProbe = 253
)

// tableNames names each table we own, for plans and documents.
var tableNames = map[uint8]string{
	TableClassify: "classify", TableGuard: "guard", TableOwnMAC: "own-mac", TableSource: "source", TableServices: "services",
	TableSourceAddress: "source-address", TableLearn: "learn", TableSpoofed: "spoofed", TableHolder: "holder", TableSent: "sent",
	TableNDOptions: "nd-options", TableNDFlags: "nd-flags", TableNDTarget: "nd-target", TableNDReply: "nd-reply", TableEcho: "echo",
	TableEchoReply: "echo-reply", TableDHCPv6: "dhcpv6", TablePunt: "punt", TableAway: "away", TableDestination: "destination", TableSwitch: "switch",
	TableEgress: "egress", TableEgressState: "egress-state", TableEgressGroups: "egress-groups", TableEgressRemote: "egress-remote", TableEgressRules: "egress-rules",
	TableEgressVerdict: "egress-verdict", TableReject: "reject", TableLog: "log", TableConnections: "connections",
	TableIngress: "ingress", TableIngressState: "ingress-state", TableIngressGroups: "ingress-groups", TableIngressRemote: "ingress-remote",
	TableIngressRules: "ingress-rules", TableIngressVerdict: "ingress-verdict",
	TableFloating: "floating", TableInward: "inward", TableOutward: "outward",
	TableMulticastSource: "multicast-source", TableMulticastRoute: "multicast-route",
	TableMLD: "mld", TableGroups: "groups", TableSources: "sources",
	TableMetadata: "metadata", TableMetadataGate: "metadata-gate", TableMetadataReply: "metadata-reply", TableMetadataBack: "metadata-back",
	TableRouteSource: "route-source", TableReversePath: "reverse-path", TableTrouble: "trouble", TableRoute: "route", TableNeighbor: "neighbor", TableLength: "length", TableForward: "forward",
	TableOutput: "output", TableReturn: "return", TableDropped: "dropped", TableProbe: "probe",
}

// TableName returns the name of a table of ours, "" for others.
func TableName(t uint8) string { return tableNames[t] }

// OwnTable reports whether a table is Damselfly's alone: a foreign flow there
// is an error. Table 0 is shared, within our range of priorities.
func OwnTable(t uint8) bool { return t != TableClassify && tableNames[t] != "" }

// Range of priorities in the classify table that belongs to Damselfly.
const (
	ClassifyLow  = 30000
	ClassifyHigh = 30999
)

// PrefixTables are the tables that match addresses, and by which fields Open
// vSwitch is to look these up by prefix, so that a megaflow keeps only the bits
// that decided. It has room for three fields of a table; the fourth, that of
// IPv4's other end, no flow of the table matches.
func PrefixTables() map[uint8][]string {
	fields := make(map[uint8][]string)
	for _, t := range []uint8{TableGuard, TableSourceAddress, TableNDFlags, TableNDTarget, TableEchoReply, TableDHCPv6, TableAway, TableGroups, TableSources, TableSwitch, TableMulticastSource, TableMulticastRoute, TableLength, TableForward,
		TableFloating, TableInward, TableOutward, TableRouteSource, TableRoute, TableNeighbor, TableMetadata, TableIngressRemote, TableIngressRules} {
		fields[t] = []string{"ipv6_dst", "ipv6_src", "nw_src"}
	}
	for _, t := range []uint8{TableServices, TableEgressRemote, TableEgressRules, TableMetadataReply, TableMetadataBack} {
		fields[t] = []string{"ipv6_dst", "ipv6_src", "nw_dst"}
	}
	return fields
}
