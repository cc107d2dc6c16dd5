package vault

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
)

// A backup of the key store is one file, which holds what nothing else could make again: the
// customers' sealed keys, and the vault file as it was, without which they are of no use. The
// search rows are made anew by the log's replay. The file:
//
//	docket customer keys backup 1
//	length of the vault file (4) ‖ the vault file
//	for each customer: ref (16) ‖ number of the wrapping key (4) ‖ sealed key (76)
//	16 zero bytes ‖ SHA-256 of all before
//
// Numbers are big-endian. An erased customer's key is in the backups of before, so that they
// are kept no longer than [KeepBackups].
const (
	backupHeader = "docket customer keys backup 1\n"
	backupPrefix = "customer-keys-"
	backupSuffix = ".backup"
	backupTime   = "20060102T150405Z"
	sealedKey    = 4 + Overhead + 32 + 16
)

// KeepBackups is how long a backup is kept: an older one is deleted by the next.
const KeepBackups = 30 * 24 * time.Hour

// ErrBackup: the file is no backup of a key store, or not all of it is there.
var ErrBackup = errors.New("no backup of customers' keys")

// Backup writes a backup of that time into a directory, which it makes if it must, and then
// deletes those in it that are too old. It returns the file's name and the deleted ones'.
func (s *Store) Backup(ctx context.Context, files vfs.FS, dir string, now time.Time) (name string, deleted []string, err error) {
	s.maintaining.Lock()
	defer s.maintaining.Unlock()
	if s.vault.Locked() {
		return "", nil, ErrLocked // what it holds could not be checked
	}
	if err := disk.MakeDir(files, dir, 0o700); err != nil {
		return "", nil, err
	}
	name = files.PathJoin(dir, backupPrefix+now.UTC().Format(backupTime)+backupSuffix)
	err = disk.StreamNew(files, name, 0o600, disk.SyncNow, func(w io.Writer) error { return s.writeBackup(ctx, w) })
	if err != nil {
		return "", nil, fmt.Errorf("backing up customers' keys: %w", err)
	}
	deleted, err = PruneBackups(files, dir, now)
	return name, deleted, err
}

// PruneBackups deletes the backups in a directory that are too old, and what a crash has left
// of one that was not finished. A directory that is not there has none.
func PruneBackups(files vfs.FS, dir string, now time.Time) (deleted []string, err error) {
	names, err := files.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	slices.Sort(names)
	for _, name := range names {
		at, _, ok := strings.Cut(strings.TrimPrefix(name, backupPrefix), backupSuffix)
		made, wrong := time.Parse(backupTime, at)
		if !ok || !strings.HasPrefix(name, backupPrefix) || wrong != nil {
			continue
		}
		whole := backupPrefix + at + backupSuffix
		if name != whole && !disk.Unfinished(name, whole) || name == whole && now.Sub(made) <= KeepBackups {
			continue
		}
		name = files.PathJoin(dir, name)
		if err := disk.Remove(files, name); err != nil {
			return deleted, fmt.Errorf("deleting an old backup: %w", err)
		}
		deleted = append(deleted, name)
	}
	return deleted, nil
}

func (s *Store) writeBackup(ctx context.Context, to io.Writer) error {
	vault, err := readVault(s.vault.files, s.vault.name)
	if err != nil {
		return err
	}
	sum := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(sum, to), 256<<10) // in this order: a vfs.File may change what it has written
	w.WriteString(backupHeader)
	w.Write(binary.BigEndian.AppendUint32(nil, uint32(len(vault))))
	w.Write(vault)
	n := 0
	err = s.read(func(db *disk.DB) error {
		return scan(db, []byte{tableKey}, func(key, row []byte) (bool, error) {
			if len(key) != 1+16 || len(row) != sealedKey {
				return false, fmt.Errorf("%w: a key's row", disk.ErrDamaged)
			}
			if n++; n%1000 == 0 && ctx.Err() != nil {
				return false, ctx.Err()
			}
			w.Write(key[1:])
			_, err := w.Write(row)
			return true, err
		})
	})
	if err != nil {
		return err
	}
	w.Write(make([]byte, 16))
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = to.Write(sum.Sum(nil))
	return err
}

// Restore makes the key store of a backup in a directory that is not there, and the vault
// file where that is missing; where it is there, it stays, and its newest key wraps. The
// identities are to open the vault file of then and the one of now. It returns how many
// customers there are. Their accounts and search rows come back by the log's replay, from a
// cursor of zero, and whoever was erased since goes again.
func Restore(ctx context.Context, o StoreOptions, vaultName, backup string, identities ...age.Identity) (n uint64, err error) {
	n, err = restore(ctx, o, vaultName, backup, identities)
	if err != nil {
		err = fmt.Errorf("restoring %s: %w", backup, err)
	}
	return n, err
}

func restore(ctx context.Context, o StoreOptions, vaultName, backup string, identities []age.Identity) (uint64, error) {
	if _, err := o.FS.Stat(o.Dir); err == nil {
		return 0, fmt.Errorf("%s: %w; move it away first", o.Dir, fs.ErrExist)
	}
	file, err := readBackup(ctx, o.FS, backup, func(Ref, []byte) error { return nil }) // whole, before anything is written
	if err != nil {
		return 0, err
	}
	then, err := decrypt(file, identities)
	if err != nil {
		return 0, fmt.Errorf("the vault file in it: %w", err)
	}
	old := new(Vault)
	old.name = "the vault file in the backup"
	old.take(then, true)
	defer old.Lock()
	if _, err := o.FS.Stat(vaultName); errors.Is(err, fs.ErrNotExist) {
		if err := disk.WriteNew(o.FS, vaultName, file, 0o600, disk.SyncNow); err != nil {
			return 0, err
		}
	}
	now, err := Open(o.FS, vaultName, identities...)
	if err != nil {
		return 0, err
	}
	defer now.Lock()
	if now.mark != old.mark {
		return 0, fmt.Errorf("it is %w than %s", ErrOtherVault, vaultName)
	}
	whole := o.Dir
	o.Dir += ".restoring"
	if err := o.FS.RemoveAll(o.Dir); err != nil {
		return 0, err
	}
	s, err := OpenStore(ctx, o, now)
	if err != nil {
		return 0, err
	}
	n, err := s.fill(ctx, old, backup)
	if err = errors.Join(err, s.Close()); err != nil {
		return 0, errors.Join(err, o.FS.RemoveAll(o.Dir))
	}
	return n, disk.Rename(o.FS, o.Dir, whole)
}

// fill takes the customers of a backup into an empty store.
func (s *Store) fill(ctx context.Context, old *Vault, backup string) (n uint64, err error) {
	number, by, err := s.vault.newest()
	if err != nil {
		return 0, err
	}
	from := &Store{vault: old} // opens keys alone
	var some []Customer
	write := func() error {
		return s.apply(pebble.Sync, func(b *pebble.Batch) error {
			for _, c := range some {
				if err := errors.Join(putKey(b, c, number, by), s.putNames(b, c.Ref, &c.Handle, "")); err != nil {
					return err
				}
				c.Key.Wipe()
			}
			n += uint64(len(some))
			err := errors.Join(s.addCount(b, uint64(len(some))), b.Set(metaNewest, binary.BigEndian.AppendUint32(nil, number), nil))
			some = some[:0]
			return err
		})
	}
	_, err = readBackup(ctx, s.options.FS, backup, func(ref Ref, row []byte) error {
		c, err := from.openKey(ref, row)
		if err != nil {
			return err
		}
		if some = append(some, c); len(some) < maxRewrapped {
			return nil
		}
		return write()
	})
	if err == nil {
		err = write()
	}
	return n, err
}

// readBackup reads a backup: the vault file in it, and each customer's row, in order. Only
// once it returns without an error, what was read is what was written.
func readBackup(ctx context.Context, files vfs.FS, name string, each func(ref Ref, row []byte) error) (vault []byte, err error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum := sha256.New()
	r := bufio.NewReaderSize(f, 256<<10)
	if vault, err = readBackupHead(r, sum); err != nil {
		return nil, cutOff(err)
	}
	before := Ref{}
	var row [16 + sealedKey]byte
	for n := 0; ; n++ {
		if n%1000 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err := readInto(r, sum, row[:16]); err != nil {
			return nil, cutOff(err)
		}
		ref := Ref(row[:16])
		if ref == (Ref{}) {
			break
		}
		if err := readInto(r, sum, row[16:]); err != nil {
			return nil, cutOff(err)
		}
		if string(before[:]) >= string(ref[:]) {
			return nil, fmt.Errorf("%w: its customers are not in order", ErrBackup)
		}
		before = ref
		if err := each(ref, row[16:]); err != nil {
			return nil, err
		}
	}
	var want [sha256.Size]byte
	if _, err := io.ReadFull(r, want[:]); err != nil {
		return nil, cutOff(err)
	}
	if _, err := r.ReadByte(); [sha256.Size]byte(sum.Sum(nil)) != want || err != io.EOF {
		return nil, fmt.Errorf("%w: it does not have its checksum; it was altered", ErrBackup)
	}
	return vault, nil
}

func readBackupHead(r io.Reader, sum hash.Hash) ([]byte, error) {
	var head [len(backupHeader) + 4]byte
	if err := readInto(r, sum, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[len(backupHeader):])
	if string(head[:len(backupHeader)]) != backupHeader || size > maxVault {
		return nil, fmt.Errorf("%w: it does not begin as one of this version", ErrBackup)
	}
	vault := make([]byte, size)
	return vault, readInto(r, sum, vault)
}

func readInto(r io.Reader, sum hash.Hash, p []byte) error {
	if _, err := io.ReadFull(r, p); err != nil {
		return err
	}
	sum.Write(p)
	return nil
}

func cutOff(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: it is cut off", ErrBackup)
	}
	return err
}
