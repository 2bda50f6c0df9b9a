package bridge

import (
	"fmt"
	"strings"

	"damselfly/flows"
	"damselfly/internal/openflow"
	"damselfly/internal/ovsdb"
)

// Objection is one thing that speaks against serving a bridge.
type Objection struct {
	// Text says what it is and what would be right.
	Text string
	// Fatal objections stand even against a deliberate take-over.
	Fatal bool
}

// Objections lists what taking over the bridge would break. They are raised for
// a bridge that Damselfly has not served before; pulse is the name of its pulse
// port, by which it knows one that it has. Flows of others in a table of ours,
// or where a flow of ours must stand, are fatal at any time.
func Objections(v ovsdb.View, h *Held, setup ovsdb.Setup, pulse string) []Objection {
	out := Conflicts(h)
	if in, ok := v.Interface(pulse); ok && in.Ours {
		return out
	}
	for _, target := range v.Controllers {
		out = append(out, Objection{Text: fmt.Sprintf("controller %s is configured: remove it (`ovs-vsctl del-controller %s`), or it and Damselfly undo each other's work", target, v.BridgeName)})
	}
	for i := range h.Foreign {
		out = append(out, Objection{Text: foreignText(&h.Foreign[i])})
	}
	for _, in := range v.Interfaces {
		if in.Tagged {
			out = append(out, Objection{Text: fmt.Sprintf("port %s has a VLAN tag, trunks or a VLAN mode, which only NORMAL obeys: Damselfly serves it untagged", in.Name)})
		}
	}
	plan, err := v.Plan(setup)
	if err != nil {
		return append(out, Objection{Text: err.Error(), Fatal: true})
	}
	for _, change := range plan {
		if change.Disruptive {
			out = append(out, Objection{Text: "would " + change.Text})
		}
	}
	return out
}

// Conflicts lists the flows of others that stand where only Damselfly's may.
func Conflicts(h *Held) []Objection {
	var out []Objection
	for i := range h.Foreign {
		f := &h.Foreign[i].Flow
		switch {
		case flows.OwnTable(f.Table):
			out = append(out, Objection{Fatal: true, Text: fmt.Sprintf("%s: table %d (%s) is Damselfly's alone, remove the flow", describe(&h.Foreign[i]), f.Table, flows.TableName(f.Table))})
		case f.Table == flows.TableClassify && f.Priority >= flows.ClassifyLow && f.Priority <= flows.ClassifyHigh:
			out = append(out, Objection{Fatal: true, Text: fmt.Sprintf("%s: priorities %d to %d of table 0 are Damselfly's, give the flow another", describe(&h.Foreign[i]), flows.ClassifyLow, flows.ClassifyHigh)})
		}
	}
	return out
}

func foreignText(e *openflow.Entry) string {
	text := describe(e) + " stays, but Damselfly does not count on it"
	if strings.Contains(text, "NORMAL") {
		text += "; what it switches now will be switched by Damselfly's networks alone"
	}
	return text
}

// describe names a foreign flow as ovs-ofctl would find it.
func describe(e *openflow.Entry) string {
	if e.Unknown != nil && !e.MatchKnown {
		return fmt.Sprintf("foreign flow cookie=%#x table=%d priority=%d (%d octets of match)",
			uint64(e.Flow.Cookie), e.Flow.Table, e.Flow.Priority, len(e.RawMatch))
	}
	return "foreign flow " + strings.ReplaceAll(e.Flow.String(), normalText, "NORMAL")
}

// normalText is how package flows writes an output to OFPP_NORMAL, for which it
// has no word: none of ours does that.
const normalText = "output:4294967290"
