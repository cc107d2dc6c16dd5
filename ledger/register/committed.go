package register

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// committed is the newest version of a thread below a size, from memory where
// that is possible; nil means that there is none. It is the one read that each
// record costs, so it goes through one iterator, kept between two Advances, and
// through the bloom filters: a thread that does not exist costs no disk read.
func (r *Register) committed(thread string, below uint64) (*ThreadRow, error) {
	if below == 0 {
		return nil, nil
	}
	r.mu.Lock()
	row := r.cacheOf(thread).get(thread)
	r.mu.Unlock()
	if row != nil && row.Index < below {
		return row, nil
	}
	row, err := r.seek(thread, below)
	if err != nil || row == nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tip.next <= below { // else a newer version may have come meanwhile
		r.cacheOf(thread).put(row)
	}
	return row, nil
}

// cacheOf keeps parties apart: answers must not push them out. r.mu is held.
func (r *Register) cacheOf(thread string) *cache {
	if strings.HasPrefix(thread, "party/") {
		return r.parties
	}
	return r.threads
}

func (r *Register) seek(thread string, below uint64) (*ThreadRow, error) {
	r.reading.Lock()
	defer r.reading.Unlock()
	if r.reader == nil {
		it, err := r.db.Load().NewIter(&pebble.IterOptions{LowerBound: []byte{tableThread}, UpperBound: []byte{tableThread + 1}})
		if err != nil {
			return nil, fmt.Errorf("reading register: %w", err)
		}
		r.reader = it
	}
	r.rows.Add(1)
	r.seekKey = appendVersion(r.seekKey[:0], tableThread, thread, below-1)
	if !r.reader.SeekPrefixGE(r.seekKey) {
		if err := r.reader.Error(); err != nil {
			return nil, fmt.Errorf("reading register: %w", err)
		}
		return nil, nil
	}
	key := r.reader.Key()
	row, err := decodeStep(thread, ^binary.BigEndian.Uint64(key[len(key)-suffixLen:]), r.reader.Value())
	if err != nil {
		return nil, err
	}
	return row, r.state(row)
}

// refreshReader drops the iterator, which sees the register as it was.
func (r *Register) refreshReader() error {
	r.reading.Lock()
	defer r.reading.Unlock()
	if r.reader == nil {
		return nil
	}
	err := r.reader.Close()
	r.reader = nil
	if err != nil {
		return fmt.Errorf("reading register: %w", err)
	}
	return nil
}
