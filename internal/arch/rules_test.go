package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"strconv"
	"strings"
	"testing"
)

// layers are the packages from the bottom up; a folder stands for what is below
// it too. A package imports only layers below its own, so that flows and
// handlers, which share one, do not know each other, and those of the first
// layer import nothing of ours. Only what is in one folder here may import each
// other.
var layers = [][]string{
	{"internal/wire", "internal/punt", "pipeline", "internal/store", "internal/ovsdb", "internal/pulse", "internal/lab", "internal/relay6", "internal/unixctl", "internal/conntrack", "internal/due"},
	{"internal/send"},
	{"internal/topology", "internal/annex", "internal/capture", "internal/puntport", "internal/slowlane", "internal/dhcpv6"},
	{"internal/lease", "internal/binding", "internal/neighbor", "internal/multicast", "internal/metadata"},
	{"flows", "handlers", "internal/config"},
	{"internal/openflow", "internal/timers", "internal/replay", "fixtures"},
	{"internal/bridge", "internal/explain"},
	{"internal/agent"},
	{"internal/stage"},
	{"internal/demo", "internal/e2e", "bench"},
	{"cmd"},
	{"internal/arch"},
}

// Sizes past which a reader loses the thread.
const (
	maxFileLines     = 600
	maxFunctionLines = 120
)

// layer finds the folder of layers that a package is in, and its height.
func layer(pkg string) (folder string, height int) {
	for height, folders := range layers {
		for _, f := range folders {
			if pkg == f || strings.HasPrefix(pkg, f+"/") {
				return f, height
			}
		}
	}
	return "", -1
}

// rules are what holds for the whole repository. Each returns a sentence for
// what breaks it.
var rules = map[string]func([]source) []string{
	"imports":          imports,
	"package comments": packageComments,
	"sizes":            sizes,
	"documentation":    documentation,
}

// TestRules holds the repository against every rule.
func TestRules(t *testing.T) {
	files := tree(t)
	if len(files) < 50 {
		t.Fatalf("only %d files found: the test looks in the wrong place", len(files))
	}
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			for _, fault := range rule(files) {
				t.Error(fault)
			}
		})
	}
}

func imports(files []source) (faults []string) {
	for _, f := range files {
		if f.test() {
			continue
		}
		own, height := layer(f.pkg())
		if height < 0 {
			faults = append(faults, fmt.Sprintf("%s: package %s has no place in the layers of internal/arch: put it where the design has it", f.path, f.pkg()))
			continue
		}
		for _, spec := range f.file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // the compiler's business
			}
			other, ours := strings.CutPrefix(name, module)
			if !ours {
				continue
			}
			folder, below := layer(other)
			if folder != own && (below < 0 || below >= height) {
				faults = append(faults, fmt.Sprintf("%s imports %s: dependencies point one way, and that is not below %s", f.path, other, own))
			}
		}
	}
	return faults
}

func packageComments(files []source) (faults []string) {
	commented, seen := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		if f.test() {
			continue
		}
		seen[f.pkg()] = true
		if f.file.Doc == nil {
			continue
		}
		commented[f.pkg()] = true
		if name := f.file.Name.Name; name != "main" && !strings.HasPrefix(f.file.Doc.Text(), "Package "+name+" ") {
			faults = append(faults, fmt.Sprintf("%s: the package comment does not start with %q, where go doc looks for it", f.path, "Package "+name))
		}
	}
	for pkg := range seen {
		if !commented[pkg] {
			faults = append(faults, fmt.Sprintf("package %s has no comment: a reader of the folder learns nothing of what it is for", path.Clean(pkg)))
		}
	}
	return faults
}

func sizes(files []source) (faults []string) {
	for _, f := range files {
		if f.lines > maxFileLines {
			faults = append(faults, fmt.Sprintf("%s has %d lines, more than %d: it has more than one subject, split it", f.path, f.lines, maxFileLines))
		}
		if f.test() {
			continue
		}
		for _, d := range f.file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.length(fn) > maxFunctionLines {
				faults = append(faults, fmt.Sprintf("%s: %s has %d lines, more than %d: name its steps", f.path, fn.Name.Name, f.length(fn), maxFunctionLines))
			}
		}
	}
	return faults
}

func documentation(files []source) (faults []string) {
	for _, f := range files {
		if f.test() || f.file.Name.Name == "main" {
			continue
		}
		undocumented := func(name string) {
			faults = append(faults, fmt.Sprintf("%s: %s is exported and has no comment: say what it is, its unit and its errors", f.path, name))
		}
		for _, d := range f.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Doc == nil && d.Name.IsExported() && receiverExported(d) {
					undocumented(d.Name.Name)
				}
			case *ast.GenDecl:
				for _, name := range bare(d) {
					undocumented(name)
				}
			}
		}
	}
	return faults
}

// receiverExported reports whether a function is one, or a method of an exported
// type.
func receiverExported(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return true
		}
	}
}

// bare are the exported names of a declaration that neither a comment of their
// own nor one of their group speaks of.
func bare(d *ast.GenDecl) (names []string) {
	if d.Doc != nil || d.Tok == token.IMPORT {
		return nil
	}
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Doc == nil && s.Comment == nil && s.Name.IsExported() {
				names = append(names, s.Name.Name)
			}
		case *ast.ValueSpec:
			for _, n := range s.Names {
				if s.Doc == nil && s.Comment == nil && n.IsExported() {
					names = append(names, n.Name)
				}
			}
		}
	}
	return names
}

// TestRulesObject shows each rule something it must object to, and something
// like it that is fine.
func TestRulesObject(t *testing.T) {
	tests := []struct {
		rule, name, path, text string
		faults                 int
	}{
		{"imports", "upwards", "internal/wire/x.go", "package wire\nimport _ \"damselfly/internal/topology\"\n", 1},
		{"imports", "sideways", "flows/x.go", "package flows\nimport _ \"damselfly/handlers/nd\"\n", 1},
		{"imports", "the other side", "handlers/nd/x.go", "package nd\nimport _ \"damselfly/flows\"\n", 1},
		{"imports", "pipeline of ours", "pipeline/x.go", "package pipeline\nimport _ \"damselfly/internal/punt\"\n", 1},
		{"imports", "nowhere", "internal/utils/x.go", "package utils\n", 1},
		{"imports", "of nowhere", "cmd/x/x.go", "package main\nimport _ \"damselfly/internal/utils\"\n", 1},
		{"imports", "downwards", "flows/x.go", "package flows\nimport _ \"damselfly/internal/topology\"\n", 0},
		{"imports", "within", "handlers/nd/x.go", "package nd\nimport _ \"damselfly/handlers/packet\"\n", 0},
		{"imports", "a test", "pipeline/x_test.go", "package pipeline\nimport _ \"damselfly/flows\"\n", 0},
		{"package comments", "none", "flows/x.go", "package flows\n", 1},
		{"package comments", "not its name", "flows/x.go", "// These are flows.\npackage flows\n", 1},
		{"package comments", "there", "flows/x.go", "// Package flows is.\npackage flows\n", 0},
		{"sizes", "a long file", "flows/x.go", "package flows\n" + strings.Repeat("\n", maxFileLines), 1},
		{"sizes", "a long function", "flows/x.go", "package flows\nfunc f() {\n" + strings.Repeat("\n", maxFunctionLines) + "}\n", 1},
		{"sizes", "a long test", "flows/x_test.go", "package flows\nfunc f() {\n" + strings.Repeat("\n", maxFunctionLines) + "}\n", 0},
		{"documentation", "a bare function", "flows/x.go", "package flows\nfunc F() {}\n", 1},
		{"documentation", "a bare method", "flows/x.go", "package flows\nfunc (t *T) F() {}\n", 1},
		{"documentation", "a bare type", "flows/x.go", "package flows\ntype T int\n", 1},
		{"documentation", "bare constants", "flows/x.go", "package flows\nconst (\n\tA = 1\n\tB = 2 // documented\n\tc = 3\n)\n", 1},
		{"documentation", "a group", "flows/x.go", "package flows\n// These.\nconst (\n\tA = 1\n\tB = 2\n)\n", 0},
		{"documentation", "a method of ours alone", "flows/x.go", "package flows\nfunc (t t) F() {}\n", 0},
	}
	covered := map[string]bool{}
	for _, tt := range tests {
		covered[tt.rule] = covered[tt.rule] || tt.faults > 0
		t.Run(tt.rule+"/"+tt.name, func(t *testing.T) {
			if got := rules[tt.rule]([]source{parse(t, tt.path, tt.text)}); len(got) != tt.faults {
				t.Errorf("%d objections, want %d: %q", len(got), tt.faults, got)
			}
		})
	}
	for name := range rules {
		if !covered[name] {
			t.Errorf("nothing shows that the rule on %s can object", name)
		}
	}
}
