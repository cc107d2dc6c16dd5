package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/server/browsertest"
)

// TestMain makes this binary the docket command for the scripts, and that which runs it
// where it must not serve.
func TestMain(m *testing.M) {
	testscript.Main(browsertest.Tests{M: m}, map[string]func(){
		"docket":             func() { os.Exit(runMain()) },
		"docket-not-serving": func() { os.Exit(notServing(os.Args[1:])) },
	})
}

// TestScripts runs testdata/script/*.txtar: each verb as people type it, refusals
// included. Beside testscript's own commands there are
//
//	exits N COMMAND…     runs it and wants that exit status
//	refuses N COMMAND…   the same, and ends it where it begins to serve
//	terminal N S {W K}…  answers a command's prompts (output_test.go)
//	ledger P…            serves a ledger with these providers at $URL (script_ledger_test.go)
//	fill FILE…           replaces ${VARIABLES} in files: dates, the ledger, its charter
//	rotate               gives that ledger other witnesses, by a new charter
//	replay FILE          answers with an old receipt at $REPLAYED
//	mirror               serves that ledger, one byte altered, at $MIRROR (script_ledger_test.go)
//	forge D I C OUT      makes the receipt of a second history (script_ledger_test.go)
//	forge-chain D CASE OUT  makes the chain of a record that nobody had the right to sign
//	spoil FILE           changes one character of a receipt's entry
//	start NAME COMMAND…  starts what serves, its URL in $NAME (script_test.go)
//	end NAME             ends it, as its operator does
//	ask-witness W OLD    asks a witness to cosign (script_ledger_test.go)
//	claim NAME SIZE      a witness that says where it stands and shows nothing (script_test.go)
//	port NAME            a free port, in $NAME
//	differs P docket … [ F ]  what flags change (script_flags_test.go), with
//	elsewhere W docket … F, every-flag
//	record-id NAME F     sets a variable to the record ID of an envelope
//	authority-key FILE   makes a key of age, its public half in $RECIPIENT (script_customers_test.go)
//	certificate NAME…    makes NAME.crt, and NAME.pem with its private key; "expired NAME" one that has
//	alter FILE           changes one bit of a file
//	hang-up NAME         is SIGHUP to what start started
//	bucket NAME [broken | DIR]  serves an object store, with these objects, its URL in $NAME (script_store_test.go)
//	sign-outside F OUT   signs a file's bytes with the key of acme-cloud's ci
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":          wantExit,
			"refuses":        wantRefusal,
			"terminal":       terminal,
			"ledger":         serveLedger,
			"rotate":         rotate,
			"replay":         replay,
			"misrefuse":      misrefuse,
			"change-payload": changePayload,
			"receiver":       takeWebhooks,
			"mirror":         mirror,
			"serve-static":   serveStatic,
			"forge":          forge,
			"forge-chain":    forgeChain,
			"forge-answer":   forgeAnswer,
			"prove-all":      proveAll,
			"fill":           fill,
			"record-id":      recordID,
			"spoil":          tamperReceipt,
			"start":          start,
			"end":            end,
			"ask-witness":    askWitness,
			"claim":          claim,
			"port":           port,
			"sign-outside":   signOutside,
			"differs":        differs,
			"elsewhere":      elsewhere,
			"every-flag":     everyFlag,
			"get":            get,
			"authority-key":  authorityKey,
			"certificate":    makeCertificate,
			"alter":          alter,
			"hang-up":        hangUp,
			"says":           says,
			"bucket":         serveBucket,
			"signal":         sendSignal,
			"ended":          ended,
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
	landed, err := filepath.Abs(filepath.Join("testdata", "landed"))
	if err != nil {
		return err
	}
	env.Setenv("LANDED", landed)
	env.Setenv("RECIPIENT", registertest.Recipient)
	today := record.DateOf(time.Now(), zone)
	from := today.AddDays(190)
	for name, d := range map[string]record.Date{
		"TODAY": today, "FROM": from, "UNTIL": from.Add(record.Period{Years: 1}).AddDays(-1),
		"DUE": today.AddDays(46), "BEFORE": today.AddDays(-1), "EARLIER": today.AddDays(-2), "EARLY": today.AddDays(100),
	} {
		env.Setenv(name, d.String())
	}
	return nil
}

// served is the exit status of what notServing runs, where that serves instead of refusing to.
const served = 99

// notServing runs a command that could serve, to its end or until it says where it serves: a
// script would wait for ever.
func notServing(args []string) int {
	c := exec.Command(args[0], args[1:]...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return served
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fmt.Println(lines.Text())
		if strings.HasPrefix(lines.Text(), "http") {
			c.Process.Kill()
			c.Wait()
			fmt.Fprintln(os.Stderr, "it serves")
			return served
		}
	}
	c.Wait()
	return c.ProcessState.ExitCode()
}

// wantRefusal is wantExit of a command that must not begin to serve.
func wantRefusal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: refuses STATUS COMMAND…")
	}
	wantExit(ts, neg, append([]string{args[0], "docket-not-serving"}, args[1:]...))
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

// recordID sets a variable to the record ID of an envelope in a file.
func recordID(ts *testscript.TestScript, _ bool, args []string) {
	env, err := record.ParseEnvelope([]byte(ts.ReadFile(args[1])))
	ts.Check(err)
	ts.Setenv(args[0], record.IDOf(env.Payload).String())
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

// process is one that a script started: docket serve, docket witness serve.
type process struct {
	cmd *exec.Cmd
	log *os.File
}

// processes are those of one script, by name.
type processes map[string]process

// processesKey finds them among the script's values.
type processesKey struct{}

// start starts a command that serves, and waits until it says where: that URL is
// then in the variable of that name. What it says to stderr goes to NAME.log.
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME COMMAND…")
	}
	name := args[0]
	log, err := os.Create(ts.MkAbs(name + ".log"))
	ts.Check(err)
	p := process{exec.Command(args[1], args[2:]...), log}
	p.cmd.Dir, p.cmd.Stderr = ts.MkAbs("."), log
	p.cmd.Env = append(os.Environ(), storeCredentials(ts)...)
	out, err := p.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(p.cmd.Start())
	all := ts.Value(processesKey{}).(processes)
	all[name] = p
	ts.Defer(func() {
		if all[name] == p {
			p.cmd.Process.Kill()
			p.end()
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		ts.Fatalf("%s does not serve:\n%s", name, ts.ReadFile(name+".log"))
	}
	ts.Setenv(name, strings.TrimSpace(line))
}

// end is SIGTERM to what start started, after which it ends by itself, with status 0.
func end(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: end NAME")
	}
	all := ts.Value(processesKey{}).(processes)
	p := all[args[0]]
	delete(all, args[0])
	ts.Check(p.cmd.Process.Signal(syscall.SIGTERM))
	if err := p.end(); err != nil {
		ts.Fatalf("%s ended with %v:\n%s", args[0], err, ts.ReadFile(args[0]+".log"))
	}
}

func (p process) end() error {
	defer p.log.Close()
	return p.cmd.Wait()
}

// claim serves a witness at that address that says it stands at that size of every log,
// and shows nothing.
func claim(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: claim ADDRESS SIZE")
	}
	l, err := net.Listen("tcp", args[0])
	ts.Check(err)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", wire.SizeMediaType)
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintln(w, args[1])
	}))
	ts.Check(s.Listener.Close())
	s.Listener = l
	s.Start()
	ts.Defer(s.Close)
}

// port finds a port of this machine that is free, for who has to name it beforehand.
func port(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: port NAME")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	_, free, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Check(l.Close())
	ts.Setenv(args[0], free)
}

// get writes what a server answers at a URL to a file, after a line with the status.
func get(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: get FILE URL")
	}
	jar, err := cookiejar.New(nil) // as a browser, within this one call
	ts.Check(err)
	browser := http.Client{Jar: jar}
	res, err := browser.Get(args[1])
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), append([]byte(res.Status+"\n"), body...), 0o644))
}
