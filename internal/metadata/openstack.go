package metadata

import (
	"encoding/json"
	"fmt"

	"damselfly/internal/topology"
)

// openStackVersions are those of Nova's metadata API. Each has all there is.
var openStackVersions = []string{
	"2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22", "2018-08-27", "2020-10-14", "latest",
}

// openStack is the tree of OpenStack for a caller.
func openStack(c *call) tree {
	version := tree{
		"meta_data.json":    document(c.openStackData()),
		"network_data.json": document(c.networkData()),
		"vendor_data.json":  c.vendorData(),
		"vendor_data2.json": "{}",
	}
	if d := c.port.Instance.UserData; d != "" {
		version["user_data"] = d
	}
	root := tree{}
	for _, v := range openStackVersions {
		root[v] = version
	}
	return root
}

func document(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("metadata: a document of strings and numbers: %v", err))
	}
	return string(b)
}

// openStackData is meta_data.json.
func (c *call) openStackData() any {
	i := c.port.Instance
	d := map[string]any{
		"uuid": i.ID, "name": i.Hostname, "hostname": i.Hostname, "launch_index": 0, "availability_zone": "local",
		"meta": map[string]string{},
	}
	if i.Project != "" {
		d["project_id"] = i.Project
	}
	if list := c.keys(); len(list) > 0 {
		byName, all := map[string]string{}, []map[string]string{}
		for _, k := range list {
			byName[k.name] = k.line
			all = append(all, map[string]string{"name": k.name, "type": "ssh", "data": k.line})
		}
		d["public_keys"], d["keys"] = byName, all
	}
	return d
}

// vendorData is the configured vendor data where that is JSON, else the document
// in which cloud-init looks for it.
func (c *call) vendorData() string {
	text := c.port.Instance.VendorData
	switch {
	case text == "":
		return "{}"
	case json.Valid([]byte(text)):
		return text
	}
	return document(map[string]string{"cloud-init": text})
}

// networkType is what network_data.json calls a subnet's way to addresses.
var networkType = map[topology.Mode]string{
	topology.SLAAC: "ipv6_slaac", topology.DHCPv6Stateless: "ipv6_dhcpv6-stateless", topology.DHCPv6Stateful: "ipv6_dhcpv6-stateful",
}

// networkData is network_data.json: one link, and a network for each subnet. How
// IPv4 is configured is not known here, so that is left to DHCP.
func (c *call) networkData() any {
	const link = "eth0"
	type m = map[string]any
	l := m{"id": link, "vif_id": c.port.Name, "type": "ovs", "ethernet_mac_address": c.port.MAC.String()}
	if c.network.MTU != 0 {
		l["mtu"] = c.network.MTU
	}
	networks, services := []m{}, []m{}
	for i := range c.network.Subnets {
		s := &c.network.Subnets[i]
		networks = append(networks, m{"id": fmt.Sprintf("network%d", len(networks)), "type": networkType[s.Mode], "link": link, "network_id": c.network.Name})
		for _, a := range s.DNS {
			services = append(services, m{"type": "dns", "address": a.String()})
		}
	}
	if len(c.port.IPv4) > 0 {
		networks = append(networks, m{"id": fmt.Sprintf("network%d", len(networks)), "type": "ipv4_dhcp", "link": link, "network_id": c.network.Name})
	}
	return m{"links": []m{l}, "networks": networks, "services": services}
}
