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
func TestKeysFollow(t *testing.T) {
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
	if _, err := CreateNextKeys(dir, "docket.example/other"); err == nil || !strings.Contains(err.Error(), "holds the keys of "+origin) {
		t.Errorf("successors of another name: %v", err)
	}
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
	if _, err := LoadKeys(dir); err == nil || !strings.Contains(err.Error(), "3 generations") {
		t.Errorf("three generations: %v", err)
	}
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
