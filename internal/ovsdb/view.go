package ovsdb

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// defaultRunDir is where Open vSwitch's packages keep their sockets.
const defaultRunDir = "/var/run/openvswitch"

// OFPortLocal is the OpenFlow number of a bridge's LOCAL port in the database;
// on the wire of OpenFlow 1.1 and later it reads 0xfffffffe.
const OFPortLocal = 65534

// View is the state of one bridge at one moment. It never changes once handed
// out, and its maps and slices are shared: read them only.
type View struct {
	// Connected is false while the database cannot be reached. The other
	// fields then hold what was seen last.
	Connected bool
	// OVSVersion is that of ovs-vswitchd as it recorded itself ("3.1.0").
	OVSVersion string
	// RunDir is the directory of Open vSwitch's sockets.
	RunDir string
	// FlowRestoreWait is true while somebody restores flows: write none then.
	FlowRestoreWait bool

	// BridgeName is the watched bridge, which may not exist.
	BridgeName string
	// Exists says whether the bridge is there; false leaves all below empty.
	Exists bool
	// UUID is the bridge's row.
	UUID string
	// DatapathType is "netdev" for userspace; "" and "system" are the kernel's.
	DatapathType string
	// FailMode is "secure", "standalone" or "" (unset: OVS takes standalone).
	FailMode string
	// Protocols are the OpenFlow versions allowed ("OpenFlow15"), sorted; none
	// means all that OVS has.
	Protocols []string
	// Controllers are the targets of the bridge's Controller rows, sorted.
	Controllers []string
	// ControllerQueueSize is the length in messages of a connection's packet-in
	// queue as configured; 0 is unset (OVS takes 100).
	ControllerQueueSize int
	// FlowTablePrefixes are the prefix-lookup fields configured, by table.
	FlowTablePrefixes map[uint8][]string
	// Interfaces are all those of the bridge's ports, LOCAL included, by name.
	Interfaces []Interface

	foreignInUse map[string]bool // port names that stand on other bridges
	prefixTables []uint8         // tables whose Flow_Table row is ours, sorted
}

// Interface is one Interface row on the bridge.
type Interface struct {
	Name string
	// IfaceID is external_ids:iface-id, the port that it claims to be; may be "".
	IfaceID string
	// AttachedMAC is external_ids:attached-mac as written, unchecked.
	AttachedMAC string
	// Network is external_ids:damselfly-network.
	Network string
	// OFPort is the OpenFlow port number; 0 means it has none yet, or failed
	// to get one. LOCAL is [OFPortLocal]. The database keeps it on disk, so it
	// stands while ovs-vswitchd is away.
	OFPort uint32
	// LinkUp is true for a port with a number that is not known to be down or
	// without carrier. A restart of ovsdb-server forgets link states until
	// ovs-vswitchd repeats them about a second later; no port should seem to
	// fall for that long.
	LinkUp bool
	// Tagged is true when its Port has tag, trunks or vlan_mode: OVS would
	// then meddle with VLAN tags wherever a flow says NORMAL.
	Tagged bool
	// MTU in bytes; 0 is unknown.
	MTU int
	// Type is the netdev type: "" or "system", "internal", "patch", "tap", ...
	Type string
	// Error is what ovs-vswitchd says of an interface it could not open.
	Error string
	// Ours is true for a port that [Client.AddPort] made.
	Ours bool
}

// ManagementSocket is the path of the bridge's OpenFlow socket, which
// ovs-vswitchd serves whether controllers are configured or not.
func (v View) ManagementSocket() string {
	return filepath.Join(v.RunDir, v.BridgeName+".mgmt")
}

// Interface returns the interface of that name.
func (v View) Interface(name string) (Interface, bool) {
	i, ok := slices.BinarySearchFunc(v.Interfaces, name, func(in Interface, name string) int {
		return strings.Compare(in.Name, name)
	})
	if !ok {
		return Interface{}, false
	}
	return v.Interfaces[i], true
}

// buildView makes a view of a reading taken over endpoint.
func buildView(r rows, endpoint, bridge string) *View {
	v := &View{
		Connected:       true,
		OVSVersion:      deref(r.root.OVSVersion),
		RunDir:          runDir(r.root.ExternalIDs["rundir"], endpoint),
		FlowRestoreWait: r.root.OtherConfig["flow-restore-wait"] == "true",
		BridgeName:      bridge,
	}
	v.foreignInUse = make(map[string]bool)
	onBridge := make(map[string]bool, len(r.ports))
	if r.bridge != nil {
		v.addBridge(r)
		v.Interfaces = make([]Interface, 0, len(r.bridge.Ports))
		for _, uuid := range r.bridge.Ports {
			onBridge[uuid] = true
			if p := r.ports[uuid]; p != nil {
				v.addPort(p, r)
			}
		}
	}
	for uuid, p := range r.ports {
		if !onBridge[uuid] {
			v.foreignInUse[p.Name] = true
		}
	}
	slices.SortFunc(v.Interfaces, func(a, b Interface) int { return strings.Compare(a.Name, b.Name) })
	return v
}

func (v *View) addBridge(r rows) {
	b := r.bridge
	v.Exists = true
	v.UUID = b.UUID
	v.DatapathType = b.DatapathType
	v.FailMode = deref(b.FailMode)
	v.Protocols = slices.Sorted(slices.Values(b.Protocols))
	for _, uuid := range b.Controller {
		if c := r.controllers[uuid]; c != nil {
			v.Controllers = append(v.Controllers, c.Target)
		}
	}
	slices.Sort(v.Controllers)
	// What is no number means to OVS what is not there.
	v.ControllerQueueSize, _ = strconv.Atoi(b.OtherConfig[queueSizeKey])
	v.FlowTablePrefixes = make(map[uint8][]string)
	for table, uuid := range b.FlowTables {
		row := r.flowTables[uuid]
		if row == nil || table < 0 || table > 254 {
			continue
		}
		v.FlowTablePrefixes[uint8(table)] = slices.Sorted(slices.Values(row.Prefixes))
		if row.ExternalIDs[markKey] == markPrefixes {
			v.prefixTables = append(v.prefixTables, uint8(table))
		}
	}
	slices.Sort(v.prefixTables)
}

func (v *View) addPort(p *portRow, r rows) {
	tagged := p.Tag != nil || len(p.Trunks) > 0 || p.VLANMode != nil
	for _, uuid := range p.Interfaces {
		i := r.interfaces[uuid]
		if i == nil {
			continue
		}
		in := Interface{
			Name:        i.Name,
			IfaceID:     i.ExternalIDs["iface-id"],
			AttachedMAC: i.ExternalIDs["attached-mac"],
			Network:     i.ExternalIDs["damselfly-network"],
			Tagged:      tagged,
			Type:        i.Type,
			Error:       deref(i.Error),
			Ours:        p.ExternalIDs[markKey] == markPort,
		}
		if i.MTU != nil {
			in.MTU = *i.MTU
		}
		// -1 stands for an interface that could not be opened.
		if i.OFPort != nil && *i.OFPort > 0 {
			in.OFPort = uint32(*i.OFPort)
			in.LinkUp = deref(i.AdminState) != "down" && deref(i.LinkState) != "down"
		}
		v.Interfaces = append(v.Interfaces, in)
	}
}

// runDir prefers what ovs-ctl recorded, else where the database's socket is.
func runDir(recorded, endpoint string) string {
	if recorded != "" {
		return recorded
	}
	if path, ok := strings.CutPrefix(endpoint, "unix:"); ok {
		return filepath.Dir(path)
	}
	return defaultRunDir
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
