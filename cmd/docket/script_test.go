package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// TestMain makes this binary the docket command for the scripts.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"docket": func() { os.Exit(runMain()) }})
}

// TestScripts runs testdata/script/*.txtar: each verb as people type it, refusals
// included. Beside testscript's own commands there are
//
//	exits N COMMAND…     runs it and wants that exit status
//	terminal N S {W K}…  answers a command's prompts (prompt_test.go)
//	ledger P…            serves a ledger with these providers at $URL (script_ledger_test.go)
//	fill FILE…           replaces ${VARIABLES} in files: dates, the ledger, its charter
//	rotate               gives that ledger other witnesses, by a new charter
//	replay FILE          answers with an old receipt at $REPLAYED
//	mirror               serves that ledger, one byte altered, at $MIRROR (script_mirror_test.go)
//	forge D I C OUT      makes the receipt of a second history (script_forge_test.go)
//	forge-chain D CASE OUT  makes the chain of a record that nobody had the right to sign
//	spoil FILE           changes one character of a receipt's entry
//	start NAME COMMAND…  starts what serves, its URL in $NAME (script_process_test.go)
//	end NAME             ends it, as its operator does
//	ask-witness W OLD    asks a witness to cosign (script_witness_test.go)
//	claim NAME SIZE      a witness that says where it stands and shows nothing (script_claim_test.go)
//	port NAME            a free port, in $NAME
//	differs P docket … [ F ]  what flags change (script_flags_test.go), with
//	elsewhere W docket … F, every-flag
//	sign-outside F OUT   signs a file's bytes with the key of acme-cloud's ci
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":        wantExit,
			"terminal":     terminal,
			"ledger":       serveLedger,
			"rotate":       rotate,
			"replay":       replay,
			"mirror":       mirror,
			"forge":        forge,
			"forge-chain":  forgeChain,
			"fill":         fill,
			"spoil":        tamperReceipt,
			"start":        start,
			"end":          end,
			"ask-witness":  askWitness,
			"claim":        claim,
			"port":         port,
			"sign-outside": signOutside,
			"differs":      differs,
			"elsewhere":    elsewhere,
			"every-flag":   everyFlag,
		},
	})
}

// setUp gives scripts the dates that a designation of today needs, and a place for
// their ledger and their processes.
func setUp(env *testscript.Env) error {
	env.Values[processesKey{}] = make(processes)
	env.Values[scriptLedgerKey{}] = &scriptLedger{}
	env.Values[flaggedKey{}] = make(flagged)
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		return err
	}
	today := record.DateOf(time.Now(), zone)
	from := today.AddDays(190)
	for name, d := range map[string]record.Date{
		"TODAY": today, "FROM": from, "UNTIL": from.Add(record.Period{Years: 1}).AddDays(-1),
		"DUE": today.AddDays(46), "BEFORE": today.AddDays(-1), "EARLY": today.AddDays(100),
	} {
		env.Setenv(name, d.String())
	}
	return nil
}

// wantExit runs a command and wants its exit status.
func wantExit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// fill replaces ${NAME} in files by what the script knows.
func fill(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o644))
	}
}

// tamperReceipt changes one character of a receipt's entry; it stays base64.
func tamperReceipt(ts *testscript.TestScript, _ bool, args []string) {
	lines := strings.SplitAfter(ts.ReadFile(args[0]), "\n")
	entry := []byte(lines[1])
	at := len(entry) / 2
	if entry[at] == 'A' {
		entry[at] = 'B'
	} else {
		entry[at] = 'A'
	}
	lines[1] = string(entry)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(lines, "")), 0o644))
}
