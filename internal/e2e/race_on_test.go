//go:build race

package e2e

// raceEnabled: damselfly is built with the race detector as the tests are.
const raceEnabled = true
