package node_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/cmd/docket/internal/node"
	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/auditors"
	"github.com/seed-53cf897a/docket/ledger/objectstore"
	"github.com/seed-53cf897a/docket/ledger/objectstore/objectstoretest"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/snapshot"
	"github.com/seed-53cf897a/docket/server"
)

// sharedNode is a ledger in a bucket, its writer, and the snapshot of its register that the writer hands
// out at writer.example.
type sharedNode struct {
	*testNode
	bucket    *objectstoretest.Server
	writer    *node.Node
	signer    *snapshot.Signer
	files     vfs.FS // of the writer's snapshots
	snapshots *snapshot.Dir
	trusted   []proof.Key // with whose snapshot who stands by may begin
	link      *objectstoretest.Link
	taken     ledger.Shared // the handle of who stands by, over link, by which it would write
}

func newSharedNode(t *testing.T) *sharedNode {
	w := &sharedNode{testNode: newTestNode(t, "none"), bucket: objectstoretest.NewServer(), files: vfs.NewMem()}
	var err error
	w.writer, err = node.Open(t.Context(), node.Config{Files: vfs.NewMem(), Dir: "writer", Keys: w.keys, Store: w.store()})
	check(t, err)
	t.Cleanup(func() { w.writer.Close() })
	_, _, err = w.writer.Admit(t.Context(), w.charter)
	check(t, err)
	w.admit(w.world.Authority())
	secret, _, err := proof.GenerateKey(proof.Ed25519, "n1.example")
	check(t, err)
	w.signer, err = snapshot.ParseSigner(secret)
	check(t, err)
	w.trusted = []proof.Key{w.signer.Key()}
	w.snapshots, err = snapshot.OpenDir(w.files, "snapshots", w.signer)
	check(t, err)
	s, err := server.New(server.Config{Ledger: w.writer.Ledger, Register: w.writer.Register, Snapshots: w.snapshots})
	check(t, err)
	w.Handle("writer.example", s.Handler())
	return w
}

// admit has the writer admit a record, and publish it.
func (w *sharedNode) admit(env record.Envelope) {
	w.t.Helper()
	_, _, err := w.writer.Admit(w.t.Context(), env)
	check(w.t, err)
	w.world.NoteAdmitted(env)
}

// store is another handle on the bucket.
func (w *sharedNode) store() ledger.Shared { return w.storeOver(objectstoretest.NewLink(w.bucket)) }

func (w *sharedNode) storeOver(link *objectstoretest.Link) ledger.Shared {
	s, err := objectstore.Open(w.t.Context(), objectstoretest.Config(link))
	check(w.t, err)
	w.t.Cleanup(func() { s.Close() })
	return s
}

// makeSnapshot has the writer make one, in which a row may be another.
func (w *sharedNode) makeSnapshot(wrong bool) {
	w.t.Helper()
	check(w.t, w.snapshots.Make(w.t.Context(), func(dir string) (m snapshot.Manifest, err error) {
		reg, err := register.Open(w.files, dir, client.RegisterOptions())
		if err != nil {
			return m, err
		}
		entries, err := w.writer.Ledger.Entries(w.t.Context(), 0, w.writer.Ledger.PublishedSize())
		if err != nil {
			return m, err
		}
		p := reg.NewReplayer(0)
		b, err := p.Verify(w.t.Context(), entries)
		if err != nil {
			return m, err
		}
		tree := w.writer.Ledger.Published().Checkpoint().Tree()
		if err := errors.Join(p.Fold(b, tree.Root), reg.Flush(), reg.Close()); err != nil {
			return m, err
		}
		if wrong {
			w.addRow(dir)
		}
		_, err = reg.CursorOf(dir)
		return snapshot.Manifest{Origin: origin, Tree: tree, Rules: register.RulesVersion, Rows: register.FormatVersion}, err
	}))
}

// addRow adds a row that no entry makes.
func (w *sharedNode) addRow(dir string) {
	w.t.Helper()
	like := *pebble.DefaultComparer
	like.Name = "docket.register"
	db, err := pebble.Open(dir, &pebble.Options{FS: w.files, Comparer: &like, FormatMajorVersion: pebble.FormatValueSeparation, Logger: quiet{}})
	check(w.t, err)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{'y'}, UpperBound: []byte{'z'}})
	check(w.t, err)
	if !it.First() {
		w.t.Fatal("no row")
	}
	key, value := append(bytes.Clone(it.Key()), '!'), bytes.Clone(it.Value())
	check(w.t, errors.Join(it.Close(), db.Set(key, value, pebble.Sync), db.Flush(), db.Close()))
}

type quiet struct{}

func (quiet) Infof(string, ...any)      {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatalf(f string, a ...any) { panic(f) }

// follow is who stands by, on a disk.
func (w *sharedNode) follow(files vfs.FS, said *bytes.Buffer, named ...auditors.Named) *node.Follower {
	w.t.Helper()
	source, err := client.New("http://writer.example", w)
	check(w.t, err)
	w.link = objectstoretest.NewLink(w.bucket)
	w.taken = w.storeOver(w.link)
	f, err := node.Follow(w.t.Context(), node.Config{Files: files, Dir: "standby", Keys: w.keys, Store: w.taken, Auditors: named, Log: slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelDebug}))}, node.FollowConfig{
		Reads: time.Minute, Source: source, URL: "s3://ledger", Snapshots: w.trusted,
		Standby: func() server.StandbyState {
			return server.StandbyState{Epoch: 1, Writer: "http://writer.example", Able: true}
		},
	})
	check(w.t, err)
	return f
}

// serve has it serve until stop is called, and says why it ended.
func (w *sharedNode) serve(f *node.Follower) (url string, stop func(), ended <-chan error) {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(w.t, err)
	ctx, stop := context.WithCancel(w.t.Context())
	over := make(chan error, 1)
	go func() { over <- f.Serve(ctx, l, server.Config{}) }()
	return "http://" + l.Addr().String(), stop, over
}

// catchUp has who serves catch up, until it has replayed behind the snapshot that it began with.
func catchUp(t *testing.T, f *node.Follower) {
	t.Helper()
	for begun := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		err := f.CatchUp(t.Context())
		if err == nil {
			return
		} else if !errors.Is(err, node.ErrUnreplayed) || time.Since(begun) > 30*time.Second {
			t.Fatal(err)
		}
	}
}

func dump(t *testing.T, r *register.Register) string {
	t.Helper()
	var b bytes.Buffer
	check(t, r.Dump(&b))
	return b.String()
}

func (w *sharedNode) wantSameRegister(n *node.Node) {
	w.t.Helper()
	if dump(w.t, n.Register) != dump(w.t, w.writer.Register) {
		w.t.Error("its register has other rows than the writer's")
	}
}

// take takes the store for who stands by.
func (w *sharedNode) take(ctx context.Context) error {
	epoch, err := w.taken.Epoch(ctx)
	check(w.t, err)
	return w.taken.TakeAfter(ctx, epoch)
}

// Who stands by with an empty register begins with a snapshot and follows from there. It takes nothing
// before the log was replayed behind it, however often it is started anew.
func TestStandbyBeginsWithSnapshot(t *testing.T) {
	w := newSharedNode(t)
	w.makeSnapshot(false)
	w.admit(w.world.Provider("acme-cloud"))
	files, said := vfs.NewMem(), new(bytes.Buffer)
	for range 2 {
		f := w.follow(files, said)
		if err := f.CatchUp(t.Context()); !errors.Is(err, node.ErrUnreplayed) || f.Published().Checkpoint().Size != 3 {
			t.Fatalf("it begins with a snapshot: %v\n%s", err, said)
		}
		if strings.Contains(said.String(), "from=0") {
			t.Errorf("it replays from the first entry:\n%s", said)
		}
		before, err := w.store().Epoch(t.Context())
		check(t, err)
		if n, err := f.Open(t.Context(), func(context.Context) error { t.Error("it takes the store"); return nil }); n != nil || !errors.Is(err, node.ErrUnreplayed) {
			t.Errorf("it writes: %v", err)
		}
		if after, err := w.store().Epoch(t.Context()); err != nil || after != before {
			t.Errorf("epoch %d after %d, %v", after, before, err)
		}
		check(t, f.Close())
	}
	f := w.follow(files, said)
	url, stop, ended := w.serve(f)
	catchUp(t, f)
	res, err := http.Get(url + "/v1/register/parties/acme-cloud")
	check(t, err)
	if res.Body.Close(); res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Docket-Replica"), "size=3, lag=0") {
		t.Errorf("it answers %s %v", res.Status, res.Header)
	}
	stop()
	check(t, <-ended)
	if _, err := files.Stat("standby/begun"); err == nil {
		t.Error("the snapshot is there still")
	}
	n, err := f.Open(t.Context(), w.take)
	check(t, err)
	w.wantSameRegister(n)
	check(t, errors.Join(f.Close(), n.Close()))
}

// A snapshot with a row that no entry makes ends it. What was replayed is the register from then on.
func TestStandbyBeginsWithWrongSnapshot(t *testing.T) {
	w := newSharedNode(t)
	w.makeSnapshot(true)
	files, said := vfs.NewMem(), new(bytes.Buffer)
	f := w.follow(files, said)
	_, _, ended := w.serve(f)
	if err := f.CatchUp(t.Context()); !errors.Is(err, node.ErrUnreplayed) {
		t.Fatal(err)
	}
	if err := <-ended; !errors.As(err, new(*client.SnapshotError)) {
		t.Errorf("it ended with %v", err)
	}
	if err := f.CatchUp(t.Context()); !errors.Is(err, node.ErrUnreplayed) {
		t.Errorf("after a wrong snapshot: %v", err)
	}
	check(t, f.Close())
	said.Reset()
	f = w.follow(files, said)
	check(t, f.CatchUp(t.Context()))
	if strings.Contains(said.String(), "snapshot") || strings.Contains(said.String(), "from=0") {
		t.Errorf("the next start:\n%s", said)
	}
	n, err := f.Open(t.Context(), w.take)
	check(t, err)
	w.wantSameRegister(n)
	check(t, errors.Join(f.Close(), n.Close()))
}

// Who opens the directory to write, without standing by, does so with a register that it has replayed.
func TestWriterOfAnUnreplayedRegister(t *testing.T) {
	w := newSharedNode(t)
	w.makeSnapshot(true)
	files, said := vfs.NewMem(), new(bytes.Buffer)
	f := w.follow(files, said)
	if err := f.CatchUp(t.Context()); !errors.Is(err, node.ErrUnreplayed) {
		t.Fatal(err)
	}
	check(t, f.Close())
	n, err := node.Open(t.Context(), node.Config{Files: files, Dir: "standby", Keys: w.keys, Store: w.store()})
	check(t, err)
	w.wantSameRegister(n)
	if _, err := files.Stat("standby/begun"); err == nil {
		t.Error("the snapshot is there still")
	}
	check(t, n.Close())
}

// Who stands by with an auditor's key that is somebody else's says so while there is time, and not once it
// has taken the store.
func TestStandbyOfOtherRole(t *testing.T) {
	w := newSharedNode(t)
	k, err := proof.NewCosigner("vigil.example", w.world.Signer("root/root-1").Key().Public().(ed25519.PublicKey), nil)
	check(t, err)
	f := w.follow(vfs.NewMem(), new(bytes.Buffer), auditors.Named{Key: k.Key()})
	if err := f.CatchUp(t.Context()); !errors.Is(err, auditors.ErrOtherRole) || f.Published().Checkpoint().Size != 2 {
		t.Errorf("an auditor with a root key: %v", err)
	}
	check(t, f.Close())
}

// failing is a disk that refuses some calls.
type failing struct {
	vfs.FS
	makeDir, removeAll string       // of which directory
	left               atomic.Int32 // how often yet
}

var errRefused = errors.New("the disk refuses it")

func (f *failing) MkdirAll(dir string, perm os.FileMode) error {
	if dir == f.makeDir && f.left.Add(-1) >= 0 {
		return errRefused
	}
	return f.FS.MkdirAll(dir, perm)
}

func (f *failing) RemoveAll(name string) error {
	if name == f.removeAll && f.left.Add(-1) >= 0 {
		return errRefused
	}
	return f.FS.RemoveAll(name)
}

// Where the register of a snapshot cannot be replaced it stays known for what it is.
func TestUnreplayedRegisterThatStays(t *testing.T) {
	w := newSharedNode(t)
	w.makeSnapshot(true)
	files, said := &failing{FS: vfs.NewMem(), makeDir: "standby/register/3"}, new(bytes.Buffer)
	f := w.follow(files, said)
	if err := f.CatchUp(t.Context()); !errors.Is(err, node.ErrUnreplayed) {
		t.Fatal(err)
	}
	check(t, f.Close())
	files.left.Store(1)
	c := node.Config{Files: files, Dir: "standby", Keys: w.keys, Store: w.store()}
	if _, err := node.Open(t.Context(), c); !errors.Is(err, errRefused) {
		t.Errorf("without room for another register: %v", err)
	}
	n, err := node.Open(t.Context(), c)
	check(t, err)
	if got := dump(t, n.Register); got != dump(t, w.writer.Register) {
		t.Error("it writes by rows that nobody has replayed")
	}
	check(t, n.Close())
}

// What a replay leaves beside the register is removed once the disk lets it.
func TestReplayedDirectoryThatStays(t *testing.T) {
	w := newSharedNode(t)
	w.makeSnapshot(false)
	files, said := &failing{FS: vfs.NewMem(), removeAll: "standby/begun"}, new(bytes.Buffer)
	f := w.follow(files, said)
	if err := f.CatchUp(t.Context()); !errors.Is(err, node.ErrUnreplayed) {
		t.Fatal(err)
	}
	files.left.Store(1)
	_, stop, ended := w.serve(f)
	for begun := time.Now(); time.Since(begun) < 30*time.Second; time.Sleep(10 * time.Millisecond) {
		if _, err := files.Stat("standby/begun"); err != nil {
			break
		}
	}
	stop()
	check(t, <-ended)
	check(t, f.CatchUp(t.Context()))
	if _, err := files.Stat("standby/begun"); err == nil {
		t.Error("it is there still")
	}
	check(t, f.Close())
}

// What was fetched of a snapshot before it was told to end, the next start goes on with.
func TestStandbyGoesOnFetching(t *testing.T) {
	w := newSharedNode(t)
	w.makeSnapshot(false)
	w.admit(w.world.Provider("acme-cloud"))
	s, err := server.New(server.Config{Ledger: w.writer.Ledger, Register: w.writer.Register, Snapshots: w.snapshots})
	check(t, err)
	ctx, end := context.WithCancel(t.Context())
	w.Handle("writer.example", http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/snapshot/") {
			end()
			<-r.Context().Done()
			return
		}
		s.Handler().ServeHTTP(rw, r)
	}))
	files, said := vfs.NewMem(), new(bytes.Buffer)
	f := w.follow(files, said)
	if err := f.CatchUp(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("told to end: %v", err)
	}
	check(t, f.Close())
	w.Handle("writer.example", s.Handler())
	f = w.follow(files, said)
	if _, err := files.Stat("standby/begun/register/snapshot"); err != nil {
		t.Errorf("what was fetched: %v", err)
	}
	if err := f.CatchUp(t.Context()); !errors.Is(err, node.ErrUnreplayed) {
		t.Errorf("the next start: %v\n%s", err, said)
	}
	check(t, f.Close())
}

// Without the key of who signed the snapshot, as of a node that is trusted no longer, nothing of it is left:
// what it says wrong is in no register that one writes by.
func TestStandbyWithoutTheKeyOfItsSnapshot(t *testing.T) {
	w := newSharedNode(t)
	w.makeSnapshot(true)
	files, said := vfs.NewMem(), new(bytes.Buffer)
	f := w.follow(files, said)
	if err := f.CatchUp(t.Context()); !errors.Is(err, node.ErrUnreplayed) {
		t.Fatal(err)
	}
	check(t, f.Close())
	w.trusted = nil
	f = w.follow(files, said)
	check(t, f.CatchUp(t.Context()))
	n, err := f.Open(t.Context(), w.take)
	check(t, err)
	w.wantSameRegister(n)
	check(t, errors.Join(f.Close(), n.Close()))
}

// Who is killed once the log was replayed behind the snapshot, before all of it is cleared away, goes on with
// the register that it has.
func TestStandbyKilledWhileItsSnapshotGoes(t *testing.T) {
	w := newSharedNode(t)
	w.makeSnapshot(false)
	files, said := vfs.NewMem(), new(bytes.Buffer)
	f := w.follow(files, said)
	if err := f.CatchUp(t.Context()); !errors.Is(err, node.ErrUnreplayed) {
		t.Fatal(err)
	}
	check(t, errors.Join(f.Close(), files.Remove("standby/begun/snapshot.note")))
	said.Reset()
	f = w.follow(files, said)
	check(t, f.CatchUp(t.Context()))
	if strings.Contains(said.String(), "snapshot") || strings.Contains(said.String(), "from=0") {
		t.Errorf("the next start:\n%s", said)
	}
	if _, err := files.Stat("standby/begun"); err == nil {
		t.Error("what is left of the snapshot is there still")
	}
	check(t, f.Close())
}

// Who stands by says whether it answers, and could write: not before it has caught up, not while it takes the
// writer's place, again where that came to nothing, and on with what it has while the store is away.
func TestStandbySaysHowItStands(t *testing.T) {
	w := newSharedNode(t)
	w.makeSnapshot(false)
	f := w.follow(vfs.NewMem(), new(bytes.Buffer))
	url, stop, ended := w.serve(f)
	asked := func(what string, status int, words ...string) {
		t.Helper()
		res, err := http.Get(url + "/readyz")
		check(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		check(t, err)
		for _, one := range words {
			if !strings.Contains(string(text), one) {
				t.Errorf("%s: %s, want %q in it", what, text, one)
			}
		}
		if res.StatusCode != status {
			t.Errorf("%s: %s %s", what, res.Status, text)
		}
	}
	asked("at first", http.StatusServiceUnavailable, "answers once it has caught up", "at http://writer.example", `"able":false`)
	catchUp(t, f)
	asked("once it has replayed", http.StatusOK, `"able":true`, `"lag":0`)
	none := errors.New("no quorum of witnesses")
	if n, err := f.Open(t.Context(), func(context.Context) error {
		asked("while it takes over", http.StatusServiceUnavailable, "takes the place", "at http://writer.example")
		return none
	}); n != nil || !errors.Is(err, none) {
		t.Errorf("it opens: %v", err)
	}
	asked("after it came to nothing", http.StatusOK, `"able":true`)
	ctx, cancel := context.WithCancel(t.Context())
	w.link.Set(func(objectstoretest.Request) objectstoretest.Fault { cancel(); return objectstoretest.Hang })
	if err := f.CatchUp(ctx); err == nil {
		t.Error("it caught up with a store that is away")
	}
	asked("without its store", http.StatusOK, `"away":`)
	w.link.Set(nil)
	catchUp(t, f)
	stop()
	check(t, errors.Join(<-ended, f.Close()))
}
