// Package ovsdb watches one bridge in Open vSwitch's configuration database and
// sets up on it what Damselfly needs.
//
// Reading is level-triggered. A [Client] keeps a replica of the few columns it
// wants (models.go), rebuilds an immutable [View] of the bridge from the whole
// replica whenever any row moved (view.go), and rings [Client.Changed]. Nobody
// acts on single events: after a restart of ovsdb-server every row is announced
// anew and rows that vanished meanwhile are announced by nobody, so only the
// state as a whole can be trusted.
//
// A lost connection is answered with a fresh replica, for ever (client.go,
// session.go). Meanwhile the last view stands, marked as not connected: the
// switch goes on forwarding, and so should its policy.
//
// Writing goes by small transactions that send nothing when all is so already
// (write.go; bridge.go, tables.go, ports.go). Whatever they create or change is marked
// in external_ids, so that [Client.Clear] puts back exactly that (clear.go), and
// [View.Plan] tells beforehand what they would do (plan.go).
package ovsdb
