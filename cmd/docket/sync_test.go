package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

// What a log signed against itself is kept, however often it is met and whatever
// cosignatures it comes with, and the hint names files that the next command takes.
func TestWriteForkEvidence(t *testing.T) {
	skey, _, err := proof.GenerateKey(proof.Ed25519, "log.example/fork")
	if err != nil {
		t.Fatal(err)
	}
	log, err := proof.ParseSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	skey, _, err = proof.GenerateKey(proof.CosignatureEd25519, "w1.example")
	if err != nil {
		t.Fatal(err)
	}
	w, err := proof.ParseCosigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	note := func(root byte, cosigned bool) []byte {
		cp := proof.Checkpoint{Origin: "log.example/fork", Size: 7, Root: proof.Hash{root}}
		signed, err := proof.SignCheckpoint(cp, log)
		if err != nil {
			t.Fatal(err)
		}
		data := signed.Note()
		if !cosigned {
			return data
		}
		_, sigs, err := proof.ParseCheckpoint(data)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := w.Cosign(cp)
		if err != nil {
			t.Fatal(err)
		}
		if data, err = proof.FormatNote(cp, append(sigs, sig)...); err != nil {
			t.Fatal(err)
		}
		return data
	}
	dir := filepath.Join(t.TempDir(), evidenceDir)
	for _, c := range []struct {
		cosigned, proven bool
		files            int
	}{{false, true, 3}, {false, true, 3}, {true, false, 4}} {
		fork := &client.InconsistencyError{
			Trusted: proof.Tree{Size: 7, Root: proof.Hash{1}}, TrustedNote: note(1, false),
			Shown: proof.Tree{Size: 7, Root: proof.Hash{2}}, ShownNote: note(2, c.cosigned),
		}
		if c.proven {
			e, err := proof.NewEvidence(fork.TrustedNote, fork.ShownNote)
			if err != nil {
				t.Fatal(err)
			}
			if fork.Evidence, err = e.Format(); err != nil {
				t.Fatal(err)
			}
		}
		next, err := writeForkEvidence(dir, fork)
		if err != nil {
			t.Fatal(err)
		}
		var named []string
		for _, name := range strings.Fields(next) {
			if filepath.Dir(name) != dir {
				continue
			}
			named = append(named, name, "FILE")
			if _, evidence, err := (&app{}).readNoteOrEvidence(name); err != nil || evidence != c.proven {
				t.Errorf("%s: evidence %v, %v", name, evidence, err)
			}
		}
		if len(named) == 0 {
			t.Fatalf("the hint is %q", next)
		}
		refusaltest.Words(t, next, named...)
		if names, err := os.ReadDir(dir); err != nil || len(names) != c.files {
			t.Errorf("%d files are kept, want %d (%v)", len(names), c.files, err)
		}
	}
}
