package auditors_test

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/ledger/auditors"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

const origin = "docket.example/auditors"

// env is a log, signed by one key, of which a witness may be named, and its auditors.
type env struct {
	t      *testing.T
	signer *proof.Signer
	policy *proof.Policy
	named  []auditors.Named
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newKey(t *testing.T, alg proof.Algorithm, name string) *proof.Cosigner {
	t.Helper()
	skey, _, err := proof.GenerateKey(alg, name)
	check(t, err)
	k, err := proof.ParseCosigner(skey)
	check(t, err)
	return k
}

func newEnv(t *testing.T, lines string) *env {
	t.Helper()
	skey, vkey, err := proof.GenerateKey(proof.Ed25519, origin)
	check(t, err)
	e := &env{t: t}
	e.signer, err = proof.ParseSigner(skey)
	check(t, err)
	e.policy, err = proof.ParsePolicy([]byte("log " + vkey + "\n" + lines))
	check(t, err)
	return e
}

func (e *env) words(files vfs.FS) *auditors.Words {
	return auditors.New(auditors.Config{
		Files: files, Dir: "auditors",
		Named: func() ([]auditors.Named, error) { return e.named, nil },
		Checkpoint: func(_ context.Context, note []byte) (*proof.Published, error) {
			return e.policy.Verify(note, time.Now())
		},
	})
}

// note is a checkpoint of that size, cosigned by these.
func (e *env) note(size uint64, by ...*proof.Cosigner) []byte {
	e.t.Helper()
	s, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: size, Root: proof.Hash{byte(size)}}, e.signer)
	check(e.t, err)
	note := s.Note()
	for _, k := range by {
		sig, err := k.Cosign(s.Checkpoint())
		check(e.t, err)
		note, err = proof.AddSignatures(note, sig)
		check(e.t, err)
	}
	return note
}

func sizeOf(t *testing.T, w *auditors.Words, k *proof.Cosigner) uint64 {
	t.Helper()
	word, err := w.Newest(t.Context(), k.Key().Label())
	check(t, err)
	if word.Published == nil {
		return 0
	}
	return word.Published.Checkpoint().Size
}

// What is acknowledged is there after a crash, whatever write fails, and what fails leaves the
// one or the other; the same again goes through.
func TestEachWriteFails(t *testing.T) {
	e := newEnv(t, "quorum none\n")
	k := newKey(t, proof.MLDSA44, "vigil.example")
	e.named = []auditors.Named{{Key: k.Key()}}
	files := vfs.NewCrashableMem()
	_, taken, err := e.words(files).Take(t.Context(), e.note(3, k))
	check(t, err)
	if !taken {
		t.Error("the first is not taken")
	}
	next := e.note(7, k)
	var failures int
	for at := int64(1); ; at++ {
		now := files.CrashClone(vfs.CrashCloneCfg{})
		var writes atomic.Int64
		w := e.words(errorfs.Wrap(now, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFileClose && writes.Add(1) == at {
				return syscall.EIO
			}
			return nil
		})))
		_, _, err := w.Take(t.Context(), next)
		after := sizeOf(t, e.words(now.CrashClone(vfs.CrashCloneCfg{})), k)
		if writes.Load() < at {
			check(t, err)
			if after != 7 {
				t.Errorf("it was taken, and size %d is there", after)
			}
			break
		}
		if failures++; err == nil && after != 7 || after != 3 && after != 7 {
			t.Errorf("write %d failed (%v), and size %d is there", at, err, after)
		}
		if _, _, err := w.Take(t.Context(), next); err != nil || sizeOf(t, w, k) != 7 {
			t.Errorf("write %d failed, and the same again: %v", at, err)
		}
	}
	if failures < 3 {
		t.Errorf("%d writes failed", failures)
	}
}

// The newest of an auditor is that of the larger tree, and of one tree the later. A file that
// does not count is as good as none.
func TestNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, "quorum none\n")
		k := newKey(t, proof.CosignatureEd25519, "vigil.example")
		e.named = []auditors.Named{{Key: k.Key(), Statement: "judged"}}
		files := vfs.NewMem()
		w := e.words(files)
		early, small := e.note(5, k), e.note(4, k)
		time.Sleep(time.Minute)
		for _, step := range []struct {
			note []byte
			new  bool
		}{{early, true}, {early, false}, {e.note(5, k), true}, {early, false}, {small, false}, {e.note(4, k), false}, {e.note(6, k), true}} {
			_, taken, err := w.Take(t.Context(), step.note)
			if err != nil || taken != step.new {
				t.Errorf("taken %v, want %v: %v", taken, step.new, err)
			}
		}
		all, err := w.All(t.Context())
		if err != nil || len(all) != 1 || all[0].Published.Checkpoint().Size != 6 || all[0].Statement != "judged" || !all[0].At.Equal(time.Now().Truncate(time.Second)) {
			t.Errorf("%+v: %v", all, err)
		}
		if _, err := w.Newest(t.Context(), "nobody+00000000"); !errors.Is(err, auditors.ErrNotNamed) {
			t.Errorf("nobody: %v", err)
		}
		names, err := files.List("auditors")
		check(t, err)
		check(t, disk.WriteFile(files, "auditors/"+names[0], e.note(9), 0o644, disk.SyncNow))
		if size := sizeOf(t, e.words(files), k); size != 0 {
			t.Errorf("a file without the cosignature counts as size %d", size)
		}
	})
}

// Nobody who is not named, and nobody of the policy, is an auditor.
func TestRefused(t *testing.T) {
	witness, k, stranger := newKey(t, proof.CosignatureEd25519, "w.example"), newKey(t, proof.CosignatureEd25519, "vigil.example"), newKey(t, proof.CosignatureEd25519, "stranger.example")
	e := newEnv(t, "witness w "+witness.Key().String()+" https://w.example\nquorum w\n")
	e.named = []auditors.Named{{Key: k.Key()}, {Key: witness.Key()}}
	w := e.words(vfs.NewMem())
	refused := func(what string, note []byte, want error) {
		t.Helper()
		if _, _, err := w.Take(t.Context(), note); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	refused("not a note", []byte("x"), auditors.ErrMalformed)
	refused("a stranger's", e.note(3, stranger), auditors.ErrNotNamed)
	refused("a witness's", e.note(3, witness), auditors.ErrOtherRole)
	if _, taken, err := w.Take(t.Context(), e.note(2, witness, k)); err != nil || !taken {
		t.Errorf("an auditor's beside a witness that is named too: %v", err)
	}
	e.named = e.named[:1]
	var short *proof.QuorumError
	if _, _, err := w.Take(t.Context(), e.note(3, k)); !errors.As(err, &short) {
		t.Errorf("without a quorum: %v", err)
	}
	if _, taken, err := w.Take(t.Context(), e.note(3, witness, k)); err != nil || !taken {
		t.Errorf("with one: %v", err)
	}
}
