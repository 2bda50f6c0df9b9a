// Package puntport moves frames between the switch and Damselfly through the
// punt port: the pulse port, a tap that is a port of the bridge. To the switch a
// frame handed over is one more packet that leaves by a port, where a packet-in
// is work for its slowest part.
//
//	lane.go   Lane: the Source of what the switch hands over
//	sink.go   Sink: replies sent back, by the port or, where that cannot be, by another Sink
//	class.go  which punt class a frame is of, by what is in it
//
// A VLAN tag in front of each frame says which port it is of: see package punt.
package puntport
