package topology

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// The most of what an instance may be told.
const (
	maxInstanceID = 255
	maxKeys       = 64
)

// metadataHolder is who has the metadata service's addresses.
const metadataHolder = "the metadata service"

// metadata checks the metadata service of a network, and claims its addresses.
func (c *checker) metadata(object string, n *NetworkSpec) {
	m := n.Metadata
	if m == nil {
		return
	}
	if facts := c.networks[n.Name]; facts != nil && facts.spec == n {
		for _, a := range MetadataAddresses {
			facts.addrs[a] = metadataHolder
		}
	}
	if m.Timeout != nil {
		c.duration(object+".timeout", "", *m.Timeout, time.Millisecond, 100*time.Millisecond, 5*time.Minute)
	}
	if m.Upstream == "" {
		if m.Secret != "" || m.CA != "" || m.Certificate != "" || m.Key != "" {
			c.add(object, "", "without an upstream the service answers from this configuration, and there is nobody to know a secret or a certificate: name the upstream, or leave them out")
		}
		return
	}
	c.upstream(object, m)
	if m.Secret == "" {
		c.add(object+".secret_file", "", "is missing: by it the upstream knows that a request is signed, as metadata_proxy_shared_secret does in Nova")
	}
}

// upstream checks where requests go and how it is spoken to.
func (c *checker) upstream(object string, m *MetadataSpec) {
	u, err := url.Parse(m.Upstream)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "unix",
		u.Scheme == "unix" && !strings.HasPrefix(u.Path, "/"), u.Scheme != "unix" && u.Host == "",
		u.User != nil, u.RawQuery != "", u.Fragment != "":
		c.add(object+".upstream", "", "%q is no upstream: write one such as http://127.0.0.1:8775, https://nova.example.test:8775 or unix:/run/nova/metadata.sock", m.Upstream)
		return
	}
	if u.Scheme != "https" && (m.CA != "" || m.Certificate != "" || m.Key != "") {
		c.add(object+".upstream", "", "certificates are for https alone, and %q is not: write https, or leave them out", m.Upstream)
		return
	}
	if m.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(m.CA)) {
		c.add(object+".ca_file", "", "holds no certificate: give a PEM file with those that may sign the upstream's")
	}
	if m.Certificate != "" || m.Key != "" {
		if _, err := tls.X509KeyPair([]byte(m.Certificate), []byte(m.Key)); err != nil {
			c.add(object+".certificate_file", "", "it and key_file are no pair: %v", err)
		}
	}
}

// instance checks what a port's guest is told of itself.
func (c *checker) instance(object string, p *PortSpec, n *networkFacts) {
	i := p.Instance
	if i == nil {
		return
	}
	if n.spec.Metadata != nil && n.spec.Metadata.Upstream != "" && i.ID == "" {
		c.add(object+".metadata.instance_id", "", "is missing: by it the upstream of network %s knows the instance", p.Network)
	}
	if len(i.ID) > maxInstanceID || strings.ContainsFunc(i.ID, notInHeader) {
		c.add(object+".metadata.instance_id", "RFC 9110 section 5.5", "%q cannot stand in a header: give up to %d letters, digits and signs", i.ID, maxInstanceID)
	}
	if i.Hostname != "" {
		c.domain(object+".metadata.hostname", i.Hostname)
	}
	if len(i.Keys) > maxKeys {
		c.add(object+".metadata.ssh_keys", "", "the list has %d entries: %d are allowed", len(i.Keys), maxKeys)
	}
	for j, key := range i.Keys {
		if len(strings.Fields(key)) < 2 || strings.ContainsAny(key, "\r\n") {
			c.add(fmt.Sprintf("%s.metadata.ssh_keys[%d]", object, j), "", "is no line of an authorized_keys file: write one such as ssh-ed25519 AAAA... who")
		}
	}
}

// project checks the name of a project, which travels in a header.
func (c *checker) project(object string, p *PortSpec) {
	if len(p.Project) > maxInstanceID || strings.ContainsFunc(p.Project, notInHeader) {
		c.add(object+".project", "RFC 9110 section 5.5", "%q cannot stand in a header: give up to %d letters, digits and signs", p.Project, maxInstanceID)
	}
}

func notInHeader(r rune) bool { return r <= ' ' || r > '~' }
