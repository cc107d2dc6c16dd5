package interop

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/witness/omniwitness"
	"github.com/transparency-dev/witness/persistence/sqlite"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/mod/sumdb/note"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// A log's keys rotate under the eyes of others' witnesses, as they are deployed: neither
// omniwitness, with its database, nor litewitness takes a second key of a log from a list.
// `docket init --next` says so of each by name; publication goes on with the older keys
// beside the new ones; taken away by hand they are missed, and with --retire they do not
// go, until the witnesses' operators have put the new key in.
func TestRotationWithTheirWitnesses(t *testing.T) {
	const origin = "docket.example/rotate"
	bin, dir := program(t, "docket"), t.TempDir()
	init := func(args ...string) string {
		return run(t, bin, append([]string{"init", "--dir", dir, "--origin", origin}, args...)...)
	}
	older := init()
	var list atomic.Value // as published for witnesses
	list.Store(init("--contact", "ops@docket.example"))
	omni := newOmniwitnessDB(t, "omni.example", &list)
	lite := newLitewitness(t, "lite.example")
	lite.pull(list.Load().(string))

	witnesses := fmt.Sprintf("witness omni %s %s\nwitness lite %s %s\ngroup both all omni lite\nquorum both\n", omni.vkey, omni.url, lite.vkey, lite.url)
	d := &testDocket{t: t, origin: origin, World: registertest.New(time.Now(), origin, older+witnesses)}
	charter := filepath.Join(t.TempDir(), "charter.dsse.json")
	env := d.Charter()
	if err := os.WriteFile(charter, env.Marshal(), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, bin, "init", "--dir", dir, "--charter", charter)
	d.NoteAdmitted(env)
	var end func()
	d.url, end = serve(t, bin, dir)
	d.publish(d.Authority())
	end()

	// The list has the new key too, and both have read it.
	newer := init("--next")
	list.Store(list.Load().(string) + strings.TrimPrefix(init("--next", "--contact", "ops@docket.example"), "logs/v0\n"))
	omni.readAgain()
	if said := lite.pull(list.Load().(string)); !strings.Contains(said, "Skipping duplicate log entry") {
		t.Logf("litewitness says of a second key: %s", said)
	}
	unready := regexp.MustCompile(`(?m)^    (omni|lite): NOT READY: it cosigns by the log's present keys, and does not know the new ones: (.*)$`)
	status, said := try(t, bin, "init", "--dir", dir, "--origin", origin, "--next")
	all := unready.FindAllStringSubmatch(said, -1)
	if status != 0 || len(all) != 2 || !strings.Contains(said, "make no quorum: the old keys must go on signing") {
		t.Fatalf("init --next: status %d\n%s", status, said)
	}
	for _, m := range all {
		t.Logf("what %s answers to a key that it does not know: %s", m[1], m[2])
	}

	// Charters come all the same, and are published by both generations' signatures.
	d.url, end = serve(t, bin, dir)
	for _, lines := range []string{older + newer, newer} {
		d.CharterPredicate.Policy = lines + witnesses
		d.publish(d.Charter())
	}
	d.publish(d.importRecord())
	end()
	status, said = try(t, bin, "init", "--dir", dir, "--origin", origin, "--retire")
	if status != 1 || len(unready.FindAllString(said, -1)) != 2 || !strings.Contains(said, "the old keys stay") {
		t.Fatalf("init --retire: status %d\n%s", status, said)
	}

	// Without the older files nothing is published; they come back.
	aside := t.TempDir()
	move := func(from, to string) {
		for _, name := range []string{"log-ed25519.key", "log-mldsa44.key"} {
			if err := os.Rename(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	move(filepath.Join(dir, "keys"), aside)
	d.url, end = serve(t, bin, dir, "--publish-wait", "1s")
	env = d.importRecord()
	if status, said := d.post(env, ""); status != http.StatusAccepted {
		t.Errorf("without the keys that the witnesses know: %d %s", status, said)
	}
	end()
	move(aside, filepath.Join(dir, "keys"))
	d.url, end = serve(t, bin, dir)
	if status, said := d.post(env, ""); status != http.StatusOK {
		t.Errorf("with them again: %d %s", status, said)
	}
	d.NoteAdmitted(env)
	end()

	// The witnesses' operators put the new key in by hand: omniwitness has one of an
	// origin, litewitness several.
	vkey := strings.TrimPrefix(strings.SplitN(newer, "\n", 2)[0], "log ")
	omni.replace(origin, vkey)
	lite.control("add-key", "-origin", origin, "-key", vkey)
	status, said = try(t, bin, "init", "--dir", dir, "--origin", origin, "--retire")
	if status != 0 || !strings.Contains(said, "    omni: ready\n    lite: ready\n") {
		t.Fatalf("init --retire: status %d\n%s", status, said)
	}
	d.url, end = serve(t, bin, dir)
	defer func() { end() }()
	receipt := d.publish(d.importRecord())
	if _, err := must(proof.ParseReceipt(receipt)).Verify(must(proof.ParsePolicy([]byte(newer+witnesses))), time.Now()); err != nil {
		t.Error(err)
	}
	if n := bytes.Count(receipt, []byte("— "+origin+" ")); n != 2 {
		t.Errorf("%d signatures of the log, want those of its two new keys", n)
	}
}

// try runs the command, whatever comes of it, and returns what it says.
func try(t *testing.T, bin string, args ...string) (status int, said string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), bin, args...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	var exit *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), stderr.String()
}

// omniwitnessDB is omniwitness with its database, which fetches a list of logs over and
// over.
type omniwitnessDB struct {
	t         *testing.T
	path      string
	url, vkey string
	fetched   chan struct{} // a value each time the list has been fetched
}

func newOmniwitnessDB(t *testing.T, name string, list *atomic.Value) *omniwitnessDB {
	t.Helper()
	o := &omniwitnessDB{t: t, path: filepath.Join(t.TempDir(), "omni.db"), fetched: make(chan struct{})}
	skey, vkey := newKey(proof.CosignatureEd25519, name)
	o.vkey = vkey
	db, closeDB, err := sqlite.New(t.Context(), sqlite.Opts{Path: o.path})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	lists := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Write([]byte(list.Load().(string)))
		select {
		case o.fetched <- struct{}{}:
		case <-ctx.Done():
		}
	}))
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	o.url = "http://" + listener.Addr().String()
	ended := make(chan error, 1)
	go func() {
		ended <- omniwitness.Main(ctx, omniwitness.OperatorConfig{
			WitnessKeys:                  []note.Signer{must(fnote.NewSignerForCosignatureV1(skey))},
			Logs:                         db,
			WitnessNetworkConfigURLs:     []string{lists.URL},
			WitnessNetworkConfigInterval: 10 * time.Millisecond,
		}, db, listener, lists.Client())
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("omniwitness ended with %v", err)
		}
		lists.Close()
		closeDB()
	})
	o.readAgain()
	return o
}

// readAgain waits until the list, as it is now, has been fetched and taken: it is asked
// for again only after that.
func (o *omniwitnessDB) readAgain() {
	o.t.Helper()
	for range 3 { // the first may have had the list of before
		select {
		case <-o.fetched:
		case <-time.After(20 * time.Second):
			o.t.Fatal("omniwitness does not fetch the list of logs")
		}
	}
}

// replace does by hand what its operator would.
func (o *omniwitnessDB) replace(origin, vkey string) {
	o.t.Helper()
	db := must(sql.Open("sqlite", o.path+"?_pragma=busy_timeout(5000)"))
	defer db.Close()
	done, err := db.ExecContext(o.t.Context(), "UPDATE logs SET vkey = ? WHERE origin = ?", vkey, origin)
	if err != nil {
		o.t.Fatal(err)
	}
	if n := must(done.RowsAffected()); n != 1 {
		o.t.Fatalf("omniwitness has %d rows of this log", n)
	}
}

// litewitness is FiloSottile's, a process with its database, and a key in an SSH agent.
type litewitness struct {
	t         *testing.T
	dir, db   string
	url, vkey string
}

func newLitewitness(t *testing.T, name string) *litewitness {
	t.Helper()
	dir := must(os.MkdirTemp("", "lite")) // short: a socket's path has a limit
	t.Cleanup(func() { os.RemoveAll(dir) })
	l := &litewitness{t: t, dir: dir, db: filepath.Join(dir, "db")}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	socket := must(net.Listen("unix", filepath.Join(dir, "agent")))
	t.Cleanup(func() { socket.Close() })
	go func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(ring, conn)
		}
	}()

	free := must(net.Listen("tcp", "127.0.0.1:0"))
	address := free.Addr().String()
	free.Close()
	l.url = "http://" + address
	fingerprint := ssh.FingerprintSHA256(must(ssh.NewPublicKey(key.Public())))
	serving := exec.Command(program(t, "litewitness"), "-name", name, "-db", l.db, "-ssh-agent", filepath.Join(dir, "agent"), "-key", fingerprint, "-listen", address)
	stderr := must(serving.StderrPipe())
	if err := serving.Start(); err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	t.Cleanup(func() {
		serving.Process.Signal(os.Interrupt)
		<-drained
		serving.Wait()
	})
	vkey := regexp.MustCompile(` vkey="?(` + regexp.QuoteMeta(name) + `\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+)`)
	lines := bufio.NewScanner(stderr)
	for l.vkey == "" && lines.Scan() {
		if m := vkey.FindStringSubmatch(lines.Text()); m != nil {
			l.vkey = m[1]
		}
	}
	go func() {
		defer close(drained)
		for lines.Scan() {
		}
	}()
	if l.vkey == "" {
		t.Fatal("litewitness says no key")
	}
	return l
}

// control runs witnessctl on the database, as litewitness's operator does.
func (l *litewitness) control(verb string, args ...string) string {
	l.t.Helper()
	out, err := exec.CommandContext(l.t.Context(), program(l.t, "witnessctl"), append([]string{verb, "-db", l.db}, args...)...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("witnessctl %s: %v\n%s", verb, err, out)
	}
	return string(out)
}

// pull has it read a list of logs.
func (l *litewitness) pull(list string) string {
	l.t.Helper()
	file := filepath.Join(l.dir, "list")
	if err := os.WriteFile(file, []byte(list), 0o644); err != nil {
		l.t.Fatal(err)
	}
	return l.control("pull-logs", "-source", file, "-verbose")
}
