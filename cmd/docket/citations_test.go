package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Where the law lies, from the module's root.
const (
	designFile  = "ledger/DESIGN.md"
	recordsFile = "ledger/record/RECORDS.md"
)

// checkout is the module as it lies on the disk, read from this package's folder.
var checkout = os.DirFS("../..")

var (
	// DESIGN.md section 4, "Receipt" and RECORDS.md "Pauses", "Ends".
	citation = regexp.MustCompile(`(DESIGN|RECORDS)\.md(?: section (\d+))?((?:(?:,| and|, and)? "[^"]+")*)`)
	quoted   = regexp.MustCompile(`"[^"]+"`)
	fileName = regexp.MustCompile(`[\w./-]*\w\.(?:md|go)\b`)
	goFile   = regexp.MustCompile("`([\\w./*-]*\\w\\*?\\.go)`") // a * stands for any name
	mdLink   = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)\s]*)?\)`)
)

// TestCitations: each section that a comment cites of the two documents exists,
// and a Go or Markdown file that a comment names is in the checkout.
func TestCitations(t *testing.T) {
	files := sources(t)
	design, records := headings(t, designFile), headings(t, recordsFile)
	cited := 0
	for _, name := range files {
		if path.Ext(name) != ".go" {
			continue
		}
		for where, text := range comments(t, name) {
			for _, c := range citation.FindAllStringSubmatch(text, -1) {
				cited++
				for _, fault := range misses(c, design, records) {
					t.Errorf("%s cites %s: %s", where, c[0], fault)
				}
			}
			for _, named := range fileName.FindAllString(text, -1) {
				if !slices.ContainsFunc(files, func(f string) bool { return f == named || strings.HasSuffix(f, "/"+named) }) {
					t.Errorf("%s names %s, which is not in the checkout", where, named)
				}
			}
		}
	}
	if cited < 50 {
		t.Errorf("%d citations were found; there are more", cited)
	}
}

// misses are the faults of one citation: its matches are the document, the section's
// number and the quoted headings.
func misses(c []string, design, records map[string][]string) (faults []string) {
	under := records[""]
	if c[1] == "DESIGN" {
		number := slices.IndexFunc(design[""], func(h string) bool { return strings.HasPrefix(h, c[2]+". ") })
		if c[2] == "" || number < 0 {
			return []string{"there is no such section"}
		}
		under = design[design[""][number]]
	}
	for _, q := range quoted.FindAllString(c[3], -1) {
		if !slices.Contains(under, strings.Trim(q, `"`)) {
			faults = append(faults, fmt.Sprintf("no heading %s there", q))
		}
	}
	return faults
}

// headings are a document's: those of its sections under "", and of each section those
// below it.
func headings(t *testing.T, name string) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	section := ""
	for line := range strings.Lines(string(read(t, name))) {
		if h, ok := strings.CutPrefix(strings.TrimSpace(line), "## "); ok {
			section = h
			all[""] = append(all[""], h)
		} else if h, ok := strings.CutPrefix(strings.TrimSpace(line), "### "); ok {
			all[section] = append(all[section], h)
		}
	}
	if len(all[""]) == 0 {
		t.Fatalf("%s has no sections", name)
	}
	return all
}

// comments are a file's, a text for each group, by where it begins.
func comments(t *testing.T, name string) map[string]string {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, read(t, name), parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string, len(f.Comments))
	for _, group := range f.Comments {
		all[set.Position(group.Pos()).String()] = strings.Join(strings.Fields(group.Text()), " ")
	}
	return all
}

// TestLinks: what the documents link to, and the Go files that they name, are in the
// checkout.
func TestLinks(t *testing.T) {
	files := sources(t)
	for _, name := range files {
		if path.Ext(name) != ".md" {
			continue
		}
		text := read(t, name)
		for _, m := range mdLink.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := fs.Stat(checkout, path.Join(path.Dir(name), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
		}
		for _, m := range goFile.FindAllStringSubmatch(string(text), -1) {
			if !slices.ContainsFunc(files, func(f string) bool { return namesFile(m[1], f) }) {
				t.Errorf("%s names %s, which is not in the checkout", name, m[1])
			}
		}
	}
}

// namesFile tells whether a name, or the end of a path, means that file.
func namesFile(name, file string) bool {
	if dir, end := path.Split(file); strings.Contains(name, "*") {
		ok, err := path.Match(path.Base(name), end)
		return ok && err == nil && strings.HasSuffix("/"+dir, "/"+strings.TrimPrefix(path.Dir(name)+"/", "./"))
	}
	return strings.HasSuffix("/"+file, "/"+name)
}

// TestDesignDrawsTheArrows: the table of DESIGN.md section 5 is the one that
// TestArrows judges by, and names each package.
func TestDesignDrawsTheArrows(t *testing.T) {
	drawn := map[string][]string{}
	for line := range strings.Lines(string(read(t, designFile))) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 3 || !strings.HasPrefix(strings.TrimSpace(cells[0]), "`") || strings.Contains(cells[0], " --") {
			continue
		}
		imports := []string{}
		switch last := strings.TrimSpace(cells[2]); last {
		case "nothing":
		case "everything":
			continue
		default:
			for _, p := range strings.Split(last, ", ") {
				imports = append(imports, strings.Trim(p, "`"))
			}
		}
		drawn[strings.Trim(strings.TrimSpace(cells[0]), "`")] = imports
	}
	// The other tables of three columns are not of packages.
	maps.DeleteFunc(drawn, func(room string, _ []string) bool {
		_, err := fs.Stat(checkout, room)
		return err != nil && allowedImports[room] == nil
	})
	for room, allowed := range allowedImports {
		got, ok := drawn[room]
		if slices.Sort(got); !ok || !slices.Equal(got, slices.Sorted(slices.Values(allowed))) {
			t.Errorf("%s draws %s with %q; it may import %q", designFile, room, got, allowed)
		}
	}
	for room := range drawn {
		if allowedImports[room] == nil {
			t.Errorf("%s draws %s, which TestArrows does not know", designFile, room)
		}
	}
	for _, p := range packages(t) {
		if room := strings.TrimPrefix(p.ImportPath, module+"/"); !within(room, "cmd") {
			if _, judged := allowedOf(room); !judged {
				t.Errorf("%s does not draw %s", designFile, room)
			}
		}
	}
}

// TestReadmePicturesThePackages: README's picture has a cell for each package of
// TestArrows, but for disk, which stands beside, and what is in cmd or for tests; and none
// for anything else.
func TestReadmePicturesThePackages(t *testing.T) {
	rooms := slices.Collect(maps.Keys(allowedImports))
	rooms = append(slices.DeleteFunc(rooms, func(room string) bool {
		return room == "ledger/disk" || strings.HasSuffix(room, "test") || within(room, "cmd")
	}), "cmd/docket")
	_, text, ok := strings.Cut(string(read(t, "README.md")), "\n## For developers\n")
	if !ok {
		t.Fatal("README.md has no chapter for developers")
	}
	drawn := map[string]bool{}
	for line := range strings.Lines(text) {
		cells := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune("│├┤┴┬┼", r) })
		if !strings.HasPrefix(line, "    │") && !strings.HasPrefix(line, "    ├") {
			continue
		}
		for _, cell := range cells[:len(cells)-1] { // what follows the picture says what they are
			name := strings.TrimSpace(cell)
			if name == "" || strings.Contains(name, "─") {
				continue
			}
			i := slices.IndexFunc(rooms, func(room string) bool { return room == name || path.Base(room) == name })
			if i < 0 {
				t.Errorf("README.md draws %s, which is no package", name)
				continue
			}
			drawn[rooms[i]] = true
		}
	}
	for _, room := range rooms {
		if !drawn[room] {
			t.Errorf("README.md does not draw %s", room)
		}
	}
}

// sources are the files of the checkout, without what git and a demo keep in it.
func sources(t *testing.T) (names []string) {
	t.Helper()
	err := fs.WalkDir(checkout, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "docket-demo", "node_modules"}, d.Name()):
			return filepath.SkipDir
		case !d.IsDir():
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := fs.ReadFile(checkout, name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
