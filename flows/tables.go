package flows

// The tables, in the order frames pass them. Numbers leave room between
// neighbours and are part of the flows in a live switch.
const (
	// TableClassify tells who sent a frame: ingress port to port key and network.
	TableClassify = 0
	// TableGuard drops what no service may see: broken header chains, unknown
	// next headers, foreign Ethernet types.
	TableGuard = 10
	// TableServices takes out what Damselfly or its flows answer.
	TableServices = 20
	// TableNDSource marks Neighbor Discovery from an address of the sender's own.
	TableNDSource = 21
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
	// TableSwitch finds the port behind a destination MAC.
	TableSwitch = 50
	// TableRoute finds the next hop of what was sent to the router.
	TableRoute = 60
	// TableOutput delivers to a port by its key.
	TableOutput = 70
	// TableProbe is where the datapath's capabilities are tried out.
	TableProbe = 253
)

// tableNames names each table we own, for plans and documents.
var tableNames = map[uint8]string{
	TableClassify: "classify", TableGuard: "guard", TableServices: "services", TableNDSource: "nd-source",
	TableNDOptions: "nd-options", TableNDFlags: "nd-flags", TableNDTarget: "nd-target", TableNDReply: "nd-reply", TableEcho: "echo",
	TableEchoReply: "echo-reply", TableDHCPv6: "dhcpv6", TablePunt: "punt", TableAway: "away", TableSwitch: "switch",
	TableRoute: "route", TableOutput: "output", TableProbe: "probe",
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

// PrefixTables are the tables that match IPv6 addresses. Open vSwitch looks
// these up by prefix, so that a megaflow keeps only the bits that decided.
func PrefixTables() []uint8 {
	return []uint8{TableGuard, TableServices, TableNDSource, TableNDTarget, TableEchoReply, TableDHCPv6, TableAway, TableRoute}
}
