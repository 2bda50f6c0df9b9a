package agent

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"damselfly/flows"
	"damselfly/handlers"
	"damselfly/handlers/reason"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// Status is what `damselfly status` shows and GET /status returns.
type Status struct {
	Bridge    string `json:"bridge"`
	OVS       string `json:"ovs_version"`
	Connected bool   `json:"connected"`
	// NDExt says whether flows can answer Neighbor Solicitations here.
	NDExt bool `json:"nd_ext"`
	// Punt says how the switch hands frames over: port or packet-in.
	Punt string `json:"punt,omitempty"`
	// Pulse says whether guests would answer each other if Damselfly died now.
	Pulse          bool   `json:"pulse"`
	FlowsWanted    int    `json:"flows_wanted"`
	FlowsInstalled int    `json:"flows_installed"`
	Resyncs        uint64 `json:"resyncs"`
	// ConfigError and BridgeError say what keeps the newest configuration or
	// the bridge from being served; empty if nothing does.
	ConfigError string `json:"config_error,omitempty"`
	BridgeError string `json:"bridge_error,omitempty"`
	// LeaseError says why no leases are given.
	LeaseError string `json:"lease_error,omitempty"`
	// LearnError says why a restart will forget learned addresses.
	LearnError string `json:"learn_error,omitempty"`
	// MetadataError says why there is no metadata service although some network has it.
	MetadataError string   `json:"metadata_error,omitempty"`
	Conflicts     []string `json:"conflicts,omitempty"`
	Problems      []string `json:"problems,omitempty"`

	Networks []NetworkStatus `json:"networks"`
	Ports    []PortStatus    `json:"ports"`
	Groups   []GroupStatus   `json:"security_groups,omitempty"`
	// Neighbors are those that nobody configured, by network and address.
	Neighbors []NeighborStatus `json:"neighbors,omitempty"`
	// Multicast are the networks where it is known who listens.
	Multicast []MulticastStatus `json:"multicast,omitempty"`
	// Floating is what floats, by router and address.
	Floating []FloatingStatus `json:"floating,omitempty"`
}

// NetworkStatus is one network of a Status.
type NetworkStatus struct {
	Name     string         `json:"name"`
	Key      uint16         `json:"key"`
	Prefixes []netip.Prefix `json:"prefixes,omitempty"`
	Router   string         `json:"router,omitempty"`
	// Advertisements counts unsolicited Router Advertisements; NextAdvertisement
	// is when the next is due.
	Advertisements    uint64     `json:"advertisements"`
	NextAdvertisement *time.Time `json:"next_advertisement,omitempty"`
	// Exhausted are what DHCPv6 clients have asked for and there is none left
	// of: "prefix", or "address in" with the subnet.
	Exhausted []string `json:"exhausted,omitempty"`
	// Send is the mode of Secure Neighbor Discovery, "" for none; Signs whether the
	// router signs.
	Send  string `json:"send,omitempty"`
	Signs bool   `json:"signs,omitempty"`
}

// PortStatus is one port of a Status.
type PortStatus struct {
	Name    string `json:"name"`
	Key     uint16 `json:"key"`
	Network string `json:"network"`
	MAC     string `json:"mac"`
	// OFPort is the switch's number, 0 while the port is not on the bridge.
	OFPort uint32 `json:"ofport"`
	// Parent is the trunk port that it is behind, VLAN its tag there.
	Parent    string       `json:"parent,omitempty"`
	VLAN      uint16       `json:"vlan,omitempty"`
	Addresses []netip.Addr `json:"addresses"`
	// Learned are those of Addresses that the guest made itself, of which it may
	// hold MaxLearned; -1 is without a bound.
	Learned    []netip.Addr `json:"learned,omitempty"`
	MaxLearned int          `json:"max_learned"`
	// Secured are those that its guest signs for (RFC 3971).
	Secured []netip.Addr `json:"secured,omitempty"`
	// Frames counts the frames punted from the port by how they ended.
	Frames map[string]uint64 `json:"frames,omitempty"`
	// Drops counts the port's frames that were dropped, by the switch as by
	// Damselfly, by what for: a reason of Frames, the role of a flow (drop-*), or
	// the limit that they were over (limit-*).
	Drops map[string]uint64 `json:"drops,omitempty"`
}

// note changes the status.
func (a *Agent) note(change func(*Status)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.status)
}

// Status returns the state of everything now.
func (a *Agent) Status() Status {
	a.mu.Lock()
	s := a.status
	s.Connected = a.conn != nil
	a.mu.Unlock()
	view, _ := a.db.View()
	s.Bridge, s.OVS = view.BridgeName, view.OVSVersion
	if text := a.metadata.fault.Load(); text != nil {
		s.MetadataError = *text
	}
	if snap := a.snapshot.Load(); snap != nil {
		s.Networks = a.networkStatus(snap)
		inSwitch, secured := a.drops.byPort(), a.secured.byPort()
		for _, p := range snap.Ports {
			ps := a.portStatus(p)
			ps.Secured = secured[p.Name]
			ps.Drops = a.dropsOf(p, inSwitch[p.Key])
			s.Ports = append(s.Ports, ps)
		}
		s.Groups = a.groupStatus(context.Background(), snap)
		s.Neighbors = a.neighborStatus(context.Background())
		s.Multicast = a.multicastStatus()
		s.Floating = floatingStatus(snap)
	}
	return s
}

func (a *Agent) networkStatus(snap *topology.Snapshot) []NetworkStatus {
	out := make([]NetworkStatus, 0, len(snap.Networks))
	counts := map[string]int{}
	sent := a.owner.Counts()
	for i := range sent {
		counts[sent[i].Network] = i
	}
	for _, n := range snap.Networks {
		ns := NetworkStatus{Name: n.Name, Key: n.Key}
		for _, sub := range n.Subnets {
			ns.Prefixes = append(ns.Prefixes, sub.Prefix)
		}
		if n.Router != nil {
			ns.Router = fmt.Sprintf("%s (%s)", n.Router.LinkLocal, n.Router.MAC)
		}
		if n.Send != nil {
			ns.Send, ns.Signs = n.Send.Mode.String(), n.Signs()
		}
		for _, p := range a.leases.told.exhausted.of(n.Name) {
			ns.Exhausted = append(ns.Exhausted, p.String())
		}
		if i, ok := counts[n.Name]; ok {
			ns.Advertisements = sent[i].Sent
			if due := sent[i].NextDue; !due.IsZero() {
				ns.NextAdvertisement = &due
			}
		}
		out = append(out, ns)
	}
	return out
}

func (a *Agent) portStatus(p *topology.Port) PortStatus {
	ps := PortStatus{
		Name: p.Name, Key: p.Key, Network: p.Network.Name, MAC: p.MAC.String(), OFPort: p.OFPort, Parent: p.Parent, VLAN: p.VLAN, Addresses: p.Addresses,
		Learned: p.Learned, MaxLearned: p.MaxAddresses,
	}
	for r := range pipeline.Reason(reason.Count) {
		if n := a.stats.PortCount(p.Key, r); n > 0 {
			if ps.Frames == nil {
				ps.Frames = map[string]uint64{}
			}
			ps.Frames[handlers.ReasonName(r)] = n
		}
	}
	return ps
}

// Print writes the status for people.
func (s *Status) Print(w io.Writer) error {
	state := "no connection"
	if s.Connected {
		state = "connected"
	}
	fmt.Fprintf(w, "bridge %s: %s, Open vSwitch %s, %d of %d flows, nd_ext %s, pulse %s, punt %s\n",
		s.Bridge, state, s.OVS, s.FlowsInstalled, s.FlowsWanted, onOff(s.NDExt), onOff(s.Pulse), orDash(s.Punt))
	for _, text := range []string{s.ConfigError, s.BridgeError, s.LeaseError, s.LearnError, s.MetadataError} {
		if text != "" {
			fmt.Fprintf(w, "error: %s\n", text)
		}
	}
	for _, text := range s.Conflicts {
		fmt.Fprintf(w, "conflict: %s\n", text)
	}
	for _, text := range s.Problems {
		fmt.Fprintf(w, "problem: %s\n", text)
	}
	for i := range s.Networks {
		for _, text := range s.Networks[i].Exhausted {
			fmt.Fprintf(w, "exhausted: no %s is left to give on network %s\n", text, s.Networks[i].Name)
		}
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "\nNETWORK\tPREFIXES\tROUTER\tRAS SENT\tNEXT")
	for _, n := range s.Networks {
		next := "-"
		if n.NextAdvertisement != nil {
			next = time.Until(*n.NextAdvertisement).Round(time.Second).String()
		}
		fmt.Fprintf(tw, "%s\t%v\t%s\t%d\t%s\n", n.Name, n.Prefixes, orDash(n.Router), n.Advertisements, next)
	}
	for _, n := range s.Networks {
		if n.Send != "" {
			fmt.Fprintf(tw, "%s\tsend: %s, router signs: %v\n", n.Name, n.Send, n.Signs)
		}
	}
	fmt.Fprintln(tw, "\nPORT\tNETWORK\tMAC\tOFPORT\tADDRESSES\tLEARNED\tFRAMES")
	for _, p := range s.Ports {
		var frames []string
		for _, name := range slices.Sorted(maps.Keys(p.Frames)) {
			frames = append(frames, fmt.Sprintf("%s=%d", name, p.Frames[name]))
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%v\t%s\t%s\n", p.Name, p.Network, p.MAC, p.at(), p.Addresses, p.learned(), orDash(strings.Join(frames, " ")))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if err := printGroups(w, s.Groups); err != nil {
		return err
	}
	if err := s.printFloating(w); err != nil {
		return err
	}
	if len(s.Neighbors) > 0 {
		fmt.Fprintln(w)
		if err := s.PrintNeighbors(w); err != nil {
			return err
		}
	}
	return s.printDrops(w)
}

// learned renders how many addresses were learned of how many that may be.
func (p *PortStatus) learned() string {
	if p.MaxLearned == topology.UnlimitedAddresses {
		return fmt.Sprint(len(p.Learned))
	}
	return fmt.Sprintf("%d/%d", len(p.Learned), p.MaxLearned)
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// at renders where the port is on the switch: its number, with the VLAN of a sub-port.
func (p *PortStatus) at() string {
	if p.VLAN == 0 || p.OFPort == 0 {
		return portNumber(p.OFPort)
	}
	return fmt.Sprintf("%s vlan %d", portNumber(p.OFPort), p.VLAN)
}

// portNumber renders a switch port for people.
func portNumber(n uint32) string {
	switch n {
	case 0:
		return "unbound"
	case flows.Local:
		return "LOCAL"
	}
	return fmt.Sprint(n)
}
