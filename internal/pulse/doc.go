// Package pulse makes the pulse port: a tap device whose carrier says whether
// Damselfly is alive.
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
// Nothing is meant to travel over it. IPv6 is off on the host's side, so the
// host's kernel says nothing into the bridge, and what the bridge sends is
// read, counted and thrown away.
package pulse
