package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

// newLogKey is another key of the log's name.
func newLogKey(t *testing.T) *proof.Signer {
	t.Helper()
	skey, _, err := proof.GenerateKey(proof.Ed25519, origin)
	must(t, err)
	s, err := proof.ParseSigner(skey)
	must(t, err)
	return s
}

// runAudit audits a source in a memory of its own.
func runAudit(t *testing.T, a Audit) *AuditReport {
	t.Helper()
	a.RegisterFiles, a.RegisterDir = vfs.NewMem(), "audit"
	r, err := a.Run(t.Context())
	must(t, err)
	return r
}

// wantFinding fails unless there is exactly one finding and it says so.
func wantFinding(t *testing.T, r *AuditReport, want string) {
	t.Helper()
	if len(r.Findings) != 1 || !strings.Contains(r.Findings[0], want) {
		t.Errorf("findings %q, want one that says %q", r.Findings, want)
	}
}

// An honest ledger has no finding, from the server and from a copy; every
// signature in it was verified.
func TestAuditHonest(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	w.growTo(1400)
	files := vfs.NewMem()
	trust := w.trust(files, "trust")
	must(t, trust.Sync(t.Context(), w.client(), nil))
	for name, source := range map[string]Source{"server": w.client().Source(), "copy": Directory(files, "trust")} {
		t.Run(name, func(t *testing.T) {
			var reached uint64
			r := runAudit(t, Audit{Source: source, Charter: w.Ledger, Trusted: trust.Checkpoint(), OnProgress: func(n, _ uint64) { reached = n }})
			if len(r.Findings) > 0 || r.Ledger != w.Ledger || r.Checked != 1400 || reached != 1400 || r.Published == nil {
				t.Errorf("%+v, progress to %d", r, reached)
			}
			if r.Tree != w.ledger.Published().Checkpoint().Tree() {
				t.Errorf("tree %v", r.Tree)
			}
			if want := uint64(3 + 6 + 4 + 1397); r.Signatures != want {
				t.Errorf("%d signatures, want %d", r.Signatures, want)
			}
		})
	}
	r := runAudit(t, Audit{Source: w.client().Source()})
	if len(r.Findings) > 0 || !strings.Contains(strings.Join(r.Notes, "\n"), "no charter was pinned") {
		t.Errorf("without a pin: %+v", r)
	}
	wantFinding(t, runAudit(t, Audit{Source: w.client().Source(), Charter: record.ID{1}}), "pinned is 0100")
}

// A log that continues another history than was trusted, or has gone back.
func TestAuditAgainstTrusted(t *testing.T) {
	ours, theirs := newWorld(t), newWorld(t)
	ours.growTo(300)
	theirs.growTo(400)
	r := runAudit(t, Audit{Source: theirs.client().Source(), Charter: ours.Ledger, Trusted: ours.ledger.Published()})
	wantFinding(t, r, "fork: at size 300")
	e, err := proof.ParseEvidence(r.Fork.Evidence)
	must(t, err)
	if _, err := e.Verify(logKey().Key()); err != nil {
		t.Errorf("the evidence: %v", err)
	}
	r = runAudit(t, Audit{Source: ours.client().Source(), Charter: ours.Ledger, Trusted: theirs.ledger.Published()})
	wantFinding(t, r, "rollback")
	if r.Fork == nil || r.Fork.Evidence != nil || r.Fork.ShownNote == nil {
		t.Errorf("a rollback without the larger tree's tiles: %+v", r.Fork)
	}
	files := vfs.NewMem()
	trust := theirs.trust(files, "trust")
	must(t, trust.Sync(t.Context(), theirs.client(), nil))
	r = runAudit(t, Audit{Source: ours.client().Source(), Charter: ours.Ledger, Trusted: trust.Checkpoint(), TrustedTiles: Directory(files, "trust").Tiles})
	wantFinding(t, r, "rollback")
	e, err = proof.ParseEvidence(r.Fork.Evidence)
	must(t, err)
	if _, err := e.Verify(logKey().Key()); err != nil {
		t.Errorf("the evidence of a rollback to another history: %v", err)
	}
}

// resignedSource is a log whose checkpoint other keys sign than those of its first charter.
type resignedSource struct {
	Source
	note []byte
}

func (s resignedSource) Checkpoint(context.Context) ([]byte, error) { return s.note, nil }

// What was trusted was signed by a log key that has retired since; what is shown now, by
// its successor alone. It is a fork all the same, proven by both keys.
func TestAuditForkAfterRotation(t *testing.T) {
	b := importedBook(t)
	other := slices.Clone(b.Entries)
	other[2].Admitted = other[2].Admitted.Add(time.Millisecond)
	note, err := sourceOf(t, other).Checkpoint(t.Context())
	must(t, err)
	policy, err := proof.ParsePolicy([]byte(b.CharterPredicate.Policy))
	must(t, err)
	trusted, err := policy.Verify(note, time.Now())
	must(t, err)

	next := newLogKey(t)
	b.CharterPredicate.Policy = "log " + next.Key().String() + "\nquorum none\n"
	b.Must(b.Charter())
	source := sourceOf(t, b.Entries)
	note, err = source.Checkpoint(t.Context())
	must(t, err)
	cp, _, err := proof.ParseCheckpoint(note)
	must(t, err)
	signed, err := proof.SignCheckpoint(cp, next)
	must(t, err)
	r := runAudit(t, Audit{Source: resignedSource{source, signed.Note()}, Charter: b.Ledger, Trusted: trusted})
	wantFinding(t, r, "fork: at size 3")
	if r.Fork == nil {
		t.Fatal("nothing is kept of it")
	}
	e, err := proof.ParseEvidence(r.Fork.Evidence)
	must(t, err)
	if _, err := e.Verify(logKey().Key(), next.Key()); err != nil {
		t.Errorf("the evidence: %v", err)
	}

	// By the charter of somebody else's ledger, another key convicts nobody.
	r = runAudit(t, Audit{Source: resignedSource{source, signed.Note()}, Charter: record.ID{1}, Trusted: trusted})
	if r.Fork != nil || len(r.Findings) != 2 {
		t.Errorf("another charter: %q, %+v", r.Findings, r.Fork)
	}
}

// A server whose tiles are not what its entries make gives wrong proofs; an audit
// says which tile. A lost connection is no finding.
func TestAuditWrongTile(t *testing.T) {
	w := newWorld(t)
	w.growTo(600)
	for _, tile := range []string{"/tile/0/001", "/tile/0/002.p/88", "/tile/1/000.p/2"} {
		w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
			if r.URL.Path == tile {
				answer[5] ^= 1
			}
			return answer
		}
		wantFinding(t, runAudit(t, Audit{Source: w.client().Source(), Charter: w.Ledger}), "is not what the entries make")
		w.net.rewriteResponse = nil
		w.net.respond = func(r *http.Request) *http.Response {
			if r.URL.Path == tile {
				return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Header: http.Header{}}
			}
			return nil
		}
		wantFinding(t, runAudit(t, Audit{Source: w.client().Source(), Charter: w.Ledger}), "tiles below")
		w.net.respond = nil
	}
	w.net.fail = func(r *http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/tile/0/") {
			return errLost
		}
		return nil
	}
	a := Audit{Source: w.client().Source(), Charter: w.Ledger, RegisterFiles: vfs.NewMem(), RegisterDir: "audit"}
	var gone *wire.UnreachableError
	if _, err := a.Run(t.Context()); !errors.As(err, &gone) {
		t.Errorf("a lost connection: %v", err)
	}
}

// A size that the log did not sign is not fetched by, however large it is: the server
// is asked for what shows who signs, and for nothing else.
func TestAuditUnsignedSize(t *testing.T) {
	w := newWorld(t)
	w.growTo(300)
	stranger := newLogKey(t)
	note, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: 1 << 60, Root: proof.Hash{1}}, stranger)
	must(t, err)
	first := w.net.handler
	for name, source := range map[string]func() Source{
		"server": func() Source { return w.client().Source() },
		"tiles alone": func() Source { // of a mirror that makes up the rest as it is asked for
			w.net.respond = func(r *http.Request) *http.Response {
				if strings.HasPrefix(r.URL.Path, "/v1/") {
					return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Header: http.Header{}}
				}
				if after, ok := strings.CutPrefix(r.URL.Path, "/tile/entries/"); ok && after != "000" {
					r.URL.Path = "/tile/entries/000"
				}
				return nil
			}
			return w.client().Source()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w.net.handler = first
			w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
				if r.URL.Path == "/checkpoint" {
					return note.Note()
				}
				return answer
			}
			w.net.bundles()
			var told []string
			r := runAudit(t, Audit{Source: source(), Charter: w.Ledger, OnFinding: func(f string) { told = append(told, f) }})
			if !slices.Equal(told, r.Findings) || !strings.Contains(told[len(told)-1], "fetched") {
				t.Errorf("findings %q, told %q", r.Findings, told)
			}
			if n := len(w.net.bundles()); n > 40 {
				t.Errorf("%d bundles were fetched by a size that nobody signed", n)
			}
		})
	}
}

// The log's keys of today may be named by a later charter alone: an audit finds it in
// the chain of charters, and where only tiles are handed on, among the entries.
func TestAuditAfterRotation(t *testing.T) {
	b := importedBook(t)
	next := newLogKey(t)
	b.CharterPredicate.Policy = "log " + next.Key().String() + "\nquorum none\n"
	b.Must(b.Charter())
	st := b.Statement("designation/2026-014", record.Authority, b.NewDesignation("Kestrel Hosting"))
	source := sourceOf(t, append(slices.Clone(b.Entries), admitUnchecked(t, b, b.Sign(st, "authority/officer-1"))))
	note, err := source.Checkpoint(t.Context())
	must(t, err)
	cp, _, err := proof.ParseCheckpoint(note)
	must(t, err)
	signed, err := proof.SignCheckpoint(cp, next)
	must(t, err)
	r := runAudit(t, Audit{Source: resignedSource{source, signed.Note()}, Charter: b.Ledger})
	wantFinding(t, r, "entry 4 must not be in this ledger: 2 officers needed, 1 signed (officer-1); the 0 entries after it were hashed")
	if r.Tree.Size != 5 {
		t.Errorf("hashed %d entries", r.Tree.Size)
	}
	stranger := newLogKey(t)
	signed, err = proof.SignCheckpoint(cp, stranger)
	must(t, err)
	r = runAudit(t, Audit{Source: resignedSource{source, signed.Note()}, Charter: b.Ledger})
	wantFinding(t, r, "were not fetched, since no charter before it names a key that signed the checkpoint")
}

// What a mirror altered is not the log's fault, and no fork of what was trusted: an
// audit says whose it is.
func TestAuditSpoiltMirror(t *testing.T) {
	w := newWorld(t)
	w.growTo(600)
	trusted := w.ledger.Published()
	w.growTo(900)
	w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
		if r.URL.Path == "/tile/entries/001" {
			at := bytes.Index(answer, []byte(`{"admitted":"`)) + len(`{"admitted":"2026-11-26T10:00:00.00`)
			answer[at] = '0' + (answer[at]-'0'+1)%10
		}
		return answer
	}
	r := runAudit(t, Audit{Source: w.client().Source(), Charter: w.Ledger, Trusted: trusted})
	if r.Fork != nil || !slices.ContainsFunc(r.Findings, func(f string) bool {
		return strings.Contains(f, "what the source hands out is not what the log signed")
	}) || slices.ContainsFunc(r.Findings, func(f string) bool { return strings.Contains(f, "fork") || strings.Contains(f, "must not be") }) {
		t.Errorf("findings %q, fork %v", r.Findings, r.Fork)
	}
}

// A mirror that spoils a file in another way has another fault each time it is read: a
// finding against it as well, and no end of the audit.
func TestAuditFickleMirror(t *testing.T) {
	w := newWorld(t)
	w.growTo(40)
	reads := 0
	w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
		if strings.HasPrefix(r.URL.Path, "/tile/entries/") {
			reads++
			answer[len(answer)/(1+reads)] ^= 1 // an earlier entry than before
		}
		return answer
	}
	r := runAudit(t, Audit{Source: w.client().Source(), Charter: w.Ledger, Trusted: w.ledger.Published()})
	if !slices.ContainsFunc(r.Findings, func(f string) bool {
		return strings.Contains(f, "the source does not hand out the same twice")
	}) || r.SourceFindings != len(r.Findings) || r.Fork != nil {
		t.Errorf("findings %q, of the source %d, fork %v", r.Findings, r.SourceFindings, r.Fork)
	}
}

// Entries that must not be in a ledger: the audit names the first, and hashes on.
func TestAuditForeignEntry(t *testing.T) {
	honest := func(b *registertest.Fixture) []record.Entry { return b.Entries }
	for _, c := range []struct {
		name    string
		entries func(b *registertest.Fixture) []record.Entry
		want    string
	}{
		{"nothing", honest, ""},
		{"a designation with one officer's signature", func(b *registertest.Fixture) []record.Entry {
			st := b.Statement("designation/2026-014", record.Authority, b.NewDesignation("Kestrel Hosting"))
			return append(b.Entries, admitUnchecked(t, b, b.Sign(st, "authority/officer-1")))
		}, "entry 3 must not be in this ledger: 2 officers needed"},
		{"a provider who answers for another", func(b *registertest.Fixture) []record.Entry {
			b.Must(b.Designate("2026-014", b.NewDesignation("Kestrel Hosting")))
			st := b.Statement("response/2026-014/acme-cloud", "acme-cloud", &record.Response{Status: "acknowledged"})
			return append(b.Entries, admitUnchecked(t, b, b.Sign(st, "root/root-1")))
		}, "entry 4 must not be in this ledger"},
		{"a time that goes back", func(b *registertest.Fixture) []record.Entry {
			b.Must(b.Designate("2026-014", b.NewDesignation("Kestrel Hosting")))
			b.Entries[3].Admitted = b.Entries[2].Admitted.Add(-time.Second)
			return b.Entries
		}, "entry 3 must not be in this ledger"},
		{"a signature that nobody made", func(b *registertest.Fixture) []record.Entry {
			b.Must(b.Designate("2026-014", b.NewDesignation("Kestrel Hosting")))
			b.Entries[3].Envelope.Signatures[0].Sig[7] ^= 1
			return b.Entries
		}, "entry 3 must not be in this ledger"},
		{"the same record twice", func(b *registertest.Fixture) []record.Entry {
			e := b.Must(b.Designate("2026-014", b.NewDesignation("Kestrel Hosting")))
			return append(b.Entries, e)
		}, "entry 4 must not be in this ledger"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := importedBook(t)
			entries := c.entries(b)
			r := runAudit(t, Audit{Source: sourceOf(t, entries), Charter: b.Ledger})
			if r.Tree.Size != uint64(len(entries)) || r.Published == nil || r.Published.Checkpoint().Tree() != r.Tree {
				t.Errorf("hashed %v", r.Tree)
			}
			if c.want == "" {
				if len(r.Findings) > 0 || r.Checked != 3 {
					t.Errorf("%+v", r)
				}
				return
			}
			wantFinding(t, r, c.want)
		})
	}
}

// importedBook is a register with a log's policy in its charter, and acme-cloud.
func importedBook(t *testing.T) *registertest.Fixture {
	t.Helper()
	b := &registertest.Fixture{World: registertest.New(worldStart, origin, "log "+logKey().Key().String()+"\nquorum none\n")}
	full := registertest.NewFixture(worldStart)
	must(t, full.Register.Reset())
	b.Register = full.Register
	t.Cleanup(func() { b.Register.Close() })
	b.Must(b.Charter())
	b.Must(b.Authority())
	b.Must(b.Provider("acme-cloud"))
	return b
}

// admitUnchecked makes the entry of a record that no register admits, as a ledger would
// that does not judge.
func admitUnchecked(t *testing.T, b *registertest.Fixture, env record.Envelope) record.Entry {
	t.Helper()
	keys := func(*record.Statement) (all []*record.Key) {
		for _, name := range []string{"authority/officer-1", "root/root-1"} {
			all = append(all, b.Signer(name).Key())
		}
		return all
	}
	v, err := record.Open(env, keys)
	must(t, err)
	e, err := v.Entry(b.Now, func(*record.Key) bool { return true })
	must(t, err)
	return e
}

// sourceOf is a log of these entries, signed by the log's own key, in the layout
// of C2SP tlog-tiles.
func sourceOf(t *testing.T, entries []record.Entry) Source {
	t.Helper()
	dir := NewTileDir(vfs.NewMem(), "log")
	r := &entryRun{}
	grown := proof.NewAppender()
	var lines [][]byte
	for _, e := range entries {
		lines = append(lines, e.Marshal())
		must(t, grown.Append(proof.LeafHash(lines[len(lines)-1])))
	}
	for id := range proof.EntryBundles(0, uint64(len(lines))) {
		r.bundles = append(r.bundles, bundle{id, lines[id.Index*proof.TileWidth:][:id.Width]})
	}
	r.tiles = grown.TakeTiles()
	must(t, dir.writeRun(r))
	head, err := grown.Tree()
	must(t, err)
	note, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: head.Size, Root: head.Root}, logKey())
	must(t, err)
	must(t, disk.WriteFile(dir.files, dir.path(checkpointFile), note.Note(), 0o644, disk.SyncNow))
	return directory{dir}
}

// A checkpoint that nobody of the policy signed, or of another root.
func TestAuditWrongCheckpoint(t *testing.T) {
	w := newWorld(t)
	stranger := newLogKey(t)
	cp := w.ledger.Published().Checkpoint()
	other := cp
	other.Root[0] ^= 1
	for _, c := range []struct {
		cp     proof.Checkpoint
		signer *proof.Signer
		want   string
	}{
		{cp, stranger, "the checkpoint of size 2"},
		{other, logKey(), "the checkpoint says"},
	} {
		note, err := proof.SignCheckpoint(c.cp, c.signer)
		must(t, err)
		w.net.rewriteResponse = func(r *http.Request, answer []byte) []byte {
			if r.URL.Path == "/checkpoint" {
				return note.Note()
			}
			return answer
		}
		wantFinding(t, runAudit(t, Audit{Source: w.client().Source(), Charter: w.Ledger}), c.want)
	}
}

// A mirror that shows what was the newest once is behind, and no finding.
func TestAuditBehind(t *testing.T) {
	w := newWorld(t)
	w.growTo(300)
	files := vfs.NewMem()
	mirror := w.trust(files, "mirror")
	must(t, mirror.Sync(t.Context(), w.client(), nil))
	w.growTo(400)
	trust := w.trust(files, "trust")
	must(t, trust.Sync(t.Context(), w.client(), nil))
	r := runAudit(t, Audit{Source: Directory(files, "mirror"), Charter: w.Ledger, Trusted: trust.Checkpoint(), TrustedTiles: Directory(files, "trust").Tiles})
	if len(r.Findings) > 0 || r.Behind == nil || r.Behind.Shown.Size != 300 || r.Fork != nil {
		t.Errorf("%+v", r)
	}
}

// What a source hands out wrong of tiles or of kept checkpoints is its own fault: no log
// signed that, whoever audits it.
func TestAuditFaultsOfSource(t *testing.T) {
	w := newWorld(t)
	w.growTo(300)
	r := runAudit(t, Audit{Source: spoiltTilesSource{w.client().Source()}, Charter: w.Ledger})
	wantFinding(t, r, "is not what the entries make")
	if r.SourceFindings != 1 || r.Fork != nil {
		t.Errorf("%+v", r)
	}
	synctest.Test(t, func(t *testing.T) {
		source, ledger := forgedClock(t, [4]time.Duration{})
		r := runAudit(t, Audit{Source: garbledSource{source}, Charter: ledger})
		if r.SourceFindings == 0 || r.SourceFindings != len(r.Findings) || r.Fork != nil {
			t.Errorf("%d of the findings %q are the source's", r.SourceFindings, r.Findings)
		}
	})
}

// spoiltTilesSource alters the first tile.
type spoiltTilesSource struct{ Source }

func (s spoiltTilesSource) Tiles(ctx context.Context, ids []proof.TileID) ([][]byte, error) {
	tiles, err := s.Source.Tiles(ctx, ids)
	for i, id := range ids {
		if err == nil && id.Level == 0 && id.Index == 0 {
			tiles[i] = slices.Clone(tiles[i])
			tiles[i][0] ^= 1
		}
	}
	return tiles, err
}

// garbledSource keeps checkpoints that are none.
type garbledSource struct{ *archiveSource }

func (garbledSource) CheckpointAt(context.Context, time.Time) ([]byte, error) {
	return []byte("no checkpoint"), nil
}

// archiveSource is a log that keeps the checkpoints that it published.
type archiveSource struct {
	Source
	archived []*proof.Published                                                    // oldest first
	cosign   func(cp proof.Checkpoint, others ...proof.Signature) *proof.Published // by the third witness beside others, if there are any
	asked    atomic.Int64                                                          // an audit asks from several goroutines
}

func (s *archiveSource) CheckpointAt(_ context.Context, t time.Time) ([]byte, error) {
	s.asked.Add(1)
	var note []byte
	for _, p := range s.archived {
		if !p.ExistedBy().After(t) {
			note = p.Note()
		}
	}
	if note == nil {
		return nil, errNotArchived
	}
	return note, nil
}

func (s *archiveSource) Checkpoint(context.Context) ([]byte, error) {
	return s.archived[len(s.archived)-1].Note(), nil
}

// A ledger whose clock is forged is caught by the times of the checkpoints that it
// published meanwhile, whichever way it lies; a clock that is a little off is not.
func TestAuditTimes(t *testing.T) {
	const real = 0 * time.Second
	for _, c := range []struct {
		name   string
		offset [4]time.Duration // of the ledger's clock, at each of four designations an hour and a half apart
		want   []string
	}{
		{"true", [4]time.Duration{real, real, real, real}, nil},
		{"a little behind", [4]time.Duration{real, real, -50 * time.Minute, real}, nil},
		{"a little ahead", [4]time.Duration{real, real, 4 * time.Minute, real}, nil},
		{"set back", [4]time.Duration{real, real, -80 * time.Minute, real}, []string{"entry 5: its admission time 2000-01-01T03:40:00Z is more than 1 h before a quorum cosigned the checkpoint of size 5, which does not hold it, at 2000-01-01T04:50:00Z"}},
		{"set ahead", [4]time.Duration{real, 30 * time.Minute, real, real}, []string{"entry 4: its admission time 2000-01-01T04:00:00Z is after a quorum cosigned the checkpoint of size 5, which holds it, at 2000-01-01T03:30:00Z"}},
		{"back for long", [4]time.Duration{real, real, -80 * time.Minute, -160 * time.Minute}, []string{"entry 5", "entry 6"}},
		{"ahead at the end", [4]time.Duration{real, real, real, time.Hour}, []string{"entry 6: its admission time 2000-01-01T07:30:00Z is after"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, ledger := forgedClock(t, c.offset)
				r := runAudit(t, Audit{Source: source, Charter: ledger})
				if len(r.Findings) != len(c.want) {
					t.Fatalf("findings %q, want %d", r.Findings, len(c.want))
				}
				for i, want := range c.want {
					if !strings.Contains(r.Findings[i], want) {
						t.Errorf("finding %q, want …%s…", r.Findings[i], want)
					}
				}
				if r.Archived < len(source.archived)-1 || source.asked.Load() > int64(3*len(source.archived)+parallelWalks) {
					t.Errorf("compared %d kept checkpoints of %d, asking %d times", r.Archived, len(source.archived), source.asked.Load())
				}
			})
		})
	}
}

// forgedClock is a log of three records at midnight and four designations, one every
// 90 minutes from 2 o'clock, each admitted by a clock that is off by so much. Two of
// three witnesses, whose clocks are right, cosign after each, and again 80 minutes later;
// the third is out of the ledger's reach.
func forgedClock(t *testing.T, offset [4]time.Duration) (*archiveSource, record.ID) {
	t.Helper()
	text := "log " + logKey().Key().String() + "\n"
	var cosigners []*proof.Cosigner
	for i := range 3 {
		skey, _, err := proof.GenerateKey(proof.CosignatureEd25519, fmt.Sprintf("w%d.example", i))
		must(t, err)
		c, err := proof.ParseCosigner(skey)
		must(t, err)
		cosigners = append(cosigners, c)
		text += fmt.Sprintf("witness w%d %s\n", i, c.Key())
	}
	text += "group two 2 w0 w1 w2\nquorum two\n"
	policy, err := proof.ParsePolicy([]byte(text))
	must(t, err)
	b := &registertest.Fixture{World: registertest.New(time.Now(), origin, text)}
	full := registertest.NewFixture(time.Now())
	must(t, full.Register.Reset())
	b.Register = full.Register
	defer b.Register.Close()
	b.Must(b.Charter())
	b.Must(b.Authority())
	b.Must(b.Provider("acme-cloud"))
	source := &archiveSource{}
	source.cosign = func(cp proof.Checkpoint, others ...proof.Signature) *proof.Published {
		t.Helper()
		signed, err := proof.SignCheckpoint(cp, logKey())
		must(t, err)
		_, sigs, err := proof.ParseCheckpoint(signed.Note())
		must(t, err)
		by := cosigners[:2]
		if len(others) > 0 {
			sigs, by = append(sigs, others...), cosigners[2:]
		}
		for _, c := range by {
			sig, err := c.Cosign(cp)
			must(t, err)
			sigs = append(sigs, sig)
		}
		note, err := proof.FormatNote(cp, sigs...)
		must(t, err)
		p, err := policy.Verify(note, time.Now())
		must(t, err)
		return p
	}
	cosign := func() {
		t.Helper()
		source.Source = sourceOf(t, b.Entries)
		note, err := source.Source.Checkpoint(t.Context())
		must(t, err)
		cp, _, err := proof.ParseCheckpoint(note)
		must(t, err)
		source.archived = append(source.archived, source.cosign(cp))
	}
	cosign()
	time.Sleep(2 * time.Hour)
	for i, off := range offset {
		b.Now = time.Now().Add(off)
		name := fmt.Sprintf("2000-%03d", i)
		b.Must(b.Designate(name, b.NewDesignation("Kestrel Hosting")))
		cosign()
		time.Sleep(80 * time.Minute)
		cosign()
		time.Sleep(10 * time.Minute)
	}
	return source, b.Ledger
}

// sourceWithoutArchive is a server that shows none of the checkpoints it published.
type sourceWithoutArchive struct{ *archiveSource }

func (sourceWithoutArchive) CheckpointAt(context.Context, time.Time) ([]byte, error) {
	return nil, errNotArchived
}

// Where no older checkpoint could be compared, the report says so, and whose doing that
// is: a directory has none, a server was asked and showed none.
func TestAuditNoneKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, ledger := forgedClock(t, [4]time.Duration{})
		for name, c := range map[string]struct {
			source Source
			want   string
			not    string
		}{
			"server":    {sourceWithoutArchive{source}, "the ledger was asked for the checkpoints that it published before, and showed none that holds", "docket audit URL"},
			"directory": {struct{ Source }{source}, "docket audit URL asks the ledger for them", "showed none"},
		} {
			r := runAudit(t, Audit{Source: c.source, Charter: ledger})
			notes := strings.Join(r.Notes, "\n")
			if len(r.Findings) > 0 || r.Archived > 0 || !strings.Contains(notes, c.want) || strings.Contains(notes, c.not) {
				t.Errorf("%s: findings %q, notes %q", name, r.Findings, r.Notes)
			}
		}
	})
}

// A kept checkpoint of another history is a finding, with evidence; so is one of this
// history that was the newest when it had long ceased to be.
func TestAuditKeptFork(t *testing.T) {
	for _, c := range []struct {
		name string
		root byte // of the checkpoint that is kept too much
		want string
	}{{"another history", 1, "the ledger keeps size 4 with root"}, {"the same history", 0, ""}} {
		synctest.Test(t, func(t *testing.T) {
			source, ledger := forgedClock(t, [4]time.Duration{})
			cp := source.archived[1].Checkpoint()
			cp.Root[0] ^= c.root
			source.archived = append(source.archived, source.cosign(cp))
			time.Sleep(time.Second)
			source.archived = append(source.archived, source.cosign(source.archived[len(source.archived)-2].Checkpoint()))
			r := runAudit(t, Audit{Source: source, Charter: ledger})
			if c.want == "" {
				wantFinding(t, r, "entry 4 (and so on to entry 6): its admission time") // cosigned as the newest long after
				return
			}
			wantFinding(t, r, c.want)
			e, err := proof.ParseEvidence(r.Fork.Evidence)
			must(t, err)
			if _, err := e.Verify(logKey().Key()); err != nil {
				t.Errorf("the evidence: %v", err)
			}
		})
	}
}

// A witness that the ledger does not reach may long stand at an old checkpoint, and stamps
// it anew for anybody who asks. Beside another one's cosignature of the time when it was
// the newest that makes a quorum, and accuses nobody: the quorum as a whole has not
// called it the newest since.
func TestAuditLaggingWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, ledger := forgedClock(t, [4]time.Duration{})
		old := source.archived[1]
		_, sigs, err := proof.ParseCheckpoint(old.Note())
		must(t, err)
		others := slices.DeleteFunc(sigs, func(s proof.Signature) bool { return s.Name != "w0.example" })
		source.archived = append(source.archived, source.cosign(old.Checkpoint(), others...))
		time.Sleep(time.Second)
		source.archived = append(source.archived, source.cosign(source.archived[len(source.archived)-2].Checkpoint()))
		if r := runAudit(t, Audit{Source: source, Charter: ledger}); len(r.Findings) > 0 || r.Archived < len(source.archived)-1 {
			t.Errorf("%d kept checkpoints, findings %q", r.Archived, r.Findings)
		}
	})
}
