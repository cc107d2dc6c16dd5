package register

import (
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// Signatory is who answers for a record at an instant, be it admissible or not: the
// owner of a key that signed it and is live then, its issuer before all others, by
// the name that [Register.Owner] gives. It is "" where there is none. What a record
// says of its issuer proves nothing: a charter, an enrolment or a keys record may be
// signed by nothing but the keys that it lists itself.
//
// Where the issuer has signed, as nearly always, it costs one row in memory.
func (r *Register) Signatory(v record.Verified, at time.Time) (who string, err error) {
	r.mu.Lock()
	below, charter := r.tip.next, r.tip.charter
	r.mu.Unlock()
	if charter == nil {
		return "", nil
	}
	today := rules1.DateIn(at, charter.State.(*CharterRow).zone)
	signed := func(owner string) (bool, error) {
		row, err := r.committed(owner, below) // an owner of live keys is named as the thread that lists them
		if err != nil || row == nil {
			return false, err
		}
		return slices.ContainsFunc(v.Signatures(), func(s record.VerifiedSignature) (live bool) {
			switch state := row.State.(type) {
			case *PartyRow:
				k := state.Key(s.Key.ID())
				live = k != nil && k.Live(at, today)
			case *CharterRow:
				_, live = state.root(s.Key.ID())
			}
			return live
		}), nil
	}
	issuer := v.Statement().Issuer
	if ok, err := signed("party/" + issuer); err != nil || ok {
		return issuer, err
	}
	for _, s := range v.Signatures() {
		k, err := r.keyRow(s.Key.ID(), below)
		if err != nil {
			return "", err
		}
		if k == nil {
			continue
		}
		if ok, err := signed(k.Owner); err != nil || ok {
			return k.owner(), err
		}
	}
	return "", nil
}
