package stores

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/pgstore/pgstoretest"
)

// What docket bench store says of a store in this process, it says of real ones too, once: what it
// fills it names, and it fills none that has a ledger.
func TestBenchStore(t *testing.T) {
	for _, c := range []struct {
		name, left string
		open       func(t *testing.T) string
		puts       bool
	}{
		{"bucket", "remove what lies below s3://ledger/bench when it has ended", func(t *testing.T) string { return startGateways(t, 2).store("bench") }, true},
		{"database", `DROP SCHEMA "docket", "docket_replica" CASCADE when it has ended`, func(t *testing.T) string { return pgstoretest.Start(t).URL() }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := []string{"bench", "store", "--store", c.open(t), "--entries", "500", "--records", "200", "--rate", "50", "--for", "2s", "--conns", "4", "--lease", "500ms", "--json"}
			run := exec.CommandContext(t.Context(), program(t, "docket"), args...)
			var said strings.Builder
			run.Env, run.Stderr = environment(storeKeys()), &said
			out, err := run.Output()
			if err != nil || !strings.Contains(said.String(), c.left) {
				t.Fatalf("%v\n%s\nwant %s", err, said.String(), c.left)
			}
			units := make(map[string]int)
			for line := range strings.Lines(string(out)) {
				var row struct {
					Name, Unit string
					Value      float64
				}
				if err := json.Unmarshal([]byte(line), &row); err != nil {
					t.Fatal(err)
				}
				if units[row.Unit]++; row.Value <= 0 && row.Unit != "publications" {
					t.Errorf("%s: %v %s", row.Name, row.Value, row.Unit)
				}
				if strings.Contains(row.Name, "PUTs") && !c.puts {
					t.Errorf("a database takes %v %s", row.Value, row.Name)
				}
			}
			if units["publications"] != 8 || units["MB"] != 1 || units["entries/s"] != 2 {
				t.Errorf("rows by their units: %v", units)
			}
			said.Reset()
			again := exec.CommandContext(t.Context(), program(t, "docket"), args...)
			again.Env, again.Stderr = run.Env, &said
			if err := again.Run(); err == nil || !strings.Contains(said.String(), "a ledger is there") || strings.Contains(said.String(), "when it has ended") {
				t.Errorf("once more: %v\n%s", err, said.String())
			}
		})
	}
}
