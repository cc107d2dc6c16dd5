package register

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// SparseReplay replays some of a ledger's records, each at its own index, as a chain file
// shows them (DESIGN.md section 4, "Receipt"). It is the fold itself on a history with
// gaps: what the records shown decide is judged, what they contradict is refused, and
// what would take a record that is not shown is named. That a thread, or a record, is not
// among those shown says nothing. What the newest record shown of a thread says is taken
// to hold on, as in any log: a later one that is left out at the end leaves no trace.
type SparseReplay struct {
	r    *Register
	d    *Draft
	keys map[string]*record.Key // those that the records so far list
}

// NewSparseReplay begins with nothing shown. The options are those of the ledger's register;
// their sizes are not used.
func NewSparseReplay(o Options) (*SparseReplay, error) {
	o.CacheBytes, o.MemTableBytes = 1<<20, 4<<20
	r, err := Open(vfs.NewMem(), "sparse", o)
	if err != nil {
		return nil, err
	}
	s := &SparseReplay{r: r, d: r.Begin(time.Time{}), keys: make(map[string]*record.Key)}
	s.d.gaps = new(sparseGaps)
	return s, nil
}

// WholeThreads says that of each thread that is shown all records are, from its first one to
// the newest shown, so that others are judged by how it stood. The caller has checked that each
// follows the one before it. It is said before the first Apply.
func (s *SparseReplay) WholeThreads() { s.d.wholeThreads = true }

// Close frees what the replay held.
func (s *SparseReplay) Close() error { return s.r.Close() }

// Apply judges the entry at that index, which is above those applied before; the first
// is the charter at index 0. unchecked are the rules that would have taken a record
// which is not shown, a clause each, and no fault.
//
// Errors: a *[NotShownError] where that is the right to sign itself; an *[EntryError]
// of an entry that must not be in a ledger, whatever the others are, wrapping an
// [UpgradeError] where this binary cannot tell; any other is of the machine. After an
// error nothing more can be applied.
func (s *SparseReplay) Apply(index uint64, e record.Entry) (unchecked []string, err error) {
	switch {
	case s.d.charter == nil && index != 0:
		return nil, &NotShownError{Index: index, What: "the charter at index 0"}
	case index < s.d.next:
		return nil, fmt.Errorf("replaying entry %d after entry %d: entries go in the order of the log", index, s.d.next-1)
	}
	st, err := record.ParseStatement(e.Envelope.Payload)
	if err != nil {
		if rules := firstCharterRules(e.Envelope.Payload); index == 0 && rules > RulesVersion {
			err = newerRulesError(0, rules, 0)
		}
		return nil, s.d.explainFault(&EntryError{index, err})
	}
	listed, err := record.ListedKeys(st)
	if err != nil {
		return nil, s.d.explainFault(&EntryError{index, err})
	}
	for _, sig := range e.Envelope.Signatures {
		if s.keys[sig.KeyID] == nil && !slices.ContainsFunc(listed, func(k *record.Key) bool { return k.ID() == sig.KeyID }) {
			return nil, &NotShownError{Index: index, What: fmt.Sprintf("the record that lists key %s, which signed it,", ShortKeyID(sig.KeyID))}
		}
	}
	v, err := record.OpenEntry(e, func(id string) *record.Key { return s.keys[id] })
	if err != nil {
		return nil, s.d.explainFault(&EntryError{index, err})
	}
	s.d.next, *s.d.gaps = index, sparseGaps{}
	if err := s.d.Apply(e, v); err != nil {
		return nil, s.attribute(index, err)
	}
	for _, k := range listed {
		s.keys[k.ID()] = k
	}
	return s.d.gaps.unchecked, nil
}

// attribute decides whether an error of judging is the entry's fault. A refusal after a
// lookup of something not shown proves nothing, since it may rest on the absence.
func (s *SparseReplay) attribute(index uint64, err error) error {
	var hidden *NotShownError
	if errors.As(err, &hidden) {
		return hidden
	}
	var refusal *record.Refusal
	if missed := s.d.gaps.notFound; len(missed) > 0 && errors.As(err, &refusal) {
		return &NotShownError{Index: index, What: "what stands on " + missed[0]}
	}
	return attributeToEntry(index, err)
}

// SignerHolders are whose keys signed an entry that was applied, as far as the records shown
// tell, and what became of each key in those above it. It is asked once, after the
// last Apply, and [SparseReplay.Register] is not.
func (s *SparseReplay) SignerHolders(e record.Entry) ([]KeyHolder, error) {
	if _, err := s.Register(s.d.next); err != nil {
		return nil, err
	}
	var all []KeyHolder
	for _, sig := range e.Envelope.Signatures {
		h, ok, err := s.r.KeyHolder(sig.KeyID)
		if err != nil {
			return nil, err
		}
		if !ok {
			h = KeyHolder{KeyID: sig.KeyID}
		}
		all = append(all, h)
	}
	return all, nil
}

// Register is what the records shown make of a ledger of that size, to be asked like any
// other: of what is not shown it knows nothing. It is asked for once, after the last
// Apply, and closed with the replay.
func (s *SparseReplay) Register(size uint64) (*Register, error) {
	if size < s.d.next {
		return nil, fmt.Errorf("entry %d is not among %s", s.d.next-1, FormatEntryCount(size))
	}
	s.d.next = size
	return s.r, s.r.Advance(s.d, [32]byte{})
}

// NotShownError says that a sparse replay cannot tell whether the signers had the right
// to sign: that would take a record which it was not shown. It is no evidence against
// the record.
type NotShownError struct {
	Index uint64 // of the record that cannot be judged
	What  string // what is not shown: "the charter at index 0"
}

func (e *NotShownError) Error() string {
	return fmt.Sprintf("index %d cannot be judged: %s is not shown", e.Index, e.What)
}

// sparseGaps collects, for one record of a sparse replay, what was looked up and is not
// among the records shown, and the rules that could not be checked.
type sparseGaps struct {
	notFound  []string // threads and records; see [SparseReplay.attribute]
	unchecked []string
}

// addNotFound notes that something was looked for and is not among what is shown.
func (g *sparseGaps) addNotFound(what string) {
	if g != nil {
		g.notFound = append(g.notFound, what)
	}
}

// isUnshown says that the thread exists and what stands on it is not known, which is so
// in a sparse replay alone.
func (row *ThreadRow) isUnshown() bool { return row != nil && row.State == nil }

// hideHead makes the head of a thread one of which only the ID is known.
func (j *judgment) hideHead() { j.head = &ThreadRow{Thread: j.st.Thread, ID: j.st.Follows} }

// notShown is the result where the right to sign rests on what is not shown.
func (j *judgment) notShown(format string, args ...any) error {
	return &NotShownError{Index: j.index, What: fmt.Sprintf(format, args...)}
}

// addUnchecked notes a rule that would take a record which is not shown.
func (j *judgment) addUnchecked(format string, args ...any) {
	j.draft.gaps.unchecked = append(j.draft.gaps.unchecked, fmt.Sprintf(format, args...))
}

// checkFollowsShown is [judgment.checkFollows] among the records shown. What the record
// follows may be one that is not; but if it is, it must be the newest of the thread.
func (j *judgment) checkFollowsShown() error {
	j.draft.gaps.notFound = nil // that its thread does not exist yet is the record's own word
	follows := j.st.Follows
	if follows.IsZero() || j.head != nil && follows == j.head.ID {
		switch {
		case j.head == nil && j.index > 1:
			j.addUnchecked("that nothing stood on %s before it", j.st.Thread)
		case j.head.isUnshown():
			j.addUnchecked("what stood on %s before it", j.st.Thread)
		}
		return j.checkFollowsHead()
	}
	row, shown, err := j.draft.recordRow(follows)
	if err != nil {
		return err
	}
	j.draft.gaps.notFound = nil
	if shown && row.Thread != j.st.Thread {
		return invalid("/predicate/follows", "%s stands on %s", follows, row.Thread)
	}
	if shown {
		return j.checkFollowsHead()
	}
	j.addUnchecked("what stood on %s before it, which ends with record %s", j.st.Thread, follows)
	j.hideHead()
	return nil
}

// checkKeysOfOthers refuses a record of an issuer who is not shown, where a key signed
// it that is shown to be another's: keys never change their owner, and such a record
// takes its issuer's own alone.
func (j *judgment) checkKeysOfOthers() error {
	if !kinds[j.st.Kind].ownKeysOnly || j.st.Issuer == record.Authority {
		return nil
	}
	for _, s := range j.signatures() {
		k, err := j.draft.keyRow(s.Key.ID())
		if err != nil {
			return err
		}
		if k != nil && k.Owner != record.PartyThread(j.st.Issuer) {
			return record.Refuse(record.Forbidden, "key %s belongs to %s, and may not sign for %s", ShortKeyID(k.ID), k.owner(), j.st.Issuer)
		}
	}
	return nil
}
