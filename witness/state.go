package witness

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// state is what must survive a crash. Pebble holds
//
//	v                    → the format, one byte; without it the state is not whole
//	k <vkey>             → nothing: what this key has cosigned is in here, or looked up
//	u                    → nothing, if there: keys came that had been used before
//	l <origin> 00        → nothing: what those keys cosigned of that log was looked up
//	c <origin> 00 <size> → the checkpoint of that size, with the log's signatures
//	s <origin> 00        → size, and the witness's signature lines on that checkpoint
//	p <origin> 00 <tree> → its source, and a checkpoint that is not yet compared: gossip's
//	e <origin> 00 <id>   → the trees that are in stored evidence: gossip's
//
// with sizes big-endian, so that the newest checkpoint is the last of its range. An
// origin has no control characters, so 00 ends it. c is synced before anything is
// signed. s goes with the next c, so that it costs no write of its own, and alone only
// when a log is halted and at the end. s, p and e can be lost: s is made again, p comes
// again, e is read from the evidence files. v, k and u are made in one write, synced
// before the keys sign anything.
//
// Updates of different logs that arrive together share one sync: that is how
// Pebble's commit pipeline works (its log writer syncs once for all batches that are
// queued), so there is no other queue in front of it.
type state struct {
	db  *disk.DB
	dir string
}

const (
	keyFormat        = 'v'
	keyWitnessKey    = 'k'
	keyUsedElsewhere = 'u'
	keyLookedUp      = 'l'
	keyCheckpoint    = 'c'
	keySignatures    = 's'
)

// stateFormat is what v says. 1 had no v, k, u and l, and is taken over as it is.
const stateFormat = 2

// ErrNoState: there are keys, and no state says what they have cosigned. What was in
// use must be brought back, or [RecreateState] looks it up.
var ErrNoState = errors.New("it is not known what these keys have cosigned")

// CreateState makes the state of a witness whose keys, cfg.Keys, were just made and have
// cosigned nothing. old are the keys that are in the directory beside them, if any:
// then the state must be there and cover those, [ErrNoState] otherwise. The keys may
// be kept, and used, once it returns nil.
func CreateState(cfg Config, old ...proof.Key) error {
	_, err := makeState(cfg, old, false)
	return err
}

// RecreateState makes the state of a witness whose keys may have cosigned what no state
// here knows: the state was lost, or the keys were used elsewhere. [Witness.LookUp]
// then looks up each log before the witness serves it. A state that covers the keys
// stays as it is; made is false.
func RecreateState(cfg Config) (made bool, err error) { return makeState(cfg, nil, true) }

func makeState(cfg Config, old []proof.Key, usedElsewhere bool) (made bool, err error) {
	w := &Witness{cfg: cfg}
	if err := w.checkKeys(); err != nil {
		return false, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	s, err := openState(cfg, cfg.health(), len(old) == 0)
	if err != nil {
		return false, err
	}
	if len(old) > 0 {
		err = s.checkKeys(old)
	} else {
		err = s.upgrade(w.Keys())
	}
	if err == nil {
		made, err = s.addKeys(w.Keys(), usedElsewhere)
	}
	if err == nil && made && len(old) == 0 {
		var sizes map[string]uint64
		if sizes, err = s.sizes(); err == nil {
			err = closed{cfg.FS, cfg.Dir}.write(sizes)
		}
	}
	return made, errors.Join(err, s.close())
}

// openState opens the database, and makes it only if it may. A caller that opens it
// without making it calls checkKeys next.
func openState(cfg Config, health *disk.Health, create bool) (*state, error) {
	fs, dir := cfg.FS, cfg.FS.PathJoin(cfg.Dir, "state")
	if create {
		if err := disk.MakeDir(fs, dir, 0o755); err != nil {
			return nil, fmt.Errorf("making the witness's state %s: %w", dir, err)
		}
	} else if _, err := fs.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no %s", ErrNoState, dir)
	}
	db, err := disk.Open(disk.Options{
		FS: fs, Dir: dir, Name: stateName, Existing: !create, Health: health,
		Remedy: "move the state away, and start with docket witness serve --new-state, which asks the logs and the peers what these keys have cosigned",
		Tune: func(p *pebble.Options) {
			p.CacheSize, p.MemTableSize, p.MemTableStopWritesThreshold = 8<<20, 4<<20, 4
		},
	})
	if errors.Is(err, pebble.ErrDBDoesNotExist) {
		return nil, fmt.Errorf("%w: there is no database in %s", ErrNoState, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the witness's state %s: %w", dir, err)
	}
	return &state{db, dir}, nil
}

// stateName is that of the state among the databases of a process.
const stateName = "state"

// checkKeys holds the state to be whole and to cover the keys: [ErrNoState] otherwise.
func (s *state) checkKeys(keys []proof.Key) error {
	if err := s.upgrade(keys); err != nil {
		return err
	}
	complete, err := s.has([]byte{keyFormat})
	if err != nil {
		return err
	}
	if !complete {
		return fmt.Errorf("%w: %s was never finished", ErrNoState, s.dir)
	}
	missing, err := s.missingKeys(keys)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("%w: %s was not made for the key %s+%08x", ErrNoState, s.dir, missing[0].Name(), missing[0].ID())
	}
	return err
}

// upgrade takes over a state of format 1, for the keys that are there: only a witness
// that had opened it wrote checkpoints into it. One of a later format is an error.
func (s *state) upgrade(keys []proof.Key) error {
	format, err := s.db.Row([]byte{keyFormat})
	switch {
	case err != nil:
		return err
	case len(format) == 1 && format[0] == stateFormat:
		return nil
	case len(format) == 1 && format[0] > stateFormat:
		return fmt.Errorf("%s is of format %d, and this version of docket reads no later one than %d: upgrade docket", s.dir, format[0], stateFormat)
	case format != nil:
		return fmt.Errorf("%w: the format of %s is %x", disk.ErrDamaged, s.dir, format)
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{keyCheckpoint}, UpperBound: []byte{keyCheckpoint + 1}})
	if err != nil {
		return err
	}
	used := it.First()
	if err := it.Close(); err != nil || !used {
		return err
	}
	_, err = s.addKeys(keys, false)
	return err
}

// addKeys records that the state covers these keys and completes a new state. With
// usedElsewhere, every log has to be looked up first. changed is false if all keys were
// known. When it returns nil the change is durable.
func (s *state) addKeys(keys []proof.Key, usedElsewhere bool) (changed bool, err error) {
	missing, err := s.missingKeys(keys)
	if err != nil || len(missing) == 0 {
		return false, err
	}
	b := s.db.NewBatch()
	defer b.Close()
	err = b.Set([]byte{keyFormat}, []byte{stateFormat}, nil)
	for _, k := range missing {
		err = errors.Join(err, b.Set(witnessKeyKey(k), nil, nil))
	}
	if usedElsewhere {
		err = errors.Join(err, forgetLookUps(b))
	}
	if err != nil {
		return false, err
	}
	if err := s.db.Apply(b, pebble.Sync); err != nil {
		return false, fmt.Errorf("writing the witness's state %s: %w", s.dir, err)
	}
	return true, nil
}

// missingKeys are those of the keys that the state was not made for.
func (s *state) missingKeys(keys []proof.Key) (missing []proof.Key, err error) {
	for _, k := range keys {
		has, err := s.has(witnessKeyKey(k))
		if err != nil {
			return nil, err
		}
		if !has {
			missing = append(missing, k)
		}
	}
	return missing, nil
}

func witnessKeyKey(k proof.Key) []byte { return append([]byte{keyWitnessKey}, k.String()...) }

// needsLookUp tells whether a log is to be looked up before it is served.
func (s *state) needsLookUp(origin string) (bool, error) {
	used, err := s.has([]byte{keyUsedElsewhere})
	if err != nil || !used {
		return false, err
	}
	done, err := s.has(stateKey(keyLookedUp, origin))
	return !done, err
}

// setLookedUp notes that it was. When it returns nil, that is durable.
func (s *state) setLookedUp(origin string) error {
	return s.db.Set(stateKey(keyLookedUp, origin), nil, pebble.Sync)
}

func (s *state) close() error { return s.db.Close() }

func stateKey(kind byte, origin string) []byte {
	return append(append([]byte{kind}, origin...), 0)
}

func sizeKey(origin string, size uint64) []byte {
	return binary.BigEndian.AppendUint64(stateKey(keyCheckpoint, origin), size)
}

// newestCheckpoint is the newest checkpoint that may have been cosigned; nil if there is none.
func (s *state) newestCheckpoint(origin string) ([]byte, error) {
	it, err := s.scan(keyCheckpoint, origin)
	if err != nil {
		return nil, err
	}
	defer it.Close()
	if !it.Last() {
		return nil, it.Error()
	}
	return bytes.Clone(it.Value()), it.Error()
}

// checkpointAt is the checkpoint of that size that may have been cosigned; nil if there is
// none, or it is long ago.
func (s *state) checkpointAt(origin string, size uint64) ([]byte, error) {
	return s.db.Row(sizeKey(origin, size))
}

// putNewest makes a checkpoint the newest one, and keeps the signature lines on the one
// before. When it returns nil, that is durable.
func (s *state) putNewest(origin string, size uint64, note []byte, lastCosignatures *cosignatureLines) error {
	b := s.db.NewBatch()
	defer b.Close()
	if err := b.Set(sizeKey(origin, size), note, nil); err != nil {
		return err
	}
	if lastCosignatures != nil {
		if err := b.Set(stateKey(keySignatures, origin), lastCosignatures.encode(), nil); err != nil {
			return err
		}
	}
	return s.db.Apply(b, pebble.Sync)
}

// putRecovered stores a recovered checkpoint in place of those before, with its
// cosignatures; nothing was signed after it. When it returns nil the change is durable.
func (s *state) putRecovered(origin string, size uint64, note []byte, cosignatures *cosignatureLines) error {
	b := s.db.NewBatch()
	defer b.Close()
	lower := stateKey(keyCheckpoint, origin)
	err := errors.Join(b.DeleteRange(lower, append(lower[:len(lower)-1:len(lower)-1], 1), nil),
		b.Set(sizeKey(origin, size), note, nil), b.Set(stateKey(keySignatures, origin), cosignatures.encode(), nil))
	if err != nil {
		return err
	}
	return s.db.Apply(b, pebble.Sync)
}

// putCosignatures keeps the witness's last signature lines, if there are any.
func (s *state) putCosignatures(origin string, last *cosignatureLines, durably bool) error {
	if last == nil {
		return nil
	}
	return s.db.Set(stateKey(keySignatures, origin), last.encode(), &pebble.WriteOptions{Sync: durably})
}

// cosignatures are the newest signature lines that were kept; nil if there are none.
func (s *state) cosignatures(origin string) (*cosignatureLines, error) {
	v, err := s.db.Row(stateKey(keySignatures, origin))
	if err != nil || len(v) < 8 {
		return nil, err
	}
	return &cosignatureLines{binary.BigEndian.Uint64(v), v[8:]}, nil
}

func (g *cosignatureLines) encode() []byte {
	return append(binary.BigEndian.AppendUint64(nil, g.size), g.lines...)
}

// trim forgets all checkpoints of an origin but the newest keep.
func (s *state) trim(origin string, keep int) error {
	it, err := s.scan(keyCheckpoint, origin)
	if err != nil {
		return err
	}
	defer it.Close()
	ok := it.Last()
	for n := 1; ok && n < keep; n++ {
		ok = it.Prev()
	}
	if !ok {
		return it.Error()
	}
	return s.db.DeleteRange(stateKey(keyCheckpoint, origin), bytes.Clone(it.Key()), pebble.NoSync)
}

func (s *state) scan(kind byte, origin string) (*pebble.Iterator, error) {
	lower := stateKey(kind, origin)
	upper := bytes.Clone(lower)
	upper[len(upper)-1] = 1
	return s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
}

func (s *state) has(key []byte) (bool, error) {
	v, err := s.db.Row(key)
	return v != nil, err
}
