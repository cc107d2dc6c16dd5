package register

import (
	"fmt"
	"slices"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Withheld is one record of which the text is not shown, though the entry is in the log and
// the fold goes on from it.
type Withheld struct {
	Index  uint64
	Thread record.Thread
	Kind   record.Kind
	Reason string
}

// Words stand in the place of what the record says.
func (w Withheld) Words() string { return "withheld: " + w.Reason }

// withheldRecords are the records whose text is not shown, by thread, each thread's in log
// order. It is not changed once it is in use.
type withheldRecords map[record.Thread][]Withheld

// Withhold takes the text of these records, and of no others, out of what is answered: out of
// every [Snapshot] made from now on, [Draft.Judged], [Register.KeyHolder] and
// [Register.KeyOwner]. Dates, threads, IDs, keys and words of closed sets stay. Nothing that
// judges reads this, so that the fold is what it was.
func (r *Register) Withhold(records []Withheld) {
	by := make(withheldRecords)
	for _, w := range records {
		by[w.Thread] = append(by[w.Thread], w)
	}
	for _, list := range by {
		slices.SortFunc(list, func(a, b Withheld) int { return int(int64(a.Index) - int64(b.Index)) })
	}
	r.withheld.Store(&by)
}

// withheldNow are those of this moment.
func (r *Register) withheldNow() withheldRecords {
	if w := r.withheld.Load(); w != nil {
		return *w
	}
	return nil
}

// at is what stands in the place of what the record of an index said; "" if it is shown.
func (w withheldRecords) at(thread record.Thread, index uint64) string {
	for _, one := range w[thread] {
		if one.Index == index {
			return one.Words()
		}
	}
	return ""
}

// inState is what stands in the place of the text of a thread's state at a version; "" if
// that is shown. A state may have kept any member of any record before it, so that one of
// which the text goes on in the state takes all the state's text with it.
func (w withheldRecords) inState(thread record.Thread, version uint64) string {
	for _, one := range w[thread] {
		if k := kinds[one.Kind]; one.Index <= version && (k == nil || !k.textInStepAlone) {
			return one.Words()
		}
	}
	return ""
}

// version is a version of a thread as it is shown. The row is shared by all who read it, and
// so is left as it is.
func (w withheldRecords) version(row *ThreadRow) *ThreadRow {
	if row == nil || len(w[row.Thread]) == 0 {
		return row
	}
	shown := *row
	if words := w.at(row.Thread, row.Index); words != "" && shown.Delta.Reason != "" {
		shown.Delta.Reason = words
	}
	if row.State != nil {
		shown.State = row.State.withheld(w, row)
	}
	return &shown
}

// key is a key as it is shown.
func (w withheldRecords) key(k *KeyRow) *KeyRow {
	if k == nil {
		return nil
	}
	if words := w.at(k.Owner, k.Added); words != "" && k.Holder != "" {
		shown := *k
		shown.Holder = words
		return &shown
	}
	return k
}

// withheld is the state without the text of what is withheld, in a copy if there is such
// text. A charter is never withheld: without it nothing can be verified.
func (c *CharterRow) withheld(withheldRecords, *ThreadRow) State { return c }

func (p *PartyRow) withheld(w withheldRecords, row *ThreadRow) State {
	shown := *p
	shown.Keys = slices.Clone(p.Keys)
	for i := range shown.Keys {
		shown.Keys[i] = *w.key(&p.Keys[i])
	}
	words := w.inState(row.Thread, row.Index)
	if words == "" {
		return &shown
	}
	shown.LegalName, shown.LEI, shown.Website, shown.Contact = words, "", "", ""
	return &shown
}

func (d *DesignationRow) withheld(w withheldRecords, row *ThreadRow) State {
	words := w.inState(row.Thread, row.Index)
	if words == "" {
		return d
	}
	shown, c := *d, &d.Current
	shown.Current = record.Designation{
		Measure: c.Measure, Action: c.Action, Program: []string{},
		DeterminedOn: c.DeterminedOn, EffectiveFrom: c.EffectiveFrom, EffectiveUntil: c.EffectiveUntil, ResponseDue: c.ResponseDue,
		Target: record.Target{Schema: c.Target.Schema, Name: words, Country: c.Target.Country, Role: c.Target.Role},
		Scope:  c.Scope,
	}
	for _, condition := range c.Conditions {
		shown.Current.Conditions = append(shown.Current.Conditions, record.Condition{ID: condition.ID, Text: words})
	}
	if c.Source != nil { // the thread names both
		shown.Current.Source = &record.Source{List: c.Source.List, ID: c.Source.ID, PublishedOn: c.Source.PublishedOn}
	}
	return &shown
}

func (l *LicenceRow) withheld(w withheldRecords, row *ThreadRow) State {
	words := w.inState(row.Thread, row.Index)
	if words == "" {
		return l
	}
	shown := *l
	shown.Licence = record.Licence{Type: l.Type, Holder: l.Holder, Designations: l.Designations, From: l.From, Until: l.Until, Terms: words}
	return &shown
}

// These have no words of their own: dates, digests, party IDs, keys, and words of closed sets.
func (r *ResponseRow) withheld(withheldRecords, *ThreadRow) State    { return r }
func (p *PeriodRow) withheld(withheldRecords, *ThreadRow) State      { return p }
func (c *CustomerLogRow) withheld(withheldRecords, *ThreadRow) State { return c }
func (a *AITrainingRow) withheld(withheldRecords, *ThreadRow) State  { return a }
func (r *ResellerRow) withheld(withheldRecords, *ThreadRow) State    { return r }
func (r *RequestRow) withheld(withheldRecords, *ThreadRow) State     { return r }
func (r *ReceiptRow) withheld(withheldRecords, *ThreadRow) State     { return r }
func (a *AssessmentRow) withheld(withheldRecords, *ThreadRow) State  { return a }

// formerNames is what is shown of the names that a thread bore before.
func (w withheldRecords) formerNames(thread record.Thread, size uint64) (names []string, withheld bool) {
	if size == 0 {
		return nil, false
	}
	words := w.inState(thread, size-1)
	return []string{words}, words != ""
}

// String names the record, for logs.
func (w Withheld) String() string {
	return fmt.Sprintf("%s on %s (index %d)", w.Kind, w.Thread, w.Index)
}

// shownHolder is what a refusal says of a key's holder; nothing is judged by it.
func (j *judgment) shownHolder(k *KeyRow) string { return j.draft.r.withheldNow().key(k).Holder }

// WithheldHolder is the holder of a key where that is withheld, and what is shown in its
// place: for those who hand on words of the rules, which judge by it.
func (r *Register) WithheldHolder(keyid string) (holder, words string, withheld bool, err error) {
	k, err := r.keyRow(keyid, r.Size())
	if err != nil || k == nil {
		return "", "", false, err
	}
	words = r.withheldNow().key(k).Holder
	return k.Holder, words, words != k.Holder, nil
}
