package flows

import (
	"fmt"
	"slices"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

// ofMetadataPort reports whether a flow takes in what the metadata service sends.
func (c *compilation) ofMetadataPort(f *Flow) bool {
	in, ok := f.Match.Get(InPort)
	return ok && c.env.MetadataPort != 0 && in.Value == U32(c.env.MetadataPort) &&
		slices.Equal(f.Actions, []Action{Resubmit{TableMetadataReply}})
}

// lintMetadata: to the metadata service's port goes only TCP of one port through
// a meter of its own, with that port's key written into its source last; what it
// sends comes to no table but those that lead to a guest.
func lintMetadata(c *compilation) (faults []string) {
	for i := range c.flows {
		f := &c.flows[i]
		if c.env.MetadataPort != 0 && slices.Contains(f.Actions, Action(Output{c.env.MetadataPort})) {
			faults = append(faults, c.toMetadataPort(f)...)
		}
		switch f.Table {
		case TableMetadataReply, TableMetadataBack:
			for _, a := range f.Actions {
				if r, ok := a.(Resubmit); ok && r.Table != TableMetadataBack && r.Table != TableOutput && r.Table != TableReturn {
					faults = append(faults, "takes the metadata service's answer elsewhere: "+f.String())
				}
			}
		}
	}
	return faults
}

func (c *compilation) toMetadataPort(f *Flow) (faults []string) {
	p := c.port(f)
	if p == nil || f.Table != TableMetadataGate || p.Uplink {
		return []string{"sends to the metadata service what is of no guest's: " + f.String()}
	}
	if n := c.snapshot.Network(p.Network.Key); n.Metadata == nil {
		faults = append(faults, "sends to the metadata service from a network that has none: "+f.String())
	}
	metered := p.Limits[punt.Metadata] == topology.Unlimited
	for _, a := range f.Actions {
		m, ok := a.(ThroughMeter)
		first := c.env.FirstMeter + uint32(p.Key)*punt.MeterSlots
		metered = metered || ok && (m.ID == first+uint32(punt.Metadata) || m.ID == first+uint32(punt.None))
	}
	if !metered {
		faults = append(faults, "sends to the metadata service without a meter: "+f.String())
	}
	flags, _ := f.Match.Get(TCPFlags)
	frag, _ := f.Match.Get(IPFrag)
	if flags.Mask.Uint(2)&tcpSYN == 0 || !frag.Exact() {
		faults = append(faults, "sends to the metadata service what may begin a connection, or be a fragment: "+f.String())
	}
	if et, _ := f.Match.Get(EthType); et.Value != U16(ethTypeIPv6) {
		return faults // an IPv4 source was written whole
	}
	own := SetField{IPv6Src, Addr(topology.CallerPort(p.Key)), prefixMask(topology.CallerPortBits)}
	if n := len(f.Actions); n < 2 || f.Actions[n-2] != Action(own) {
		faults = append(faults, fmt.Sprintf("does not say that it is of port %d: %s", p.Key, f))
	}
	return faults
}
