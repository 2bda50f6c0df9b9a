package config

import (
	"cmp"
	"slices"
	"strings"

	"damselfly/internal/topology"
)

// Load reads the configuration at path, a file or a folder of *.yaml. The
// error is Mistakes: all of them, sorted by place.
func Load(path string) (*Config, error) {
	c, _, err := LoadPlaced(path)
	return c, err
}

// LoadPlaced is Load that also tells where everything stands.
func LoadPlaced(path string) (*Config, *Places, error) {
	files, mistakes := readAll(path)
	d := newDecoder()
	c, more := d.decode(path, files)
	if mistakes = append(mistakes, more...); len(mistakes) > 0 {
		slices.SortStableFunc(mistakes, func(a, b Mistake) int {
			return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), strings.Compare(a.Path, b.Path))
		})
		return nil, nil, slices.Compact(mistakes)
	}
	return c, &Places{d, path}, nil
}

func newDecoder() *decoder { return &decoder{places: make(map[string]place)} }

// decode makes a Config of files. path is what to name where a key is missing
// from all of them.
func (d *decoder) decode(path string, files []file) (*Config, Mistakes) {
	c := &draft{seen: make(map[string]string), Config: Config{
		State: DefaultState, API: DefaultAPI, IDs: IDs{Groups: DefaultGroups, Meters: DefaultMeters},
	}}
	whole := true
	for _, f := range files {
		d.file = f.name
		node, mistake := guard(f)
		if mistake != nil {
			d.mistakes = append(d.mistakes, *mistake)
			whole = false
		} else if node != nil {
			value{d: d, node: node}.fields(c.top())
		}
	}
	d.bridge(path, c)
	c.Topology = &c.spec
	if !whole {
		// References into a file that was not understood would all be mistakes.
		return &c.Config, d.mistakes
	}
	unread := make(map[string]bool)
	for _, m := range d.mistakes {
		unread[m.File+"\x00"+m.Path] = true
	}
	for _, p := range topology.Validate(c.Topology) {
		at := d.placeOf(p.Object, path)
		// What could not be read is its zero value here, and reported already.
		if covers(unread, at) {
			continue
		}
		d.mistakes = append(d.mistakes, at.mistake(p))
	}
	return &c.Config, d.mistakes
}

// covers reports whether the key at a place, or one around it, is among those
// noted as file and path.
func covers(noted map[string]bool, at place) bool {
	for show := at.show; show != ""; show = show[:max(0, strings.LastIndexAny(show, ".["))] {
		if noted[at.file+"\x00"+show] {
			return true
		}
	}
	return false
}

// bridge checks the one key that cannot be guessed.
func (d *decoder) bridge(path string, c *draft) {
	at, ok := d.places["bridge"]
	message := ""
	switch {
	case !ok && len(d.mistakes) == 0:
		at, message = place{file: path, show: "bridge"}, "is missing; name the Open vSwitch bridge to serve"
	case ok && (c.Bridge == "" || len(c.Bridge) > 255 || strings.ContainsAny(c.Bridge, "/\x00 \t\n")):
		message = "is no name of a bridge; write one such as br-dfly"
	}
	if message != "" && !slices.ContainsFunc(d.mistakes, func(m Mistake) bool { return m.Path == "bridge" }) {
		d.mistakes = append(d.mistakes, Mistake{File: at.file, Line: at.line, Column: at.column, Path: "bridge", Message: message})
	}
}

// placeOf finds where a Problem's object stands: the key itself, or the
// nearest map around it where it was left to its default.
func (d *decoder) placeOf(object, path string) place {
	for o := object; o != ""; {
		if at, ok := d.places[o]; ok {
			// A key that is not there is named as if it were.
			at.show += object[len(o):]
			return at
		}
		o = o[:max(0, strings.LastIndexAny(o, ".["))]
	}
	return place{file: path, show: object}
}

func (at place) mistake(p topology.Problem) Mistake {
	message := p.Message
	if p.RFC != "" {
		message += " (" + p.RFC + ")"
	}
	return Mistake{File: at.file, Line: at.line, Column: at.column, Path: at.show, Message: message}
}
