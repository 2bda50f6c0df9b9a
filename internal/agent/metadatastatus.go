package agent

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"damselfly/internal/annex"
)

// MetadataStatus is what `damselfly status metadata` shows and GET /metadata
// returns.
type MetadataStatus struct {
	// Serving says whether there is a port on the bridge that leads to the service;
	// Fault says why there is none although some network has it.
	Serving bool   `json:"serving"`
	Fault   string `json:"fault,omitempty"`
	// Frames counts the frames of that port: in, out, and those that were dropped.
	Frames   map[string]uint64       `json:"frames,omitempty"`
	Networks []MetadataNetworkStatus `json:"networks"`
	Ports    []MetadataPortStatus    `json:"ports"`
}

// MetadataNetworkStatus is one network that has the metadata service.
type MetadataNetworkStatus struct {
	Network string `json:"network"`
	// Upstream is where its requests go, "" where they are answered from the
	// configuration; Failed how many had no answer from there, and LastError why
	// the last had none.
	Upstream  string `json:"upstream,omitempty"`
	Failed    uint64 `json:"failed,omitempty"`
	LastError string `json:"last_error,omitempty"`
}

// MetadataPortStatus is one port of such a network.
type MetadataPortStatus struct {
	Port    string `json:"port"`
	Network string `json:"network"`
	// Instance is the instance's id, "" for a port that has none.
	Instance string `json:"instance,omitempty"`
	// Requests are the requests answered, by status; Limited those over the port's
	// limit of class metadata. Open are its connections, and Refused those over its
	// limit of connections.
	Requests map[string]uint64 `json:"requests,omitempty"`
	Limited  uint64            `json:"limited,omitempty"`
	Open     int               `json:"open,omitempty"`
	Refused  uint64            `json:"refused,omitempty"`
	Last     *time.Time        `json:"last,omitempty"`
}

// serveMetadata answers GET /metadata.
func (a *Agent) serveMetadata(w http.ResponseWriter, _ *http.Request) { reply(w, a.metadataStatus()) }

func (a *Agent) metadataStatus() MetadataStatus {
	m := a.metadata
	s := MetadataStatus{Networks: []MetadataNetworkStatus{}, Ports: []MetadataPortStatus{}}
	if text := m.fault.Load(); text != nil {
		s.Fault = *text
	}
	if x := m.now.Load(); x != nil {
		s.Serving, s.Frames = true, framesOf(x.Counts())
	}
	snap := a.snapshot.Load()
	if snap == nil {
		return s
	}
	failures := m.server.Failures()
	for _, n := range snap.Networks {
		if n.Metadata != nil {
			f := failures[n.Name]
			s.Networks = append(s.Networks, MetadataNetworkStatus{Network: n.Name, Upstream: n.Metadata.Upstream, Failed: f.Requests, LastError: f.Last})
		}
	}
	byKey := map[uint16]int{}
	for _, p := range snap.Ports {
		if n := snap.Network(p.Network.Key); n == nil || n.Metadata == nil || p.Uplink {
			continue
		}
		ps := MetadataPortStatus{Port: p.Name, Network: p.Network.Name}
		if p.Instance != nil {
			ps.Instance = p.Instance.ID
		}
		byKey[p.Key] = len(s.Ports)
		s.Ports = append(s.Ports, ps)
	}
	for _, v := range m.server.Visits() {
		i, ok := byKey[v.Key]
		if !ok {
			continue
		}
		ps := &s.Ports[i]
		ps.Limited, ps.Open, ps.Refused = v.Limited, v.Open, v.Refused
		if !v.Last.IsZero() {
			ps.Last = &v.Last
		}
		for status, n := range v.Requests {
			if ps.Requests == nil {
				ps.Requests = map[string]uint64{}
			}
			ps.Requests[strconv.Itoa(status)] += n
		}
	}
	return s
}

// framesOf names what the service's port counts.
func framesOf(c annex.Counts) map[string]uint64 {
	return map[string]uint64{
		"in": c.In, "out": c.Out, "malformed": c.Malformed, "foreign": c.Foreign, "unsent": c.Unsent, "stray": c.Stray,
	}
}

// Print writes the status for people.
func (s *MetadataStatus) Print(w io.Writer) error {
	state := "not served: no network has it"
	switch {
	case s.Fault != "":
		state = s.Fault
	case s.Serving:
		state = "served"
	}
	fmt.Fprintf(w, "metadata service: %s\n", state)
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	if len(s.Networks) > 0 {
		fmt.Fprintln(tw, "\nNETWORK\tUPSTREAM\tFAILED\tLAST ERROR")
	}
	for _, n := range s.Networks {
		fmt.Fprintf(tw, "%s\t%s\t%d\t%s\n", n.Network, cmp.Or(n.Upstream, "the configuration"), n.Failed, orDash(n.LastError))
	}
	if len(s.Ports) > 0 {
		fmt.Fprintln(tw, "\nPORT\tNETWORK\tINSTANCE\tREQUESTS\tLIMITED\tOPEN\tREFUSED\tLAST")
	}
	for i := range s.Ports {
		p := &s.Ports[i]
		last := "-"
		if p.Last != nil {
			last = time.Since(*p.Last).Round(time.Second).String() + " ago"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", p.Port, p.Network, orDash(p.Instance), orDash(p.requests()), p.Limited, p.Open, p.Refused, last)
	}
	return tw.Flush()
}

// requests renders the requests by status: "200=12 404=1".
func (p *MetadataPortStatus) requests() string {
	var list []string
	for status, n := range p.Requests {
		list = append(list, fmt.Sprintf("%s=%d", status, n))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

var (
	metadataRequestsDesc = desc("metadata_requests_total", "Requests to the metadata service, by port and HTTP status.", "port", "status")
	metadataRefusedDesc  = desc("metadata_refused_total", "What the metadata service refused of a port: connections and requests over its limits.", "port", "what")
	metadataOpenDesc     = desc("metadata_connections", "Connections to the metadata service.", "port")
	metadataFramesDesc   = desc("metadata_frames_total", "Frames between switch and metadata service: in and out, and those dropped by what for.", "end")
	metadataFailedDesc   = desc("metadata_upstream_failures_total", "Requests that a network's upstream did not answer.", "network")
	metadataUpDesc       = desc("metadata_serving", "1 while the metadata service has its port on the bridge.")
)

// metadata tells what the metadata service did.
func (c collector) metadata(counter func(*prometheus.Desc, uint64, ...string), gauge func(*prometheus.Desc, float64, ...string)) {
	s := c.a.metadataStatus()
	up := 0.0
	if s.Serving {
		up = 1
	}
	gauge(metadataUpDesc, up)
	for end, n := range s.Frames {
		counter(metadataFramesDesc, n, end)
	}
	for _, n := range s.Networks {
		if n.Upstream != "" {
			counter(metadataFailedDesc, n.Failed, n.Network)
		}
	}
	for i := range s.Ports {
		p := &s.Ports[i]
		for status, n := range p.Requests {
			counter(metadataRequestsDesc, n, p.Port, status)
		}
		if p.Last != nil || p.Refused > 0 {
			counter(metadataRefusedDesc, p.Refused, p.Port, "connections")
			counter(metadataRefusedDesc, p.Limited, p.Port, "requests")
			gauge(metadataOpenDesc, float64(p.Open), p.Port)
		}
	}
}
