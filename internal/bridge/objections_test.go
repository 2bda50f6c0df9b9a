package bridge

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"damselfly/flows"
	"damselfly/internal/openflow"
	"damselfly/internal/ovsdb"
	"damselfly/internal/punt"
)

const pulseName = "dfp-br"

// untouched is a bridge that takes Damselfly without a word.
func untouched() ovsdb.View {
	return ovsdb.View{Connected: true, BridgeName: "br", Exists: true, FailMode: "secure", Interfaces: []ovsdb.Interface{{Name: "br", OFPort: ovsdb.OFPortLocal}}}
}

func foreign(table uint8, priority uint16) openflow.Entry {
	return openflow.Entry{Flow: flows.Flow{Table: table, Priority: priority, Cookie: 0xbad}}
}

// TestObjections tells, for each thing that taking a bridge over would break,
// the words that name it, and whether --take-over helps.
func TestObjections(t *testing.T) {
	type want struct {
		words string
		fatal bool
	}
	for _, c := range []struct {
		name   string
		change func(*ovsdb.View)
		held   []openflow.Entry
		want   []want
	}{
		{name: "untouched"},
		{name: "a controller", change: func(v *ovsdb.View) { v.Controllers = []string{"tcp:192.0.2.1:6653"} },
			want: []want{{"controller tcp:192.0.2.1:6653|ovs-vsctl del-controller br", false}}},
		{name: "learning by itself", change: func(v *ovsdb.View) { v.FailMode = "" },
			want: []want{{"would set fail_mode of bridge br|flushes", false}}},
		{name: "a VLAN tag", change: func(v *ovsdb.View) {
			v.Interfaces = append(v.Interfaces, ovsdb.Interface{Name: "tap", Tagged: true})
		}, want: []want{{"port tap|VLAN", false}}},
		{name: "somebody's flow beside ours", held: []openflow.Entry{foreign(0, 5)},
			want: []want{{"cookie=0xbad|stays", false}}},
		{name: "NORMAL", held: []openflow.Entry{{Flow: flows.Flow{Cookie: 0xbad, Actions: []flows.Action{flows.Output{Port: 0xfffffffa}}}}},
			want: []want{{"cookie=0xbad|actions=NORMAL|by Damselfly's networks alone", false}}},
		{name: "a match without words", held: []openflow.Entry{{Flow: flows.Flow{Cookie: 0xbad}, RawMatch: make([]byte, 6), Unknown: errors.New("no word for it")}},
			want: []want{{"cookie=0xbad|6 octets of match|stays", false}}},
		{name: "in a table of ours", held: []openflow.Entry{foreign(flows.TableSwitch, 5)},
			want: []want{{"table 50 (switch) is Damselfly's alone|remove", true}, {"stays", false}}},
		{name: "where ours must stand", held: []openflow.Entry{foreign(0, flows.ClassifyLow)},
			want: []want{{"priorities 30000 to 30999 of table 0", true}, {"stays", false}}},
		{name: "beyond where ours stand", held: []openflow.Entry{foreign(0, flows.ClassifyHigh+1)},
			want: []want{{"stays", false}}},
		{name: "somebody's port of the pulse's name", change: func(v *ovsdb.View) {
			v.Interfaces = append(v.Interfaces, ovsdb.Interface{Name: pulseName})
		}, want: []want{{"dfp-br|del-port", true}}},
		{name: "no bridge", change: func(v *ovsdb.View) { v.Exists = false },
			want: []want{{"ovs-vsctl add-br br", true}}},
		{name: "served before", change: func(v *ovsdb.View) {
			v.Controllers, v.FailMode = []string{"tcp:192.0.2.1:6653"}, ""
			v.Interfaces = append(v.Interfaces, ovsdb.Interface{Name: pulseName, Ours: true})
		}, held: []openflow.Entry{foreign(flows.TableSwitch, 5), foreign(0, 5)},
			want: []want{{"table 50 (switch) is Damselfly's alone", true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := untouched()
			if c.change != nil {
				c.change(&v)
			}
			got := Objections(v, &Held{Ours: flows.NewSet(), Foreign: c.held}, ovsdb.Setup{Ports: []string{pulseName}}, pulseName)
			if len(got) != len(c.want) {
				t.Fatalf("objections %+v, want %d", got, len(c.want))
			}
			for i, w := range c.want {
				for word := range strings.SplitSeq(w.words, "|") {
					if !strings.Contains(got[i].Text, word) {
						t.Errorf("%q is not in %q", word, got[i].Text)
					}
				}
				if got[i].Fatal != w.fatal {
					t.Errorf("%q: fatal %v", got[i].Text, got[i].Fatal)
				}
			}
		})
	}
}

// TestIDs: the ranges hold what package flows gives out, and nothing beside.
func TestIDs(t *testing.T) {
	ids := IDs{FirstGroup: 1000, FirstMeter: 2000}
	type owned struct{ Below, First, Last, Above bool }
	all := owned{First: true, Last: true}
	groups := owned{ids.OwnGroup(999), ids.OwnGroup(1000), ids.OwnGroup(1000 + flows.LastGroup), ids.OwnGroup(1001 + flows.LastGroup)}
	if diff := cmp.Diff(all, groups); diff != "" {
		t.Error("groups", diff)
	}
	first, last := uint32(2000+punt.MeterSlots), uint32(2000+(punt.MaxKey+1)*punt.MeterSlots-1)
	meters := owned{ids.OwnMeter(first - 1), ids.OwnMeter(first), ids.OwnMeter(last), ids.OwnMeter(last + 1)}
	if diff := cmp.Diff(all, meters); diff != "" {
		t.Error("meters", diff)
	}
	if top := (IDs{FirstGroup: 0xdf000000}); top.OwnGroup(0) || top.OwnGroup(0xffffffff) {
		t.Error("ids beside the range are owned")
	}
}
