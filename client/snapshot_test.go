package client

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/snapshot"
	"github.com/seed-53cf897a/docket/server"
)

var nodeSigner = sync.OnceValue(func() *snapshot.Signer { return newNode("n1.example") })

func newNode(name string) *snapshot.Signer {
	skey, _, err := proof.GenerateKey(proof.Ed25519, name)
	if err != nil {
		panic(err)
	}
	s, err := snapshot.ParseSigner(skey)
	if err != nil {
		panic(err)
	}
	return s
}

// handOutSnapshots has the world's server hand out snapshots that a node signs.
func (w *world) handOutSnapshots(signer *snapshot.Signer) (files vfs.FS, made *snapshot.Dir) {
	w.t.Helper()
	files = vfs.NewMem()
	made, err := snapshot.OpenDir(files, "snapshots", signer)
	must(w.t, err)
	s, err := server.New(server.Config{Ledger: w.ledger, Register: w.register, Snapshots: made})
	must(w.t, err)
	w.net.handler = s.Handler()
	return files, made
}

// makeSnapshot makes one of the register as it is, whose rows and manifest another may change.
func (w *world) makeSnapshot(files vfs.FS, made *snapshot.Dir, alter func(*pebble.DB), lie func(*snapshot.Manifest)) {
	w.t.Helper()
	must(w.t, made.Make(w.t.Context(), func(dir string) (m snapshot.Manifest, err error) {
		copied, err := register.Open(files, dir, smallOptions())
		if err != nil {
			return m, err
		}
		entries, err := w.ledger.Entries(w.t.Context(), 0, w.ledger.PublishedSize())
		if err != nil {
			return m, err
		}
		p := copied.NewReplayer(0)
		b, err := p.Verify(w.t.Context(), entries)
		if err != nil {
			return m, err
		}
		tree := w.ledger.Published().Checkpoint().Tree()
		if err := errors.Join(p.Fold(b, tree.Root), copied.Flush()); err != nil {
			return m, err
		}
		if alter != nil {
			if err := copied.Close(); err != nil {
				return m, err
			}
			alterRows(w.t, files, dir, alter)
			if copied, err = register.Open(files, dir, smallOptions()); err != nil {
				return m, err
			}
		}
		m = snapshot.Manifest{Origin: origin, Tree: tree, Rules: register.RulesVersion, Rows: register.FormatVersion}
		if lie != nil {
			lie(&m)
		}
		if err := copied.Close(); err != nil {
			return m, err
		}
		_, err = copied.CursorOf(dir) // leaves rows alone, as where a node makes one
		return m, err
	}))
}

// startTrust is a new directory that may begin with a snapshot.
func (w *world) startTrust(files vfs.FS, dir string, keys SnapshotKeys) *Trust {
	w.t.Helper()
	t := w.trust(files, dir)
	t.Snapshots, t.Remote = keys, w.client()
	return t
}

// With a snapshot a copy answers all that can be asked before it has one entry, goes on with what comes,
// and is unverified until its own replay has come to the same rows: then it is a copy like any other.
func TestStartFromSnapshot(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.growTo(700)
	files, made := w.handOutSnapshots(nodeSigner())
	own := SnapshotKeys{Own: []proof.Key{nodeSigner().Key()}}
	mem := vfs.NewMem()
	trust := w.startTrust(mem, "trust", own)
	if err := trust.StartFromSnapshot(t.Context(), w.client(), own, nil); !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("no snapshot: %v", err)
	}
	w.makeSnapshot(files, made, nil, nil)
	w.growTo(800)
	w.net.bundles()
	must(t, trust.StartFromSnapshot(t.Context(), w.client(), own, nil))
	if asked := w.net.bundles(); len(asked) > 0 {
		t.Errorf("beginning with a snapshot asks for entries: %v", asked)
	}
	if _, err := trust.Register(); !errors.Is(err, ErrNoCopy) {
		t.Errorf("whoever judges is given a snapshot: %v", err)
	}
	l := openLive(t, trust)
	must(t, l.step(t.Context(), w.client()))
	if v, same := l.Unreplayed(); v == nil || !same || v.Tree.Size != 700 {
		t.Errorf("unreplayed: %v, by the same operator: %v", v, same)
	}
	for _, i := range []uint64{0, 300, 699, 700, 799} {
		r, err := l.Reader().Receipt(t.Context(), i)
		must(t, err)
		if _, err := r.Verify(w.policy, time.Now()); err != nil {
			t.Errorf("the receipt of %d: %v", i, err)
		}
	}
	must(t, l.Close())

	// A start without the key, or from where nothing more is read, does not serve it.
	again, err := OpenTrust(mem, "trust")
	must(t, err)
	if _, err := again.Register(); !errors.Is(err, ErrNoCopy) {
		t.Errorf("whoever judges is given a snapshot: %v", err)
	}
	again.Remote = w.client()
	if _, err := again.OpenLive(t.Context()); !errors.Is(err, snapshot.ErrNotSigned) {
		t.Errorf("without the key: %v", err)
	}
	again.Snapshots = SnapshotKeys{Others: []proof.Key{nodeSigner().Key()}}
	l = openLive(t, again)
	if v, same := l.Unreplayed(); v == nil || same {
		t.Errorf("by another's node: %v, the same operator: %v", v, same)
	}
	must(t, l.Replay(t.Context(), w.client(), nil))
	if v, _ := l.Unreplayed(); v != nil {
		t.Error("it is not replayed")
	}
	w.growTo(801)
	must(t, l.step(t.Context(), w.client()))
	must(t, l.Close())
	reader, err := OpenTrust(mem, "trust")
	must(t, err)
	defer reader.Close()
	w.wantSameRegister(reader)
	w.net.fail = func(*http.Request) error { return errLost } // the copy is whole
	for _, i := range []uint64{0, 300, 699, 700, 800} {
		if _, err := reader.Entry(t.Context(), i); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
	}
}

// One altered row is found, and nothing of the snapshot is left.
func TestSnapshotWithAlteredRow(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.growTo(300)
	for name, alter := range map[string]func(*pebble.DB){
		"altered": func(db *pebble.DB) {
			changeRow(t, db, func(k, v []byte) error { return db.Set(k, append(v, 0), pebble.Sync) })
		},
		"missing": func(db *pebble.DB) { changeRow(t, db, func(k, _ []byte) error { return db.Delete(k, pebble.Sync) }) },
		"too many": func(db *pebble.DB) {
			changeRow(t, db, func(k, v []byte) error { return db.Set(append(bytes.Clone(k[:1]), 'x', 0), v, pebble.Sync) })
		},
	} {
		files, made := w.handOutSnapshots(nodeSigner())
		w.makeSnapshot(files, made, alter, nil)
		keys := SnapshotKeys{Own: []proof.Key{nodeSigner().Key()}}
		mem := vfs.NewMem()
		trust := w.startTrust(mem, "trust", keys)
		must(t, trust.StartFromSnapshot(t.Context(), w.client(), keys, nil))
		l := openLive(t, trust)
		err := l.Replay(t.Context(), w.client(), nil)
		var wrong *SnapshotError
		if !errors.As(err, &wrong) || wrong.Wrong != 1 || wrong.Size != 300 || wrong.By.Name() != "n1.example" {
			t.Errorf("%s: %v", name, err)
		}
		if v, err := trust.Unreplayed(); v == nil {
			t.Errorf("%s: killed here, it would count as replayed: %v", name, err)
		}
		must(t, l.Close())
		again, err := OpenTrust(mem, "trust")
		must(t, err)
		if v, err := again.Unreplayed(); v != nil || err != nil || again.hasStarted() {
			t.Errorf("%s: it is there still: %v", name, err)
		}
		must(t, again.Sync(t.Context(), w.client(), nil)) // with what the replay has come to
		w.wantSameRegister(again)
		must(t, again.Close())
	}
}

func smallOptions() register.Options {
	o := RegisterOptions()
	o.CacheBytes = 1 << 20
	return o
}

// alterRows opens the database of a register as what it is not.
func alterRows(t testing.TB, files vfs.FS, dir string, alter func(*pebble.DB)) {
	like := *pebble.DefaultComparer
	like.Name = "docket.register"
	db, err := pebble.Open(dir, &pebble.Options{FS: files, Comparer: &like, FormatMajorVersion: pebble.FormatValueSeparation, Logger: quiet{}})
	must(t, err)
	alter(db)
	must(t, errors.Join(db.Flush(), db.Close()))
}

type quiet struct{}

func (quiet) Infof(string, ...any)      {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatalf(f string, a ...any) { panic(f) }

// changeRow changes a row that no opening reads.
func changeRow(t *testing.T, db *pebble.DB, change func(key, value []byte) error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{'y'}, UpperBound: []byte{'z'}})
	must(t, err)
	if !it.First() {
		t.Fatal("no row")
	}
	key, value := bytes.Clone(it.Key()), bytes.Clone(it.Value())
	must(t, it.Close())
	must(t, change(key, value))
}

// Whatever is handed out that is not the snapshot of this ledger, by a node whose key was given, is refused
// before a row of it is used, and leaves the directory as it was.
func TestSnapshotsThatAreRefused(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.growTo(300)
	mine := SnapshotKeys{Own: []proof.Key{nodeSigner().Key()}}
	other := newNode("n2.example")
	for name, c := range map[string]struct {
		signer *snapshot.Signer
		lie    func(*snapshot.Manifest)
		spoil  func(r *http.Request, answer []byte) []byte
		words  string
	}{
		"another key":    {signer: other, words: "not signed by a node whose key was given"},
		"another log":    {lie: func(m *snapshot.Manifest) { m.Origin = "other.example/log" }, words: `of the log "other.example/log"`},
		"another root":   {lie: func(m *snapshot.Manifest) { m.Tree.Root[0] ^= 1 }, words: "is of another log"},
		"another size":   {lie: func(m *snapshot.Manifest) { m.Tree, _ = treeAt(w, 299) }, words: "its rows are of size 300"},
		"what is ahead":  {lie: func(m *snapshot.Manifest) { m.Tree.Size = 301 }, words: "not published yet"},
		"other rules":    {lie: func(m *snapshot.Manifest) { m.Rules++ }, words: "by rules 2"},
		"another form":   {lie: func(m *snapshot.Manifest) { m.Rows-- }, words: "rows of form"},
		"what is old":    {lie: func(m *snapshot.Manifest) { m.Tree, _ = treeAt(w, 2) }, words: "it is old"},
		"a changed file": {spoil: onFile(func(b []byte) []byte { b = bytes.Clone(b); b[len(b)/2] ^= 1; return b }), words: "not the file that was signed"},
		"no file":        {spoil: onFile(func([]byte) []byte { return nil }), words: "unexpected EOF"},
		"no manifest":    {spoil: onManifest(func([]byte) []byte { return []byte("<html>") }), words: "malformed note"},
		"changed manifest": {spoil: onManifest(func(b []byte) []byte {
			return bytes.Replace(b, []byte("\n300\n"), []byte("\n301\n"), 1)
		}), words: "manifest"},
	} {
		signer := nodeSigner()
		if c.signer != nil {
			signer = c.signer
		}
		files, made := w.handOutSnapshots(signer)
		w.makeSnapshot(files, made, nil, c.lie)
		mem := vfs.NewMem()
		trust := w.startTrust(mem, "trust", mine)
		if name == "what is old" {
			must(t, trust.Refresh(t.Context(), w.client()))
		}
		w.net.rewriteResponse = c.spoil
		err := trust.StartFromSnapshot(t.Context(), w.client(), mine, nil)
		w.net.rewriteResponse = nil
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %q", name, err, c.words)
		}
		if v, err := trust.Unreplayed(); v != nil || err != nil || trust.hasStarted() {
			t.Errorf("%s: it is begun with", name)
		}
		must(t, trust.Close())
	}
	// A transfer that is cut off goes on where it was.
	files, made := w.handOutSnapshots(nodeSigner())
	w.makeSnapshot(files, made, nil, nil)
	trust := w.startTrust(vfs.NewMem(), "trust", mine)
	w.net.rewriteResponse = onFile(func(b []byte) []byte { return b[:(len(b)+1)/2] })
	must(t, trust.StartFromSnapshot(t.Context(), w.client(), mine, nil))
}

func onFile(f func([]byte) []byte) func(*http.Request, []byte) []byte {
	return func(r *http.Request, b []byte) []byte {
		if strings.HasPrefix(r.URL.Path, "/v1/snapshot/") && strings.HasSuffix(r.URL.Path, ".sst") {
			return f(b)
		}
		return b
	}
}

func onManifest(f func([]byte) []byte) func(*http.Request, []byte) []byte {
	return func(r *http.Request, b []byte) []byte {
		if r.URL.Path == "/v1/snapshot" {
			return f(b)
		}
		return b
	}
}

func treeAt(w *world, size uint64) (proof.Tree, error) {
	return w.ledger.TreeAt(w.t.Context(), size)
}
