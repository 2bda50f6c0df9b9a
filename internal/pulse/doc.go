// Package pulse makes the pulse port: a tap device whose carrier says whether
// Damselfly is alive, and by which frames come and go.
//
// The device is persistent and stands on the bridge as an ordinary system
// interface (Interface type ""; with type "tap" ovs-vswitchd would hold the
// other end itself, and the carrier would never fall). While Damselfly holds
// the tap's file open the device has carrier. When the process ends, however
// it ends, the kernel closes the file and the carrier falls; a fast-failover
// group that watches the port then turns to its next bucket. Opening the same
// device again raises the carrier, with no flow changed. A tap that is not
// persistent would vanish with the process, and the switch would not take to
// its successor.
//
// What the switch sends to it is read here, and what is written here comes from it
// into the bridge; what frames these are is their reader's and writer's affair. The
// host has no part in it: IPv6 is off on its side, there is no ARP, and whatever
// a process of the host sends by the device comes to the reader and not into the
// bridge.
//
//	tap.go     Tap: opened, lowered, closed; Remove
//	frames.go  Reader and Writer
//	link.go    what is set by the device's name
//	name.go    Name
package pulse
