package openflow

import (
	"testing"

	"damselfly/flows"
	"damselfly/pipeline"
)

func BenchmarkPacketInDecode(b *testing.B) {
	m := packetInMessage(testFrame(1))
	var p PacketIn
	b.ReportAllocs()
	for b.Loop() {
		if !p.Decode(m) {
			b.Fatal("not decoded")
		}
	}
}

func BenchmarkPacketOutEncode(b *testing.B) {
	replies := map[string]pipeline.Reply{
		"port":   {Data: testFrame(1), Out: 6},
		"switch": {Data: testFrame(1), InPort: 6, Network: 9},
	}
	for name, r := range replies {
		b.Run(name, func(b *testing.B) {
			var out []byte
			b.ReportAllocs()
			for b.Loop() {
				out = appendReply(out[:0], &r)
			}
		})
	}
}

func BenchmarkFlowModEncode(b *testing.B) {
	flow := flows.Flow{Table: 23, Match: flows.Match{}.ND(135).With(flows.NDTarget, flows.Addr(addrA)), Actions: corpusAnswer()}
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = AppendFlowMod(out[:0], 1, FlowMod{Command: FlowAdd, Flow: &flow})
	}
}

// BenchmarkLane is a batch through a socket pair: read, answer each, write.
func BenchmarkLane(b *testing.B) {
	lane, far := pair(b)
	var in []byte
	for range pipeline.MaxBatch {
		in = append(in, packetInMessage(testFrame(1))...)
	}
	batch := make([]frame, pipeline.MaxBatch)
	replies := pipeline.NewReplies(1 << 14)
	sink := make([]byte, 1<<16)
	b.ReportAllocs()
	frames := 0
	for b.Loop() {
		if _, err := far.Write(in); err != nil {
			b.Fatal(err)
		}
		for got := 0; got < pipeline.MaxBatch; {
			n, err := lane.ReadFrames(batch)
			if err != nil {
				b.Fatal(err)
			}
			got += n
			replies.Reset()
			for i := range batch[:n] {
				replies.Back(&batch[i], 86)
			}
			if err := lane.WriteReplies(replies); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := far.Read(sink); err != nil {
			b.Fatal(err)
		}
		frames += pipeline.MaxBatch
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(frames), "ns/frame")
}
