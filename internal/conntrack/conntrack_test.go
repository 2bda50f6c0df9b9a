package conntrack

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dump is what ovs-vswitchd 3.1.0 printed.
const dump = `tcp,orig=(src=fd00:b1::ff:fe00:15,dst=fd00:b1::ff:fe00:12,sport=32902,dport=80),reply=(src=fd00:b1::ff:fe00:12,dst=fd00:b1::ff:fe00:15,sport=80,dport=32902),zone=5,protoinfo=(state=SYN_SENT)
udp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=37581,dport=5000),reply=(src=10.0.0.2,dst=10.0.0.1,sport=5000,dport=37581),zone=5,mark=1
icmpv6,orig=(src=fd00:b1::1,dst=fd00:b1::2,id=4660,type=128,code=0),reply=(src=fd00:b1::2,dst=fd00:b1::1,id=4660,type=129,code=0),zone=5
47,orig=(src=fd00:b1::1,dst=fd00:b1::2,sport=0,dport=0),reply=(src=fd00:b1::2,dst=fd00:b1::1,sport=0,dport=0),zone=5
tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=1,dport=2),reply=(src=10.0.0.2,dst=10.0.0.1,sport=2,dport=1),zone=6
nonsense
tcp,orig=(src=x,dst=10.0.0.2,sport=1,dport=2),zone=5
tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=99999,dport=2),zone=5
`

// fake answers a dump and notes what is called.
type fake struct{ calls []string }

func (f *fake) Call(_ context.Context, method string, args ...string) (string, error) {
	f.calls = append(f.calls, method+" "+strings.Join(args, " "))
	return dump, nil
}

func TestListAndEnd(t *testing.T) {
	t.Parallel()
	f := &fake{}
	got, err := List(t.Context(), f, 5)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddr
	want := []Entry{
		{Tuple{Source: addr("fd00:b1::ff:fe00:15"), Destination: addr("fd00:b1::ff:fe00:12"), Protocol: 6, SourcePort: 32902, DestinationPort: 80}, 5},
		{Tuple{Source: addr("10.0.0.1"), Destination: addr("10.0.0.2"), Protocol: 17, SourcePort: 37581, DestinationPort: 5000}, 5},
		{Tuple{Source: addr("fd00:b1::1"), Destination: addr("fd00:b1::2"), Protocol: 58, ID: 4660, Type: 128}, 5},
		{Tuple{Source: addr("fd00:b1::1"), Destination: addr("fd00:b1::2"), Protocol: 47}, 5},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Fatalf("connections (-want +got):\n%s", diff)
	}
	for _, e := range got[:3] {
		if err := End(t.Context(), f, e); err != nil {
			t.Fatal(err)
		}
	}
	if err := EndAll(t.Context(), f, 9); err != nil {
		t.Fatal(err)
	}
	calls := []string{
		"dpctl/dump-conntrack zone=5",
		"dpctl/flush-conntrack zone=5 ct_ipv6_src=fd00:b1::ff:fe00:15,ct_ipv6_dst=fd00:b1::ff:fe00:12,ct_nw_proto=6,ct_tp_src=32902,ct_tp_dst=80",
		"dpctl/flush-conntrack zone=5 ct_nw_src=10.0.0.1,ct_nw_dst=10.0.0.2,ct_nw_proto=17,ct_tp_src=37581,ct_tp_dst=5000",
		"dpctl/flush-conntrack zone=9",
	}
	if diff := cmp.Diff(calls, f.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}
