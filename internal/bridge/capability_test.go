package bridge

import (
	"context"
	"strings"
	"testing"
	"time"

	"damselfly/internal/lab"
	"damselfly/internal/openflow"
)

// TestProbe asks a bridge what it can do, with ND extensions and without, and
// leaves nothing on it.
func TestProbe(t *testing.T) {
	t.Parallel()
	l := lab.Start(t)
	if err := l.AddBridge("br", "fail_mode=secure"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var c *openflow.Conn
	dialed := l.Within(func() (err error) {
		c, err = openflow.Dial(ctx, l.Mgmt("br"), openflow.Options{})
		return err
	})
	if dialed != nil {
		t.Fatal(dialed)
	}
	defer c.Close()
	for _, on := range []bool{true, false, true} {
		if err := l.SetNDExt(on); err != nil {
			t.Fatal(err)
		}
		caps, err := Probe(ctx, c)
		if err != nil || caps.NDExt != on {
			t.Errorf("nd_ext %v: probed %+v, %v", on, caps, err)
		}
	}
	out, err := l.Ofctl("dump-flows", l.Mgmt("br"))
	if err != nil || strings.Contains(out, "actions=") {
		t.Errorf("the probe left flows behind: %v\n%s", err, out)
	}
}
