package node

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// signedMarks are files beside the keys, one for each key that has signed a tree with
// entries. They are kept apart from the store, for the day on which that is lost: an
// empty store beside a marked key is no beginning. That such a file is there is all
// that counts; what it says is for people.
type signedMarks struct {
	files vfs.FS
	dir   string // of the keys
}

func (m signedMarks) path(k proof.Key) string {
	return m.files.PathJoin(m.dir, fmt.Sprintf("log-%08x.signed", k.ID()))
}

// anyMarked says whether one of the signers is marked.
func (m signedMarks) anyMarked(signers []*proof.Signer) (bool, error) {
	for _, s := range signers {
		if there, err := m.isMarked(s.Key()); err != nil || there {
			return there, err
		}
	}
	return false, nil
}

func (m signedMarks) isMarked(k proof.Key) (bool, error) {
	_, err := m.files.Stat(m.path(k))
	if err == nil {
		return true, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return false, fmt.Errorf("looking whether the log key %s has signed: %w", keyText(k), err)
}

// markAll marks the signers that bear no mark yet, durably.
func (m signedMarks) markAll(signers []*proof.Signer) error {
	var missing []proof.Key
	for _, s := range signers {
		if there, err := m.isMarked(s.Key()); err != nil {
			return err
		} else if !there {
			missing = append(missing, s.Key())
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := makeDir(m.files, m.dir); err != nil {
		return fmt.Errorf("making %s: %w", m.dir, err)
	}
	for _, k := range missing {
		if err := m.writeMark(k); err != nil {
			return fmt.Errorf("writing %s: %w", m.path(k), err)
		}
	}
	dir, err := m.files.OpenDir(m.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (m signedMarks) writeMark(k proof.Key) error {
	f, err := m.files.Create(m.path(k), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, fmt.Sprintf("The log key %s has signed entries since %s.\nIf the store beside it is empty, the store was lost: bring back the backup, and do not remove this file.\n",
		keyText(k), time.Now().UTC().Format(time.RFC3339)))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
