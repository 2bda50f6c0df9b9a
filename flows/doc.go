// Package flows turns a topology snapshot into the set of OpenFlow flows,
// groups and meters that the switch should hold, and compares two such sets.
// It does no I/O and keeps no clock: the same snapshot always gives the same
// set.
//
// The map of the tables is in tables.go, the registers in registers.go, the
// cookie's layout in cookie.go. Compile calls one function per table; each has
// a file of its own.
package flows
