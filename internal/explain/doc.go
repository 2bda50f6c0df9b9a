// Package explain says in sentences what becomes of a frame from a port: which
// way it takes through the tables of the live switch, where that ends, which
// rule of which RFC decides, and which line of the configuration stands behind.
//
//	explain.go   Explainer and Explanation: the parts put together
//	frame.go     what a frame is
//	trace.go     ofproto/trace, and going on where it stops
//	read.go      the text that it prints
//	way.go       tables met, and ends
//	where.go     objects of the topology -> lines of the configuration
//	behind.go    a role or reason -> the objects behind it
//	sentences.go the verdict in words
//	print.go     an Explanation for people
//
// The switch is asked what it would do, and does nothing: no frame is sent, no
// counter moves. What it would hand to Damselfly is put through the very code
// that would have got it.
package explain
