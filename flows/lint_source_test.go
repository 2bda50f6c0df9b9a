package flows

import (
	"fmt"
	"net/netip"
	"slices"

	"damselfly/internal/topology"
	"damselfly/internal/wire"
)

// lintSourceFirst: no allow of an access port stands above the source checks.
// Whatever passes the guard table goes to the source tables, what passes these on
// to the one of addresses, and only from there to the services; only a port that
// is not secured skips what is checked.
func lintSourceFirst(c *compilation) (faults []string) {
	next := map[uint8][]uint8{
		TableClassify:      {TableGuard},
		TableGuard:         {TableSource},
		TableSource:        {TableSource, TableOwnMAC, TableSpoofed},
		TableOwnMAC:        {TableSourceAddress, TableSpoofed},
		TableSourceAddress: {TableServices, TableLearn, TableHolder, TableSpoofed},
		TableHolder:        {TableServices, TableSpoofed},
		TableLearn:         {TableSpoofed},
		TableSpoofed:       {},
	}
	for _, f := range c.flows {
		if c.ofMetadataPort(&f) {
			continue
		}
		allowed, checked := next[f.Table]
		if c.fromPuntPort(&f) {
			continue // Damselfly's own, as lintPuntPort holds
		}
		if !checked {
			for _, a := range f.Actions {
				if r, ok := a.(Resubmit); ok && r.Table < TableServices {
					faults = append(faults, "goes back to the checks: "+f.String())
				}
			}
			continue
		}
		for _, a := range f.Actions {
			switch a := a.(type) {
			case Resubmit:
				if !slices.Contains(allowed, a.Table) && !c.opens(&f) {
					faults = append(faults, "goes round a check of the source: "+f.String())
				}
			case ToGroup:
				if f.Cookie.Role() != RoleLearn {
					faults = append(faults, "leaves before the source is checked: "+f.String())
				}
			case Output, Punt:
				faults = append(faults, "leaves before the source is checked: "+f.String())
			}
		}
		faults = append(faults, c.sourceAllow(&f)...)
	}
	return faults
}

// port is the port that a flow is for, nil for all of them.
func (c *compilation) port(f *Flow) *topology.Port {
	from, ok := f.Match.Get(regPort)
	if !ok {
		return nil
	}
	return c.snapshot.Port(uint16(from.Value.Uint(4)))
}

// opens reports whether a flow is for a port that is not secured.
func (c *compilation) opens(f *Flow) bool {
	p := c.port(f)
	return p != nil && !p.Secured
}

// sourceAllow checks one flow that passes frames on: what a source is compared
// with is a MAC that the port may send with, and of a port that has several the
// address says which; above what others hold, only addresses of the port pass.
func (c *compilation) sourceAllow(f *Flow) (faults []string) {
	p := c.port(f)
	if c.opens(f) || len(f.Actions) == 0 {
		return nil
	}
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Sprintf(format, args...)+": "+f.String())
	}
	if m, ok := loadedMAC(f.Actions); ok && (f.Table == TableClassify || f.Table == TableSource) {
		if f.Table == TableClassify {
			p = c.snapshot.Port(uint16(f.Cookie.Object()))
		}
		if p == nil || !p.HasMAC(m) {
			fault("passes a MAC that is not the port's")
		}
	}
	if f.Table == TableSourceAddress && p != nil && len(macsOf(p)) > 1 && slices.Contains(f.Actions, Action(Resubmit{TableServices})) {
		if mac, ok := f.Match.Get(EthSrc); !ok || !mac.Exact() || !p.HasMAC(wire.MAC(mac.Value[:6])) {
			fault("passes any of several MACs")
		}
	}
	if f.Table == TableHolder && slices.Contains(f.Actions, Action(toServices)) {
		if to, ok := f.Match.Get(regOut); !ok || !to.Exact() || p == nil || to.Value.Uint(4) != uint64(p.Key) {
			fault("passes who does not hold the source")
		}
	}
	if slices.Contains(f.Actions, Action(Resubmit{TableHolder})) {
		from, exact := f.Match.Get(IPv6Src)
		set, ok := f.Actions[0].(SetField)
		if !ok || set.Field != regOut || !exact || !from.Exact() {
			fault("does not say who holds the source")
		} else if h := c.snapshot.Port(uint16(set.Value.Uint(4))); h == nil || !slices.Contains(h.Addresses, netip.AddrFrom16(from.Value)) {
			fault("names somebody who does not hold the source")
		}
	}
	if f.Table != TableSourceAddress || f.Priority <= sourceTaken || !slices.Contains(f.Actions, Action(Resubmit{TableServices})) {
		return faults
	}
	for _, field := range []Field{IPv6Src, IPv4Src, ARPSPA, ARPTPA} {
		if e, ok := f.Match.Get(field); ok && e.Exact() && p != nil {
			return faults
		}
	}
	fault("passes any address above those of others")
	return faults
}

// loadedMAC is the MAC that a source is to be compared with.
func loadedMAC(actions []Action) (m wire.MAC, ok bool) {
	for _, a := range actions {
		set, isSet := a.(SetField)
		switch {
		case isSet && set.Field == regMACHigh:
			copy(m[:], set.Value[:4])
			ok = true
		case isSet && set.Field == regMACLow && ok:
			copy(m[4:], set.Value[:2])
		}
	}
	return m, ok
}
