package witness

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// CheckedState is what [CheckState] found.
type CheckedState struct {
	Logs        int      // of which it has checkpoints
	Checkpoints int      // that it has
	Verified    int      // of these: whose log is listed, and signed them
	Faults      []string // what is not as a witness wrote it; none is the hoped-for answer
	Noted       bool     // where the witness stood at its last stop was noted, and the state knows as much
}

// ErrRunning: a witness has the state open.
var ErrRunning = errors.New("a witness runs on it")

// CheckState reads all that a witness's state in dir holds, and changes nothing. Each row has
// the form of its kind; each checkpoint stands under its own log and size and is signed by
// the log, where that is one of logs; and the state knows what was noted at the last stop.
// [ErrRunning] while a witness has it open, [ErrNoState] if there is none; an error that is
// [disk.Damaged] if it does not open.
func CheckState(fs vfs.FS, dir string, keys []proof.Key, logs LogList) (found *CheckedState, err error) {
	stateDir := fs.PathJoin(dir, "state")
	if _, err := fs.Stat(stateDir); err != nil {
		return nil, fmt.Errorf("%w: there is no %s", ErrNoState, stateDir)
	}
	lock, err := disk.Lock(fs, fs.PathJoin(stateDir, "LOCK"))
	if errors.Is(err, disk.ErrLocked) {
		return nil, fmt.Errorf("%s: %w", dir, ErrRunning)
	} else if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	db, err := disk.Open(disk.Options{FS: fs, Dir: stateDir, Name: stateName, ReadOnly: true})
	if errors.Is(err, pebble.ErrDBDoesNotExist) {
		return nil, fmt.Errorf("%w: there is no database in %s", ErrNoState, stateDir)
	} else if err != nil {
		return nil, fmt.Errorf("opening the witness's state %s: %w", stateDir, err)
	}
	s := &state{db, stateDir}
	defer s.close() // it was only read
	if err := s.checkKeysReadOnly(keys); err != nil {
		return nil, err
	}
	found = new(CheckedState)
	if err := s.checkRows(found, logs); err != nil {
		return nil, err
	}
	noted, err := closed{fs, dir}.read()
	if err != nil || noted == nil {
		return found, err
	}
	found.Noted = true
	sizes, err := s.sizes()
	if err != nil {
		return nil, err
	}
	for origin, size := range noted {
		if has, known := sizes[origin]; !known || has < size {
			found.Noted = false
			found.Faults = append(found.Faults, fmt.Sprintf("at the last stop %s was cosigned to size %d, and the state has forgotten that", origin, size))
		}
	}
	return found, nil
}

// checkKeysReadOnly is checkKeys without taking over what an earlier docket wrote.
func (s *state) checkKeysReadOnly(keys []proof.Key) error {
	if has, err := s.has([]byte{keyFormat}); err != nil {
		return err
	} else if !has {
		return fmt.Errorf("%w: %s was never finished, or an earlier docket wrote it: docket witness serve takes that over", ErrNoState, s.dir)
	}
	return s.checkKeys(keys)
}

// checkRows reads every row.
func (s *state) checkRows(found *CheckedState, logs LogList) (err error) {
	defer s.db.Rescue(&err)
	it, err := s.db.NewIter(nil)
	if err != nil {
		return err
	}
	defer it.Close()
	last := ""
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		origin, rest, whole := bytes.Cut(it.Key()[1:], []byte{0})
		fault := func(format string, args ...any) {
			found.Faults = append(found.Faults, fmt.Sprintf("row %.60q: ", it.Key())+fmt.Sprintf(format, args...))
		}
		switch kind := it.Key()[0]; kind {
		case keyCheckpoint:
			if found.Checkpoints++; string(origin) != last {
				found.Logs++
				last = string(origin)
			}
			if !whole || len(rest) != 8 {
				fault("it has no size")
				continue
			}
			cp, _, err := proof.ParseCheckpoint(value)
			switch {
			case err != nil:
				fault("%v", err)
			case cp.Origin != string(origin) || cp.Size != binary.BigEndian.Uint64(rest):
				fault("it holds size %d of %s", cp.Size, cp.Origin)
			default:
				signed, err := logs.signed(value, cp.Origin)
				if err != nil {
					fault("%v", err)
				} else if signed {
					found.Verified++
				}
			}
		case keySignatures:
			if len(value) < 8 {
				fault("it has no size")
			} else if _, err := proof.ParseSignatures(value[8:]); err != nil {
				fault("%v", err)
			}
		case keyFormat, keyWitnessKey, keyUsedElsewhere, keyLookedUp, keyPending, keyEvidence: // their being there says it all, or gossip reads them again
		default:
			fault("no docket writes such a one")
		}
	}
	return it.Error()
}

// Rows that gossip writes.
const (
	keyPending  = 'p'
	keyEvidence = 'e'
)

// signed says whether the list has the log, and an error if the log did not sign.
func (l LogList) signed(note []byte, origin string) (bool, error) {
	for _, log := range l {
		if log.Origin == origin {
			_, err := proof.VerifyLog(note, origin, log.Keys...)
			return err == nil, err
		}
	}
	return false, nil
}
