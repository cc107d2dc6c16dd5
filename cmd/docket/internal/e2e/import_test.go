package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/listimport"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/ofac"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// shared is where the public data lie beside the checkout; they are read there
// and never copied.
const shared = "../../../../../shared/data"

// TestImport carries OFAC's list of 2019 and then that of 2021 to a ledger, with
// the real binary over HTTP. A change that removes so many is refused until
// somebody says that it is true; at the end exactly the list of 2021 is in force;
// importing it again says nothing.
func TestImport(t *testing.T) {
	if _, err := os.Stat(shared); os.IsNotExist(err) {
		t.Skipf("no public data in %s: the real lists are not imported", shared)
	}
	for _, c := range []struct {
		individuals        bool
		first, removed     int
		designations, kept int
		refusal            string
	}{
		{true, 7379, 261, 1858, 8976, `{"detail":"261 of 7,379 would go (3.5 %, limit 2 %); if true: --allow-removed 261",`},
		{false, 3534, 184, 1006, 4356, `{"detail":"184 of 3,534 would go (5.2 %, limit 2 %); if true: --allow-removed 184",`},
	} {
		t.Run(fmt.Sprintf("individuals=%v", c.individuals), func(t *testing.T) {
			i := newImportRun(t, c.individuals)
			if r := i.must("2019"); r.Designations != c.first || r.Sent != c.first {
				t.Errorf("2019: %+v, want %d designations", r, c.first)
			}
			before := i.size()
			if status, _, talk := i.run(i.args("2021")...); status != 1 || !strings.Contains(talk, c.refusal) {
				t.Errorf("2021: exit %d\n%s\nwant exit 1 and\n%s", status, talk, c.refusal)
			}
			if after := i.size(); after != before {
				t.Errorf("a refused import took the ledger from %d entries to %d", before, after)
			}
			if r := i.must("2021", "--allow-removed", fmt.Sprint(c.removed)); r.Revocations != c.removed || r.Designations != c.designations {
				t.Errorf("2021: %+v, want %d revocations and %d designations", r, c.removed, c.designations)
			}
			i.inForce("2021", c.kept)
			before = i.size()
			if r := i.must("2021"); r.Sent != 0 || i.size() != before {
				t.Errorf("2021 again: %+v, and %d entries where there were %d", r, i.size(), before)
			}
		})
	}
}

// TestImportInterrupted kills the import in its midst. The same command goes on
// where it was, and in the end every record is there once.
func TestImportInterrupted(t *testing.T) {
	if _, err := os.Stat(shared); os.IsNotExist(err) {
		t.Skipf("no public data in %s: the real lists are not imported", shared)
	}
	const listed, until = 3534, 1000
	i := newImportRun(t, false)
	before := i.size()
	server, err := url.Parse(i.url)
	if err != nil {
		t.Fatal(err)
	}
	var posts atomic.Int64
	var first *exec.Cmd
	pass := httputil.NewSingleHostReverseProxy(server)
	pass.ErrorLog = log.New(io.Discard, "", 0) // of the connections that break off
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && posts.Add(1) == until {
			first.Process.Kill()
		}
		pass.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	first = exec.Command(binary(t), i.args("2019", "--ledger", proxy.URL)...)
	if err := first.Run(); err == nil || first.ProcessState.Exited() {
		t.Fatalf("the import was not killed: %v", err)
	}
	r := i.must("2019")
	if r.Sent == 0 || r.Sent > listed-until/2 {
		t.Errorf("%d of %d records were sent by the second run, after %d by the first", r.Sent, listed, until)
	}
	if after := i.size(); after != before+listed {
		t.Errorf("%d entries, want %d", after, before+listed)
	}
	i.inForce("2019", listed)
}

// importRun are the runs of one importer against one ledger.
type importRun struct {
	*ledger
	t           *testing.T
	url         string
	trust, key  string
	individuals bool
	size        func() uint64
}

func newImportRun(t *testing.T, individuals bool) *importRun {
	t.Helper()
	l := newLedger(t)
	p := l.serve()
	c := l.client(p)
	l.mustSubmit(t.Context(), c, l.world.Authority())
	i := &importRun{ledger: l, t: t, url: p.url, trust: filepath.Join(t.TempDir(), "trust"), key: filepath.Join(t.TempDir(), "import.pem"), individuals: individuals}
	i.size = func() uint64 { return newestTree(t, c).Size }
	if err := os.WriteFile(i.key, l.world.PrivatePEM("authority/nightly-import"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.docket("trust", p.url, "--charter", l.id.String(), "--to", i.trust)
	return i
}

// args are the command that imports one year's edition.
func (i *importRun) args(year string, more ...string) []string {
	args := []string{"import", "ofac", "--trust", i.trust, "--submit", "--key", i.key, "--json"}
	if i.individuals {
		args = append(args, "--individuals")
	}
	args = append(args, more...)
	for _, name := range []string{"sdn.csv", "add.csv", "alt.csv"} {
		args = append(args, filepath.Join(shared, "ofac-"+year, name))
	}
	return args
}

// importResult is what docket import prints.
type importResult struct{ Designations, Amendments, Revocations, Unchanged, Sent int }

func (i *importRun) must(year string, more ...string) (r importResult) {
	i.t.Helper()
	out := i.docket(i.args(year, more...)...)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		i.t.Fatalf("%v: %s", err, out)
	}
	i.t.Logf("%s: %+v", year, r)
	return r
}

// inForce wants exactly one edition of the list in force, to each name, alias and
// address.
func (i *importRun) inForce(year string, n int) {
	i.t.Helper()
	want := make(map[string][]string)
	for _, e := range readList(i.t, year).Entries {
		if i.individuals || e.Target.Schema != "Person" {
			want[string(record.ImportThread("ofac-sdn", e.ID))] = describe(e.Target.Schema, e.Target.Name, e.Target.Country, e.Target.Alias, e.Target.Address, e.Program)
		}
	}
	lines := strings.Split(strings.TrimSpace(i.docket("list", "designations", "--status", "in-force", "--json", "--trust", i.trust)), "\n")
	if len(lines) != n || len(want) != n {
		i.t.Errorf("%d in force, %d on the list, want %d", len(lines), len(want), n)
	}
	for _, line := range lines {
		var d struct {
			Thread, Record, Name, Schema, Country string
			Alias                                 []record.Alias
			Address                               []record.Address
			Program                               []string
			Source                                struct{ List, ID string }
		}
		if err := json.Unmarshal([]byte(line), &d); err != nil {
			i.t.Fatalf("%v: %s", err, line)
		}
		if d.Thread != string(record.ImportThread(d.Source.List, d.Source.ID)) || len(d.Record) != 64 {
			i.t.Errorf("source %+v, record %q on %s", d.Source, d.Record, d.Thread)
		}
		got := describe(d.Schema, d.Name, d.Country, d.Alias, d.Address, d.Program)
		if !slices.Equal(got, want[d.Thread]) {
			i.t.Fatalf("%s:\n got %q\nwant %q", d.Thread, got, want[d.Thread])
		}
		delete(want, d.Thread)
	}
	for thread := range want {
		i.t.Errorf("%s is on the list and not in force", thread)
	}
	i.exports(n)
}

// exports wants what is in force in each format that others read, a row each, and of
// FollowTheMoney's entities a sanction each.
func (i *importRun) exports(n int) {
	i.t.Helper()
	for format, row := range map[string]string{"csl": "(OFAC-SDN)", "csv": "designation/ofac-sdn-", "json": `"thread":"designation/ofac-sdn-`, "ftm": `"schema":"Sanction"`} {
		if rows := strings.Count(i.docket("export", format, "--status", "in-force", "--trust", i.trust), row); rows != n {
			i.t.Errorf("export %s: %d rows, want %d", format, rows, n)
		}
	}
}

// describe is all that a list says about somebody, lists as sets.
func describe(schema, name, country string, alias []record.Alias, address []record.Address, program []string) []string {
	all := []string{"schema " + schema, "name " + name, "country " + country}
	for _, a := range alias {
		all = append(all, fmt.Sprintf("alias %+v", a))
	}
	for _, a := range address {
		all = append(all, fmt.Sprintf("address %+v", a))
	}
	for _, p := range program {
		all = append(all, "program "+p)
	}
	slices.Sort(all)
	return all
}

func readList(t testing.TB, year string) *listimport.List {
	t.Helper()
	var files [3]listimport.Input
	for i, name := range []string{"sdn.csv", "add.csv", "alt.csv"} {
		f, err := os.Open(filepath.Join(shared, "ofac-"+year, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = listimport.Input{Name: name, Reader: f}
	}
	l, err := ofac.Read(ofac.ListOf("sdn.csv"), files[0], files[1], files[2])
	if err != nil {
		t.Fatal(err)
	}
	return l
}
