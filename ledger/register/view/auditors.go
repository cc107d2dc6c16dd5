package view

import (
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// AuditorKey is a key by which an enrolled auditor cosigns checkpoints, as its assessment
// names it.
type AuditorKey struct {
	VKey      string
	Statement string // what its cosignature states
	Party     string
	Index     uint64 // of the newest assessment that names it
	ID        record.ID
}

// AuditorKeys are those that assessments name, one of each auditor, oldest first: the one that its
// newest assessment with a vkey names. By naming another an auditor takes back the one before it.
// read reads an entry of the log, since the register keeps none of it. A key is that of the auditor
// who named it first, for ever: nobody else's word changes what it states.
func (v *View) AuditorKeys(read func(index uint64) ([]byte, error)) ([]AuditorKey, error) {
	k := AuditorKeyList{}
	err := k.Extend(v, read)
	return k.Keys, err
}

// AuditorKeyList grows with the ledger, so that each assessment is read once.
type AuditorKeyList struct {
	Keys   []AuditorKey
	owners map[string]string // by vkey, the party that named it first
	next   uint64            // index from which on assessments are to be read
}

// Extend takes in the assessments that have come since. After an error it goes on where it was.
func (k *AuditorKeyList) Extend(v *View, read func(index uint64) ([]byte, error)) error {
	var failed error
	err := v.Records(RecordFilter{Kind: record.KindAssessment, From: k.next}, func(row register.RecordRow) bool {
		var line []byte
		if line, failed = read(row.Index); failed == nil {
			failed = k.add(row, line)
		}
		if failed == nil {
			k.next = row.Index + 1
		}
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	if err == nil {
		k.next = max(k.next, v.Size())
	}
	return err
}

func (k *AuditorKeyList) add(row register.RecordRow, line []byte) error {
	e, err := record.ParseEntry(line)
	if err != nil {
		return fmt.Errorf("entry %d: %w", row.Index, err)
	}
	st, err := record.ParseStatement(e.Envelope.Payload)
	if err != nil {
		return fmt.Errorf("entry %d: %w", row.Index, err)
	}
	a, ok := st.Predicate.(*record.Assessment)
	if !ok || a.VKey == "" {
		return nil
	}
	next := AuditorKey{VKey: a.VKey, Statement: a.Statement, Party: st.Issuer, Index: row.Index, ID: row.ID}
	if k.owners == nil {
		k.owners = make(map[string]string)
	}
	if owner, named := k.owners[a.VKey]; named && owner != next.Party {
		return nil
	}
	k.owners[a.VKey] = next.Party
	k.Keys = append(slices.DeleteFunc(k.Keys, func(o AuditorKey) bool { return o.Party == next.Party }), next)
	return nil
}
