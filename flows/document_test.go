package flows

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"damselfly/internal/punt"
)

// described is a constant and the first paragraph of its comment, without the
// constant's name in front.
type described struct{ name, text string }

// constants reads the documented constants of a file whose names start with a
// prefix, in their order.
func constants(t *testing.T, file, prefix string) (list []described) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range f.Decls {
		g, ok := decl.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec)
			name := v.Names[0].Name
			if !strings.HasPrefix(name, prefix) || v.Doc == nil {
				continue
			}
			text := strings.Join(strings.Fields(v.Doc.Text()), " ")
			text = strings.TrimPrefix(strings.TrimPrefix(text, name), ":")
			text = strings.TrimPrefix(strings.TrimSpace(text), "is ")
			list = append(list, described{name, text})
		}
	}
	return list
}

// document is the text of PIPELINE.md.
func document(t *testing.T) string {
	var b strings.Builder
	b.WriteString("# Tables, registers and cookies\n\n" +
		"Made from the constants of package flows and their comments by its tests\n" +
		"(`go test ./flows -run Document -update`): change those, not this.\n\n" +
		"## Tables\n\n" +
		"Table 0 is shared with whoever else writes to the bridge; there Damselfly's flows have\n" +
		fmt.Sprintf("priorities %d to %d. The others are Damselfly's alone.\n\n", ClassifyLow, ClassifyHigh) +
		"| table | name | what it does |\n|---|---|---|\n")
	for number := range 256 {
		if name := TableName(uint8(number)); name != "" {
			fmt.Fprintf(&b, "| %d | %s | %s |\n", number, name, find(t, "tables.go", "Table", constantOf(name)))
		}
	}
	b.WriteString("\n## Registers\n\n" +
		"| where | what it holds |\n|---|---|\n| metadata | the network's key. |\n")
	for _, r := range []struct {
		name  string
		field Field
	}{{"regPort", regPort}, {"regClass", regClass}, {"regOut", regOut}, {"regND", regND}, {"regFlags", regFlags}, {"regMACLow", regMACLow}, {"regGroup", regGroup}, {"regMACHigh", regMACHigh},
		{"regRemote", regRemote}, {"regVerdict", regVerdict}, {"regRule", regRule},
		{"regRouter", regRouter}, {"regVia", regVia}, {"regTrouble", regTrouble}, {"regFloating", regFloating}, {"regDrop", regDrop}, {"regDropPort", regDropPort}} {
		fmt.Fprintf(&b, "| %s | %s |\n", r.field, find(t, "registers.go", "reg", r.name))
	}
	fmt.Fprintf(&b, "\nBits of %s:\n\n| mask | name | what it says |\n|---|---|---|\n", regND)
	for _, bit := range []struct {
		name string
		mask uint32
	}{{"ndOwnSource", ndOwnSource}, {"ndForeign", ndForeign}, {"ndOwnOption", ndOwnOption}, {"ndNoRouter", ndNoRouter}, {"ndLonger", ndLonger}, {"ndFull", ndFull}} {
		fmt.Fprintf(&b, "| %#x | %s | %s |\n", bit.mask, bit.name, find(t, "registers.go", "nd", bit.name))
	}
	fmt.Fprintf(&b, "\nBits of %s:\n\n| mask | name | what it says |\n|---|---|---|\n", regVerdict)
	for _, bit := range []struct {
		name string
		mask uint32
	}{{"verdictAllow", verdictAllow}, {"verdictReject", verdictReject}, {"verdictLog", verdictLog}, {"verdictCut", verdictCut}} {
		fmt.Fprintf(&b, "| %#x | %s | %s |\n", bit.mask, bit.name, find(t, "registers.go", "verdict", bit.name))
	}
	fmt.Fprintf(&b, "\nBits of %s:\n\n| mask | name | what it says |\n|---|---|---|\n", regFloating)
	for _, bit := range []struct {
		name string
		mask uint32
	}{{"floatingIn", floatingIn}, {"floatingError", floatingError}, {"floatingDone", floatingDone}} {
		fmt.Fprintf(&b, "| %#x | %s | %s |\n", bit.mask, bit.name, find(t, "registers.go", "floating", bit.name))
	}
	b.WriteString("\n## Groups\n\n" +
		"Numbers count from the first group of the configured range; a network's flood group\n" +
		fmt.Sprintf("is %d and the network's key, that of its multicast routers %d and the key, that of who\n", groupFlood, groupRouters) +
		fmt.Sprintf("listens to a multicast group %d and the group's slot, that of the networks where somebody does %d and\n", groupListeners, groupRouted) +
		fmt.Sprintf("the slot on the first of them, that of paths of equal cost %d and their number,\n", groupPaths) +
		fmt.Sprintf("the highest %d.\n\n| group | what it does |\n|---|---|\n", LastGroup))
	for _, g := range []struct {
		name   string
		number uint32
	}{{"groupAway", groupAway}, {"groupPunt", groupPunt}, {"groupND", groupND}, {"groupEcho", groupEcho}, {"groupReject", groupReject},
		{"groupLog", groupLog}, {"groupMetadata", groupMetadata}, {"groupNS", groupNS}} {
		fmt.Fprintf(&b, "| %d | %s |\n", g.number, find(t, "compile.go", "group", g.name))
	}
	fmt.Fprintf(&b, "\nMeters are numbered by port key and class: first meter + %d x key + class; where the class\nis 0, all that the port sends to the metadata service.\n", punt.MeterSlots)
	b.WriteString("\n## Cookies\n\n" +
		"| bits | what they hold |\n|---|---|\n" +
		fmt.Sprintf("| 63-48 | owner, %#x |\n| 47-40 | layout, now %d |\n", cookieOwner, layoutVersion) +
		"| 39-32 | role |\n| 31-0 | key of the port or network, or id of the rule, the flow stands for, or 0 |\n\n" +
		"| role | name | what the flow does |\n|---|---|---|\n")
	for i, c := range constants(t, "cookie.go", "Role") {
		fmt.Fprintf(&b, "| %d | %s | %s |\n", i, Role(i), c.text)
	}
	return b.String()
}

// constantOf is the name of the constant of a table by its name in plans.
func constantOf(table string) string {
	name := "Table"
	for part := range strings.SplitSeq(table, "-") {
		if abbreviation, ok := map[string]string{"nd": "ND", "mac": "MAC", "dhcpv6": "DHCPv6", "mld": "MLD"}[part]; ok {
			name += abbreviation
			continue
		}
		name += strings.ToUpper(part[:1]) + part[1:]
	}
	return name
}

// find returns the description of one constant.
func find(t *testing.T, file, prefix, name string) string {
	t.Helper()
	for _, c := range constants(t, file, prefix) {
		if c.name == name {
			return c.text
		}
	}
	t.Fatalf("%s has no constant %s with a comment of its own", file, name)
	return ""
}

// TestDocument fails when PIPELINE.md does not say what the code does.
func TestDocument(t *testing.T) {
	golden(t, "PIPELINE.md", document(t))
}

// TestEverythingIsDocumented fails when a constant was added that the document
// would leave out.
func TestEverythingIsDocumented(t *testing.T) {
	if n := len(constants(t, "cookie.go", "Role")); n != int(roles) {
		t.Errorf("%d of %d roles have a comment", n, roles)
	}
	if n := len(constants(t, "tables.go", "Table")); n != len(tableNames) {
		t.Errorf("%d tables have a comment, %d have a name", n, len(tableNames))
	}
	text := document(t)
	for _, prefix := range []string{"reg", "nd", "verdict", "floating"} {
		for _, c := range constants(t, "registers.go", prefix) {
			if !strings.Contains(text, c.text) {
				t.Errorf("the document does not speak of %s", c.name)
			}
		}
	}
}
