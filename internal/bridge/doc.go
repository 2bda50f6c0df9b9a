// Package bridge brings one Open vSwitch bridge to hold what package flows
// compiled, and keeps to the rules of sharing it: what others put there is
// neither counted on nor removed, and what stands in the way is named.
//
//	held.go        what the bridge holds: ours, and other people's
//	objections.go  what taking the bridge over would break
//	capability.go  what its datapath can do
//	installer.go   the way from held to wanted
//	piecemeal.go   the way part by part, when the bridge refuses one
//	sweep.go       what another version left
//	clear.go       the way back
//	lock.go        one Damselfly a bridge
package bridge
