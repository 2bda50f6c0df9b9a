// Package lab runs a private Open vSwitch with real guests: for end-to-end
// tests, the demo and benchmarks.
//
// A Lab is an ovsdb-server and an ovs-vswitchd (userspace datapath) in a
// network namespace and a run directory of their own; the system's instance is
// never touched, and any number of labs run side by side. A Guest is a
// namespace with one interface, eth0, and the kernel's own IPv6 stack; the
// other end of its veth is a port of one of the lab's bridges.
//
// Everything needs root and the packages openvswitch-switch, iproute2 and
// ethtool; Available says what is missing.
//
// The files, in the order of a lab's life:
//
//	available.go  what the machine must have
//	name.go       names that carry their owner, so that leftovers are known
//	sweep.go      removing what dead owners left
//	namespace.go  entering, listing and removing network namespaces
//	thread.go     the one thread that starts the daemons and stays
//	daemon.go     one foreground daemon: start, ready, stop, kill
//	lab.go        New, Close, Command; command.go how commands are run
//	ovs.go        bridges, ports and Open vSwitch's own tools
//	restart.go    restarts, with and without saved flows
//	guest.go      guests; guest_create.go how one is made; guest_state.go
//	              what its kernel says
//	capture.go    frames seen at an interface, frames sent by a guest;
//	              capture_control.go what the kernel tells beside a frame,
//	              capture_without.go what it is told to leave out
//	wait.go       waiting for an observed condition
//	testing.go    the same for tests
//
// Nothing is left behind: Close removes everything, and what a killed process
// could not remove, the next New does. Processes are found by the namespace
// they live in, so one that was started with Command is found as well as the
// daemons, and a process id that was used again is never mistaken.
package lab
