package config

import (
	"fmt"
	"strings"

	"damselfly/internal/topology"
)

// Config is one configuration, whole and without mistakes, defaults applied.
type Config struct {
	// Bridge is the name of the bridge served.
	Bridge string
	// State is the folder of the store, an absolute path.
	State string
	// API is the address of the HTTP server, host:port; "" turns it off.
	API  string
	Punt Punt
	IDs  IDs
	// Topology is validated and holds the limits.
	Topology *topology.Spec
}

// Punt is the transport of frames from the switch.
type Punt uint8

// The transports.
const (
	// PuntAuto takes the best one there is.
	PuntAuto Punt = iota
	// PuntPacketIn takes OpenFlow packet-in messages.
	PuntPacketIn
	// PuntPort takes a port of the bridge that Damselfly owns.
	PuntPort
)

// String is the transport as the configuration writes it.
func (p Punt) String() string {
	return [...]string{"auto", "packet-in", "port"}[p]
}

// IDs are the first group and meter ids that may be used on the bridge; an
// object with key K has the punt.MeterSlots ids from there + K * punt.MeterSlots.
type IDs struct {
	Groups, Meters uint32
}

// Defaults of what a configuration may leave out.
const (
	DefaultState  = "/var/lib/damselfly"
	DefaultAPI    = "127.0.0.1:8686"
	DefaultGroups = 0xdf000000
	DefaultMeters = 0
)

// Mistake is one thing wrong with a configuration.
type Mistake struct {
	// File is as it was given to Load, or found in the folder given.
	File string `json:"file"`
	// Line and Column count from 1; 0 where the whole file is meant.
	Line   int `json:"line"`
	Column int `json:"column"`
	// Path is the key's, such as networks[0].subnets[1].prefix, with indexes
	// into the file's own lists; "" for the file as a whole.
	Path string `json:"path"`
	// Message says what is wrong and what would be right.
	Message string `json:"message"`
}

// String is `file:line:column: path: what is wrong; what would be right`.
func (m Mistake) String() string {
	var b strings.Builder
	b.WriteString(m.File)
	if m.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", m.Line, m.Column)
	}
	if m.Path != "" {
		b.WriteString(": " + m.Path)
	}
	return b.String() + ": " + m.Message
}

// Mistakes are all mistakes of a configuration by place: the error of Load.
type Mistakes []Mistake

// Brief lists the first mistakes, one a line, and says how many more there are:
// for a log, where `damselfly check` shows them all.
func (m Mistakes) Brief() string {
	const most = 20
	if len(m) <= most {
		return m.Error()
	}
	return fmt.Sprintf("%v\nand %d more", m[:most], len(m)-most)
}

// Error lists all mistakes, one a line.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i := range m {
		lines[i] = m[i].String()
	}
	return strings.Join(lines, "\n")
}
