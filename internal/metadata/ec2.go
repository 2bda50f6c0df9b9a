package metadata

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// ec2Versions are the versions that clients of EC2's tree ask for. Each has all
// there is.
var ec2Versions = []string{"1.0", "2009-04-04", "2011-01-01", "2014-11-05", "2016-09-02", "2018-09-24", "2021-03-23", "latest"}

// Headers of EC2's session tokens.
const (
	tokenHeader     = "X-Aws-Ec2-Metadata-Token"
	tokenTimeHeader = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
)

// key is one of an instance's keys: the line, and what its comment calls it.
type key struct{ name, line string }

// keys are the instance's, by the comment of each or, where it has none, a number.
func (c *call) keys() keyList {
	var list keyList
	used := map[string]bool{}
	for i, line := range c.port.Instance.Keys {
		name := fmt.Sprintf("key-%d", i)
		if f := strings.Fields(line); len(f) > 2 && !used[f[2]] && !strings.ContainsAny(f[2], "=/") {
			name = f[2]
		}
		used[name] = true
		list = append(list, key{name, strings.TrimSpace(line)})
	}
	return list
}

// ec2 is the tree of EC2 for a caller.
func ec2(c *call) tree {
	i := c.port.Instance
	data := tree{
		"instance-id": i.ID, "hostname": i.Hostname, "local-hostname": i.Hostname, "mac": c.port.MAC.String(),
		"ami-launch-index": "0", "instance-type": "damselfly",
		"placement": tree{"availability-zone": "local"},
		"network":   tree{"interfaces": tree{"macs": tree{c.port.MAC.String(): c.interfaceTree()}}},
	}
	if list := c.keys(); len(list) > 0 {
		data["public-keys"] = list
	}
	if a := c.port.IPv4; len(a) > 0 {
		data["local-ipv4"] = a[0].String()
	}
	if a := c.global(); len(a) > 0 {
		data["ipv6"] = a[0]
	}
	identity, _ := json.MarshalIndent(map[string]any{ // strings alone: never fails
		"instanceId": i.ID, "accountId": i.Project, "availabilityZone": "local", "region": "local", "version": "2017-09-30",
	}, "", "  ")
	version := tree{"meta-data": data, "dynamic": tree{"instance-identity": tree{"document": string(identity)}}}
	if i.UserData != "" {
		version["user-data"] = i.UserData
	}
	if i.VendorData != "" {
		version["vendor-data"] = i.VendorData
	}
	root := tree{}
	for _, v := range ec2Versions {
		root[v] = version
	}
	return root
}

// global are the port's addresses that reach beyond its link.
func (c *call) global() (list []string) {
	for _, a := range c.port.Addresses {
		if !a.IsLinkLocalUnicast() {
			list = append(list, a.String())
		}
	}
	return list
}

// interfaceTree is EC2's folder of the one interface there is.
func (c *call) interfaceTree() tree {
	t := tree{"device-number": "0", "interface-id": c.port.Name, "mac": c.port.MAC.String(), "local-hostname": c.port.Instance.Hostname}
	if a := c.global(); len(a) > 0 {
		t["ipv6s"] = strings.Join(a, "\n")
	}
	var prefixes, four []string
	for i := range c.network.Subnets {
		prefixes = append(prefixes, c.network.Subnets[i].Prefix.String())
	}
	for _, a := range c.port.IPv4 {
		four = append(four, a.String())
	}
	if len(prefixes) > 0 {
		t["subnet-ipv6-cidr-blocks"] = strings.Join(prefixes, "\n")
	}
	if len(four) > 0 {
		t["local-ipv4s"] = strings.Join(four, "\n")
	}
	return t
}

// serveToken gives a session token out.
func (s *Server) serveToken(w http.ResponseWriter, c *call) {
	if c.Method != http.MethodPut {
		w.Header().Set("Allow", http.MethodPut)
		http.Error(w, "a token is put", http.StatusMethodNotAllowed)
		return
	}
	seconds, err := strconv.Atoi(c.Header.Get(tokenTimeHeader))
	if err != nil || seconds < 1 || seconds > int(maxTokenTime/time.Second) {
		http.Error(w, fmt.Sprintf("%s: give 1 to %d", tokenTimeHeader, int(maxTokenTime/time.Second)), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set(tokenTimeHeader, strconv.Itoa(seconds))
	_, _ = io.WriteString(w, s.tokens.make(c.port.Key, s.now().Add(time.Duration(seconds)*time.Second))) // whoever asked has gone
}
