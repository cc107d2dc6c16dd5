package register

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// lookupThread is the newest version of a thread below a size, from memory where
// that is possible; nil means that there is none. It is the one read that each
// record costs, so it goes through one iterator, kept between two Advances, and
// through the bloom filters: a thread that does not exist costs no disk read.
func (r *Register) lookupThread(thread string, below uint64) (*ThreadRow, error) {
	if below == 0 {
		return nil, nil
	}
	r.mu.Lock()
	row := r.cacheFor(thread).get(thread)
	r.mu.Unlock()
	if row != nil && row.Index < below {
		return row, nil
	}
	row, err := r.seekThread(thread, below)
	if err != nil || row == nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.tip.next <= below { // else a newer version may have come meanwhile
		r.cacheFor(thread).put(row)
	}
	return row, nil
}

// cacheFor keeps parties apart: answers must not push them out. r.mu is held.
func (r *Register) cacheFor(thread string) *rowCache {
	if strings.HasPrefix(thread, "party/") {
		return r.partyCache
	}
	return r.threadCache
}

func (r *Register) seekThread(thread string, below uint64) (*ThreadRow, error) {
	r.iterMu.Lock()
	defer r.iterMu.Unlock()
	if r.threadIter == nil {
		it, err := r.db.Load().NewIter(&pebble.IterOptions{LowerBound: []byte{tableThread}, UpperBound: []byte{tableThread + 1}})
		if err != nil {
			return nil, fmt.Errorf("reading register: %w", err)
		}
		r.threadIter = it
	}
	r.rowsRead.Add(1)
	r.seekKey = appendVersion(r.seekKey[:0], tableThread, thread, below-1)
	if !r.threadIter.SeekPrefixGE(r.seekKey) {
		if err := r.threadIter.Error(); err != nil {
			return nil, fmt.Errorf("reading register: %w", err)
		}
		return nil, nil
	}
	key := r.threadIter.Key()
	row, err := decodeThreadRow(thread, ^binary.BigEndian.Uint64(key[len(key)-suffixLen:]), r.threadIter.Value())
	if err != nil {
		return nil, err
	}
	return row, r.loadState(row)
}

// closeIter drops the iterator, which sees the register as it was.
func (r *Register) closeIter() error {
	r.iterMu.Lock()
	defer r.iterMu.Unlock()
	if r.threadIter == nil {
		return nil
	}
	err := r.threadIter.Close()
	r.threadIter = nil
	if err != nil {
		return fmt.Errorf("reading register: %w", err)
	}
	return nil
}
