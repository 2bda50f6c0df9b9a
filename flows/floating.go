package flows

import (
	"net/netip"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
)

// Priorities that floating addresses have in the router's tables: above all
// prefixes, below what no router forwards, and in the floating tables.
const (
	sourceFloating = 2060
	routeFloating  = 1600
	routeInner     = 2050
	routeHidden    = 2230

	forwardIn    = routeOn + 30
	forwardError = routeOn + 20
	forwardOut   = routeOn + 10

	floatError   = 400
	floatOwn     = 300
	floatAddress = 200
	floatPrefix  = 100
)

// baseFloatingFlows are the parts of the floating tables that all routers share.
// An ICMPv6 error quotes the packet it is about, which a flow cannot translate,
// and who has no floating address is not let in to those of others: answers would
// come from another address than was asked.
func (b *builder) baseFloatingFlows() {
	ip6 := Match{}.IPv6()
	for _, typ := range icmpv6Errors {
		b.add(TableFloating, floatError, RoleTrouble, Match{}.ICMPv6(typ), trouble(punt.Untranslated)...)
	}
	b.add(TableFloating, routeMiss, RoleTrouble, ip6, trouble(punt.Prohibited)...)
	b.add(TableFloating, 0, RoleDropDefault, nil)
	b.add(TableInward, routeMiss, RoleTrouble, ip6, trouble(punt.NoRoute)...)
	b.add(TableInward, 0, RoleDropDefault, nil)
	b.add(TableOutward, routeMiss, RoleRoute, ip6, LoadBits(regFloating, floatingDone, floatingDone), Resubmit{TableForward})
	b.add(TableOutward, 0, RoleDropDefault, nil)
}

// floatingFlows translate what floats on the networks of a router. A destination
// is replaced before its route is looked for, since that is to where the guest
// is; a source last, so that whatever is told of the packet before is told of
// what its sender sent.
func (b *builder) floatingFlows(r *topology.Router) {
	through := Match{}.through(r.ID)
	seen := make(map[uint16]bool)
	for i := range r.Floating {
		f := &r.Floating[i]
		if !f.Translates() {
			continue
		}
		external := uint32(f.External.Key)
		of := through.WithMask(regFloating, U32(external), U32(floatingNetwork))
		// Nobody is there to send from it.
		b.add(TableRouteSource, sourceFloating, RoleDropReversePath, through.SrcIn(f.Outer))
		b.add(TableRoute, routeFloating, RoleTranslate, through.DstIn(f.Outer), Load(regFloating, U32(external|floatingIn)), Resubmit{TableFloating})
		// From outside a guest is reached by its floating address alone.
		b.add(TableRoute, routeInner, RoleTrouble, through.On(f.External.Key).DstIn(f.Inner).With(regFloating, Value{}), trouble(punt.Prohibited)...)
		b.add(TableFloating, floatAddress, RoleTranslate, of.SrcIn(f.Inner), Resubmit{TableInward})
		b.add(TableOutward, floatError, RoleTrouble, of.WithMask(regFloating, U32(external|floatingError), U32(floatingNetwork|floatingError)).SrcIn(f.Inner),
			trouble(punt.Untranslated)...)
		if f.Form == topology.NPTv6Form {
			b.add(TableInward, floatPrefix, RoleTrouble, of.DstIn(f.Outer), trouble(punt.Untranslated)...)
			b.add(TableOutward, floatPrefix, RoleTrouble, of.SrcIn(f.Inner), trouble(punt.Untranslated)...)
		}
		if !seen[f.External.Key] {
			seen[f.External.Key] = true
			b.add(TableFloating, floatOwn, RoleTranslate, of.On(f.External.Key), Resubmit{TableInward})
			b.externalFlows(r.ID, f.External.Key)
		}
		if f.Form == topology.NATForm && f.Port != 0 {
			// To itself it goes out where it came in, which Open vSwitch leaves out.
			key := U32(uint32(f.Port))
			b.add(TableOutput, outputSelf, RoleTranslate, through.From(f.Port).With(regOut, key).WithMask(regFloating, U32(floatingIn), U32(floatingIn)), Resubmit{TableReturn})
		}
	}
	if len(seen) == 0 {
		return
	}
	for _, a := range r.Hidden {
		b.add(TableRoute, routeHidden, RoleTrouble, through.Dst(a).WithMask(regFloating, U32(floatingIn), U32(floatingIn)), trouble(punt.Prohibited)...)
	}
	// To a floating address, also from behind the same router: the answer has to
	// come back the same way.
	b.add(TableForward, forwardIn, RoleTranslate, through.WithMask(regFloating, U32(floatingIn), U32(floatingIn|floatingDone)), Resubmit{TableOutward})
	for i := range r.Translations {
		b.translationFlows(r.ID, &r.Translations[i])
	}
}

// externalFlows have what leaves on an external network translated.
func (b *builder) externalFlows(router uint32, external uint16) {
	leaves := Match{}.through(router).With(regVia, U32(uint32(external))).With(regFloating, Value{})
	for _, typ := range icmpv6Errors {
		b.add(TableForward, forwardError, RoleTranslate, leaves.With(IPProto, U8(protoICMPv6)).With(ICMPv6Type, U8(typ)),
			Load(regFloating, U32(uint32(external)|floatingError)), Resubmit{TableOutward})
	}
	b.add(TableForward, forwardOut, RoleTranslate, leaves, Load(regFloating, U32(uint32(external))), Resubmit{TableOutward})
}

// translationFlows put one of two addresses, or prefixes, in the other's place.
// Open vSwitch brings the checksums of TCP, UDP and ICMPv6 in line; where the
// prefixes' checksums are the same there is nothing to it (RFC 6296 section 2.6).
func (b *builder) translationFlows(router uint32, t *topology.Translation) {
	of := Match{}.through(router).WithMask(regFloating, U32(uint32(t.External)), U32(floatingNetwork))
	b.add(TableInward, floatAddress, RoleTranslate, of.DstIn(t.Outer), replace(IPv6Dst, t.Inner), Resubmit{TableRoute})
	b.add(TableOutward, floatAddress, RoleTranslate, of.SrcIn(t.Inner), replace(IPv6Src, t.Outer),
		LoadBits(regFloating, floatingDone, floatingDone), Resubmit{TableForward})
}

// replace writes the prefix of an address.
func replace(f Field, p netip.Prefix) SetField {
	return SetField{Field: f, Value: Addr(p.Addr()), Mask: prefixMask(p.Bits())}
}
