// Package capture writes what the pipeline saw into a pcapng file, for
// Wireshark and for replaying: every frame that was handed over with the reason
// it ended in as its comment, and every reply.
//
// The map:
//
//	tap.go      Tap: the pipeline's side; copies a batch and hands it over
//	batch.go    what one hand-over carries
//	writer.go   the file's side: one goroutine that writes, bounds and gives up
//
// The packet path never waits: batches are copied into a fixed number of
// buffers that go round between the two sides, and a batch that finds none free
// is counted as lost. A file that cannot be written ends the capture, never the
// service.
package capture
