// Command spdx writes what is linked into a Go binary as an SPDX 2.3 document, in JSON, and
// refuses what Docket must not link:
//
//	go run ./spdx [--copyright FILE] BINARY > docket.spdx.json
//
// The list is read from the binary itself, so that it cannot be of another build, and each
// module's files are held against the sum that the linker left there. Licences are those of
// the LICENSE, LICENCE and COPYING files at a module's root, as licensecheck knows them by
// their text; those of single folders below are not looked at. A module whose text is not
// known to be of a permissive licence or the MPL-2.0 is an error, and its name. The same
// binary gives the same document. FILE gets the texts, which those licences want to go along.
package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/google/licensecheck"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/common"
	spdx "github.com/spdx/tools-golang/spdx/v2/v2_3"
)

func main() {
	copyright := flag.String("copyright", "", "file for the texts of the licences")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: spdx [--copyright FILE] BINARY")
		os.Exit(2)
	}
	if err := run(os.Stdout, flag.Arg(0), *copyright); err != nil {
		fmt.Fprintln(os.Stderr, "spdx:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, binary, copyright string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	modules, err := linkedModules(info)
	if err != nil {
		return err
	}
	var refused []error
	for i := range modules {
		m := &modules[i]
		if m.licence, m.texts, err = licenceOf(m.dir); err != nil {
			refused = append(refused, fmt.Errorf("%s %s: %w", m.path, m.version, err))
		}
	}
	if err := errors.Join(refused...); err != nil {
		return err
	}
	if copyright != "" {
		if err := os.WriteFile(copyright, copyrightText(modules), 0o644); err != nil {
			return err
		}
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	doc, err := document(info, modules, sha256.Sum256(content))
	if err != nil {
		return err
	}
	return spdxjson.Write(doc, out, spdxjson.Indent(" "))
}

// module is one that is linked: docket itself, then Go's standard library as "std", then the
// others by path.
type module struct {
	path, version, sum string
	dir                string // of its files
	licence            string // an SPDX expression
	texts              []byte
}

// linkedModules finds the files of each module: docket's own and Go's on this machine, the
// others in the module cache, as their sums say.
func linkedModules(info *debug.BuildInfo) ([]module, error) {
	env, err := goOutput("env", "-json", "GOROOT", "GOVERSION")
	if err != nil {
		return nil, err
	}
	var local struct{ GOROOT, GOVERSION string }
	if err := json.Unmarshal(env, &local); err != nil {
		return nil, err
	}
	if local.GOVERSION != info.GoVersion {
		return nil, fmt.Errorf("the binary was built by %s; this is %s", info.GoVersion, local.GOVERSION)
	}
	root, err := goOutput("list", "-m", "-f", "{{.Dir}}", info.Main.Path)
	if err != nil {
		return nil, err
	}
	all := []module{
		{path: info.Main.Path, version: info.Main.Version, dir: strings.TrimSpace(string(root))},
		{path: "std", version: info.GoVersion, dir: local.GOROOT},
	}
	args := []string{"mod", "download", "-json"}
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		all = append(all, module{path: d.Path, version: d.Version, sum: d.Sum})
		args = append(args, d.Path+"@"+d.Version)
	}
	found, err := goOutput(args...)
	if err != nil {
		return nil, err
	}
	dirs := map[string]struct{ Dir, Sum string }{}
	for d := json.NewDecoder(bytes.NewReader(found)); ; {
		var m struct{ Path, Version, Dir, Sum string }
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		dirs[m.Path+"@"+m.Version] = struct{ Dir, Sum string }{m.Dir, m.Sum}
	}
	for i := range all[2:] {
		m := &all[2+i]
		got := dirs[m.path+"@"+m.version]
		if got.Dir == "" || got.Sum != m.sum {
			return nil, fmt.Errorf("%s %s: the binary has %s; the module's files are %q", m.path, m.version, m.sum, got.Sum)
		}
		m.dir = got.Dir
	}
	return all, nil
}

// goOutput runs go as it is, whatever module is around it.
func goOutput(args ...string) ([]byte, error) {
	c := exec.Command("go", args...)
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w", args[0], err)
	}
	return out, nil
}

// permitted are the SPDX identifiers of what may be linked: what asks for no more than its
// text to go along, and the MPL-2.0, which asks for changes to its own files alone.
var permitted = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "Unlicense", "Zlib"}

var (
	licenceFile = regexp.MustCompile(`(?i)^(licen[sc]e|copying)([.-].*)?$`)
	noticeFile  = regexp.MustCompile(`(?i)^(notice|patents)([.-].*)?$`)
)

// notLinked are the names' ends of files that are no licence of code: code, and the licence
// of documentation, which is not linked.
var notLinked = []string{".go", ".docs"}

// wellKnown is how much of a licence file, in percent, must be the text of known ones: what
// is left are names and years.
const wellKnown = 75

// licenceOf reads the licence files at a module's root: an SPDX expression, and their texts.
func licenceOf(dir string) (expression string, texts []byte, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return "", nil, err
	}
	var ids []string
	for _, f := range files {
		licence, notice := licenceFile.MatchString(f.Name()), noticeFile.MatchString(f.Name())
		if f.IsDir() || !licence && !notice || slices.Contains(notLinked, filepath.Ext(f.Name())) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return "", nil, err
		}
		texts = append(append(texts, bytes.TrimSpace(text)...), "\n\n"...)
		if licence {
			found, err := licencesIn(text)
			if err != nil {
				return "", nil, fmt.Errorf("%s: %w", f.Name(), err)
			}
			ids = append(ids, found...)
		}
	}
	if slices.Sort(ids); len(ids) == 0 {
		return "", nil, errors.New("no licence at its root")
	}
	return strings.Join(slices.Compact(ids), " AND "), texts, nil
}

// licencesIn names the licences of a text, all of which must be permitted.
func licencesIn(text []byte) (ids []string, err error) {
	cover := licensecheck.Scan(text)
	if cover.Percent < wellKnown {
		return nil, fmt.Errorf("%.0f %% of it is a known licence", cover.Percent)
	}
	for _, m := range cover.Match {
		if m.IsURL {
			continue // a link to a text is no text
		}
		if !slices.Contains(permitted, m.ID) {
			return nil, fmt.Errorf("%s is not among %s: do without the module, or argue for the licence here", m.ID, strings.Join(permitted, ", "))
		}
		ids = append(ids, m.ID)
	}
	return ids, nil
}

// copyrightText is a file for /usr/share/doc: each module's licence with its text.
func copyrightText(modules []module) []byte {
	var b bytes.Buffer
	for _, m := range modules {
		fmt.Fprintf(&b, "==== %s %s: %s\n\n%s", m.path, m.version, m.licence, m.texts)
	}
	return b.Bytes()
}

// notInID is what an SPDX identifier cannot have.
var notInID = regexp.MustCompile(`[^A-Za-z0-9.-]+`)

// document is made of the binary alone: its time is the commit's.
func document(info *debug.BuildInfo, modules []module, sum [sha256.Size]byte) (*spdx.Document, error) {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if settings["vcs.time"] == "" {
		return nil, errors.New("the binary does not say of which commit it is: build it with cmd/docket/deploy/build, in a checkout")
	}
	doc := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName: "docket " + info.Main.Version, DocumentNamespace: fmt.Sprintf("urn:docket:spdx:%x", sum),
		DocumentComment: fmt.Sprintf("Linked into the binary whose SHA-256 is %x, built of commit %s.", sum, settings["vcs.revision"]),
		CreationInfo:    &spdx.CreationInfo{Creators: []common.Creator{{CreatorType: "Tool", Creator: "docket/cmd/docket/deploy/spdx"}}, Created: settings["vcs.time"]},
	}
	for i, m := range modules {
		id := packageID(m)
		p := &spdx.Package{
			PackageName: m.path, PackageSPDXIdentifier: id, PackageVersion: m.version,
			PackageDownloadLocation: "NOASSERTION", PackageCopyrightText: "NOASSERTION",
			PackageLicenseDeclared: m.licence, PackageLicenseConcluded: m.licence,
			PackageExternalReferences: []*spdx.PackageExternalReference{{
				Category: "PACKAGE-MANAGER", RefType: "purl", Locator: "pkg:golang/" + m.path + "@" + m.version,
			}},
		}
		if m.sum != "" {
			p.PackageSourceInfo = strings.Join([]string{"go.sum:", m.path, m.version, m.sum}, " ")
		}
		// The first is docket, which links the others.
		from, how := common.MakeDocElementID("", string(packageID(modules[0]))), common.TypeRelationshipStaticLink
		if i == 0 {
			p.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: fmt.Sprintf("%x", sum)}}
			p.PackageFileName, p.PrimaryPackagePurpose = "docket", "APPLICATION"
			from, how = common.MakeDocElementID("", "DOCUMENT"), common.TypeRelationshipDescribe
		}
		doc.Packages = append(doc.Packages, p)
		doc.Relationships = append(doc.Relationships, &spdx.Relationship{RefA: from, RefB: common.MakeDocElementID("", string(id)), Relationship: how})
	}
	slices.SortStableFunc(doc.Packages[2:], func(a, b *spdx.Package) int { return cmp.Compare(a.PackageName, b.PackageName) })
	return doc, nil
}

func packageID(m module) common.ElementID {
	return common.ElementID("Package-" + notInID.ReplaceAllString(m.path, "-"))
}
