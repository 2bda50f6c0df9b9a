// Package annex is a TCP stack of Damselfly's own behind a port of the bridge:
// what the switch sends to the port comes to a listener in a network namespace
// that nobody else is in.
//
//	switch -- port of the bridge -- Annex -- tunnel device -- kernel's TCP -- listener
//	          (a persistent tap)    (carry)  (in the namespace)
//
// The port is a tap as the pulse port is: the device outlives the process, so
// that the switch keeps its number, and its carrier tells whether somebody
// serves it. Its other end is read here and carried, packet by packet, into the
// namespace, as long as it is TCP to an address and port that is served. So
// addresses, routes, firewalls, limits and listeners of the host are neither
// used nor touched, whatever addresses travel; and when the process ends,
// however it ends, the kernel removes the namespace with all that was in it.
//
// The namespace is made by a thread with CAP_SYS_ADMIN, as root has it. A process
// that has CAP_NET_ADMIN alone lets a child do it, in a user namespace, in which
// everybody may: the child hands over the tunnel device and the listener and
// ends. What remains is two descriptors.
//
//	annex.go      Open, what is counted, Close
//	carry.go      from the switch to the stack and back, and what may travel
//	namespace.go  the namespace, by a thread or by a child
//	inside.go     what is set up in there
//	netlink.go    addresses and routes
package annex
