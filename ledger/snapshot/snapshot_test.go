package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/transfer"
)

var update = flag.Bool("update", false, "write the golden file anew")

// vectorKey is a key whose private half is public: of the seed 0x01, 0x02, …, 0x20.
const vectorKey = "PRIVATE+KEY+n1.docket.example+7c17a4fd+AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newSigner(t testing.TB, name string) *Signer {
	t.Helper()
	skey, _, err := proof.GenerateKey(proof.Ed25519, name)
	must(t, err)
	s, err := ParseSigner(skey)
	must(t, err)
	return s
}

func example() Manifest {
	m := Manifest{Origin: "docket.example/2026", Tree: proof.Tree{Size: 1_000_000}, Rules: 1, Rows: 7,
		Files: []File{{Name: "000012.sst", Bytes: 4096}, {Name: "MANIFEST-000001", Bytes: 0}}}
	m.Tree.Root[0], m.Files[0].SHA256[31] = 0xab, 0xcd
	return m
}

// The vector of DESIGN.md section 6, "Replicas": what a node signs, byte for byte.
func TestVector(t *testing.T) {
	s, err := ParseSigner(vectorKey)
	must(t, err)
	signed, err := s.Sign(example())
	must(t, err)
	name := filepath.Join("testdata", "manifest.golden")
	if *update {
		must(t, os.WriteFile(name, signed, 0o644))
	}
	want, err := os.ReadFile(name)
	must(t, err)
	if !bytes.Equal(signed, want) {
		t.Errorf("a manifest is signed as\n%s", signed)
	}
	v, err := Verify(want, s.Key())
	must(t, err)
	if v.Text() != example().Text() || v.By.Name() != "n1.docket.example" {
		t.Errorf("it says %s, by %s", v.Text(), v.By.Name())
	}
	if _, _, err := proof.ParseCheckpoint(want); err == nil {
		t.Error("it is a checkpoint too")
	}
	if _, err := Verify(want, newSigner(t, "n1.docket.example").Key()); !errors.Is(err, ErrNotSigned) {
		t.Errorf("by another key: %v", err)
	}
	if _, err := Verify(want); !errors.Is(err, ErrNotSigned) {
		t.Errorf("by nobody's key: %v", err)
	}
}

// Names that leave the directory, files twice, sizes beyond what may be: nobody's signature makes these
// a manifest.
func TestHostileManifests(t *testing.T) {
	s := newSigner(t, "n1.example")
	good := example().Text()
	for _, c := range [][2]string{
		{"000012.sst", "../000012.sst"}, {"000012.sst", "a/b"}, {"000012.sst", ".."}, {"000012.sst", ".hidden"}, {"000012.sst", "LOCK"}, {"000012.sst", "lock"},
		{"000012.sst", strings.Repeat("a", 65)}, {"000012.sst", "a\x00b"}, {"000012.sst", `a\b`}, {"000012.sst", "MANIFEST-000001"}, {"000012.sst", "Z"},
		{" 4096 ", " 4398046511105 "}, {" 4096 ", " 04096 "}, {" 4096 ", " -1 "}, {" 0 ", " 4398046511104 "},
		{"\n1000000\n", "\n0\n"}, {"\n1000000\n", "\n01000000\n"}, {"rules 1", "rules x"}, {"rules 1", "rows 1"}, {"rows 7\n", "rows 7\n\n"},
		{"docket-register-snapshot/v1", "docket-register-snapshot/v2"}, {"docket.example/2026", ""}, {"cd\nMANIFEST", "cD\nMANIFEST"},
	} {
		text := strings.Replace(good, c[0], c[1], 1)
		if text == good {
			t.Fatalf("%q is not in it", c[0])
		}
		signed, err := note.Sign(&note.Note{Text: text}, s.signer)
		if err != nil {
			continue // no note at all
		}
		if v, err := Verify(signed, s.Key()); err == nil {
			t.Errorf("%q for %q: %+v", c[1], c[0], v.Manifest)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(example().Text())
	f.Fuzz(func(t *testing.T, text string) {
		if m, err := parse(text); err == nil && m.Text() != text {
			t.Errorf("%q becomes %q", text, m.Text())
		}
	})
}

// A directory keeps the newest snapshot and the one before, through a restart, and gives nothing else.
func TestDir(t *testing.T) {
	files, s := vfs.NewMem(), newSigner(t, "n1.example")
	d, err := OpenDir(files, "snapshots", s)
	must(t, err)
	make := func(size uint64) error {
		return d.Make(t.Context(), func(dir string) (Manifest, error) {
			m := Manifest{Origin: "o", Tree: proof.Tree{Size: size}, Rules: 1, Rows: 7}
			if err := files.MkdirAll(dir, 0o755); err != nil {
				return m, err
			}
			return m, errors.Join(disk.WriteFile(files, files.PathJoin(dir, "1.sst"), bytes.Repeat([]byte{byte(size)}, 100_000), 0o644, disk.SyncNow),
				disk.WriteFile(files, files.PathJoin(dir, "LOCK"), nil, 0o644, disk.SyncNow))
		})
	}
	for size := uint64(3); size < 7; size++ {
		must(t, make(size))
	}
	must(t, make(6)) // signed anew: it takes the place of itself alone
	for size, there := range map[uint64]bool{6: true, 5: true, 4: false} {
		f, _, err := d.Open(size, "1.sst")
		if (err == nil) != there {
			t.Errorf("before the restart, %d: %v", size, err)
		}
		if err == nil {
			f.Close()
		}
	}
	if err := d.Make(t.Context(), func(string) (Manifest, error) { return Manifest{}, errors.New("no") }); err == nil {
		t.Error("what was not made is made")
	}
	d, err = OpenDir(files, "snapshots", s)
	must(t, err)
	if d.Newest() == nil || d.Newest().Tree.Size != 6 || len(d.Newest().Files) != 1 {
		t.Fatalf("newest: %+v", d.Newest())
	}
	for _, c := range []struct {
		size  uint64
		name  string
		there bool
	}{{6, "1.sst", true}, {5, "1.sst", true}, {4, "1.sst", false}, {6, "manifest", false}, {6, "../5/1.sst", false}, {6, "..", false}, {6, "2.sst", false}, {6, "LOCK", false}} {
		f, _, err := d.Open(c.size, c.name)
		if (err == nil) != c.there || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%d/%s: %v", c.size, c.name, err)
		}
		if err == nil {
			f.Close()
		}
	}
	other, err := OpenDir(files, "snapshots", newSigner(t, "n2.example"))
	must(t, err)
	if other.Newest() != nil {
		t.Error("another node's snapshot is handed out")
	}
	must(t, files.Rename("snapshots/5", "snapshots/9"))
	if moved, err := OpenDir(files, "snapshots", s); err != nil || moved.Newest().Tree.Size != 6 {
		t.Errorf("a snapshot of size 5 is handed out as of size 9: %v", err)
	}

	// What is fetched is what was signed, and no byte more than that is written.
	v := d.Newest()
	for name, c := range map[string]struct {
		open func(ctx context.Context, f File, offset uint64) (io.ReadCloser, error)
		want error
	}{
		"a bomb": {func(context.Context, File, uint64) (io.ReadCloser, error) { return io.NopCloser(endless{}), nil }, ErrOtherFile},
		"cut off": {func(context.Context, File, uint64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("")), nil
		}, io.ErrUnexpectedEOF},
		"not there": {func(context.Context, File, uint64) (io.ReadCloser, error) { return nil, fs.ErrNotExist }, fs.ErrNotExist},
	} {
		to, most := vfs.NewMem(), uint64(0)
		must(t, errors.Join(to.MkdirAll("in", 0o755), disk.WriteFile(to, to.PathJoin("in", "old.sst"), nil, 0o644, disk.SyncNow)))
		if err := v.Fetch(t.Context(), to, "in", c.open, func(n uint64) { most += n }); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := to.List("in"); len(left) > 0 || most > v.Bytes() {
			t.Errorf("%s: %v is left, of %d bytes", name, left, most)
		}
	}
}

// scribbler is a disk that spoils the bytes that it was given to write, as an implementation of [vfs.FS] may.
type scribbler struct{ vfs.FS }

func (s scribbler) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.Create(name, c)
	return scribbled{f}, err
}

type scribbled struct{ vfs.File }

func (f scribbled) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	clear(b)
	return n, err
}

// A file that is there already stays where it is the one that was signed, and goes where it is another, as of
// a snapshot that was signed anew: the size alone tells nothing.
func TestFetchOverOtherFiles(t *testing.T) {
	signer, content := newSigner(t, "n1.example"), bytes.Repeat([]byte("row "), 1000)
	m := example()
	m.Files = []File{{Name: "1.sst", Bytes: uint64(len(content)), SHA256: sha256.Sum256(content)}}
	signed, err := signer.Sign(m)
	must(t, err)
	v, err := Verify(signed, signer.Key())
	must(t, err)
	for what, c := range map[string]struct {
		there []byte
		opens int
	}{"nothing": {nil, 1}, "another": {bytes.Repeat([]byte("ROW "), 1000), 1}, "a part": {content[:100], 1}, "the same": {content, 0}} {
		files, opened := scribbler{vfs.NewMem()}, 0
		if c.there != nil {
			must(t, errors.Join(files.MkdirAll("in", 0o755), disk.WriteFile(files.FS, "in/1.sst", c.there, 0o644, disk.SyncNow)))
		}
		must(t, v.Fetch(t.Context(), files, "in", func(_ context.Context, _ File, offset uint64) (io.ReadCloser, error) {
			opened++
			return io.NopCloser(bytes.NewReader(content[offset:])), nil
		}, func(uint64) {}))
		if got, err := disk.ReadFile(files.FS, "in/1.sst"); err != nil || !bytes.Equal(got, content) || opened != c.opens {
			t.Errorf("%s was there: %d bytes, asked %d times, %v", what, len(got), opened, err)
		}
	}
}

// A source that falls silent is given up after a minute; one that drips, in one answer or in many that are cut off,
// when it has used up as much; and one on a slow line is waited for.
func TestSlowSources(t *testing.T) {
	signer, content := newSigner(t, "n1.example"), bytes.Repeat([]byte("row "), 1<<20)
	m := example()
	m.Files = []File{{Name: "1.sst", Bytes: uint64(len(content)), SHA256: sha256.Sum256(content)}}
	signed, err := signer.Sign(m)
	must(t, err)
	v, err := Verify(signed, signer.Key())
	must(t, err)
	for name, c := range map[string]struct {
		perSecond, cutAfter int // bytes
		ends                time.Duration
	}{
		"silent":     {0, len(content), time.Minute},
		"a drip":     {1 << 10, len(content), 64 * time.Second},
		"many drips": {1 << 10, 1 << 10, 64 * time.Second},
		"slow":       {17 << 10, len(content), 0},
		"slow, cut":  {17 << 10, 600 << 10, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun, files := time.Now(), vfs.NewMem()
				err := v.Fetch(t.Context(), files, "in", func(ctx context.Context, f File, offset uint64) (io.ReadCloser, error) {
					rest := content[offset:]
					return io.NopCloser(&slow{ctx, rest[:min(c.cutAfter, len(rest))], c.perSecond}), nil
				}, func(uint64) {})
				if c.ends == 0 {
					must(t, err)
					return
				}
				if took := time.Since(begun); !errors.Is(err, transfer.ErrSlow) || took < c.ends-time.Second || took > c.ends+time.Second {
					t.Errorf("after %s, want %s: %v", took, c.ends, err)
				}
				if left, _ := files.List("in"); len(left) > 0 {
					t.Errorf("%v is left", left)
				}
			})
		})
	}
}

// slow gives so many bytes of what is left each second.
type slow struct {
	ctx       context.Context
	left      []byte
	perSecond int
}

func (s *slow) Read(b []byte) (int, error) {
	if len(s.left) == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(time.Second):
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	}
	n := copy(b[:min(len(b), s.perSecond)], s.left)
	s.left = s.left[n:]
	return n, nil
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }
