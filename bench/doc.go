// Package bench measures Damselfly: what a frame costs in process, and what an
// answer costs through Open vSwitch. `make bench` runs it; README.md says what
// each number means.
//
//	loadgen        the load: many guests, all kinds of exchanges, every answer checked
//	mmsg           many frames a system call
//	peers          the comparison with OVN, Kea, radvd and dnsmasq, which `make bench-peers` runs
//	chart          its pictures
//	bare.go        Bare: the least that can answer a packet-in, to compare with
//	baredhcpv6.go  what it answers to DHCPv6, storing nothing
//	barera.go      what it answers to a Router Solicitation
//	barepunt.go    the same behind a port of the bridge: what the two kinds of port share
//	baretap.go     BareTap: behind a tap
//	baresocket.go  BareSocket: behind a veth pair
//	cpu.go         processor time of a process
//
// The benchmarks:
//
//	world_test.go      topologies of 10 to 16,000 ports and their guests' frames
//	frames_test.go     frame in, reply bytes out, per kind and number of ports
//	pipeline_test.go   the same with the pipeline around it
//	stage_test.go      the lab, Damselfly on one bridge and the bare responder on another
//	bare_test.go       the transports with the bare responders behind them
//	measure_test.go    the measures themselves
//	dhcpv6_test.go     DHCPv6's fast lane in process
//	carry_test.go      what carrying a packet between guests costs, beside NORMAL; what no rule allows
//	traffic_test.go    what they send: UDP, echo, TCP
//	groups_test.go     how many flows a security group takes
//	switch_test.go     answers a second, latency and processor time through Open vSwitch
//	metadata_test.go   many guests ask the metadata service at once
//	control_test.go    a bridge of thousands of ports: start, restart, changes
//
// Timings are printed and never asserted. Allocations and loss are tests.
package bench
