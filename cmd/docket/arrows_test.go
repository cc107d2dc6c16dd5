package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/seed-53cf897a/docket"

// allowedImports is the table of DESIGN.md section 5: what a package may import of
// ours. A package that is not named here inherits the row of the folder above.
var allowedImports = map[string][]string{
	"ledger/disk":                        {},
	"ledger/record":                      {"ledger/record/schema", "ledger/proof"},
	"ledger/record/schema":               {},
	"ledger/record/draft":                {"ledger/record", "ledger/record/schema", "ledger/record/draft/form"},
	"ledger/proof":                       {},
	"ledger/register":                    {"ledger/record", "ledger/record/schema", "ledger/proof", "ledger/disk", "ledger/register/rules1", "ledger/register/screen"},
	"ledger/register/rules1":             {"ledger/record", "ledger/record/schema"},
	"ledger/register/screen":             {"ledger/register/rules1"},
	"ledger/register/view":               {"ledger/record", "ledger/register", "ledger/register/screen"},
	"ledger":                             {"ledger/proof", "ledger/reader"},
	"ledger/reader":                      {"ledger/proof"},
	"ledger/auditors":                    {"ledger/proof", "ledger/disk"},
	"ledger/snapshot":                    {"ledger/proof", "ledger/disk", "ledger/transfer"},
	"ledger/transfer":                    {},
	"ledger/index":                       {"ledger/proof", "ledger/disk"},
	"ledger/public":                      {"ledger", "ledger/record", "ledger/proof", "ledger/register"},
	"ledger/customers":                   {"ledger", "ledger/index", "ledger/customers/bundle", "ledger/customers/event", "ledger/customers/vault", "ledger/disk", "ledger/proof", "ledger/record", "ledger/record/schema"},
	"ledger/customers/bundle":            {"ledger/customers/event", "ledger/index", "ledger/proof", "ledger/record", "ledger/record/schema"},
	"ledger/customers/event":             {"ledger/record", "ledger/record/schema"},
	"ledger/customers/vault":             {"ledger/disk", "ledger/register/screen"},
	"ledger/pebblestore":                 {"ledger", "ledger/proof", "ledger/disk"},
	"ledger/objectstore":                 {"ledger", "ledger/proof", "ledger/transfer"},
	"ledger/objectstore/objectstoretest": {"ledger/objectstore"},
	"ledger/pgstore":                     {"ledger", "ledger/proof", "ledger/reader"},
	"ledger/storetest":                   {"ledger", "ledger/proof", "ledger/reader", "ledger/disk"},
	"client/wire":                        {"ledger/proof"},
	"client":                             {"ledger/record", "ledger/proof", "ledger/reader", "ledger/register", "ledger/register/view", "ledger/disk", "ledger/snapshot", "client/wire"},
	"witness":                            {"ledger/proof", "ledger/disk", "client/wire", "witness/gossip"},
	"witness/gossip":                     {"ledger/proof", "ledger/disk", "client/wire"},
	"server":                             {"ledger", "ledger/auditors", "ledger/public", "ledger/reader", "ledger/record", "ledger/record/schema", "ledger/proof", "ledger/register", "ledger/register/view", "ledger/snapshot", "server/front", "server/verifier", "server/web"},
	"server/front":                       {},
	"server/customers":                   {"ledger", "ledger/customers", "ledger/customers/bundle", "ledger/customers/event", "ledger/customers/programme", "ledger/customers/vault", "ledger/proof", "ledger/record", "ledger/record/schema", "server/front", "server/web"},
	"server/verifier":                    {},
	"server/web":                         {},

	// Its worlds sign, which what judges never does.
	"ledger/register/registertest": {"ledger/record", "ledger/record/schema", "ledger/record/draft", "ledger/proof", "ledger/disk", "ledger/register", "ledger/register/rules1"},

	// Whoever has a register can screen against it, without a trust directory.
	"cmd/docket/internal/screening": {"cmd/docket/internal/plain", "cmd/docket/internal/sheet", "ledger/disk", "ledger/record", "ledger/record/schema", "ledger/register", "ledger/register/rules1", "ledger/register/screen", "ledger/register/view"},

	// A programme is written by people, as records are.
	"ledger/customers/programme": {"ledger/customers/event", "ledger/record", "ledger/record/schema", "ledger/record/draft/form"},

	// What people write is read by shapes, whether it becomes a record or a programme.
	"ledger/record/draft/form": {"ledger/record/schema"},

	// Who watches a writer needs no register and no keys.
	"cmd/docket/internal/standby": {"ledger"},

	// A witness stands without a ledger's server.
	"cmd/docket/internal/witnessnode": {"cmd/docket/internal/keydir", "ledger/proof", "server/front", "witness"},
}

// libraryOwners says where a library may be seen, again after DESIGN.md section 5.
var libraryOwners = map[string][]string{
	"github.com/gin-gonic/gin":                        {"server"},
	"go.yaml.in/yaml/":                                {"ledger/record/draft"},
	"github.com/sigstore/sigstore/pkg/signature/kms/": {"ledger/record/draft"},
	"github.com/cockroachdb/pebble/":                  {"ledger/disk", "ledger/index", "ledger/pebblestore", "ledger/storetest", "ledger/register", "ledger/customers", "witness"},
	"github.com/jackc/pgx/":                           {"ledger/pgstore"},
	"github.com/aws/aws-sdk-go-v2/":                   {"ledger/objectstore"},
	"filippo.io/age/":                                 {"ledger/customers", "server/customers", "cmd/docket"},
}

// pebbleFS is only a file system, with one that fails on purpose below it; whoever
// opens a store has to name one.
const pebbleFS = "github.com/cockroachdb/pebble/v2/vfs"

func TestArrows(t *testing.T) {
	for _, p := range packages(t) {
		room := strings.TrimPrefix(p.ImportPath, module+"/")
		allowed, judged := allowedOf(room)
		for _, imported := range p.Imports {
			if ours, ok := strings.CutPrefix(imported, module+"/"); ok && judged && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s; DESIGN.md section 5 allows it only %v", room, ours, allowed)
			}
			for library, seenIn := range libraryOwners {
				if within(imported, pebbleFS) || !strings.HasPrefix(imported+"/", library) {
					continue
				}
				if !slices.ContainsFunc(seenIn, func(r string) bool { return within(room, r) }) {
					t.Errorf("%s imports %s, which is seen only in %v", room, imported, seenIn)
				}
			}
		}
	}
}

// TestEngineStandsAlone: who builds another log on the engine links little but proof.
func TestEngineStandsAlone(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", module+"/ledger").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	others := slices.DeleteFunc(strings.Fields(string(out)), func(p string) bool { return within(p, module) })
	if len(others) == 0 || len(others) >= 40 {
		t.Errorf("ledger links %d packages that are neither ours nor the standard library's, want fewer than 40:\n%s", len(others), strings.Join(others, "\n"))
	}
}

// allowedOf finds the row of the table that judges a package; cmd may import all.
func allowedOf(room string) (allowed []string, listed bool) {
	best := ""
	for r := range allowedImports {
		if within(room, r) && len(r) > len(best) {
			best = r
		}
	}
	if best == "" {
		return nil, false
	}
	allowed = slices.Clone(allowedImports[best])
	if room != best {
		allowed = append(allowed, best) // a test world beside its package
	}
	return allowed, true
}

func within(room, folder string) bool {
	return room == folder || strings.HasPrefix(room, folder+"/")
}

type goPackage struct {
	ImportPath string
	Imports    []string // of the package itself; tests may look wherever they need
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < len(allowedImports)/2 {
		t.Fatalf("go list named %d packages; the table has %d", len(all), len(allowedImports))
	}
	return all
}
