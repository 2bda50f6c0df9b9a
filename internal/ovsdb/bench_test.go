package ovsdb

import (
	"fmt"
	"testing"
)

// BenchmarkBuildView is what every change of a bridge with 5,000 ports costs,
// reading the replica aside.
func BenchmarkBuildView(b *testing.B) {
	up := "up"
	r := rows{root: &rootRow{}, bridge: &bridgeRow{Name: "br0"}, ports: map[string]*portRow{}, interfaces: map[string]*interfaceRow{}}
	for i := range 5000 {
		id := fmt.Sprintf("p%d", i)
		r.bridge.Ports = append(r.bridge.Ports, id)
		r.ports[id] = &portRow{UUID: id, Name: id, Interfaces: []string{id}}
		r.interfaces[id] = &interfaceRow{UUID: id, Name: id, OFPort: &i, AdminState: &up, LinkState: &up, ExternalIDs: map[string]string{"iface-id": id}}
	}
	b.ReportAllocs()
	for b.Loop() {
		buildView(r, "unix:/run/db.sock", "br0")
	}
	b.ReportMetric(float64(5000*b.N)/b.Elapsed().Seconds(), "ports/s")
}
