package ledger

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// bloomFilter says of a record ID that it is surely new, or perhaps known, so that
// exact deduplication costs an admitted record no look-up in the fold's index
// (one there was measured at 10–30 µs, ten times the rest of a commit).
//
// It is a split block Bloom filter (Putze, Sanders, Singler, "Cache-, Hash- and
// Space-Efficient Bloom Filters", 2007): one cache line a key, one bit in each
// of its eight words. Record IDs are SHA-256 already, so their bytes are the
// hash functions. It grows by adding a segment as large as all before it; at 16
// bits a key, about one new key in 500 is looked up in vain. Memory: 2–4 bytes
// for each entry of the ledger. A library would have to be lockless for readers
// beside the one writer and grow; those at hand do one or the other.
//
// The sequencer adds; anybody asks, at the same time.
type bloomFilter struct {
	segments  atomic.Pointer[[]*segment]
	remaining int // keys that the newest segment still takes; the sequencer's
}

// segment is a block filter of fixed size.
type segment [][8]atomic.Uint64

const (
	bitsPerKey    = 16
	minFilterKeys = 1 << 17 // keys: 256 KiB
)

// newBloomFilter makes a filter with room for n keys before it has to grow.
func newBloomFilter(n uint64) *bloomFilter {
	f := &bloomFilter{}
	f.segments.Store(new([]*segment))
	f.grow(max(minFilterKeys, int(2*n)))
	return f
}

func (f *bloomFilter) grow(keys int) {
	s := make(segment, (keys*bitsPerKey+511)/512)
	all := append(append([]*segment(nil), *f.segments.Load()...), &s)
	f.segments.Store(&all)
	f.remaining = keys
}

// add makes the filter know id.
func (f *bloomFilter) add(id record.ID) {
	all := *f.segments.Load()
	if f.remaining == 0 {
		total := 0
		for _, s := range all {
			total += len(*s) * 512 / bitsPerKey
		}
		f.grow(total)
		all = *f.segments.Load()
	}
	f.remaining--
	block, mask := all[len(all)-1].at(id), id[8:16]
	for i := range block {
		block[i].Or(1 << (mask[i] & 63))
	}
}

// has is false only for an ID that was never added.
func (f *bloomFilter) has(id record.ID) bool {
	for _, s := range *f.segments.Load() {
		if s.has(id) {
			return true
		}
	}
	return false
}

func (s *segment) has(id record.ID) bool {
	block, mask := s.at(id), id[8:16]
	for i := range block {
		if block[i].Load()&(1<<(mask[i]&63)) == 0 {
			return false
		}
	}
	return true
}

// at is the one block that id falls into.
func (s *segment) at(id record.ID) *[8]atomic.Uint64 {
	hi, _ := bits.Mul64(binary.BigEndian.Uint64(id[:8]), uint64(len(*s)))
	return &(*s)[hi]
}
