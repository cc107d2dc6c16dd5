package register

import (
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// ResponsibleKey is a key that answers for a record by its signature.
type ResponsibleKey struct {
	Owner  string // as [Register.KeyOwner] names it
	Holder string
	KeyID  string
}

func (s ResponsibleKey) String() string { return s.Owner + "'s " + s.Holder }

// ResponsibleKeys are the keys that answer for a record at an instant, be it admissible or
// not: all that signed it, are live then and have one owner, its issuer before all others.
// There are none where nobody answers for it. What a record says of its issuer proves
// nothing: a charter, an enrolment or a keys record may be signed by nothing but the keys
// that it lists itself.
//
// Where the issuer has signed, as nearly always, it costs one row in memory.
func (r *Register) ResponsibleKeys(v record.Verified, at time.Time) ([]ResponsibleKey, error) {
	r.mu.Lock()
	below, charter := r.tip.next, r.tip.charter
	r.mu.Unlock()
	if charter == nil {
		return nil, nil
	}
	today := rules1.DateIn(at, charter.State.(*CharterRow).zone)
	of := func(owner, name string) (all []ResponsibleKey, err error) {
		row, err := r.lookupThread(owner, below) // an owner of live keys is named as the thread that lists them
		if err != nil || row == nil {
			return nil, err
		}
		for _, s := range v.Signatures() {
			switch state := row.State.(type) {
			case *PartyRow:
				if k := state.Key(s.Key.ID()); k != nil && k.Live(at, today) {
					all = append(all, ResponsibleKey{name, k.Holder, k.ID})
				}
			case *CharterRow:
				if holder, ok := state.rootHolder(s.Key.ID()); ok {
					all = append(all, ResponsibleKey{name, holder, s.Key.ID()})
				}
			}
		}
		return all, nil
	}
	issuer := v.Statement().Issuer
	if all, err := of("party/"+issuer, issuer); err != nil || all != nil {
		return all, err
	}
	for _, s := range v.Signatures() {
		k, err := r.keyRow(s.Key.ID(), below)
		if err != nil {
			return nil, err
		}
		if k == nil {
			continue
		}
		if all, err := of(k.Owner, k.owner()); err != nil || all != nil {
			return all, err
		}
	}
	return nil, nil
}
