// Package openflow speaks OpenFlow 1.5 with Open vSwitch: it encodes and
// decodes what package flows models, and runs the connections.
//
// From the wire up:
//
//	message.go              framing: the header, message types, views
//	oxm.go                  matches and single fields
//	action.go               action lists, both ways
//	property.go             type-length-value properties
//	flowmod.go flowstats.go flows: sending and dumping
//	group.go meter.go port.go packet.go setup.go event.go error.go
//	                        one kind of message each
//	stream.go handshake.go  octets of one socket, and how a connection starts
//	conn.go call.go side.go Conn: requests and their replies by xid, events, echoes
//	request.go bundle.go dump.go
//	                        what Conn is used for
//	lane.go                 Lane: punted frames in, replies out, one goroutine
//	dial.go listen.go maintain.go
//	                        how a socket comes to be, and comes back
//
// Encoders append to the caller's buffer and allocate only to grow it. Decoders
// check every length before they read; what they return points into the message
// unless their comment says otherwise.
//
// Lane and Conn are separate connections on purpose: Open vSwitch drops
// packet-ins by connection when one lags, and a Lane's reader takes no lock.
package openflow
