package node

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server"
)

func withheldEntry(index uint64) Withheld {
	return Withheld{By: "operator", Withheld: server.Withheld{
		Index: index, Record: record.IDOf(fmt.Append(nil, index)), Kind: record.KindDesignation, Thread: "designation/2026-014",
		Reason: "order 7", Since: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC),
	}}
}

func indexesOf(list []server.Withheld) (all []uint64) {
	for _, w := range list {
		all = append(all, w.Index)
	}
	return all
}

// Whoever serves sees each change, also two that the clock of the file system does not tell
// apart, and gets the same slice as long as there is none.
func TestWithheldIsReadAnew(t *testing.T) {
	for name, files := range map[string]vfs.FS{"disk": vfs.Default, "memory": vfs.NewMem()} {
		t.Run(name, func(t *testing.T) {
			dir := "D"
			if name == "disk" {
				dir = t.TempDir()
			} else if err := files.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			r, err := newWithheldReader(files, dir, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			if got := r.current(); len(got) != 0 {
				t.Fatalf("without a file %v is withheld", got)
			}
			want := func(indexes ...uint64) {
				t.Helper()
				// A change within the same tick of the file's clock is seen with the next look
				// that is withheldAgain later: as if so much time had passed.
				r.mu.Lock()
				r.read = r.read.Add(-withheldAgain)
				r.mu.Unlock()
				got := r.current()
				if !slices.Equal(indexesOf(got), indexes) {
					t.Errorf("%v is withheld, want %v", indexesOf(got), indexes)
				}
				if again := r.current(); len(got) > 0 && &again[0] != &got[0] {
					t.Error("another slice, and nothing has changed")
				}
			}
			for _, index := range []uint64{9, 3, 5} {
				if err := Withhold(files, dir, withheldEntry(index)); err != nil {
					t.Fatal(err)
				}
			}
			want(3, 5, 9)
			if err := Withhold(files, dir, withheldEntry(5)); !errors.Is(err, ErrWithheldAlready) {
				t.Errorf("withholding again: %v", err)
			}
			if _, err := StopWithholding(files, dir, 4); !errors.Is(err, ErrNotWithheld) {
				t.Errorf("entry 4: %v", err)
			}
			if _, err := StopWithholding(files, dir, 5); err != nil {
				t.Fatal(err)
			}
			if err := Withhold(files, dir, withheldEntry(6)); err != nil { // as large as before
				t.Fatal(err)
			}
			want(3, 6, 9)

			// What cannot be read leaves what was withheld.
			if err := disk.WriteFile(files, files.PathJoin(dir, WithheldFile), []byte("{"), 0o600, disk.SyncNow); err != nil {
				t.Fatal(err)
			}
			want(3, 6, 9)
			if _, err := newWithheldReader(files, dir, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrWithheldDamaged) {
				t.Errorf("a start with a damaged list: %v", err)
			}
		})
	}
}

// A crash at any write leaves the list before or the one after, and what was said to be done
// is done.
func TestWithholdAcrossCrashes(t *testing.T) {
	for step := 0; ; step++ {
		memory := vfs.NewCrashableMem()
		if err := disk.MakeDir(memory, "D", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := Withhold(memory, "D", withheldEntry(3)); err != nil {
			t.Fatal(err)
		}
		left := step
		failing := errorfs.Wrap(memory, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
				return nil
			}
			if left--; left < 0 {
				return errorfs.ErrInjected
			}
			return nil
		}))
		err := Withhold(failing, "D", withheldEntry(7))
		for seed := range uint64(4) {
			after := memory.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(seed, 2))})
			list, bad := ReadWithheld(after, "D")
			if bad != nil {
				t.Fatalf("step %d, seed %d: after the crash: %v", step, seed, bad)
			}
			if n := len(list); n != 2 && (err == nil || n != 1) || list[0].Index != 3 {
				t.Errorf("step %d, seed %d: %d entries are withheld after %v", step, seed, n, err)
			}
		}
		if err == nil {
			if step == 0 {
				t.Fatal("nothing was written")
			}
			return
		}
		if again := Withhold(memory, "D", withheldEntry(7)); again != nil && !errors.Is(again, ErrWithheldAlready) {
			t.Errorf("step %d: the same again: %v", step, again)
		}
	}
}

func TestWithheldIsBounded(t *testing.T) {
	files := vfs.NewMem()
	if err := files.MkdirAll("D", 0o755); err != nil {
		t.Fatal(err)
	}
	var list []Withheld
	for i := range uint64(MaxWithheld) {
		list = append(list, withheldEntry(i+1))
	}
	if err := writeWithheld(files, "D", list); err != nil {
		t.Fatal(err)
	}
	if err := Withhold(files, "D", withheldEntry(MaxWithheld+1)); err == nil {
		t.Error("one more than there may be was withheld")
	}
	for _, text := range []string{"", "two\nlines", "\x1b[2J", string(make([]byte, MaxWithheldWords+1))} {
		if CheckWithheldWords(text) == nil {
			t.Errorf("%.20q is taken for a reason", text)
		}
	}
}
