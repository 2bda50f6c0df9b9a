package ovsdb

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWatchPorts(t *testing.T) {
	t.Parallel()
	s := newSwitch(t)
	s.startSwitch()
	c := s.dial()
	v := waitFor(t, c, "first view", func(v View) bool { return v.Connected })
	if v.Exists || v.RunDir != s.RunDir || v.ManagementSocket() != s.path("br0.mgmt") {
		t.Errorf("without a bridge: %+v", v)
	}

	s.veth("p1", "g1", "1442")
	s.vsctl("add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev", "fail_mode=secure")
	s.vsctl("add-br", "other", "--", "set", "Bridge", "other", "datapath_type=netdev")
	s.vsctl("add-port", "br0", "p1", "--", "set", "Interface", "p1", "ofport_request=9", "external_ids:iface-id=vm1",
		"external_ids:attached-mac=02:00:00:00:00:11", "external_ids:damselfly-network=blue")
	v = waitFor(t, c, "p1 has a number and carrier", portIs("p1", func(i Interface) bool { return i.OFPort != 0 && i.LinkUp }))
	want := Interface{Name: "p1", IfaceID: "vm1", AttachedMAC: "02:00:00:00:00:11", Network: "blue", OFPort: 9, LinkUp: true, MTU: 1442}
	got, _ := v.Interface("p1")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("p1 (-want +got):\n%s", diff)
	}
	waitFor(t, c, "LOCAL", portIs("br0", func(i Interface) bool { return i.OFPort == OFPortLocal && i.Type == "internal" }))
	if _, exists := v.Interface("other"); exists {
		t.Error("an interface of another bridge is in the view")
	}

	s.ip("link", "set", "p1", "down")
	waitFor(t, c, "p1 is down", portIs("p1", func(i Interface) bool { return !i.LinkUp }))
	s.ip("link", "set", "p1", "up")
	waitFor(t, c, "p1 is up", portIs("p1", func(i Interface) bool { return i.LinkUp }))

	s.vsctl("set", "Port", "p1", "tag=7")
	waitFor(t, c, "p1 is tagged", portIs("p1", func(i Interface) bool { return i.Tagged }))

	s.vsctl("add-port", "br0", "later", "--", "set", "Interface", "later", "external_ids:iface-id=vm2")
	waitFor(t, c, "a port without a device", portIs("later", func(i Interface) bool { return i.OFPort == 0 && i.Error != "" }))
	s.veth("later", "g2", "1500")
	waitFor(t, c, "its device came", portIs("later", func(i Interface) bool { return i.OFPort != 0 && i.Error == "" }))

	s.vsctl("del-port", "p1")
	waitFor(t, c, "p1 is gone", func(v View) bool { _, exists := v.Interface("p1"); return !exists })
	s.vsctl("del-br", "br0")
	waitFor(t, c, "the bridge is gone", func(v View) bool { return !v.Exists && len(v.Interfaces) == 0 })
}

func TestWatchBridge(t *testing.T) {
	t.Parallel()
	s := newSwitch(t)
	s.vsctl("add-br", "br0")
	c := s.dial()
	s.vsctl("set", "Bridge", "br0", "fail_mode=standalone", "protocols=OpenFlow15,OpenFlow13", "other_config:controller-queue-size=300", "datapath_type=netdev")
	s.vsctl("set-controller", "br0", "tcp:192.0.2.1:6653", "ptcp:6654:127.0.0.1")
	s.vsctl("--", "--id=@f", "create", "Flow_Table", "prefixes=ipv6_src,ipv6_dst", "--", "set", "Bridge", "br0", "flow_tables:3=@f")
	s.vsctl("set", "Open_vSwitch", ".", "other_config:flow-restore-wait=true", "external_ids:rundir=/run/elsewhere")
	v := waitFor(t, c, "all is read", func(v View) bool { return v.FlowRestoreWait })
	got := View{FailMode: v.FailMode, Protocols: v.Protocols, Controllers: v.Controllers, ControllerQueueSize: v.ControllerQueueSize,
		DatapathType: v.DatapathType, FlowTablePrefixes: v.FlowTablePrefixes, RunDir: v.RunDir}
	want := View{
		FailMode:            "standalone",
		Protocols:           []string{"OpenFlow13", "OpenFlow15"},
		Controllers:         []string{"ptcp:6654:127.0.0.1", "tcp:192.0.2.1:6653"},
		ControllerQueueSize: 300,
		DatapathType:        "netdev",
		FlowTablePrefixes:   map[uint8][]string{3: {"ipv6_dst", "ipv6_src"}},
		RunDir:              "/run/elsewhere",
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(View{})); diff != "" {
		t.Errorf("bridge (-want +got):\n%s", diff)
	}
	s.vsctl("remove", "Open_vSwitch", ".", "other_config", "flow-restore-wait")
	waitFor(t, c, "the restore is over", func(v View) bool { return !v.FlowRestoreWait })
}
