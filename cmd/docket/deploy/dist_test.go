package deploy

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	spdxjson "github.com/spdx/tools-golang/json"
)

// dist is what package made. Tests of it need Debian's dpkg and systemd.
var dist = flag.String("dist", "", "folder that ./package made, absolute; without, only what lies here is tested")

func made(t *testing.T, name ...string) string {
	t.Helper()
	if *dist == "" {
		t.Skip("no -dist: nothing was packaged")
	}
	return filepath.Join(append([]string{*dist}, name...)...)
}

// run is a command's output; the test ends where it fails.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	var out, talk bytes.Buffer
	c := exec.Command(name, args...)
	c.Stdout, c.Stderr = &out, &talk
	if err := c.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.String(), talk.String())
	}
	return out.String()
}

// version is what docket version --json says.
type version struct {
	Version, Revision string
	Modified          bool
	ModulesDigest     string
	Modules           []struct{ Path, Version, Sum string }
}

func versionOf(t *testing.T, binary string) (v version) {
	t.Helper()
	must(t, json.Unmarshal([]byte(run(t, binary, "version", "--json")), &v))
	return v
}

// TestBinary: it is static, says which commit it is of, and its digest of modules is what
// the help of docket version says how to have without it.
func TestBinary(t *testing.T) {
	binary := made(t, "image", "docket")
	f, err := elf.Open(binary)
	must(t, err)
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the binary wants a loader: it is not static")
		}
	}
	v := versionOf(t, binary)
	if len(v.Revision) != 40 || v.Modified {
		t.Errorf("revision %q, modified %v; want a commit and nothing else", v.Revision, v.Modified)
	}
	help := run(t, binary, "version", "--help")
	command := regexp.MustCompile(`(?m)^ +(go version -m docket .*)$`).FindStringSubmatch(help)
	if command == nil {
		t.Fatalf("no command in\n%s", help)
	}
	if got := run(t, "sh", "-c", "cd "+filepath.Dir(binary)+" && "+command[1]); !strings.HasPrefix(got, v.ModulesDigest+" ") {
		t.Errorf("%s gives %s, docket version %s", command[1], got, v.ModulesDigest)
	}
}

// TestSPDX: the document names the binary by its sum, and exactly the modules that the
// binary itself lists, each with a licence.
func TestSPDX(t *testing.T) {
	binary := made(t, "image", "docket")
	text, err := os.Open(made(t, "image", "docket.spdx.json"))
	must(t, err)
	defer text.Close()
	doc, err := spdxjson.Read(text)
	must(t, err)
	content, err := os.ReadFile(binary)
	must(t, err)
	if got, want := doc.Packages[0].PackageChecksums[0].Value, fmt.Sprintf("%x", sha256.Sum256(content)); got != want {
		t.Errorf("the document is of %s, the binary is %s", got, want)
	}
	var got, want []string
	for _, p := range doc.Packages {
		if p.PackageLicenseConcluded == "" {
			t.Errorf("%s has no licence", p.PackageName)
		}
		if p.PackageSourceInfo != "" {
			got = append(got, strings.TrimPrefix(p.PackageSourceInfo, "go.sum: "))
		}
	}
	for _, m := range versionOf(t, binary).Modules {
		want = append(want, strings.Join([]string{m.Path, m.Version, m.Sum}, " "))
	}
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("the document has\n%s\nthe binary\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestPackage: unpacked, the package has the same binary, which answers; its units are
// valid, closed, and use flags that there are; its users can be made.
func TestPackage(t *testing.T) {
	packages, err := filepath.Glob(made(t, "docket_*.deb"))
	must(t, err)
	if len(packages) != 1 {
		t.Fatalf("packages %q, want one", packages)
	}
	root := t.TempDir()
	run(t, "dpkg-deb", "--extract", packages[0], root)
	for _, want := range []string{"Package: docket", "Architecture: ", "Version: 0", "Maintainer: "} {
		if info := run(t, "dpkg-deb", "--info", packages[0]); !strings.Contains(info, want) {
			t.Errorf("the package says no %q:\n%s", want, info)
		}
	}
	for line := range strings.Lines(run(t, "dpkg-deb", "--contents", packages[0])) {
		if fields := strings.Fields(line); fields[1] != "root/root" || strings.Contains(fields[0][5:], "w") {
			t.Errorf("not root's alone to write: %s", line)
		}
	}
	for _, name := range []string{
		"usr/share/bash-completion/completions/docket", "usr/share/zsh/vendor-completions/_docket", "usr/share/fish/vendor_completions.d/docket.fish",
		"usr/share/doc/docket/copyright", "usr/share/doc/docket/docket.spdx.json", "usr/share/doc/docket/README.md",
		"usr/share/docket/monitoring/docket.rules.yml", "usr/share/docket/monitoring/docket.dashboard.json",
	} {
		if s, err := os.Stat(filepath.Join(root, name)); err != nil || s.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	binary := filepath.Join(root, "usr/bin/docket")
	if got, want := run(t, binary, "version"), run(t, made(t, "image", "docket"), "--version"); got != want {
		t.Errorf("the package's binary says\n%s\nthe image's\n%s", got, want)
	}
	must(t, os.MkdirAll(filepath.Join(root, "etc"), 0o755))
	run(t, "systemd-sysusers", "--root="+root, "docket.conf")
	users, err := os.ReadFile(filepath.Join(root, "etc/passwd"))
	must(t, err)
	for _, unit := range []string{"docket.service", "docket-witness@.service"} {
		file := filepath.Join(root, "usr/lib/systemd/system", unit)
		text, err := os.ReadFile(file)
		must(t, err)
		setting := func(name string) string {
			m := regexp.MustCompile(`(?m)^` + name + `=(.*)$`).FindSubmatch(text)
			if m == nil {
				t.Fatalf("%s has no %s", unit, name)
			}
			return string(m[1])
		}
		if u := setting("User"); !strings.Contains(string(users), u+":") {
			t.Errorf("%s: there is no user %s", unit, u)
		}
		command, _, _ := strings.Cut(setting("ExecStart"), " --")
		help := run(t, filepath.Join(root, strings.Fields(command)[0]), append(strings.Fields(command)[1:], "--help")...)
		for _, flag := range regexp.MustCompile(`--[a-z-]+`).FindAllString(string(text), -1) {
			if !strings.Contains(help, flag+" ") {
				t.Errorf("%s uses %s, which %s does not have", unit, flag, command)
			}
		}
		// 10 is a service that may do everything, 0 one that may do nothing.
		run(t, "systemd-analyze", "security", "--offline=true", "--threshold=12", "--no-pager", file)
		verifyUnit(t, file, binary)
	}
}

// verifyUnit has systemd read a unit as if its binary were installed.
func verifyUnit(t *testing.T, file, binary string) {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	unit := filepath.Join(t.TempDir(), strings.Replace(filepath.Base(file), "@.", "@w1.", 1))
	must(t, os.WriteFile(unit, bytes.ReplaceAll(text, []byte("/usr/bin/docket"), []byte(binary)), 0o644))
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, filepath.Base(unit)) {
			t.Errorf("systemd-analyze verify: %s", line)
		}
	}
	if err != nil && len(out) == 0 {
		t.Errorf("systemd-analyze verify: %v", err)
	}
}

// TestDockerfile: BuildKit's own parser and linter take it; its base is pinned, its user
// is nobody, it speaks on the port and keeps its data where README says, and copies only
// what package made. No image is built here: that takes a daemon and a registry.
func TestDockerfile(t *testing.T) {
	text, err := os.ReadFile("Dockerfile")
	must(t, err)
	parsed, err := parser.Parse(bytes.NewReader(text))
	must(t, err)
	for _, w := range parsed.Warnings {
		t.Errorf("Dockerfile: %s", w.Short)
	}
	lint := linter.New(&linter.Config{Warn: func(name, _, _, why string, _ []parser.Range) { t.Errorf("Dockerfile: %s: %s", name, why) }})
	stages, _, err := instructions.Parse(parsed.AST, lint)
	must(t, err)
	if len(stages) != 1 || !regexp.MustCompile(`/distroless/static.*:nonroot@sha256:[0-9a-f]{64}$`).MatchString(stages[0].BaseName) {
		t.Fatalf("stages %v; want one, on a pinned static base", stages)
	}
	operate := chapters(t)["operate"]
	var user, volume, dir string
	for _, c := range stages[0].Commands {
		switch c := c.(type) {
		case *instructions.CopyCommand:
			for _, source := range c.SourcePaths {
				if *dist == "" {
					continue
				}
				if _, err := os.Stat(made(t, "image", source)); err != nil {
					t.Errorf("COPY %s: %v", source, err)
				}
			}
		case *instructions.UserCommand:
			user = c.User
		case *instructions.VolumeCommand:
			volume = c.Volumes[0]
			if !strings.Contains(operate, volume) {
				t.Errorf("README does not tell of %s", volume)
			}
		case *instructions.ExposeCommand:
			if !strings.Contains(operate, c.Ports[0]) {
				t.Errorf("README does not tell of port %s", c.Ports[0])
			}
		case *instructions.CmdCommand:
			dir = c.CmdLine[slices.Index(c.CmdLine, "--dir")+1]
		}
	}
	if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user) {
		t.Errorf("user %q; want a number that is not root's", user)
	}
	if !strings.HasPrefix(dir, volume+"/") {
		t.Errorf("it serves %s, and its volume is %s", dir, volume)
	}
}
