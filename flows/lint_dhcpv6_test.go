package flows

import (
	"fmt"
	"slices"
)

// lintDHCPv6Shield: on every network that is advertised, no way to the switch
// table is above the drops of what servers send and of what is sent to all of
// them, and nothing goes to the DHCPv6 table that may be a fragment.
func lintDHCPv6Shield(c *compilation) (faults []string) {
	udp := Match{}.With(EthType, U16(0x86dd)).With(IPProto, U8(17))
	switched := uint16(0)
	for _, f := range c.flows {
		if f.Table == TableServices && slices.Contains(f.Actions, Action(Resubmit{TableEgress})) && !isICMPv6(f.Match) && !isVRRP(without(f.Match, regPort)) {
			switched = max(switched, f.Priority)
		}
		frag, ok := f.Match.Get(IPFrag)
		if slices.Contains(f.Actions, Action(Resubmit{TableDHCPv6})) && (!ok || !frag.Exact() || frag.Value != U8(0)) {
			faults = append(faults, "lets a fragment in: "+f.String())
		}
	}
	for _, n := range c.snapshot.Networks {
		if n.Router == nil {
			continue
		}
		net := udp.With(Metadata, U64(uint64(n.Key)))
		toServers := net.With(UDPDst, U16(547))
		for what, drops := range map[string][]Match{
			"what servers send":     {net.With(UDPDst, U16(546))},
			"what all servers hear": {toServers, toServers.WithMask(IPv6Dst, Value{0xff}, Value{0xff})},
		} {
			if !slices.ContainsFunc(c.flows, func(f Flow) bool {
				return f.Table == TableServices && f.Priority > switched && len(f.Actions) == 0 && slices.ContainsFunc(drops, f.Match.Equal)
			}) {
				faults = append(faults, fmt.Sprintf("network %s carries %s", n.Name, what))
			}
		}
	}
	return faults
}

// lintDHCPv4Shield: what only a DHCPv4 server sends, by either of its ports, is
// dropped, and above that nothing carries IPv4 on but for a port that is not secured.
func lintDHCPv4Shield(c *compilation) (faults []string) {
	udp := Match{}.With(EthType, U16(0x0800)).With(IPProto, U8(17))
	for what, m := range map[string]Match{"from a server's port": udp.With(UDPSrc, U16(67)), "to a client's port": udp.With(UDPDst, U16(68))} {
		if !slices.ContainsFunc(c.flows, func(f Flow) bool {
			return f.Table == TableServices && f.Priority == serviceDrop4 && len(f.Actions) == 0 && f.Match.Equal(m)
		}) {
			faults = append(faults, "guests send "+what)
		}
	}
	for _, f := range c.flows {
		typ, _ := f.Match.Get(EthType)
		if f.Table == TableServices && f.Priority >= serviceDrop4 && len(f.Actions) > 0 && typ.Value != U16(0x86dd) && !c.opens(&f) {
			faults = append(faults, "carries more than IPv6 above the drops: "+f.String())
		}
	}
	return faults
}

// isICMPv6 reports whether a match is of one type of ICMPv6 alone.
func isICMPv6(m Match) bool {
	_, ok := m.Get(ICMPv6Type)
	return ok
}
