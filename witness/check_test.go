package witness_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/witness"
)

// A state is read whole: what an earlier docket wrote is in order, and each row that is not
// as a witness wrote it is found.
func TestCheckState(t *testing.T) {
	f := newFormatFixture()
	fixture := func() *vfs.MemFS {
		fs := vfs.NewMem()
		if ok, err := vfs.Clone(vfs.Default, fs, "testdata/state-2", "w", vfs.CloneSync); !ok || err != nil {
			t.Fatal(err)
		}
		return fs
	}
	cfg := f.config(t, fixture(), "w")
	keys := []proof.Key{f.key.Key()}
	whole, err := witness.CheckState(fixture(), "w", keys, cfg.Logs)
	if err != nil || len(whole.Faults) > 0 || whole.Logs != 2 || whole.Checkpoints < 2 || whole.Verified != whole.Checkpoints || !whole.Noted {
		t.Fatalf("of a state that is well: %+v, %v", whole, err)
	}
	if unlisted, err := witness.CheckState(fixture(), "w", keys, nil); err != nil || unlisted.Verified != 0 || len(unlisted.Faults) > 0 {
		t.Errorf("without a list: %+v, %v", unlisted, err)
	}
	row := "c" + origin + "\x00\x00\x00\x00\x00\x00\x00\x00\x07" // of the newest checkpoint
	for name, change := range map[string]func(*pebble.DB, []byte) error{
		"another size":        func(db *pebble.DB, v []byte) error { return db.Set([]byte(row[:len(row)-1]+"\x06"), v, pebble.Sync) },
		"no checkpoint":       func(db *pebble.DB, v []byte) error { return db.Set([]byte(row), v[10:], pebble.Sync) },
		"no signature of its": func(db *pebble.DB, _ []byte) error { return db.Set([]byte(row), f.halted.note(7), pebble.Sync) },
		"forgotten":           func(db *pebble.DB, _ []byte) error { return db.Delete([]byte(row), pebble.Sync) },
		"cosignatures": func(db *pebble.DB, _ []byte) error {
			return db.Set([]byte("s"+origin+"\x00"), []byte("12345678no"), pebble.Sync)
		},
		"an unknown kind": func(db *pebble.DB, _ []byte) error { return db.Set([]byte("x"), nil, pebble.Sync) },
	} {
		fs := fixture()
		db := must(pebble.Open("w/state", &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatValueSeparation}))
		value, closer, err := db.Get([]byte(row))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(change(db, append([]byte(nil), value...)), closer.Close(), db.Close()); err != nil {
			t.Fatal(err)
		}
		if found, err := witness.CheckState(fs, "w", keys, cfg.Logs); err == nil && len(found.Faults) == 0 || err != nil && !disk.Damaged(err) {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	fs := fixture()
	w := must(witness.Open(f.config(t, fs, "w")))
	if _, err := witness.CheckState(fs, "w", keys, nil); !errors.Is(err, witness.ErrRunning) {
		t.Errorf("while it runs: %v", err)
	}
	w.Close()
	if found, err := witness.CheckState(fs, "w", keys, cfg.Logs); err != nil || len(found.Faults) > 0 || !found.Noted {
		t.Errorf("after it ran: %+v, %v", found, err)
	}
	if _, err := witness.CheckState(vfs.NewMem(), "w", keys, nil); !errors.Is(err, witness.ErrNoState) {
		t.Errorf("of nothing: %v", err)
	}
	other := must(proof.ParseCosigner(seededKey(proof.CosignatureEd25519, "w2.example", 4)))
	if _, err := witness.CheckState(fixture(), "w", []proof.Key{other.Key()}, nil); !errors.Is(err, witness.ErrNoState) || !strings.Contains(err.Error(), "w2.example") {
		t.Errorf("of other keys: %v", err)
	}
}
