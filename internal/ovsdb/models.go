package ovsdb

import (
	"reflect"

	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

const databaseName = "Open_vSwitch"

// Table names of the Open_vSwitch schema, ovs-vswitchd.conf.db(5).
const (
	tableRoot       = "Open_vSwitch"
	tableBridge     = "Bridge"
	tableController = "Controller"
	tableFlowTable  = "Flow_Table"
	tableInterface  = "Interface"
	tablePort       = "Port"
)

// The row types hold the wanted columns only: statistics and status columns
// move every few seconds and would wake the watcher for nothing.

type rootRow struct {
	UUID        string            `ovsdb:"_uuid"`
	Bridges     []string          `ovsdb:"bridges"`
	OtherConfig map[string]string `ovsdb:"other_config"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
	OVSVersion  *string           `ovsdb:"ovs_version"`
}

type bridgeRow struct {
	UUID         string            `ovsdb:"_uuid"`
	Name         string            `ovsdb:"name"`
	DatapathType string            `ovsdb:"datapath_type"`
	FailMode     *string           `ovsdb:"fail_mode"`
	Protocols    []string          `ovsdb:"protocols"`
	Controller   []string          `ovsdb:"controller"`
	Ports        []string          `ovsdb:"ports"`
	FlowTables   map[int]string    `ovsdb:"flow_tables"`
	OtherConfig  map[string]string `ovsdb:"other_config"`
	ExternalIDs  map[string]string `ovsdb:"external_ids"`
}

type controllerRow struct {
	UUID   string `ovsdb:"_uuid"`
	Target string `ovsdb:"target"`
}

type flowTableRow struct {
	UUID        string            `ovsdb:"_uuid"`
	Prefixes    []string          `ovsdb:"prefixes"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

type portRow struct {
	UUID        string            `ovsdb:"_uuid"`
	Name        string            `ovsdb:"name"`
	Interfaces  []string          `ovsdb:"interfaces"`
	Tag         *int              `ovsdb:"tag"`
	Trunks      []int             `ovsdb:"trunks"`
	VLANMode    *string           `ovsdb:"vlan_mode"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
}

type interfaceRow struct {
	UUID        string            `ovsdb:"_uuid"`
	Name        string            `ovsdb:"name"`
	Type        string            `ovsdb:"type"`
	ExternalIDs map[string]string `ovsdb:"external_ids"`
	OFPort      *int              `ovsdb:"ofport"`
	AdminState  *string           `ovsdb:"admin_state"`
	LinkState   *string           `ovsdb:"link_state"`
	MTU         *int              `ovsdb:"mtu"`
	Error       *string           `ovsdb:"error"`
}

func models() map[string]model.Model {
	return map[string]model.Model{
		tableRoot:       &rootRow{},
		tableBridge:     &bridgeRow{},
		tableController: &controllerRow{},
		tableFlowTable:  &flowTableRow{},
		tableInterface:  &interfaceRow{},
		tablePort:       &portRow{},
	}
}

// monitorRequest asks for exactly the columns that the row types name. It takes
// monitor_cond rather than monitor_cond_since because a replica never outlives
// its connection, so there is nothing to resume.
func monitorRequest() *client.Monitor {
	m := &client.Monitor{Method: ovsdb.ConditionalMonitorRPC}
	for table, row := range models() {
		t := reflect.TypeOf(row).Elem()
		var columns []string
		for i := range t.NumField() {
			if column := t.Field(i).Tag.Get("ovsdb"); column != "_uuid" {
				columns = append(columns, column)
			}
		}
		m.Tables = append(m.Tables, client.TableMonitor{Table: table, Fields: columns})
	}
	return m
}

// rows is one reading of the replica. The rows are shared with it: read only.
type rows struct {
	root        *rootRow   // its UUID is "" in a database nobody initialised
	bridge      *bridgeRow // nil: there is no bridge of that name
	controllers map[string]*controllerRow
	flowTables  map[string]*flowTableRow
	interfaces  map[string]*interfaceRow
	ports       map[string]*portRow
}

// readRows reads the replica, keyed by row UUID. ok is false when the
// connection is gone.
func readRows(lib client.Client, bridge string) (r rows, ok bool) {
	replica := lib.Cache()
	if replica == nil {
		return rows{}, false
	}
	table := func(name string) map[string]model.Model {
		if t := replica.Table(name); t != nil {
			return t.RowsShallow()
		}
		return nil
	}
	r.root = &rootRow{} // an uninitialised database has none
	for _, root := range typed[*rootRow](table(tableRoot)) {
		r.root = root
	}
	for _, b := range typed[*bridgeRow](table(tableBridge)) {
		if b.Name == bridge {
			r.bridge = b
		}
	}
	r.controllers = typed[*controllerRow](table(tableController))
	r.flowTables = typed[*flowTableRow](table(tableFlowTable))
	r.interfaces = typed[*interfaceRow](table(tableInterface))
	r.ports = typed[*portRow](table(tablePort))
	return r, true
}

func typed[T model.Model](in map[string]model.Model) map[string]T {
	out := make(map[string]T, len(in))
	for uuid, m := range in {
		if row, ok := m.(T); ok {
			out[uuid] = row
		}
	}
	return out
}
