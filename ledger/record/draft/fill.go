package draft

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// FillValues is what only the ledger and the clock know.
type FillValues struct {
	Ledger        record.ID // the charter's record ID; zero for the charter at index 0
	Follows       record.ID // newest record on the thread; zero for none
	IssuedAt      time.Time // kept to whole milliseconds
	SubjectRecord record.ID // what [ShortForm.SubjectLookup] asked for
	Request       record.ID // the newest record on [ShortForm.RequestThread]
}

// Fill completes the record and encodes it: what was written stands, what is absent is
// taken from f. It draws a salt for each secret; the commitments cannot be opened
// without the returned openings. A second call draws new salts. The payload is one that
// [record.ParseStatement] accepts.
func (sh *ShortForm) Fill(f FillValues) (payload []byte, salts []record.Opening, err error) {
	if sh.payload != nil {
		return bytes.Clone(sh.payload), nil, nil
	}
	filled := *sh.Statement
	if err := setDefaults(&filled, f); err != nil {
		return nil, nil, err
	}
	filled.Subject = sh.subject
	if sh.SubjectLookup.Source != SubjectGiven {
		if f.SubjectRecord.IsZero() {
			return nil, nil, record.Refuse(record.Invalid, "filling record: its subject is a record on %s, and none is known", sh.SubjectLookup.Thread)
		}
		filled.Subject = record.Subject{Name: string(sh.SubjectLookup.Thread), SHA256: f.SubjectRecord}
	}
	commits := make(map[string]string, len(sh.secrets))
	for _, secret := range sh.secrets {
		salt := record.NewOpening(secret.Pointer, secret.Value)
		commit := salt.Commit(filled.Ledger, filled.Thread).Commit
		commits[salt.Pointer] = commit
		salts = append(salts, salt)
		if salt.Pointer == "/subject" {
			hex.Decode(filled.Subject.SHA256[:], []byte(commit))
		}
	}
	sp, err := record.SpecOf(filled.Kind)
	if err != nil {
		return nil, nil, err
	}
	committed, _ := record.DecodeDraft(sp, fillCommitments(sh.predicate, "", commits).(schema.Object))
	filled.Predicate = committed.Predicate
	if r, ok := filled.Predicate.(*record.DisclosureReceipt); ok && sh.RequestThread != "" {
		if f.Request.IsZero() {
			return nil, nil, record.Refuse(record.Invalid, "filling record: it answers the newest record on %s, and none is known", sh.RequestThread)
		}
		r.Request = f.Request
	}
	payload, err = record.EncodeStatement(&filled)
	return payload, salts, err
}

func setDefaults(s *record.Statement, f FillValues) error {
	if !s.Ledger.IsZero() && !f.Ledger.IsZero() && s.Ledger != f.Ledger {
		return record.InvalidStatement([]record.Fault{{Pointer: "/predicate/ledger", Detail: fmt.Sprintf("is written for ledger %s, this is %s", s.Ledger, f.Ledger)}})
	}
	if s.Ledger.IsZero() {
		s.Ledger = f.Ledger
	}
	if s.Follows.IsZero() {
		s.Follows = f.Follows
	}
	if s.IssuedAt.IsZero() {
		s.IssuedAt = f.IssuedAt.UTC().Truncate(time.Millisecond)
	}
	return nil
}

// fillCommitments is v with the placeholder at each pointer replaced.
func fillCommitments(v any, pointer string, commits map[string]string) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = fillCommitments(item, fmt.Sprintf("%s/%d", pointer, i), commits)
		}
		return list
	case schema.Object:
		c, here := commits[pointer]
		o := make(schema.Object, len(v))
		for i, m := range v {
			if here {
				m.Value = c // its one member, commit or sha256
			}
			o[i] = schema.Member{Name: m.Name, Value: fillCommitments(m.Value, pointer+"/"+schema.EscapePointer(m.Name), commits)}
		}
		return o
	}
	return v
}
