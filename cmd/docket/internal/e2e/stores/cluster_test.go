package stores

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/stores"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

const origin = "docket.example/stores"

// cluster is a log in a store that several machines reach, with its witnesses, and the people
// who write to it. Every machine has a directory of its own.
type cluster struct {
	t         testing.TB
	store     string   // URL
	env       []string // of each process that opens the store
	first     string   // directory of the machine that began it
	logs      string   // directory of what the processes say
	policy    *proof.Policy
	id        record.ID
	vkey      string // the log's Ed25519 one
	witnesses []*process

	mu    sync.Mutex
	world *registertest.World // guarded by mu
	made  int                 // records of the list, guarded by mu
}

// newCluster begins a ledger as its operators do: the witnesses' keys, docket init twice.
func newCluster(t testing.TB, store string, env []string, witnesses int) *cluster {
	t.Helper()
	dir := t.TempDir()
	l := &cluster{t: t, store: store, env: env, first: filepath.Join(dir, "a"), logs: filepath.Join(dir, "logs")}
	if err := os.Mkdir(l.logs, 0o700); err != nil {
		t.Fatal(err)
	}
	text := docket(t, env, "init", "--dir", l.first, "--origin", origin, "--store", store)
	list := "logs/v0\n"
	for line := range strings.Lines(text) {
		if _, vkey, is := strings.Cut(strings.TrimSpace(line), "log "); is {
			if l.vkey == "" {
				l.vkey = vkey
			}
			list += "vkey " + vkey + "\nqpd 2147483647\ncontact operator@docket.example\n"
		}
	}
	logs := filepath.Join(dir, "logs.txt")
	if err := os.WriteFile(logs, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	var names, urls []string
	for i := range witnesses {
		name, address := fmt.Sprintf("w%d", i+1), freeAddress(t)
		text += docket(t, nil, "witness", "init", "--dir", filepath.Join(dir, name), "--name", name+".example", "--url", "http://"+address)
		names, urls = append(names, name), append(urls, "http://"+address)
	}
	quorum := "none"
	if witnesses > 0 {
		quorum = "most"
		text += fmt.Sprintf("group most %d %s\n", witnesses/2+1, strings.Join(names, " "))
	}
	text += "quorum " + quorum + "\n"
	for i, name := range names {
		p := &process{
			t: t, name: "witness " + name, path: program(t, "docket"), url: urls[i], says: true, log: filepath.Join(l.logs, name+".log"),
			args: []string{"witness", "serve", "--dir", filepath.Join(dir, name), "--logs", logs, "--listen", strings.TrimPrefix(urls[i], "http://")},
		}
		for _, other := range urls {
			if other != urls[i] {
				p.args = append(p.args, "--peer", other)
			}
		}
		p.start()
		l.witnesses = append(l.witnesses, p)
	}

	var err error
	if l.policy, err = proof.ParsePolicy([]byte(text)); err != nil {
		t.Fatal(err)
	}
	l.world = registertest.New(time.Now(), origin, text)
	charter := l.world.Charter()
	file := filepath.Join(dir, "charter.dsse.json")
	if err := os.WriteFile(file, charter.Marshal(), 0o600); err != nil {
		t.Fatal(err)
	}
	docket(t, env, "init", "--dir", l.first, "--charter", file)
	l.world.NoteAdmitted(charter)
	l.id = l.world.Ledger
	return l
}

// openStore opens the store beside those that write to it, until the test ends.
func (l *cluster) openStore() stores.Shared {
	l.t.Helper()
	for _, e := range l.env {
		name, value, _ := strings.Cut(e, "=")
		l.t.Setenv(name, value)
	}
	s, err := stores.OpenShared(l.t.Context(), must(stores.Parse(l.store)), stores.Options{})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		if err := s.Close(); err != nil {
			l.t.Error(err)
		}
	})
	return s
}

// machine is a docket serve that may become the writer, with a directory of its own and the
// log's keys, at an address that stays. It is made to start.
func (l *cluster) machine(name string) *process {
	l.t.Helper()
	dir := filepath.Join(filepath.Dir(l.first), name)
	if dir != l.first {
		if err := os.CopyFS(filepath.Join(dir, "keys"), os.DirFS(filepath.Join(l.first, "keys"))); err != nil {
			l.t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			l.t.Fatal(err)
		}
	}
	return l.serve(name, "--dir", dir, "--standby", "--store", l.store, "--lease", "1s", "--issuer-rate", "-1", "--min-free", "1")
}

// startReplica starts a replica with a copy of its own, which follows a server (--from) or the store
// (--store).
func (l *cluster) startReplica(name, flag, of string) *process {
	l.t.Helper()
	p := l.serve(name, "--replica", "--trust", filepath.Join(filepath.Dir(l.first), name), flag, of)
	p.args = append(p.args, "--charter", l.id.String())
	p.start()
	p.args = p.args[:len(p.args)-2] // it is known from now on
	return p
}

func (l *cluster) serve(name string, args ...string) *process {
	address := freeAddress(l.t)
	return &process{
		t: l.t, name: name, path: program(l.t, "docket"), url: "http://" + address, says: true, env: l.env, log: filepath.Join(l.logs, name+".log"),
		args: append([]string{"serve", "--listen", address}, args...),
	}
}

// nextRecord is a record that nobody has sent yet, and that stands alone: an entity of an
// imported list.
func (l *cluster) nextRecord() record.Envelope {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.made++
	l.world.Now = time.Now().UTC().Truncate(time.Millisecond)
	id := fmt.Sprint(10000 + l.made)
	return l.world.ImportListed(id, l.world.NewListedDesignation(id, "Example Trading "+id))
}

// enrol enrols the authority, whose list it is.
func (l *cluster) enrol(c *client.Client) {
	l.t.Helper()
	env := l.world.Authority()
	s, err := c.Submit(l.t.Context(), env.Marshal(), client.SinglePolicy{Only: l.policy}, client.Retry{MaxElapsed: time.Minute})
	if err != nil || s.Receipt == nil {
		l.t.Fatalf("enrolling the authority: %v, %v", s, err)
	}
	l.world.NoteAdmitted(env)
}
