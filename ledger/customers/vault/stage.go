package vault

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger/disk"
)

// Stage keeps the keys of new customers, durably, before the entries that open them are
// appended: at is the log's size before, so that [Store.Unstage] drops those whose entries
// never came.
func (s *Store) Stage(at uint64, all []New) error {
	if len(all) == 0 {
		return nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	number, by, err := s.vault.newest()
	if err != nil {
		return err
	}
	s.staged = true
	err = s.apply(pebble.Sync, func(b *pebble.Batch) error {
		added := uint64(0)
		for _, c := range all {
			there, err := s.db.Row(keyRow(c.Ref))
			if err != nil {
				return err
			}
			if there == nil {
				added++
			}
			if err := putKey(b, c.Customer, number, by); err != nil {
				return err
			}
			if err := s.putNames(b, c.Ref, &c.Handle, c.Account); err != nil {
				return err
			}
			staged := append(binary.BigEndian.AppendUint64([]byte{tableStaged}, at), c.Ref[:]...)
			if err := b.Set(staged, nil, nil); err != nil {
				return err
			}
		}
		return errors.Join(s.addCount(b, added), b.Set(metaNewest, binary.BigEndian.AppendUint32(nil, number), nil))
	})
	if err == nil {
		for _, c := range all {
			s.fresh[c.Ref] = true
		}
	}
	return err
}

// putKey seals a customer's key.
func putKey(b *pebble.Batch, c Customer, number uint32, by *Key) error {
	raw := c.Key.bytes()
	if raw == nil {
		return ErrLocked
	}
	raw = append(raw, c.Handle[:]...)
	defer clear(raw)
	row, err := by.Seal(binary.BigEndian.AppendUint32(nil, number), raw, keyAD(c.Ref))
	if err != nil {
		return err
	}
	return b.Set(keyRow(c.Ref), row, nil)
}

func keyAD(ref Ref) []byte { return append([]byte("docket customer key"), ref[:]...) }

// putNames writes the rows by which one customer is looked up; nil and "": not by that.
func (s *Store) putNames(b *pebble.Batch, ref Ref, handle *Handle, account string) (err error) {
	put := func(table, domain byte, sum [32]byte) {
		row := append([]byte{table}, sum[:longHash]...)
		named := append(append(namedRows(ref), domain), sum[:longHash]...)
		err = errors.Join(err, b.Set(row, ref[:], nil), b.Set(named, nil, nil))
	}
	locked := s.vault.hashes(func(hash func(byte, string) [32]byte) {
		if handle != nil {
			put(tableHandle, hashHandle, hash(hashHandle, string(handle[:])))
		}
		if account != "" {
			put(tableAccount, hashOwner, hash(hashOwner, account))
		}
	})
	return errors.Join(locked, err)
}

func (s *Store) addCount(b *pebble.Batch, n uint64) error {
	row, err := s.db.Row(metaCount)
	if err != nil {
		return err
	}
	if len(row) == 8 {
		n += binary.BigEndian.Uint64(row)
	}
	return b.Set(metaCount, binary.BigEndian.AppendUint64(nil, n), nil)
}

// Unstage is called on opening: it drops the customers that were staged for entries at or
// above the log's head, and says how many there were. They were never acknowledged.
func (s *Store) Unstage(head uint64) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	clear(s.fresh)
	n := 0
	err := s.apply(pebble.Sync, func(b *pebble.Batch) error {
		err := scan(s.db, []byte{tableStaged}, func(key, _ []byte) (bool, error) {
			if len(key) != 1+8+16 {
				return false, fmt.Errorf("%w: a staged row of %d bytes", disk.ErrDamaged, len(key))
			}
			if binary.BigEndian.Uint64(key[1:]) < head {
				return true, nil
			}
			gone, err := s.dropRows(b, Ref(key[9:]))
			n += int(gone.customers)
			return true, errors.Join(err, b.Delete(bytes.Clone(key), nil))
		})
		if err == nil && n > 0 {
			err = s.addCount(b, -uint64(n))
		}
		return err
	})
	return n, err
}

// Advance writes the rows of what entries say, up to a size of the log. It is not synced: the
// cursor says after a crash from where on to write them again.
func (s *Store) Advance(to Cursor, all []Rows) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	var written []borne
	err := s.apply(pebble.NoSync, func(b *pebble.Batch) error {
		known := make(map[Ref]bool)
		for _, rows := range all {
			fresh := s.fresh[rows.Ref]
			there, asked := known[rows.Ref]
			if there = there || fresh; !there && !asked {
				key, err := s.db.Row(keyRow(rows.Ref))
				if err != nil {
					return err
				}
				there = key != nil
				known[rows.Ref] = there
			}
			if !there {
				continue
			}
			if rows.Account != "" {
				rows.Terms = append(rows.Terms[:len(rows.Terms):len(rows.Terms)], Term{Account, rows.Account})
			}
			for _, term := range rows.Terms {
				one := borneBy(rows.Ref, term)
				if _, lately := s.lately.Get(one); lately {
					continue
				}
				tokens := term.tokens()
				if len(tokens) == 0 {
					continue
				}
				if term.Kind == Account && rows.Account == term.Text {
					if err := s.putNames(b, rows.Ref, nil, rows.Account); err != nil {
						return err
					}
				}
				if err := s.putTerm(b, rows.Ref, term, tokens, fresh); err != nil {
					return err
				}
				written = append(written, one)
			}
		}
		return errors.Join(
			s.settle(b, to.Size),
			b.Set(metaCursor, append(binary.BigEndian.AppendUint64(nil, to.Size), to.Root[:]...), nil))
	})
	if err == nil {
		for _, one := range written {
			s.lately.Add(one, struct{}{})
			delete(s.fresh, one.ref)
		}
		if !s.staged {
			clear(s.fresh)
		}
	}
	return err
}

// settle deletes the rows that say of customers that they were staged for entries below a
// size: they are there for good.
func (s *Store) settle(b *pebble.Batch, size uint64) error {
	if !s.staged {
		return nil
	}
	s.staged = false
	return scan(s.db, []byte{tableStaged}, func(key, _ []byte) (bool, error) {
		if len(key) != 1+8+16 {
			return false, fmt.Errorf("%w: a staged row of %d bytes", disk.ErrDamaged, len(key))
		}
		if s.staged = binary.BigEndian.Uint64(key[1:]) >= size; s.staged {
			return false, nil
		}
		return true, b.Delete(bytes.Clone(key), nil)
	})
}

// putTerm writes the search rows of a term's tokens, with the one that lets them go, unless they
// are there, which nobody looks for where the customer is fresh.
func (s *Store) putTerm(b *pebble.Batch, ref Ref, t Term, tokens []token, fresh bool) error {
	var rows error
	locked := s.vault.hashes(func(hash func(byte, string) [32]byte) {
		id := hash(hashTerm, t.Kind.String()+"\x00"+t.Text)
		term := append(termRows(ref), id[:shortHash]...)
		if !fresh {
			there, err := s.db.Row(term)
			if err != nil || there != nil {
				rows = err
				return
			}
		}
		var hashes []byte
		for _, part := range tokens {
			sum := hash(part.domain, part.text)
			hashes = append(hashes, sum[:shortHash]...)
			if err := b.Set(searchRow(sum[:shortHash], ref), nil, nil); err != nil {
				rows = err
				return
			}
		}
		rows = b.Set(term, hashes, nil)
	})
	return errors.Join(locked, rows)
}
