package topology

import (
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"damselfly/internal/wire"
)

const (
	// maxRoutes is how many Route Information options a link may have (RFC 4191 section 4).
	maxRoutes = 17
	// maxPortal is the longest URI of a captive portal in octets, so that DHCPv4 can carry it too (RFC 8910 section 2).
	maxPortal = 255
	// unrestricted says that there is no captive portal (RFC 8910 section 2).
	unrestricted = "urn:ietf:params:capport:unrestricted"
	// largestOption is the room for one option in an advertisement on the
	// smallest link: an option cannot be split.
	largestOption = minLink - wire.IPv6Len - wire.RouterAdvertLen - wire.LinkLayerOptionLen
)

func (c *checker) advert(object string, n *NetworkSpec) {
	s := &n.RouterAdvertisement
	c.intervals(object, s)
	if s.HopLimit != nil && (*s.HopLimit < 0 || *s.HopLimit > math.MaxUint8) {
		c.add(object+".hop_limit", "RFC 4861 section 6.2.1", "%d is no hop limit: give 0 to 255, 0 leaves it to hosts", *s.HopLimit)
	}
	c.duration(object+".reachable_time", "RFC 4861 section 6.2.1", s.ReachableTime, time.Millisecond, 0, time.Hour)
	c.duration(object+".retrans_timer", "RFC 4861 section 4.2", s.RetransTimer, time.Millisecond, 0, math.MaxUint32*time.Millisecond)
	c.lifetime(object, n)
	if p := s.PREF64; p != (netip.Prefix{}) && c.prefix(object+".pref64", "RFC 8781 section 4", p) &&
		!slices.Contains([]int{32, 40, 48, 56, 64, 96}, p.Bits()) {
		c.add(object+".pref64", "RFC 8781 section 4", "%s has length %d: give 96, 64, 56, 48, 40 or 32", p, p.Bits())
	}
	c.portal(object+".captive_portal", s.CaptivePortal)
	c.routes(object+".routes", s.Routes, n.Metadata != nil)
	if !c.few(object+".encrypted_dns", len(s.EncryptedDNS)) {
		return
	}
	for i := range s.EncryptedDNS {
		c.encryptedDNS(fmt.Sprintf("%s.encrypted_dns[%d]", object, i), &s.EncryptedDNS[i])
	}
}

func (c *checker) intervals(object string, s *AdvertSpec) {
	if s.Interval != nil {
		c.duration(object+".interval", "RFC 4861 section 6.2.1, RFC 8319 section 4", *s.Interval, time.Millisecond, 4*time.Second, maxRouterLifetime)
	}
	if s.MinInterval != nil {
		longest := max(3*time.Second, timingOf(s).MaxInterval*3/4)
		c.duration(object+".min_interval", "RFC 4861 section 6.2.1", *s.MinInterval, time.Millisecond, 3*time.Second, longest)
	}
}

// lifetime checks the router lifetime, and with it the preference.
func (c *checker) lifetime(object string, n *NetworkSpec) {
	s := &n.RouterAdvertisement
	router := c.routed[n.Name]
	if s.Lifetime != nil && *s.Lifetime != 0 {
		longest := timingOf(s).MaxInterval
		switch {
		case !router:
			c.add(object+".lifetime", "RFC 4861 section 6.2.3", "%s makes hosts send to a router, and there is none on the network: put one on it, or give 0s", *s.Lifetime)
		case *s.Lifetime < longest:
			c.add(object+".lifetime", "RFC 4861 section 6.2.1, RFC 8319 section 4",
				"%s would end before the next advertisement: give 0s, or %s (the interval) to %s", *s.Lifetime, longest, maxRouterLifetime)
		default:
			c.duration(object+".lifetime", "RFC 8319 section 4", *s.Lifetime, time.Second, 0, maxRouterLifetime)
		}
	}
	if s.Preference != Medium && lifetimeOf(s, router) == 0 {
		c.add(object+".preference", "RFC 4191 section 2.2", "a router with lifetime 0 has preference medium: leave it out, or give a lifetime")
	}
}

func (c *checker) portal(object, uri string) {
	if uri == "" || uri == unrestricted {
		return
	}
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "":
		c.add(object, "RFC 8908 section 4", "%q is no https URI: write one such as https://portal.example.test/api, or %s", uri, unrestricted)
	case len(uri) > maxPortal:
		c.add(object, "RFC 8910 section 2", "the URI has %d octets: %d are allowed", len(uri), maxPortal)
	case !plain(uri):
		c.add(object, "RFC 3986 section 2", "%q has characters that a URI cannot: write them as %%XX", uri)
	}
}

// routes checks the routes that are advertised; with the metadata service there may
// be one more.
func (c *checker) routes(object string, routes []RouteSpec, metadata bool) {
	most := maxRoutes
	if metadata {
		most--
	}
	if len(routes) > most {
		c.add(object, "RFC 4191 section 4", "there are %d routes: %d are allowed", len(routes), most)
		return
	}
	for i, r := range routes {
		o := fmt.Sprintf("%s[%d].destination", object, i)
		switch {
		case !c.prefix(o, "RFC 4191 section 2.3", r.Destination):
		case r.Destination.Addr().IsLinkLocalUnicast():
			c.add(o, "RFC 4291 section 2.5.6", "%s is link-local, and routers forward nothing to it: give another prefix", r.Destination)
		case slices.ContainsFunc(routes[:i], func(q RouteSpec) bool { return q.Destination == r.Destination }):
			c.add(o, "RFC 4191 section 2.3", "%s is there twice: leave one out", r.Destination)
		}
	}
}

func (c *checker) encryptedDNS(object string, e *EncryptedDNSSpec) {
	before := len(c.problems)
	if !c.few(object+".addresses", len(e.Addresses)) || !c.few(object+".alpn", len(e.ALPN)) {
		return
	}
	c.domain(object+".name", e.Name)
	if len(e.Addresses) == 0 {
		c.add(object+".addresses", "RFC 9463 section 6.1", "the resolver has no address: give at least one")
	}
	for i, a := range e.Addresses {
		c.unicast(fmt.Sprintf("%s.addresses[%d]", object, i), a)
	}
	for i, id := range e.ALPN {
		if id == "" || len(id) > math.MaxUint8 {
			c.add(fmt.Sprintf("%s.alpn[%d]", object, i), "RFC 7301 section 3.1", "%q is no protocol identifier: write one such as dot or h2", id)
		}
	}
	if len(c.problems) > before {
		return
	}
	if size := len(encryptedDNSOption(e, 1, 0).bytes); size > largestOption {
		c.add(object, "RFC 9463 section 6.1", "the option would have %d octets and one advertisement has room for %d: give fewer addresses", size, largestOption)
	}
}
