package config

import (
	"fmt"

	"damselfly/internal/topology"
)

// Places tell where the keys of a configuration stand.
type Places struct {
	d    *decoder
	path string
}

// Place is where a key stands, or would.
type Place struct {
	// File is as in Mistake; Line counts from 1, 0 where the whole file is meant.
	File string `json:"file"`
	Line int    `json:"line"`
	// Key is the key's path in the file, such as ports[0].router.
	Key string `json:"key"`
	// Set says that the key is there. Otherwise the place is that of the
	// nearest map around it, and the key has its default.
	Set bool `json:"set"`
}

// String is `file:line`, as editors take it.
func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Mistake says what is wrong with what stands at a path in the Spec.
func (p *Places) Mistake(object, message string) Mistake {
	return p.d.placeOf(object, p.path).mistake(topology.Problem{Object: object, Message: message})
}

// Of returns the place of a path in the Spec, as a Problem's Object is one:
// ports[2].addresses[0], with indexes into the Spec's lists.
func (p *Places) Of(object string) Place {
	at := p.d.placeOf(object, p.path)
	_, set := p.d.places[object]
	return Place{File: at.file, Line: at.line, Key: at.show, Set: set}
}
