package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	promise = regexp.MustCompile(`(?m)^(\d)\. `)
	symbol  = regexp.MustCompile("`([^`]+)`")
)

// TestThreats: each function and test that the threat table names exists, each promise
// has a row, and each of those who could break one.
func TestThreats(t *testing.T) {
	sections := strings.Split(string(read(t, designFile)), "\n## ")
	section := func(heading string) string {
		at := slices.IndexFunc(sections, func(s string) bool { return strings.HasPrefix(s, heading) })
		if at < 0 {
			t.Fatalf("%s has no section %q", designFile, heading)
		}
		return sections[at]
	}
	declared := map[string]map[string]bool{} // by folder
	exists := func(name string, isTest bool) bool {
		folder, rest, _ := strings.Cut(path.Base(name), ".")
		folder = path.Join(path.Dir(name), folder)
		if declared[folder] == nil {
			declared[folder] = functions(t, folder)
		}
		return declared[folder][rest] && strings.HasPrefix(rest, "Test") == isTest
	}
	var whose, who []string
	for line := range strings.Lines(section("12. ")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 4 || !strings.Contains(line, "`") {
			continue
		}
		whose, who = append(whose, strings.TrimSpace(cells[0])[:1]), append(who, cells[1])
		for i, cell := range cells[2:] {
			named := symbol.FindAllStringSubmatch(cell, -1)
			if len(named) == 0 {
				t.Errorf("a row names nothing: %s", line)
			}
			for _, m := range named {
				if !exists(m[1], i == 1) {
					t.Errorf("%s names %s, which the sources do not have", designFile, m[1])
				}
			}
		}
	}
	for _, m := range promise.FindAllStringSubmatch(section("3. "), -1) {
		if !slices.Contains(whose, m[1]) {
			t.Errorf("promise %s has no row", m[1])
		}
	}
	for _, w := range []string{"server operator", "log key thief", "witness", "mirror", "officer", "provider", "network", "disk"} {
		if !slices.ContainsFunc(who, func(cell string) bool { return strings.Contains(cell, w+":") || strings.Contains(cell, w+" or ") }) {
			t.Errorf("no row says what a %s could do", w)
		}
	}
}

// functions are those that a folder's files declare, methods as Type.name.
func functions(t *testing.T, folder string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	files, err := fs.Glob(checkout, path.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, read(t, name), parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				all[receiver(fn)+fn.Name.Name] = true
			}
		}
	}
	return all
}

// receiver is "Type." of a method, whatever its parameters; "" of a function.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return ""
	}
	of := fn.Recv.List[0].Type
	for {
		switch e := of.(type) {
		case *ast.StarExpr:
			of = e.X
		case *ast.IndexExpr:
			of = e.X
		case *ast.IndexListExpr:
			of = e.X
		case *ast.Ident:
			return e.Name + "."
		default:
			return "?."
		}
	}
}
