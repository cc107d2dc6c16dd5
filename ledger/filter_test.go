package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

func numberedID(i int) ID {
	return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i)))
}

// The filter never forgets, seldom errs, and stays small as it grows.
func TestFilter(t *testing.T) {
	const known, others = 600_000, 100_000
	f := newBloomFilter(0)
	for i := range known {
		f.add(numberedID(i))
	}
	for i := range known {
		if !f.has(numberedID(i)) {
			t.Fatalf("ID %d of %d is forgotten", i, known)
		}
	}
	wrong := 0
	for i := range others {
		if f.has(numberedID(known + i)) {
			wrong++
		}
	}
	if wrong > others/200 {
		t.Errorf("%d of %d new IDs would be looked up, want at most 1 in 200", wrong, others)
	}
	bytes := 0
	for _, s := range *f.segments.Load() {
		bytes += len(*s) * 64
	}
	if bytes > 4*known {
		t.Errorf("%d bytes for %d IDs, want at most 4 each", bytes, known)
	}
}

func BenchmarkFilter(b *testing.B) {
	f := newBloomFilter(0)
	ids := make([]ID, 1<<20)
	for i := range ids {
		ids[i] = numberedID(i)
		f.add(ids[i])
	}
	new := numberedID(-1)
	b.ResetTimer()
	for i := range b.N {
		binary.BigEndian.PutUint64(new[:], uint64(i)*0x9e3779b97f4a7c15)
		f.has(new)
	}
}
