package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
	"github.com/seed-53cf897a/docket/witness"
)

// The tests below hold what the package comments show against the packages: whoever
// pastes an example gets what the comment says.

func TestRecordComment(t *testing.T) {
	blocks := codeBlocks(t, "ledger/record")
	short, err := draft.ParseShortForm([]byte(blocks[0]), draft.ShortFormResolver{})
	if err != nil {
		t.Fatal(err)
	}
	payload, _, err := short.Fill(draft.FillValues{
		Ledger: record.IDOf([]byte("the charter")), SubjectRecord: record.IDOf([]byte("the order")), IssuedAt: time.Date(2026, 12, 2, 9, 30, 0, 0, time.UTC),
	})
	if err != nil {
		t.Fatal(err)
	}
	statement, err := record.ParseStatement([]byte(blocks[1]))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := record.EncodeStatement(statement); err != nil || string(again) != string(payload) {
		t.Errorf("the comment's payload is %s, %v; the short form gives %s", again, err, payload)
	}
	seed := sha256.Sum256([]byte("docket package comments"))
	signer, err := draft.NewSigner(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	env, err := signer.Sign(t.Context(), record.Envelope{Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	verified, err := record.Open(env, func(*record.Statement) []*record.Key { return []*record.Key{signer.Key()} })
	if err != nil {
		t.Fatal(err)
	}
	entry, err := verified.Entry(time.Date(2026, 12, 2, 9, 30, 1, 250e6, time.UTC), func(*record.Key) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	if line := strings.TrimSpace(blocks[2]); !abridges(line, string(entry.Marshal())) {
		t.Errorf("the comment's entry is\n%s\nwant\n%s", line, entry.Marshal())
	}
}

func TestProofComment(t *testing.T) {
	blocks := codeBlocks(t, "ledger/proof")
	policy, err := proof.ParsePolicy([]byte(blocks[0]))
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := proof.ParseReceipt([]byte(blocks[1]))
	if err != nil {
		t.Fatal(err)
	}
	v, err := receipt.Verify(policy, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	by := v.Published().ExistedBy().UTC().Format(time.RFC3339)
	if string(v.Entry()) != "second" || v.Index() != 1 || v.Published().Checkpoint().Size != 3 || by != "2026-11-26T16:00:49Z" {
		t.Errorf("%q is entry %d of %d, by %s", v.Entry(), v.Index(), v.Published().Checkpoint().Size, by)
	}
}

func TestWitnessComment(t *testing.T) {
	blocks := codeBlocks(t, "witness")[1:] // the first is the table of conditions
	logs, err := witness.ParseLogs([]byte(blocks[0]))
	if err != nil {
		t.Fatal(err)
	}
	ask, err := wire.ParseAddCheckpoint([]byte(blocks[1]))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := proof.ParseSignatures([]byte(blocks[2]))
	if err != nil {
		t.Fatal(err)
	}

	// The answer is by the key of the comment, over the checkpoint of the request.
	note, err := proof.AddSignatures(ask.Note, answer...)
	if err != nil {
		t.Fatal(err)
	}
	const key = "w1.example+906067f9+BBbPuY4uH+YBLx4IXqRPp4gPQlRP3QQNSr23Mnxu5Msx"
	if _, text := packageComment(t, "witness"); !strings.Contains(text, key) {
		t.Errorf("the comment does not name the key %s", key)
	}
	policy, err := proof.ParsePolicy([]byte("log " + logs[0].Keys[0].String() + "\nwitness w1 " + key + "\nquorum w1\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Verify(note, time.Now()); err != nil {
		t.Error(err)
	}

	// A witness of that list cosigns the checkpoint, and the proof leads to it from size 2.
	skey, _, err := proof.GenerateKey(proof.CosignatureEd25519, "w2.example")
	if err != nil {
		t.Fatal(err)
	}
	cosigner, err := proof.ParseCosigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	config := witness.Config{Keys: []witness.Key{cosigner}, FS: vfs.NewMem(), Dir: "w2", Logs: logs}
	if err := witness.CreateState(config); err != nil {
		t.Fatal(err)
	}
	w, err := witness.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Cosign(context.Background(), wire.AddCheckpoint{Note: ask.Note}); err != nil {
		t.Error(err)
	}
	cp, _, err := proof.ParseCheckpoint(ask.Note)
	if err != nil {
		t.Fatal(err)
	}
	older := proof.Tree{Size: 2, Root: proof.NodeHash(proof.LeafHash([]byte("first")), proof.LeafHash([]byte("second")))}
	if err := proof.VerifyConsistency(older, cp.Tree(), ask.Path); err != nil {
		t.Error(err)
	}
}

// TestContractComments: the lines of code that a comment shows are those of the
// package's example, which is run.
func TestContractComments(t *testing.T) {
	for _, dir := range []string{"ledger", "ledger/register"} {
		example := string(read(t, path.Join(dir, "example_test.go")))
		blocks := codeBlocks(t, dir)
		for line := range strings.Lines(blocks[len(blocks)-1]) { // in ledger a picture stands before it
			code, _, _ := strings.Cut(line, "// ")
			if code = strings.TrimSpace(code); !strings.Contains(example, code) {
				t.Errorf("the comment of %s shows %q; its example has no such line", dir, code)
			}
		}
	}
}

// abridges reports whether text is whole, but for what … leaves out.
func abridges(text, whole string) bool {
	parts := strings.Split(text, "…")
	if len(parts) < 2 {
		return text == whole
	}
	for i, part := range parts {
		at := strings.Index(whole, part)
		if at < 0 || i == 0 && at > 0 {
			return false
		}
		whole = whole[at+len(part):]
	}
	return whole == ""
}

// codeBlocks are those of a package's comment.
func codeBlocks(t *testing.T, dir string) (blocks []string) {
	t.Helper()
	doc, _ := packageComment(t, dir)
	for _, b := range doc.Content {
		if code, ok := b.(*comment.Code); ok {
			blocks = append(blocks, code.Text)
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("the comment of %s shows no example", dir)
	}
	return blocks
}

func packageComment(t *testing.T, dir string) (*comment.Doc, string) {
	t.Helper()
	files := slices.DeleteFunc(sources(t), func(f string) bool {
		return path.Dir(f) != dir || path.Ext(f) != ".go" || strings.HasSuffix(f, "_test.go")
	})
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, read(t, name), parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc != nil {
			return new(comment.Parser).Parse(f.Doc.Text()), f.Doc.Text()
		}
	}
	t.Fatalf("%s has no package comment", dir)
	return nil, ""
}
