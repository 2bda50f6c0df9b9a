// Package arch holds the rules of the repository as tests: which package may
// import which, how long files and functions may be, and that every package and
// exported name says what it is. It has no code of its own.
//
// The tests read the files themselves instead of asking the go command, so that
// a cached result is never older than what it judged.
package arch
