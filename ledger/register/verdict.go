package register

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// BeginAt opens a draft on the register as it was at a size, to judge on and to drop: what
// a ledger of that size would have said. At the newest size it is [Register.Begin].
func (r *Register) BeginAt(size uint64, admitted time.Time) (*Draft, error) {
	r.mu.Lock()
	on := r.tip
	r.mu.Unlock()
	if size > on.next || size == 0 && on.next > 0 {
		return nil, fmt.Errorf("judging as of size %d: the register has %s", size, FormatEntryCount(on.next))
	}
	if size < on.next {
		newest, err := r.recordRow(size - 1)
		if err != nil {
			return nil, err
		}
		charter, err := r.newestVersion(ownerRoot, size)
		if err != nil {
			return nil, err
		}
		if charter == nil {
			return nil, fmt.Errorf("no charter below %d: %w", size, ErrDamaged)
		}
		on = tip{next: size, ledger: on.ledger, lastAdmitted: newest.Admitted, charter: charter}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newDraft(admitted, on), nil
}

// Verdict is what the rules say of a submission.
type Verdict struct {
	Signers []string        // IDs of the keys whose signatures verified, ordered; empty unless one of them is enrolled
	Refused *record.Refusal // nil: the record is admissible
}

// Verdict judges an envelope as a ledger does that is sent it now: it finds who signed,
// and applies the rules. The draft is to be dropped. An error is no refusal.
func (d *Draft) Verdict(env record.Envelope) (Verdict, error) {
	var st *record.Statement
	v, err := record.Open(env, func(opened *record.Statement) []*record.Key {
		st = opened
		return d.r.candidateKeys(env, st, d.tip)
	})
	if err == nil {
		return d.VerdictOn(v)
	}
	if st != nil {
		err = d.ExplainUnopened(env, st, err)
	}
	var verdict Verdict
	if !errors.As(err, &verdict.Refused) {
		return Verdict{}, err
	}
	holders, err := d.EnrolledSigners(env)
	for _, h := range holders {
		verdict.Signers = append(verdict.Signers, h.KeyID)
	}
	slices.Sort(verdict.Signers)
	return verdict, err
}

// VerdictOn is [Draft.Verdict] of a record whose signatures were verified.
func (d *Draft) VerdictOn(v record.Verified) (Verdict, error) {
	var verdict Verdict
	enrolled := false
	for _, s := range v.Signatures() {
		verdict.Signers = append(verdict.Signers, s.Key.ID())
		_, known, err := d.r.keyHolder(s.Key.ID(), d.start)
		if err != nil {
			return Verdict{}, err
		}
		enrolled = enrolled || known
	}
	if !enrolled {
		verdict.Signers = nil
	}
	if _, err := d.Judge(v); err != nil && !errors.As(err, &verdict.Refused) {
		return Verdict{}, err
	}
	return verdict, nil
}

// ExplainUnopened says why an envelope is refused of which [record.Open] has found no
// signer: what no signature could cure goes first, as a record of another ledger, or an
// issuer whose name is misspelt; then whose keys they are; or else Open's own words.
func (d *Draft) ExplainUnopened(env record.Envelope, st *record.Statement, opened error) error {
	if reason := d.Preflight(st); reason != nil {
		return reason
	}
	if reason := d.ExplainSigners(env, st.Issuer); reason != nil {
		return reason
	}
	return opened
}

// RefusalsKey is the vkey that the charter in force names for signed refusals, "" if it names
// none.
func (d *Draft) RefusalsKey() string {
	if d.charter == nil {
		return ""
	}
	return d.charter.charter().RefusalsKey
}

// EnrolledSigners are the enrolled keys that signed an envelope, whatever they may sign:
// those that its first signatures' key IDs name, each of which is verified, so that no
// owner is named falsely.
func (d *Draft) EnrolledSigners(env record.Envelope) (signers []KeyHolder, err error) {
	message := record.PAE(env.Payload)
	for _, s := range env.Signatures[:min(len(env.Signatures), record.MaxSignatures)] {
		h, ok, err := d.r.keyHolder(s.KeyID, d.start)
		if err != nil {
			return nil, err
		}
		twice := slices.ContainsFunc(signers, func(o KeyHolder) bool { return o.KeyID == h.KeyID })
		if ok && !twice && h.key.Verify(message, s.Sig) == nil {
			signers = append(signers, h)
		}
	}
	return signers, nil
}

// ExplainSigners returns a refusal that names the owners of the keys that signed an
// envelope which none of the [Register.CandidateKeys] signed: "key SHA256:3fa9… belongs
// to delta-racks". nil: no enrolled key signed it.
func (d *Draft) ExplainSigners(env record.Envelope, issuer string) error {
	signers, err := d.EnrolledSigners(env)
	if err != nil {
		return err
	}
	var whose []string
	for _, h := range signers {
		switch {
		case h.Party == "":
			whose = append(whose, fmt.Sprintf("key %s is a root key", ShortKeyID(h.KeyID)))
		case h.Party != issuer:
			whose = append(whose, fmt.Sprintf("key %s belongs to %s", ShortKeyID(h.KeyID), h.Party))
		case h.Revoked != 0:
			whose = append(whose, fmt.Sprintf("key %s was revoked at index %d", ShortKeyID(h.KeyID), h.Revoked))
		default:
			whose = append(whose, fmt.Sprintf("key %s is %s's, of use %s, which does not sign this kind of record", ShortKeyID(h.KeyID), issuer, h.Use))
		}
	}
	if whose == nil {
		return nil
	}
	return record.Refuse(record.Forbidden, "%s: sign with a key of %s that may", strings.Join(whose, "; "), issuer)
}
