package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/scanner"
	"github.com/goccy/go-yaml/token"
)

const (
	// maxDepth bounds brackets in brackets. The format itself goes 6 deep.
	maxDepth = 16
	// maxIndent bounds the column a line begins in, and so blocks in blocks.
	maxIndent = 128
	// maxKeys bounds the keys of one map, for each of which the parser recurses.
	maxKeys = 256
	// maxTokens bounds the tree, each of whose tokens takes some hundred
	// octets. A port takes some thirty.
	maxTokens = 1 << 20
)

// guard parses one file. A tree is nil for an empty file and where there is a
// Mistake. The parser recurses and follows aliases, so what could make it
// recurse without bounds is refused on the tokens.
func guard(f file) (ast.Node, *Mistake) {
	if !utf8.Valid(f.data) {
		return nil, &Mistake{File: f.name, Message: "is no UTF-8 text: save it as such"}
	}
	if bytes.HasPrefix(f.data, []byte("\ufeff")) {
		return nil, &Mistake{File: f.name, Line: 1, Column: 1, Message: "begins with a byte order mark, which would become part of the first key: save it as UTF-8 without one"}
	}
	tokens := rejoin(tokenize(string(f.data)))
	if len(tokens) > maxTokens {
		return nil, mistakeAt(f.name, tokens[maxTokens], "the file has more words from here on than any switch has ports: split it, or shorten it")
	}
	if tk, message := refused(tokens); tk != nil {
		return nil, mistakeAt(f.name, tk, message)
	}
	// Duplicate keys are reported by the walk, all of them.
	tree, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var syntax yaml.Error
		if errors.As(err, &syntax) {
			return nil, mistakeAt(f.name, syntax.GetToken(), "is no YAML here: "+syntax.GetMessage())
		}
		return nil, &Mistake{File: f.name, Message: "is no YAML: " + err.Error()}
	}
	var body ast.Node
	for _, doc := range tree.Docs {
		switch {
		case doc.Body == nil:
		case body != nil:
			return nil, mistakeAt(f.name, doc.Body.GetToken(), "a second document begins: put it in a file of its own, in one folder with this")
		default:
			body = doc.Body
		}
	}
	return body, nil
}

// tokenize cuts a text into tokens, up to some more than maxTokens.
func tokenize(text string) token.Tokens {
	var s scanner.Scanner
	s.Init(text)
	var tokens token.Tokens
	for len(tokens) <= maxTokens {
		// With any other error comes a token that says what it is.
		some, err := s.Scan()
		if err == io.EOF {
			break
		}
		tokens.Add(some...)
	}
	return tokens
}

// rejoin makes one text again of an address such as fd00:b1::11 that stands
// in a list within braces, where the scanner takes its first colon for that of
// a key. A colon there ends a key only before a blank (YAML 1.2.2 section 7.3.3).
func rejoin(tokens token.Tokens) token.Tokens {
	var joined token.Tokens
	var lists []bool // by bracket: is it a list's
	for i := 0; i < len(tokens); i++ {
		tk := tokens[i]
		switch tk.Type {
		case token.SequenceStartType, token.MappingStartType:
			lists = append(lists, tk.Type == token.SequenceStartType)
		case token.SequenceEndType, token.MappingEndType:
			lists = lists[:max(0, len(lists)-1)]
		case token.StringType, token.IntegerType, token.FloatType, token.HexIntegerType, token.OctetIntegerType:
			if len(lists) > 0 && lists[len(lists)-1] && i+2 < len(tokens) && adjacent(tk, tokens[i+1], tokens[i+2]) {
				tk.Type = token.StringType
				tk.Value += ":" + tokens[i+2].Value
				tk.Origin += ":" + tokens[i+2].Origin
				i += 2
			}
		}
		joined.Add(tk)
	}
	return joined
}

// adjacent reports whether a colon stands between two plain words, without a blank.
func adjacent(before, colon, after *token.Token) bool {
	return colon.Type == token.MappingValueType && after.Type == token.StringType &&
		before.Position.Line == after.Position.Line &&
		before.Position.Column+utf8.RuneCountInString(before.Value) == colon.Position.Column &&
		colon.Position.Column+1 == after.Position.Column
}

// mistakeAt is a Mistake at a token, which may be nil.
func mistakeAt(name string, tk *token.Token, message string) *Mistake {
	m := &Mistake{File: name, Message: message}
	if tk != nil && tk.Position != nil {
		m.Line, m.Column = tk.Position.Line, tk.Position.Column
	}
	return m
}

// refused gives the first token that the format has no use for.
func refused(tokens token.Tokens) (*token.Token, string) {
	depth, line, marks := 0, 0, 0
	var maps blocks
	for _, tk := range tokens {
		if tk.Position.Line != line {
			line, marks = tk.Position.Line, 0
			if tk.Position.Column > maxIndent && tk.Type != token.CommentType && depth == 0 {
				return tk, fmt.Sprintf("the line begins in column %d: indent by two blanks a level", tk.Position.Column)
			}
		}
		switch tk.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType:
			return tk, "anchors, aliases and merge keys are not part of the format: write the value out"
		case token.TagType, token.DirectiveType:
			return tk, "tags and directives are not part of the format: leave them out"
		case token.MappingKeyType:
			return tk, "keys are plain words: leave out the question mark"
		case token.SequenceStartType, token.MappingStartType:
			depth++
		case token.SequenceEndType, token.MappingEndType:
			depth--
		case token.SequenceEntryType:
			marks++
			maps.leave(tk.Position.Column)
		case token.MappingValueType:
			if depth > 0 {
				break
			}
			marks++
			if tk.Prev != nil && maps.key(tk.Prev.Position.Column) > maxKeys {
				return tk, fmt.Sprintf("the map has more than %d keys: none has so many", maxKeys)
			}
		}
		if depth > maxDepth || marks > maxDepth {
			return tk, fmt.Sprintf("lists and maps nest deeper than %d: no key needs that", maxDepth)
		}
	}
	return nil, ""
}

// blocks are the maps written without braces around a token, from the
// outermost, by the column of their keys.
type blocks []struct{ column, keys int }

// leave ends the maps right of a column.
func (b *blocks) leave(column int) {
	for len(*b) > 0 && (*b)[len(*b)-1].column > column {
		*b = (*b)[:len(*b)-1]
	}
}

// key counts a key in its map.
func (b *blocks) key(column int) int {
	b.leave(column)
	if len(*b) == 0 || (*b)[len(*b)-1].column != column {
		*b = append(*b, struct{ column, keys int }{column, 0})
	}
	last := &(*b)[len(*b)-1]
	last.keys++
	return last.keys
}
