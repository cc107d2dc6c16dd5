package client

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// auditorKey is a key of an auditor that tells when it signs, and its directory.
func auditorKey(t *testing.T, files vfs.FS, signing func()) *proof.Cosigner {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	key, err := proof.NewCosigner("vigil.example/docket", public, func(message []byte) ([]byte, error) {
		if signing != nil {
			signing()
		}
		return ed25519.Sign(private, message), nil
	})
	must(t, err)
	must(t, CreateAuditor(files, "state", key.Key()))
	return key
}

func openAuditor(t *testing.T, files vfs.FS, key *proof.Cosigner) *Auditor {
	t.Helper()
	a, err := OpenAuditor(files, "state", key)
	must(t, err)
	t.Cleanup(func() { a.Close() })
	return a
}

// audited audits a world for a key.
func (w *world) audited(key *proof.Cosigner) *AuditReport {
	w.t.Helper()
	r, err := Audit{Source: w.client().Source(), Charter: w.Ledger, Cosigner: key.Key(), RegisterFiles: vfs.NewMem(), RegisterDir: "register"}.Run(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// Whatever write fails, what was signed is durable before: after a crash the key cosigns
// nothing less, and goes on where it had signed nothing.
func TestAuditorPersistsBeforeSigning(t *testing.T) {
	w := newWorld(t)
	w.growTo(5)
	files := vfs.NewCrashableMem()
	signed := false
	key := auditorKey(t, files, func() { signed = true })
	small := w.audited(key)
	a, err := OpenAuditor(files, "state", key)
	must(t, err)
	_, err = a.Cosign(t.Context(), small)
	must(t, err)
	must(t, a.Close())
	w.growTo(8)
	large := w.audited(key)
	var failures, refused int
	for at := int64(1); ; at++ {
		now := files.CrashClone(vfs.CrashCloneCfg{})
		var writes atomic.Int64
		broken := errorfs.Wrap(now, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFileClose && writes.Add(1) >= at {
				return syscall.EIO
			}
			return nil
		}))
		a, err := OpenAuditor(now, "state", key)
		must(t, err)
		a.files, signed = broken, false
		_, err = a.Cosign(t.Context(), large)
		must(t, a.Close())
		had := signed
		if writes.Load() < at {
			must(t, err)
			if !signed {
				t.Error("it says that it has signed, and has not")
			}
			break
		}
		if failures++; err == nil {
			t.Errorf("write %d failed, and nobody was told", at)
		}
		after := now.CrashClone(vfs.CrashCloneCfg{})
		if a, err = OpenAuditor(after, "state", key); err != nil {
			t.Fatalf("write %d: %v", at, err)
		}
		if _, err = a.Cosign(t.Context(), small); had {
			var behind *BehindError
			if refused++; !errors.As(err, &behind) {
				t.Errorf("write %d failed after it had signed size 8, and it cosigns size 5: %v", at, err)
			}
		}
		if _, err := a.Cosign(t.Context(), large); err != nil {
			t.Errorf("write %d: it does not go on: %v", at, err)
		}
		must(t, a.Close())
	}
	if failures < 6 || refused == 0 {
		t.Errorf("%d writes failed, %d of them after it had signed", failures, refused)
	}
}

// Two that cosign at once by one key could sign two histories: the second is refused. So is
// a directory that is another key's, or gone.
func TestAuditorIsAlone(t *testing.T) {
	for name, files := range map[string]vfs.FS{"memory": vfs.NewMem(), "disk": vfs.Default} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			key := auditorKey(t, files, nil)
			openAuditor(t, files, key)
			if _, err := OpenAuditor(files, "state", key); !errors.Is(err, disk.ErrLocked) {
				t.Errorf("a second one: %v", err)
			}
		})
	}
	files := vfs.NewMem()
	key := auditorKey(t, files, nil)
	if _, err := OpenAuditor(files, "elsewhere", key); !errors.Is(err, ErrNoAuditorState) {
		t.Errorf("without its directory: %v", err)
	}
	other := auditorKey(t, vfs.NewMem(), nil)
	if _, err := OpenAuditor(files, "state", other); !errors.Is(err, ErrNoAuditorState) {
		t.Errorf("another key's directory: %v", err)
	}
	if err := CreateAuditor(files, "state", other.Key()); !errors.Is(err, disk.ErrOtherContent) {
		t.Errorf("made over another key's: %v", err)
	}
}

// A history that does not continue what was cosigned is not cosigned, nor is anything after
// it, whatever the ledger shows then.
func TestAuditorRefusesForks(t *testing.T) {
	ours := newWorld(t)
	ours.growTo(300)
	for size, want := range map[uint64]string{300: "fork", 400: "fork", 200: "behind"} {
		files := vfs.NewMem()
		signed := 0
		key := auditorKey(t, files, func() { signed++ })
		a := openAuditor(t, files, key)
		_, err := a.Cosign(t.Context(), ours.audited(key))
		must(t, err)
		theirs := newWorld(t)
		theirs.growTo(size)
		r := theirs.audited(key)
		_, err = a.Cosign(t.Context(), r)
		var fork *InconsistencyError
		var behind *BehindError
		if err == nil || errors.As(err, &fork) != (want == "fork") || errors.As(err, &behind) != (want == "behind") || signed != 1 {
			t.Errorf("size %d: %v, signed %d times", size, err, signed)
		}
		_, err = a.Cosign(t.Context(), ours.audited(key))
		if errors.Is(err, ErrAuditorHalted) != (want == "fork") {
			t.Errorf("size %d, and the honest one once more: %v", size, err)
		}
		if want == "fork" {
			if e, err := proof.ParseEvidence(fork.Evidence); err != nil {
				t.Errorf("size %d: the evidence: %v", size, err)
			} else if _, err := e.Verify(logKey().Key()); err != nil {
				t.Errorf("size %d: the evidence: %v", size, err)
			}
		}
	}
}

// A ledger that admits what nobody had the right to sign is not cosigned: the audit names the
// entry, and it stays with the auditor, who cosigns no history without it either.
func TestAuditorAfterFinding(t *testing.T) {
	b := importedBook(t)
	files := vfs.NewMem()
	key := auditorKey(t, files, func() { t.Error("it has signed") })
	a := openAuditor(t, files, key)
	st := b.Statement("designation/2026-014", record.Authority, b.NewDesignation("Kestrel Hosting"))
	honest := slices.Clone(b.Entries)
	attack := append(slices.Clone(honest), admitUnchecked(t, b, b.Sign(st, "authority/officer-1")))
	r := runAudit(t, Audit{Source: sourceOf(t, attack), Charter: b.Ledger, Cosigner: key.Key()})
	wantFinding(t, r, "entry 3 must not be in this ledger: 2 officers needed, 1 signed (officer-1)")
	var not *NotCosignedError
	if _, err := a.Cosign(t.Context(), r); !errors.As(err, &not) || !strings.Contains(err.Error(), "the first: entry 3 must not be") {
		t.Errorf("%v", err)
	}
	r = runAudit(t, Audit{Source: sourceOf(t, honest), Charter: b.Ledger, Cosigner: key.Key()})
	if len(r.Findings) > 0 {
		t.Fatalf("findings %q", r.Findings)
	}
	if _, err := a.Cosign(t.Context(), r); !errors.Is(err, ErrAuditorHalted) || !strings.Contains(err.Error(), "entry 3 must not be") {
		t.Errorf("a history without it: %v", err)
	}
}

// What is less than a whole audit of the pinned ledger, for this key, is not cosigned; nor is
// it by a key, or under a name, that has another use there.
func TestAuditorNotCosigned(t *testing.T) {
	w := newWorld(t, "acme-cloud")
	files := vfs.NewMem()
	key := auditorKey(t, files, nil)
	a := openAuditor(t, files, key)
	refused := func(what string, a *Auditor, r *AuditReport, want string) {
		t.Helper()
		var not *NotCosignedError
		if _, err := a.Cosign(t.Context(), r); !errors.As(err, &not) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("nothing", a, &AuditReport{}, "did not judge everything")
	source := w.client().Source()
	refused("no pin", a, runAudit(t, Audit{Source: source, Cosigner: key.Key()}), "no charter was pinned")
	refused("another pin", a, runAudit(t, Audit{Source: source, Cosigner: key.Key(), Charter: record.ID{1}}), "pinned is 0100")
	refused("no key", a, runAudit(t, Audit{Source: source, Charter: w.Ledger}), "not made for the key")

	b := importedBook(t)
	_, vkey, err := proof.GenerateKey(proof.CosignatureEd25519, "w.example")
	must(t, err)
	b.CharterPredicate.Policy = "log " + logKey().Key().String() + "\nwitness w " + vkey + " https://w.example\nquorum w\n"
	b.Must(b.Charter())
	r := runAudit(t, Audit{Source: sourceOf(t, b.Entries), Charter: b.Ledger, Cosigner: key.Key()})
	refused("no quorum", a, r, "not enough cosignatures")
	if _, err := disk.ReadFile(files, a.path(origin, findingFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("whoever took the cosignatures away has halted it: %v", err)
	}

	for name, want := range map[string]string{
		"acme-cloud/ci": "that of acme-cloud (ci)", "root/root-1": "root-1", "authority/officer-1": "that of authority (officer-1)",
	} {
		public := w.Signer(name).Key().Public().(ed25519.PublicKey)
		theirs, err := proof.NewCosigner("theirs.example", public, func([]byte) ([]byte, error) { t.Error("asked to sign"); return nil, nil })
		must(t, err)
		must(t, CreateAuditor(files, "state-"+name, theirs.Key()))
		held, err := OpenAuditor(files, "state-"+name, theirs)
		must(t, err)
		refused(name, held, w.audited(theirs), want)
		must(t, held.Close())
	}
	skey, _, err := proof.GenerateKey(proof.CosignatureEd25519, origin)
	must(t, err)
	named, err := proof.ParseCosigner(skey)
	must(t, err)
	must(t, CreateAuditor(files, "named", named.Key()))
	held, err := OpenAuditor(files, "named", named)
	must(t, err)
	defer held.Close()
	refused("the log's name", held, w.audited(named), "of the log "+origin)
}

// A spoilt file of what was cosigned could let a smaller checkpoint through.
func TestAuditorSpoiltState(t *testing.T) {
	w := newWorld(t)
	w.growTo(40)
	files := vfs.NewMem()
	key := auditorKey(t, files, nil)
	a := openAuditor(t, files, key)
	note, err := a.Cosign(t.Context(), w.audited(key))
	must(t, err)
	at, err := proof.CosignedBy(note, key.Key(), time.Now())
	if err != nil || time.Since(at) > time.Minute {
		t.Errorf("cosigned %v: %v", at, err)
	}
	kept, err := disk.ReadFile(files, a.File(origin))
	must(t, err)
	if !bytes.Equal(kept, note) {
		t.Error("another note is kept than was returned")
	}
	must(t, disk.WriteFile(files, a.File(origin), bytes.Replace(note, []byte("\n40\n"), []byte("\n4\n"), 1), 0o644, disk.SyncNow))
	if _, err := a.Cosign(t.Context(), w.audited(key)); err == nil || !strings.Contains(err.Error(), "is no checkpoint of this ledger") {
		t.Errorf("%v", err)
	}
}
