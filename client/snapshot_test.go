package client

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
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
	w.makeSnapshotOf(w.ledger.Published().Checkpoint().Tree(), files, made, alter, lie)
}

// makeSnapshotOf says that the rows are of a tree.
func (w *world) makeSnapshotOf(tree proof.Tree, files vfs.FS, made *snapshot.Dir, alter func(*pebble.DB), lie func(*snapshot.Manifest)) {
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
	if s := l.State(); s.Size != 700 || s.Lag() != 100 {
		t.Errorf("before it has gone on: %+v", s)
	}
	must(t, l.Sync(t.Context(), w.client()))
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
	if _, err := again.OpenLive(t.Context()); !errors.Is(err, snapshot.ErrNotSigned) || !strings.Contains(err.Error(), "remove trust/register/started and trust/snapshot.note") {
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
	must(t, l.Sync(t.Context(), w.client()))
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

// A node that takes in what the rules refuse signs a snapshot of it: the replay ends at the entry, and the
// snapshot with it. No other is begun with there.
func TestSnapshotOfForbiddenEntry(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.growTo(300)
	entries := w.entries()
	entries[20] = entries[19]
	forbidding := sourceOf(t, entries)
	note, err := forbidding.Checkpoint(t.Context())
	must(t, err)
	p, err := w.policy.Verify(note, time.Now())
	must(t, err)
	files, made := w.handOutSnapshots(nodeSigner())
	w.makeSnapshotOf(p.Checkpoint().Tree(), files, made, nil, nil)
	w.net.respond = mirrored(forbidding)
	keys := SnapshotKeys{Own: []proof.Key{nodeSigner().Key()}}
	trust := w.startTrust(vfs.NewMem(), "trust", keys)
	must(t, trust.StartFromSnapshot(t.Context(), w.client(), keys, nil))
	l := openLive(t, trust)
	var wrong *SnapshotError
	var refused *register.EntryError
	if err := l.Replay(t.Context(), w.client(), nil); !errors.As(err, &wrong) || !errors.As(err, &refused) || refused.Index != 20 {
		t.Errorf("%v", err)
	}
	must(t, l.Close())
	if v, err := trust.Unreplayed(); v != nil || err != nil || trust.hasStarted() {
		t.Errorf("it is there still: %v", err)
	}
	if err := trust.StartFromSnapshot(t.Context(), w.client(), keys, nil); err == nil || !strings.Contains(err.Error(), "snapshot-wrong.note") {
		t.Errorf("begun with again: %v", err)
	}
}

// entries are all of the ledger's.
func (w *world) entries() (all []record.Entry) {
	w.t.Helper()
	raw, err := w.ledger.Entries(w.t.Context(), 0, w.ledger.PublishedSize())
	must(w.t, err)
	for _, r := range raw {
		e, err := record.ParseEntry(r)
		must(w.t, err)
		all = append(all, e)
	}
	return all
}

// mirrored answers for the checkpoint, tiles and entries of a log in a directory.
func mirrored(log Source) func(*http.Request) *http.Response {
	d := log.(directory)
	return func(r *http.Request) *http.Response {
		if r.URL.Path != "/checkpoint" && !strings.HasPrefix(r.URL.Path, "/tile/") {
			return nil
		}
		data, err := disk.ReadFile(d.files, d.path(r.URL.Path))
		if err != nil {
			return answerOf(404, "")
		}
		return answerOf(200, string(data))
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
// before a row of it is used, and nothing is begun with.
func TestSnapshotsThatAreRefused(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.growTo(300)
	other, named := newNode("n2.example"), newNode(origin)
	mine := SnapshotKeys{Own: []proof.Key{nodeSigner().Key(), named.Key()}}
	for name, c := range map[string]struct {
		signer *snapshot.Signer
		lie    func(*snapshot.Manifest)
		spoil  func(r *http.Request, answer []byte) []byte
		words  string
	}{
		"another key":    {signer: other, words: "not signed by a node whose key was given"},
		"the log's name": {signer: named, words: "a node's key is nobody else's"},
		"another log":    {lie: func(m *snapshot.Manifest) { m.Origin = "other.example/log" }, words: `of the log "other.example/log"`},
		"another root":   {lie: func(m *snapshot.Manifest) { m.Tree.Root[0] ^= 1 }, words: "is of another log"},
		"another size":   {lie: func(m *snapshot.Manifest) { m.Tree, _ = treeAt(w, 299) }, words: "its rows are of size 300"},
		"what is ahead":  {lie: func(m *snapshot.Manifest) { m.Tree.Size = 301 }, words: "not published yet"},
		"other rules":    {lie: func(m *snapshot.Manifest) { m.Rules++ }, words: "by rules 2"},
		"another form":   {lie: func(m *snapshot.Manifest) { m.Rows-- }, words: "rows of form"},
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

// A source that is behind says nothing about the log, though a copy that began with a snapshot has no tile of
// its own by which to see it: it is asked again.
func TestSnapshotAndSourceBehind(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.growTo(700)
	files, made := w.handOutSnapshots(nodeSigner())
	w.makeSnapshot(files, made, nil, nil)
	w.growTo(750)
	older := string(w.ledger.Published().Note())
	w.growTo(800)
	behind := func(r *http.Request) *http.Response {
		switch {
		case r.URL.Path == "/checkpoint":
			return answerOf(200, older)
		case strings.HasPrefix(r.URL.Path, "/tile/0/003"): // as wide as is trusted: it is not there yet
			return answerOf(404, "")
		}
		return nil
	}
	keys := SnapshotKeys{Own: []proof.Key{nodeSigner().Key()}}
	trust := w.startTrust(vfs.NewMem(), "trust", keys)
	must(t, trust.StartFromSnapshot(t.Context(), w.client(), keys, nil))
	w.net.respond = behind
	if told, err := untilPause(t, func(ctx context.Context, notify func(error, time.Duration)) error {
		return trust.Follow(ctx, w.client(), notify, nil)
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("without a copy: told %v, ended with %v", told, err)
	}
	w.net.respond = nil
	l := openLive(t, trust)
	defer l.Close()
	w.net.respond = behind
	if told, err := untilPause(t, func(ctx context.Context, notify func(error, time.Duration)) error {
		return l.Follow(ctx, w.client(), notify)
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a snapshot: told %v, ended with %v", told, err)
	}
	w.net.respond = func(r *http.Request) *http.Response {
		if r.URL.Path == "/checkpoint" {
			return answerOf(200, older)
		}
		return nil
	}
	if told, err := untilPause(t, func(ctx context.Context, notify func(error, time.Duration)) error {
		return l.Follow(ctx, w.client(), notify)
	}); !errors.As(told, new(*BehindError)) || !errors.Is(err, context.Canceled) {
		t.Errorf("with the source's tiles: told %v, ended with %v", told, err)
	}
	w.net.respond = nil
	must(t, l.Sync(t.Context(), w.client()))
	must(t, l.Replay(t.Context(), w.client(), nil))
	w.net.respond = behind
	var b *BehindError
	if err := l.Sync(t.Context(), w.client()); !errors.As(err, &b) {
		t.Errorf("with a copy: %v", err)
	}
}

// A source that does not answer for the tiles that a copy has not got yet is no damage of the copy's: whoever
// mended that would lose the snapshot. Tiles of its own that are spoilt are.
func TestSnapshotAndAbsentTiles(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.growTo(700)
	files, made := w.handOutSnapshots(nodeSigner())
	w.makeSnapshot(files, made, nil, nil)
	w.growTo(800)
	keys := SnapshotKeys{Own: []proof.Key{nodeSigner().Key()}}
	mem := vfs.NewMem()
	trust := w.startTrust(mem, "trust", keys)
	must(t, trust.StartFromSnapshot(t.Context(), w.client(), keys, nil))
	l := openLive(t, trust)
	defer l.Close()
	onTiles := func(answer func() *http.Response) func(*http.Request) *http.Response {
		return func(r *http.Request) *http.Response {
			if strings.HasPrefix(r.URL.Path, "/tile/1/") {
				return answer()
			}
			return nil
		}
	}
	for name, answer := range map[string]func() *http.Response{
		"busy":    func() *http.Response { return answerOf(503, "busy") },
		"not had": func() *http.Response { return answerOf(404, "") },
		"others":  func() *http.Response { return answerOf(200, strings.Repeat("x", 3*32)) },
	} {
		w.net.respond = onTiles(answer)
		if err := l.Sync(t.Context(), w.client()); err == nil || errors.As(err, new(*DamageError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.net.respond = nil
	must(t, l.Sync(t.Context(), w.client()))
	w.growTo(801)
	must(t, disk.WriteFile(mem, "trust/tile/0/003.p/32", make([]byte, 32*32), 0o644, disk.SyncNow))
	if err := l.Sync(t.Context(), w.client()); !errors.As(err, new(*DamageError)) {
		t.Errorf("a spoilt tile: %v", err)
	}
}

// Files that were fetched before a start was cut off are not fetched again, though the ledger has grown, and
// the copy was asked for in between. A sync leaves them, and a register that began with them, until it is through.
func TestSnapshotStartGoesOn(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.growTo(300)
	files, made := w.handOutSnapshots(nodeSigner())
	w.makeSnapshot(files, made, nil, nil)
	w.growTo(320)
	keys := SnapshotKeys{Own: []proof.Key{nodeSigner().Key()}}
	mem := vfs.NewMem()
	trust := w.startTrust(mem, "trust", keys)
	must(t, trust.StartFromSnapshot(t.Context(), w.client(), keys, nil))
	all, err := mem.List("trust/register/snapshot")
	must(t, err)
	must(t, errors.Join(mem.RemoveAll("trust/register/started"), mem.Remove("trust/snapshot.note"), mem.Remove("trust/register/snapshot/"+all[0]))) // as if it was killed before
	if _, err := trust.OpenLive(t.Context()); !errors.Is(err, ErrNoCopy) {
		t.Errorf("without a copy: %v", err)
	}
	w.net.bundles()
	must(t, trust.StartFromSnapshot(t.Context(), w.client(), keys, nil))
	fetched := 0
	for _, p := range w.net.paths {
		if strings.HasPrefix(p, "/v1/snapshot/") {
			fetched++
		}
	}
	if len(all) < 2 || fetched != 1 {
		t.Errorf("%d files of %d were fetched, one was missing", fetched, len(all))
	}

	w.net.fail = func(r *http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/tile/entries/") {
			return errLost
		}
		return nil
	}
	if err := trust.Sync(t.Context(), w.client(), nil); !mayPass(err) {
		t.Errorf("a sync that is cut off: %v", err)
	}
	w.net.fail = nil
	l := openLive(t, trust)
	if v, _ := l.Unreplayed(); v == nil {
		t.Error("a sync that is cut off takes the snapshot away")
	}
	must(t, l.Close())
	must(t, trust.Sync(t.Context(), w.client(), nil))
	if trust.has(startedDir, snapshotDir, snapshotFile) {
		t.Error("a copy of one's own stands beside a snapshot")
	}
	w.wantSameRegister(trust)
}

// torn is a disk that is full once it has written so many files under a name.
type torn struct {
	vfs.FS
	under string
	left  int
}

func (f *torn) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(name, f.under) {
		if f.left--; f.left < 0 {
			return nil, errLost
		}
	}
	return f.FS.Create(name, c)
}

// A register of which only a part could be made of a snapshot is none.
func TestSnapshotOnAFullDisk(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.growTo(300)
	files, made := w.handOutSnapshots(nodeSigner())
	w.makeSnapshot(files, made, nil, nil)
	keys := SnapshotKeys{Own: []proof.Key{nodeSigner().Key()}}
	full := &torn{FS: vfs.NewMem(), under: "trust/" + startedDir + ".making"}
	trust := w.startTrust(full, "trust", keys)
	if err := trust.StartFromSnapshot(t.Context(), w.client(), keys, nil); !errors.Is(err, errLost) || trust.hasStarted() {
		t.Errorf("%v; there is one: %v", err, trust.hasStarted())
	}
	full.left = 100
	must(t, trust.StartFromSnapshot(t.Context(), w.client(), keys, nil))
	l := openLive(t, trust)
	defer l.Close()
	if s := l.State(); s.Size != 300 {
		t.Errorf("%+v", s)
	}
}

// noteKept is a disk on which the note of a snapshot cannot be removed.
type noteKept struct{ vfs.FS }

func (f noteKept) Remove(name string) error {
	if f.PathBase(name) == snapshotFile {
		return errLost
	}
	return f.FS.Remove(name)
}

// As long as the note says that a snapshot was not replayed, what it is compared with is there.
func TestSnapshotNoteGoesFirst(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.growTo(300)
	files, made := w.handOutSnapshots(nodeSigner())
	w.makeSnapshot(files, made, nil, nil)
	keys := SnapshotKeys{Own: []proof.Key{nodeSigner().Key()}}
	trust := w.startTrust(noteKept{vfs.NewMem()}, "trust", keys)
	must(t, trust.StartFromSnapshot(t.Context(), w.client(), keys, nil))
	l := openLive(t, trust)
	defer l.Close()
	if err := l.Replay(t.Context(), w.client(), nil); !errors.Is(err, errLost) || !trust.has(snapshotDir) {
		t.Errorf("%v; what it is compared with is there: %v", err, trust.has(snapshotDir))
	}
	trust.files = trust.files.(noteKept).FS
	must(t, l.Replay(t.Context(), w.client(), nil))
	if trust.has(snapshotDir, snapshotFile) {
		t.Error("it was replayed, and is there still")
	}
}

// Those who read a copy that is not whole have so many bundles fetched at once, and no more.
func TestRemoteReadsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		c, err := New("https://ledger.example", roundTripFunc(func(r *http.Request) (*http.Response, error) {
			asked.Add(1)
			<-r.Context().Done()
			return nil, r.Context().Err()
		}))
		must(t, err)
		p := newPartialCopy(NewTileDir(vfs.NewMem(), "log"), c)
		ctx, cancel := context.WithCancel(t.Context())
		var reads sync.WaitGroup
		for i := range uint64(2 * maxRemoteReads) {
			reads.Go(func() {
				if _, err := p.Bundle(ctx, proof.EntryBundleID{Index: i, Width: proof.TileWidth}); !errors.Is(err, context.Canceled) {
					t.Errorf("bundle %d: %v", i, err)
				}
			})
		}
		synctest.Wait()
		if asked.Load() != maxRemoteReads {
			t.Errorf("%d bundles are fetched at once, want %d", asked.Load(), maxRemoteReads)
		}
		cancel()
		reads.Wait()
	})
}

// untilPause follows until something is to be tried again, and returns why.
func untilPause(t *testing.T, follow func(ctx context.Context, notify func(error, time.Duration)) error) (told, err error) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err = follow(ctx, func(err error, _ time.Duration) { told = err; cancel() })
	return told, err
}
