package vault

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

var benchCustomers = flag.Int("bench.customers", 100_000, "how many customers the key store of a benchmark has")

// benchHouse is a house on the machine's own disk. Nine tenths of the customers lie in its last
// level, as of long ago, with rows of which nobody knows the texts; the others came one after the
// other, and their rows are where Pebble has brought them.
func benchHouse(b *testing.B) (h *house, old, recent []Ref) {
	b.Helper()
	b.Chdir(b.TempDir())
	id, to := key(b)
	h = &house{t: b, fs: vfs.Default, id: id}
	h.Vault = must(Create(h.fs, "vault.age", to))
	h.Store = must(OpenStore(b.Context(), h.options(), h.Vault))
	b.Cleanup(func() { h.Store.Close() })
	old = h.ingest(*benchCustomers * 9 / 10)
	const batch = 1_000
	for at := 0; at < *benchCustomers/10; at += batch {
		var some []New
		var rows []Rows
		for i := at; i < at+batch; i++ {
			c, account := NewCustomer(), fmt.Sprintf("acct-%07d", i)
			some = append(some, New{c, account})
			rows = append(rows, Rows{c.Ref, account, benchTerms(i)})
			recent = append(recent, c.Ref)
		}
		h.ok(h.Stage(uint64(at), some))
		h.ok(h.Advance(Cursor{Size: uint64(at + batch)}, rows))
	}
	return h, old, recent
}

func benchTerms(i int) []Term {
	return []Term{
		{Name, fmt.Sprintf("%s %s Trading Company %d", benchWord(i), benchWord(i/97), i)},
		{Email, fmt.Sprintf("desk%d@%s.example", i, benchWord(i/31))},
		{Phone, fmt.Sprintf("+49 30 %08d", i)},
		{IP, fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255)},
	}
}

// benchWord is one of some ten thousand words.
func benchWord(i int) string {
	const first, second = "bdfghklmnprstvz", "aeiou"
	i = i * 7919 % 50_000
	word := make([]byte, 0, 8)
	for range 3 {
		word = append(word, first[i%15], second[i/15%5])
		i = i/75 + i
	}
	return string(word)
}

// What a customer of long ago has.
const (
	oldTerms  = 6
	oldHashes = 10 // of each term
)

// ingest puts customers of long ago into the last level, in files that are written in order.
func (h *house) ingest(n int) (refs []Ref) {
	spread := ^uint64(0) / uint64(n)
	number := func(i int, of uint64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)*of) }
	ref := func(c int) (r Ref) { copy(r[:], number(c, spread)); r[15] = 1; return r }
	long := func(i int) []byte { return append(number(i, spread), make([]byte, longHash-8)...) }
	short := ^uint64(0) / uint64(n*oldTerms*oldHashes)
	var paths []string
	var w *sstable.Writer
	written := 0
	finish := func() {
		if w != nil {
			h.ok(w.Close())
		}
		w = nil
	}
	put := func(key, value []byte) {
		if w == nil || written > tableBytes {
			finish()
			name := fmt.Sprintf("ingest-%06d", len(paths))
			paths = append(paths, name)
			f := must(h.fs.Create(name, vfs.WriteCategoryUnspecified))
			w = sstable.NewWriter(objstorageprovider.NewFileWritable(f), sstable.WriterOptions{
				TableFormat: pebble.FormatValueSeparation.MaxTableFormat(), FilterPolicy: bloom.FilterPolicy(10),
				Compression: sstable.NoCompression,
			})
			written = 0
		}
		h.ok(w.Set(key, value))
		written += len(key) + len(value)
	}
	for c := range n {
		refs = append(refs, ref(c))
		put(append([]byte{tableAccount}, long(c)...), refs[c][:])
	}
	for c := range n {
		put(append(append(namedRows(refs[c]), hashOwner), long(c)...), nil)
		put(append(append(namedRows(refs[c]), hashHandle), long(c)...), nil)
	}
	for c := range n {
		put(append([]byte{tableHandle}, long(c)...), refs[c][:])
	}
	for c := range n {
		put(keyRow(refs[c]), make([]byte, sealedKey))
	}
	for c := range n {
		for t := range oldTerms {
			var hashes []byte
			for i := range oldHashes {
				hashes = append(hashes, number(c+n*(t*oldHashes+i), short)...)
			}
			put(append(termRows(refs[c]), number(t, 1)...), hashes)
		}
	}
	for i := range n * oldTerms * oldHashes {
		put(searchRow(number(i, short), refs[i%n]), nil)
	}
	finish()
	h.ok(h.db.Ingest(h.t.Context(), paths))
	for _, name := range paths {
		os.Remove(name)
	}
	return refs
}

// BenchmarkErase erases one customer at a time, of long ago and of late in turn, and says what
// that writes.
func BenchmarkErase(b *testing.B) {
	h, old, recent := benchHouse(b)
	b.Logf("%d MiB in %d customers' store\n%s", must(h.Stats()).Bytes>>20, *benchCustomers, h.db.Metrics())
	before := usage(b)
	b.ResetTimer()
	for i := range b.N {
		refs := [][]Ref{old, recent}[i%2]
		h.ok(h.Erase(b.Context(), refs[i*7919%len(refs)]))
	}
	b.StopTimer()
	after := usage(b)
	b.ReportMetric(float64(after.Oublock-before.Oublock)/2048/float64(b.N), "MiB-written/op")
	b.ReportMetric(time.Duration(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano()).Seconds()/float64(b.N), "cpu-s/op")
}

func usage(b *testing.B) (u syscall.Rusage) {
	h := &house{t: b}
	h.ok(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return u
}
