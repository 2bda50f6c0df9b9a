// Package pipeline moves frames from the switch to a handler and the replies
// back. It knows no protocol and imports nothing of ours.
//
//	Source --ReadFrames--> worker: limit, Handler, count, tap --WriteReplies--> Sink
//
// One worker owns one Source and one Sink and runs on one goroutine: it reads a
// batch, hands it to the Handler, counts a Reason for every frame, writes the
// replies and reads again. There is no queue between these steps, no lock and
// no channel operation per frame.
//
// Order: frames of one ingress port always come through the same Source, so
// they keep their order and what is kept per port has a single writer.
//
// Ownership: a Frame's Data belongs to the Source until its next ReadFrames; a
// reply's octets belong to Replies until Reset. A Handler that wants to keep
// octets copies them.
//
// Stop: the context ends; each worker's Source is closed, which ends its pending
// read; the worker finishes the batch it holds, writes its replies and returns;
// Run returns when the last has. Sinks are closed by their owner afterwards; what
// is Source and Sink in one closes itself when its ReadFrames returns io.EOF,
// for by then its worker has written all its replies.
package pipeline
