package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/server/verifier"
)

// buildInfo says what was built: the module's version, its commit if known, the toolchain,
// and what is linked.
type buildInfo struct {
	Version       string         `json:"version"`
	Revision      string         `json:"revision,omitempty"`
	Modified      bool           `json:"modified,omitempty"`
	Go            string         `json:"go"`
	Platform      string         `json:"platform"`
	Rules         int            `json:"rules"` // the newest admission rules that this binary knows
	ModulesDigest string         `json:"modulesDigest"`
	Modules       []linkedModule `json:"modules"`
}

// linkedModule is one module that is linked into the binary, after replacement.
type linkedModule struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Sum     string `json:"sum,omitempty"` // as go.sum has it, of the module's files; "" if it was a folder's
}

// newBuildInfo reads what the linker left in a binary, nil for nothing.
func newBuildInfo(info *debug.BuildInfo) buildInfo {
	b := buildInfo{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Rules: 1, Modules: []linkedModule{}}
	if info == nil {
		info = new(debug.BuildInfo)
	}
	b.Version = cmp.Or(info.Main.Version, b.Version)
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		b.Modules = append(b.Modules, linkedModule{m.Path, m.Version, m.Sum})
	}
	b.ModulesDigest = digestModules(b.Modules)
	return b
}

// digestModules is the lower-case hexadecimal SHA-256 of a line for each module, "path
// version sum" as in go.sum and ended by a newline, the lines sorted bytewise.
func digestModules(modules []linkedModule) string {
	lines := make([]string, 0, len(modules))
	for _, m := range modules {
		lines = append(lines, fmt.Sprintf("%s %s %s\n", m.Path, m.Version, m.Sum))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:])
}

// String is what docket version prints.
func (b buildInfo) String() string {
	commit := cmp.Or(b.Revision, "unknown: built outside of a checkout, or with -buildvcs=false")
	if b.Modified {
		commit += ", and files that differ from it"
	}
	return fmt.Sprintf("docket %s, admission rules up to %d\ncommit   %s\ngo       %s %s\nmodules  %d, SHA-256 %s\n",
		b.Version, b.Rules, commit, b.Go, b.Platform, len(b.Modules), b.ModulesDigest)
}

// printVersion is docket version and docket --version.
func (a *app) printVersion(asJSON bool) error {
	info, _ := debug.ReadBuildInfo()
	b := newBuildInfo(info)
	if asJSON {
		return a.printJSON(b)
	}
	a.printf("%s", b)
	return nil
}

func (a *app) version() *cobra.Command {
	var asJSON, page bool
	var out string
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary, its commit and what is linked",
		Long: `Prints the version, the newest admission rules that this binary knows, the commit that it
was built from, the Go that built it, and a digest of the modules that are linked; --json
lists those.

The digest is the SHA-256 of one line for each linked module other than docket's own, as
go.sum has it: the path, the version and the h1: sum of its files, one space between; the
lines end in a newline and are sorted bytewise. (Of a module that is replaced, those of
what replaces it.) It can be had without running this binary: go version reads the same
from the file, and the lines are among those of go.sum in the commit.

    go version -m docket | awk '$1 == "dep" {print $2, $3, $4}' | LC_ALL=C sort | sha256sum

Two builds of one commit with the same Go, by cmd/docket/deploy/build, are the same bytes:
build it yourself and compare.

--verifier prints, as sha256sum does, the digest of the verify.html that is in this binary:
the page that checks receipts in a browser, without any network. A server may send you another
one. Compare yours, or write the page out with --out FILE, and open that from your disk:

    docket version --verifier | sha256sum --check`,
		Example: `  docket version
  docket version --json
  docket version --verifier
  docket version --verifier --out verify.html`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case !page && out != "":
				return usageError("--out goes with --verifier").hint("docket version --verifier --out %s", out)
			case page && asJSON:
				return usageError("--json goes without --verifier, which prints one line")
			case page:
				return a.printVerifier(out)
			}
			return a.printVersion(asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&page, "verifier", false, "print the SHA-256 of "+verifier.Name+", the page that checks receipts in a browser")
	c.Flags().StringVar(&out, "out", "", "with --verifier: write the page to this file")
	return c
}

// printVerifier prints the digest of verify.html, and writes the page where that is asked for.
func (a *app) printVerifier(out string) error {
	name := verifier.Name
	if out != "" {
		if err := writeNew(out, verifier.Page(), 0o644); err != nil {
			return err
		}
		name = out
	}
	a.printf("%s  %s\n", verifier.SHA256(), name)
	return nil
}
