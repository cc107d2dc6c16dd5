package node

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

const origin = "docket.example/2026"

func ids(k Keys) (all []uint32) {
	for _, s := range k.Signers {
		all = append(all, s.Key().ID())
	}
	return all
}

// A log's keys are followed by others, once, until the old files are gone; what is
// there is never made anew.
func TestKeyRotation(t *testing.T) {
	dir := t.TempDir()
	must := func(k Keys, err error) []uint32 {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return ids(k)
	}
	if _, err := CreateNextKeys(dir, origin); !errors.Is(err, ErrNoKeys) {
		t.Errorf("successors of nothing: %v", err)
	}
	first := must(CreateKeys(dir, origin))
	refused := func(what string, err error) {
		t.Helper()
		if err == nil || errors.Is(err, ErrNoKeys) {
			t.Errorf("%s: %v", what, err)
			return
		}
		refusaltest.Words(t, err.Error(), dir, "DIR")
	}
	_, err := CreateNextKeys(dir, "docket.example/other")
	refused("successors of another name", err)
	second := must(CreateNextKeys(dir, origin))
	if again := must(CreateNextKeys(dir, origin)); !slices.Equal(again, second) || slices.Equal(again, first) {
		t.Errorf("the successors are %08x, asked again %08x", second, again)
	}
	if both := must(LoadKeys(dir)); !slices.Equal(both, slices.Concat(first, second)) {
		t.Errorf("it signs with %08x, want %08x and %08x", both, first, second)
	}
	remove := func(names ...string) {
		t.Helper()
		for _, name := range names {
			if err := os.Remove(filepath.Join(dir, "keys", name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if both, err := LoadKeys(dir); err != nil || both.Older != 2 || len(both.Next()) != 2 || both.Next()[0].ID() != second[0] {
		t.Errorf("of two generations %d keys are older and %d newer, %v", both.Older, len(both.Next()), err)
	}
	remove("log-mldsa44-2.key") // as if the power had failed between the two
	if _, err := LoadKeys(dir); !errors.Is(err, ErrNoKeys) {
		t.Errorf("half a generation: %v", err)
	}
	if second = must(CreateNextKeys(dir, origin)); len(second) != 2 {
		t.Errorf("made whole: %08x", second)
	}
	remove("log-ed25519.key", "log-mldsa44.key")
	if again := must(CreateKeys(dir, origin)); !slices.Equal(again, second) {
		t.Errorf("the present keys are %08x, want %08x", again, second)
	}
	third := must(CreateNextKeys(dir, origin))
	if both := must(LoadKeys(dir)); !slices.Equal(both, slices.Concat(second, third)) {
		t.Errorf("it signs with %08x, want %08x and %08x", both, second, third)
	}
	for _, file := range keyFiles(1) {
		text, err := os.ReadFile(filepath.Join(dir, "keys", keyFiles(2)[0].Name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "keys", file.Name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err = LoadKeys(dir)
	refused("three generations", err)
}

// Keys that are taken out of use sign no more, and are not lost; nor does it matter where
// the power fails meanwhile. Files that are brought back sign again.
func TestRetireKeys(t *testing.T) {
	dir := t.TempDir()
	if err := RetireKeys(dir); !errors.Is(err, ErrNoKeys) {
		t.Errorf("retiring nothing: %v", err)
	}
	load := func(what string, want ...uint32) {
		t.Helper()
		k, err := LoadKeys(dir)
		if err != nil || !slices.Equal(ids(k), want) || (k.Older > 0) != (len(want) > 2) {
			t.Errorf("%s: it signs with %08x, %d of them older, %v; want %08x", what, ids(k), k.Older, err, want)
		}
	}
	first, err := CreateKeys(dir, origin)
	if err == nil {
		err = RetireKeys(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	load("the only generation stays", ids(first)...)
	next, err := CreateNextKeys(dir, origin)
	if err != nil {
		t.Fatal(err)
	}
	both := slices.Concat(ids(first), ids(next))
	load("two generations", both...)
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(dir, "keys", from), filepath.Join(dir, "keys", to)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := RetireKeys(dir); err != nil {
			t.Fatal(err)
		}
		load("retired", ids(next)...)
	}
	for _, f := range keyFiles(1) {
		move("retired/"+f.Name, f.Name)
		if f == keyFiles(1)[0] {
			load("half retired", ids(next)...)
			if made, err := CreateNextKeys(dir, origin); err != nil || slices.Equal(ids(made), ids(first)) {
				t.Errorf("the next ones after half retired ones: %08x, %v", ids(made), err)
			}
			for _, f := range keyFiles(3) {
				if err := os.Remove(filepath.Join(dir, "keys", f.Name)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	load("brought back", both...)
}

// Other witnesses take no request above 10 KiB. Two generations of keys fit into it
// with the longest proof that tlog-witness allows and a name of 100 bytes; three do
// not.
func TestTwoGenerationsFit(t *testing.T) {
	const most = 10 << 10
	name := strings.Repeat("n", 100)
	dir := t.TempDir()
	keys, err := CreateKeys(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	size := func(signers ...*proof.Signer) int {
		t.Helper()
		signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: name, Size: 1 << 62, Root: proof.LeafHash(nil)}, signers...)
		if err != nil {
			t.Fatal(err)
		}
		return len(wire.AddCheckpoint{Old: 1<<62 - 1, Path: make([]proof.Hash, 63), Note: signed.Note()}.Format())
	}
	next, err := CreateNextKeys(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	two := slices.Concat(keys.Signers, next.Signers)
	if got := size(two...); got > most {
		t.Errorf("two generations: %d bytes, limit %d", got, most)
	}
	third, _, err := proof.GenerateKey(proof.MLDSA44, name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := proof.ParseSigner(third)
	if err != nil {
		t.Fatal(err)
	}
	if got := size(append(two, s)...); got <= most {
		t.Errorf("a third one fits too: %d bytes; why stop at %d generations?", got, maxGenerations)
	}
}
