package register

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// TestOtherFormat: a register of an earlier format or of earlier rules is emptied, and says
// so; one of later ones is left as it is.
func TestOtherFormat(t *testing.T) {
	for _, at := range []int{47, 55} { // the last bytes of rules and of format
		fs := vfs.NewMem()
		r := open(t, fs)
		if r.WasEarlier() {
			t.Error("an empty register was an earlier one")
		}
		later := Cursor{Size: 3}.encode()
		later[at]++
		if err := errors.Join(r.db.Load().Set(cursorKey, later, pebble.NoSync), r.Close()); err != nil {
			t.Fatal(err)
		}
		for _, readOnly := range []bool{false, true} {
			if _, err := Open(fs, "register", Options{ReadOnly: readOnly}); !errors.Is(err, ErrLaterVersion) || IsDamaged(err) {
				t.Errorf("a later one: %v", err)
			}
		}

		fs = vfs.NewMem()
		r = open(t, fs)
		cursor := Cursor{Size: 3}.encode()
		cursor[at]--
		for _, row := range [][2][]byte{{cursorKey, cursor}, {recordKey(2), []byte("of another shape")}} {
			if err := r.db.Load().Set(row[0], row[1], pebble.NoSync); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(fs, "register", Options{ReadOnly: true}); !errors.Is(err, ErrEarlierVersion) || !errors.Is(err, ErrDamaged) {
			t.Errorf("an earlier one, to be read: %v", err)
		}
		r = open(t, fs)
		if !r.WasEarlier() {
			t.Error("an earlier one is emptied, and nobody hears of it")
		}
		var rows bytes.Buffer
		if err := r.Dump(&rows); err != nil {
			t.Fatal(err)
		}
		if r.Size() != 0 || rows.Len() != 0 {
			t.Errorf("size %d, rows %q; want none", r.Size(), rows.String())
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamaged: a damaged register, here one that lost rows, is as good as a
// deleted one.
func TestDamaged(t *testing.T) {
	fs := vfs.NewMem()
	r := open(t, fs)
	if err := r.db.Load().Set(cursorKey, Cursor{Size: 3}.encode(), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, fs)
	if r.Size() != 0 {
		t.Errorf("size %d, want 0", r.Size())
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, fs vfs.FS) *Register {
	t.Helper()
	r, err := Open(fs, "register", Options{CacheBytes: 1 << 20, MemTableBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestKeys: every key splits where its suffix begins, sorts as Pebble demands,
// and comes apart as it was put together; of a version the newest comes first.
func TestKeys(t *testing.T) {
	texts := []string{"a", "a/b", "ab", "b\x09", "lei\x1f9\x1fparty/x", "\x09\x09\x09\x09\x09\x09\x09\x09\x09"}
	var keys [][]byte
	for _, text := range texts {
		for _, index := range []uint64{0, 1, 255, 256, 1 << 40, ^uint64(0) - 1} {
			listed, version := appendListed(nil, tableThread, text, index), appendVersion(nil, tableThread, text, index)
			if got, n := splitListed(listed); string(got) != text || n != index {
				t.Errorf("%q %d came apart as %q %d", text, index, got, n)
			}
			if got, n := splitVersion(version); string(got) != text || n != index {
				t.Errorf("%q %d came apart as %q %d", text, index, got, n)
			}
			if next := appendVersion(nil, tableThread, text, index+1); bytes.Compare(next, version) >= 0 {
				t.Errorf("%q: version %d does not stand before %d", text, index+1, index)
			}
			keys = append(keys, listed, version, recordKey(index), idKey(record.ID{byte(index)}))
		}
	}
	slices.SortFunc(keys, bytes.Compare)
	for i, a := range keys {
		prefix := a[:comparer.Split(a)]
		if len(prefix) < len(a) && bytes.Compare(prefix, a) >= 0 || comparer.Split(prefix) != len(prefix) {
			t.Errorf("%q splits into %q", a, prefix)
		}
		for _, b := range keys[i:] {
			if bytes.Compare(prefix, b[:comparer.Split(b)]) > 0 {
				t.Errorf("%q and %q: prefixes in another order than keys", a, b)
			}
		}
	}
}

// A sparse replay holds no refusal against a record for which something was looked up
// and not shown, by whichever rule.
func TestSparseGuard(t *testing.T) {
	s, err := NewSparseReplay(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	refusal := record.Refuse(record.Conflict, "no")
	var bad *EntryError
	if err := s.attribute(7, refusal); !errors.As(err, &bad) || bad.Index != 7 {
		t.Errorf("with nothing missed: %v", err)
	}
	s.d.gaps.addNotFound("licence/1")
	var hidden *NotShownError
	if err := s.attribute(7, refusal); !errors.As(err, &hidden) || hidden.Index != 7 || hidden.What != "what stands on licence/1" {
		t.Errorf("after a look-up in vain: %v", err)
	}
}

// TestCompare: a row that is another, one that is missing and one too many each count once,
// wherever they stand.
func TestCompare(t *testing.T) {
	rows := func(changes map[string]string) *Register {
		r := open(t, vfs.NewMem())
		t.Cleanup(func() { r.Close() })
		all := map[string]string{"a": "1", "k": "2", "m": "3", "y": "4"}
		for key, value := range changes {
			all[key] = value
		}
		for key, value := range all {
			if value == "" {
				continue
			}
			if err := r.db.Load().Set(appendPlain(nil, key[0], []byte(key)), []byte(value), pebble.NoSync); err != nil {
				t.Fatal(err)
			}
		}
		return r
	}
	whole := rows(nil)
	for _, c := range []struct {
		other map[string]string
		wrong uint64
	}{
		{nil, 0}, {map[string]string{"k": "x"}, 1}, {map[string]string{"a": ""}, 1}, {map[string]string{"y": ""}, 1}, {map[string]string{"b": "1"}, 1},
		{map[string]string{"z": "1"}, 1}, {map[string]string{"A": "1", "z": "1", "m": "", "y": "5"}, 4}, {map[string]string{"a": "", "k": "", "m": "", "y": ""}, 4},
	} {
		if n, wrong, err := whole.Compare(rows(c.other)); err != nil || n != 4 || wrong != c.wrong {
			t.Errorf("with %q: %d of %d rows, %v; want %d of 4", c.other, wrong, n, err, c.wrong)
		}
	}
}
