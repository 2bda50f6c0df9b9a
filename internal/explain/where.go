package explain

import (
	"fmt"
	"net/netip"
	"strings"

	"damselfly/internal/config"
	"damselfly/internal/topology"
)

// Line is a place in the configuration that stands behind a verdict.
type Line struct {
	// What names the object and key: "port vm1, router".
	What string `json:"what"`
	config.Place
}

// String is the line for people.
func (l Line) String() string {
	if !l.Set {
		return fmt.Sprintf("%s: %s, which is not set", l.Place, l.What)
	}
	return fmt.Sprintf("%s: %s", l.Place, l.What)
}

// lines finds objects of the topology in the configuration.
type lines struct {
	spec   *topology.Spec
	places *config.Places
}

// of returns the line of an object, as package flows names it ("port vm1"), or
// of a key of it; ok is false for what is not configured, such as a port known
// from its Interface alone.
func (l *lines) of(object, key string) (Line, bool) {
	path := l.path(object)
	if path == "" {
		return Line{}, false
	}
	what := object
	if key != "" {
		path, what = path+"."+key, object+", "+key
	}
	return Line{What: what, Place: l.places.Of(path)}, true
}

// path is where an object is in the Spec, "" if it is not.
func (l *lines) path(object string) string {
	i := strings.LastIndexByte(object, ' ')
	if i < 0 {
		return ""
	}
	name := object[i+1:] // names hold no blanks
	switch object[:i] {
	case "port":
		for i := range l.spec.Ports {
			if l.spec.Ports[i].Name == name {
				return fmt.Sprintf("ports[%d]", i)
			}
		}
	case "network":
		for i := range l.spec.Networks {
			if l.spec.Networks[i].Name == name {
				return fmt.Sprintf("networks[%d]", i)
			}
		}
	case "the router on":
		for i := range l.spec.Routers {
			for j := range l.spec.Routers[i].Networks {
				if l.spec.Routers[i].Networks[j].Network == name {
					return fmt.Sprintf("routers[%d].networks[%d]", i, j)
				}
			}
		}
	case "router":
		for i := range l.spec.Routers {
			if l.spec.Routers[i].Name == name {
				return fmt.Sprintf("routers[%d]", i)
			}
		}
	case "security group":
		for i := range l.spec.Groups {
			if l.spec.Groups[i].Name == name {
				return fmt.Sprintf("security_groups[%d]", i)
			}
		}
	}
	return ""
}

// addressKey is the key that gives a port an address: the one that lists it, or
// the MAC that it is made of.
func (l *lines) addressKey(port string, a netip.Addr) string {
	for i := range l.spec.Ports {
		if l.spec.Ports[i].Name != port {
			continue
		}
		for j, b := range l.spec.Ports[i].Addresses {
			if a == b {
				return fmt.Sprintf("addresses[%d]", j)
			}
		}
	}
	return "mac"
}
