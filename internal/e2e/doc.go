// Package e2e holds the end-to-end tests: real Open vSwitch, real guests, the
// damselfly binary as a process of its own. Every test runs twice, on a datapath
// with the ND extensions and on one without, as Linux's is.
//
//	main_test.go     the binary, and a stage for each test
package e2e
