package replay

import (
	"time"

	"damselfly/internal/punt"
	"damselfly/internal/topology"
	"damselfly/pipeline"
)

// Sent is a frame of which it is known by which port it came.
type Sent struct {
	// Port is the port's name.
	Port string
	Data []byte
	At   time.Time
}

// Judge puts frames through the handlers as Run does, each as from its port
// whatever its source MAC says, and calls ended with the end of each. The
// replies are valid until ended returns.
func Judge(spec *topology.Spec, sent []Sent, ended func(i int, v Verdict, replies []pipeline.Reply)) error {
	b, err := newLearningBench(spec, nil)
	if err != nil {
		return err
	}
	for i, f := range sent {
		v, replies := b.Judge(b.snap.PortNamed(f.Port), punt.None, 0, Frame{Data: f.Data, At: f.At})
		v.Frame = i + 1
		ended(i, v, replies)
	}
	return nil
}
