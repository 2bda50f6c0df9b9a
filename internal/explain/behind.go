package explain

import (
	"net/netip"

	"damselfly/flows"
	"damselfly/internal/topology"
)

// party says whose configuration stands behind a verdict.
type party uint8

const (
	sender party = iota
	network
	router
	// route is the route of the router's that the frame would take.
	route
	// holder is who holds the address that the frame is about, or goes to.
	holder
	// claimed is who holds the address that the frame comes from.
	claimed
)

// ref is a key of a party's; "" is the party as a whole.
type ref struct {
	party party
	key   string
}

// behindRole has the keys that make flows of a role; of others it is the sender.
var behindRole = map[flows.Role][]ref{
	flows.RoleNDAnswer:           {{holder, ""}},
	flows.RoleNDForward:          {{holder, ""}},
	flows.RoleEchoAnswer:         {{router, ""}},
	flows.RoleRoute:              {{router, ""}},
	flows.RoleTrouble:            {{router, ""}},
	flows.RoleDropUntranslated:   {{sender, "limits.error"}},
	flows.RoleDropReversePath:    {{router, ""}},
	flows.RoleDropBlackhole:      {{route, ""}},
	flows.RoleDropUnreachable:    {{router, ""}},
	flows.RoleDropTooBig:         {{network, "mtu"}},
	flows.RoleDropLocal:          {{router, ""}},
	flows.RoleDropNDInvalid:      {{sender, "limits"}},
	flows.RoleDropGuestRA:        {{sender, "router"}},
	flows.RoleDropRedirect:       {{sender, ""}, {router, ""}},
	flows.RoleDropUnknownMAC:     {{network, ""}},
	flows.RoleDropMetadata:       {{network, "metadata"}, {sender, "limits.metadata"}},
	flows.RoleDropMetadataCaller: {{network, "subnets"}, {sender, "addresses"}},
	flows.RoleDropEcho:           {{sender, "limits.echo"}},
	flows.RoleDropDHCPv6Server:   {{sender, ""}, {network, "subnets"}},
	flows.RoleDropDHCPv4Server:   {{sender, "port_security"}},
	flows.RoleDropDHCPv6Unserved: {{network, "subnets"}},
	flows.RoleDropDHCPv6Refused:  {{sender, "dhcpv6_relay"}, {sender, "limits.dhcpv6"}},
	flows.RoleDropHopLimit:       {{router, ""}},
	flows.RoleDropScope:          {{router, ""}},
	flows.RoleDropNoRoute:        {{router, ""}},
	flows.RoleDropSpoofed:        {{sender, "addresses"}, {sender, "allowed_address_pairs"}, {sender, "port_security"}, {claimed, ""}},
	flows.RoleDropMLDQuery:       {{sender, "router"}},
	flows.RoleListen:             {{network, "multicast"}},
	flows.RoleDropUnwanted:       {{network, "multicast"}},
	flows.RoleDropMLDInvalid:     {{sender, "limits.mld"}},
	flows.RoleDropPath:           {{network, "send"}, {sender, "limits.send"}},
	flows.RoleDropInverse:        {{network, "inverse_nd"}, {sender, "limits.inverse"}},
	flows.RoleReject:             {{sender, "security_groups"}},
	flows.RoleDropState:          {{sender, "security_groups"}},
}

// behindReason is behindRole for what Damselfly decides, by the reason's name.
var behindReason = map[string][]ref{
	"answered":                  {{holder, ""}},
	"dad-defended":              {{holder, ""}},
	"relayed":                   {{holder, ""}},
	"own-address":               {{holder, ""}},
	"target-unbound":            {{holder, ""}},
	"forged-mac":                {{sender, "mac"}, {sender, "unknown"}},
	"forged-link-layer":         {{sender, "mac"}},
	"forged-source":             {{claimed, ""}, {sender, "addresses"}},
	"forged-target":             {{holder, ""}, {sender, "addresses"}},
	"forged-router-flag":        {{sender, "router"}},
	"translated":                {{router, ""}},
	"no-mapping":                {{router, ""}},
	"no-route":                  {{route, ""}},
	"route-prohibits":           {{route, ""}},
	"route-rejects":             {{route, ""}},
	"address-unreachable":       {{router, ""}},
	"resolving":                 {{router, ""}},
	"time-exceeded":             {{router, ""}},
	"beyond-scope":              {{router, ""}},
	"packet-too-big":            {{router, ""}},
	"nobody-listens":            {{router, ""}},
	"guest-ra":                  {{sender, "router"}},
	"listener-heard":            {{network, "multicast"}},
	"listeners-asked":           {{network, "multicast"}},
	"too-many-groups":           {{sender, "limits.groups"}},
	"too-many-sources":          {{sender, "limits.groups"}},
	"uplink-metadata":           {{network, "metadata"}},
	"guest-redirect":            {{sender, ""}, {router, ""}},
	"send-unsigned":             {{network, "send.mode"}},
	"send-unsecured":            {{network, "send.mode"}},
	"send-over-limit":           {{sender, "limits.send"}},
	"send-key-size":             {{network, "send.min_bits"}},
	"not-signed":                {{network, "send.key"}},
	"no-certificate":            {{network, "send.certificate"}},
	"guest-path-advert":         {{network, "send.certificate"}},
	"inverse-off":               {{network, "inverse_nd"}},
	"inverse-unknown":           {{network, ""}},
	"guest-inverse-advert":      {{network, "inverse_nd"}},
	"forged-address-list":       {{sender, "addresses"}},
	"over-limit":                {{sender, "limits"}},
	"dhcpv6-not-served":         {{network, "subnets"}},
	"dhcpv6-relay-not-allowed":  {{sender, "dhcpv6_relay"}},
	"dhcpv6-unknown-link":       {{network, "subnets"}},
	"dhcpv6-forwarded":          {{network, "subnets"}},
	"dhcpv6-server-unreachable": {{network, "subnets"}},
}

// behind returns the lines that stand behind a verdict.
func (e *Explainer) behind(refs []ref, f facts, p *topology.Port) (out []Line) {
	if refs == nil {
		refs = []ref{{sender, ""}}
	}
	for _, r := range refs {
		object, key := e.object(r, f, p)
		if line, ok := e.lines.of(object, key); ok {
			out = append(out, line)
		}
	}
	return out
}

// object finds whom a ref means.
func (e *Explainer) object(r ref, f facts, p *topology.Port) (object, key string) {
	on := p.Network.Name
	switch r.party {
	case network:
		return "network " + on, r.key
	case router:
		if object := "the router on " + on; e.lines.path(object) != "" {
			return object, r.key
		}
		return "network " + on, "subnets" // whose prefixes are advertised without a router
	case route:
		object, key, _ := e.lines.routeKey(on, f.destination)
		return object, key
	case holder:
		a := f.target
		if !a.IsValid() {
			a = f.destination
		}
		return e.holder(a, p)
	case claimed:
		return e.holder(f.source, p)
	}
	return "port " + p.Name, r.key
}

// holder finds the key that gives somebody on p's network an address; for what
// nobody holds, or all do, it is what the network is.
func (e *Explainer) holder(a netip.Addr, p *topology.Port) (object, key string) {
	n := e.o.Snapshot.Network(p.Network.Key)
	if n == nil {
		return "", ""
	}
	switch o, ok := n.Owner(a); {
	case !ok:
		return "network " + n.Name, "subnets"
	case o.Port == nil:
		return e.object(ref{router, ""}, facts{}, p)
	default:
		return "port " + o.Port.Name, e.lines.addressKey(o.Port.Name, a)
	}
}
