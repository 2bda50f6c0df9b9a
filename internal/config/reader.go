package config

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// place is where a value stands.
type place struct {
	file         string
	line, column int
	// show is the path within the file; the index of places counts over all files.
	show string
}

// value is one node of a tree with where it stands.
type value struct {
	d    *decoder
	node ast.Node
	// path counts list entries over all files, show over this one.
	path, show string
}

// reader puts a value where it belongs, or notes Mistakes.
type reader func(value)

// keys is what a map may hold.
type keys map[string]reader

// decoder walks the trees of a configuration.
type decoder struct {
	file     string
	mistakes Mistakes
	places   map[string]place
}

// wrong notes a Mistake at the value.
func (v value) wrong(format string, args ...any) {
	v.wrongAt(v.node.GetToken(), v.show, format, args...)
}

func (v value) wrongAt(tk *token.Token, show, format string, args ...any) {
	m := mistakeAt(v.d.file, tk, shortened(fmt.Sprintf(format, args...)))
	m.Path = show
	v.d.mistakes = append(v.d.mistakes, *m)
}

// longestMessage is the most octets of a Mistake's text: it may quote the file.
const longestMessage = 400

// shortened cuts the middle out of a text that is too long to be read.
func shortened(text string) string {
	if len(text) <= longestMessage {
		return text
	}
	half := longestMessage/2 - 4
	return strings.ToValidUTF8(text[:half], "") + " [...] " + strings.ToValidUTF8(text[len(text)-half:], "")
}

// read notes the place and lets r read the value.
func (v value) read(r reader) {
	m := mistakeAt(v.d.file, v.node.GetToken(), "")
	v.d.places[v.path] = place{file: v.d.file, line: m.Line, column: m.Column, show: v.show}
	r(v)
}

// child is the value under a key.
func (v value) child(name string, node ast.Node) value {
	return value{d: v.d, node: node, path: join(v.path, name), show: join(v.show, name)}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// fields reads a map with these keys.
func (v value) fields(known keys) {
	entries, ok := entriesOf(v.node)
	if !ok {
		v.wrong("is %s; write a map of %s", kindOf(v.node), listed(known))
		return
	}
	first := make(map[string]*token.Token, len(entries))
	for _, e := range entries {
		tk := e.Key.GetToken()
		name := tk.Value
		if _, ok := e.Key.(*ast.StringNode); !ok {
			v.wrongAt(tk, join(v.show, name), "is no key of this map; known are %s", listed(known))
			continue
		}
		show := join(v.show, name)
		if at := first[name]; at != nil {
			v.wrongAt(tk, show, "is there a second time, after line %d; keep one", at.Position.Line)
			continue
		}
		first[name] = tk
		r, ok := known[name]
		if !ok {
			v.wrongAt(tk, show, "%s", unknownKey(name, known))
			continue
		}
		if e.Value == nil {
			v.wrongAt(tk, show, "has no value; give one, or leave the key out")
			continue
		}
		if _, null := e.Value.(*ast.NullNode); null {
			v.wrongAt(tk, show, "has no value; give one, or leave the key out")
			continue
		}
		v.child(name, e.Value).read(r)
	}
}

// entriesOf gives the entries of a map; the parser has a node of its own for
// a map of one entry.
func entriesOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// list reads each entry of a list with what entry gives for it. offset is how
// many entries of the same list stand in earlier files.
func list(offset int, entry func() reader) reader {
	return func(v value) {
		s, ok := v.node.(*ast.SequenceNode)
		if !ok {
			v.wrong("is %s; write a list", kindOf(v.node))
			return
		}
		for i, n := range s.Values {
			e := value{d: v.d, node: n, path: fmt.Sprintf("%s[%d]", v.path, offset+i), show: fmt.Sprintf("%s[%d]", v.show, i)}
			// The reader comes first: entries count up even where they are mistakes.
			r := entry()
			if _, null := n.(*ast.NullNode); null || n == nil {
				v.wrongAt(s.GetToken(), e.show, "has no value; give one, or leave the entry out")
				continue
			}
			e.read(r)
		}
	}
}

// many reads a list into a slice, one element an entry.
func many[T any](to *[]T, entry func(*T) reader) reader {
	return list(0, grow(to, entry))
}

// grow appends one element to a slice and gives the reader into it.
func grow[T any](to *[]T, entry func(*T) reader) func() reader {
	return func() reader {
		return func(v value) {
			var element T
			entry(&element)(v)
			*to = append(*to, element)
		}
	}
}

// kindOf says what a node is, for people.
func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a map"
	case *ast.SequenceNode:
		return "a list"
	case *ast.BoolNode:
		return "true or false"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.NullNode:
		return "empty"
	default:
		return "a text"
	}
}

// unknownKey says what could have been meant.
func unknownKey(name string, known keys) string {
	nearest, distance := "", 1+max(2, len(name)/3)
	for _, k := range sorted(known) {
		if d := editDistance(name, k); d < distance {
			nearest, distance = k, d
		}
	}
	if nearest != "" {
		return fmt.Sprintf("is no key of this map; did you mean %s?", nearest)
	}
	return "is no key of this map; known are " + listed(known)
}

// listed names the keys that can be used.
func listed(known keys) string {
	return strings.Join(sorted(known), ", ")
}
