package register

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// ResellerRow is what later queries need of the newest record on a thread reseller/R/P.
type ResellerRow struct {
	Status     record.ResellerStatus
	VerifiedAt *record.Date // the latest on the thread so far, nil while there is none
}

// judgeReseller: a provider's officer, and of an active one the reseller's too.
func (j *judgment) judgeReseller(r *record.ResellerReport) error {
	p, err := j.issuingProvider()
	if err != nil {
		return err
	}
	if err := j.needSigners(1, "officer", j.roleOf(p, isOfficer)); err != nil {
		return err
	}
	if r.Status == record.ResellerActive {
		if err := j.checkReseller(); err != nil {
			return err
		}
	}
	for i, day := range r.Attempts {
		if day.After(j.today) {
			return invalidForNow(fmt.Sprintf("/predicate/attempts/%d", i), "%s is after today, %s in %s", day, j.today, j.charter.TimeZone)
		}
	}
	if r.VerifiedAt != nil && r.VerifiedAt.After(j.today) {
		return invalidForNow("/predicate/verifiedAt", "%s is after today, %s in %s: what is still to come was not verified", *r.VerifiedAt, j.today, j.charter.TimeZone)
	}
	before := stateOf[*ResellerRow](j.head)
	if err := j.checkResellerStep(before, r.Status); err != nil {
		return err
	}
	next := &ResellerRow{Status: r.Status, VerifiedAt: r.VerifiedAt}
	if before != nil && before.VerifiedAt != nil {
		switch {
		case r.VerifiedAt == nil:
			next.VerifiedAt = before.VerifiedAt
		case r.VerifiedAt.Before(*before.VerifiedAt):
			return invalid("/predicate/verifiedAt", "%s is before %s, when it was last verified by record %s", *r.VerifiedAt, *before.VerifiedAt, j.head.ID)
		}
	}
	j.state = next
	j.did.Status, j.did.VerifiedAt = string(next.Status), next.VerifiedAt
	return nil
}

// checkReseller: the reseller is a party that is one, in standing, and its officer signs too.
func (j *judgment) checkReseller() error {
	id := j.st.Thread.Reseller()
	p, err := j.draft.partyRow(id)
	switch {
	case err != nil:
		return err
	case p == nil:
		hint, err := j.draft.suggestParty(id)
		if err != nil {
			return err
		}
		return invalidForNow("/predicate/thread", "%s is not enrolled%s; until a provider or a registrar sees to that its status is unconfirmed", id, hint)
	case !p.HasRole(record.RoleReseller):
		return invalidForNow("/predicate/thread", "%s is no reseller (enrolled as %s)", id, joinWords(p.Roles))
	}
	if err := j.checkStanding(p); err != nil {
		return err
	}
	return j.needSigners(1, "officer of "+id, j.roleOf(p, isOfficer))
}

// checkResellerStep: unconfirmed or active first, and anew after terminated; active may be
// verified anew; a breach ends in terminated. before is nil of the first, and of one whose
// thread a sparse replay was not shown.
func (j *judgment) checkResellerStep(before *ResellerRow, next record.ResellerStatus) error {
	if before == nil {
		if j.head == nil && next != record.ResellerUnconfirmed && next != record.ResellerActive {
			return invalid("/predicate/status", "is %s, but nothing stands on %s: it begins as unconfirmed or active", next, j.st.Thread)
		}
		return nil
	}
	var may []record.ResellerStatus
	switch before.Status {
	case record.ResellerUnconfirmed:
		may = []record.ResellerStatus{record.ResellerUnconfirmed, record.ResellerActive, record.ResellerBreach, record.ResellerTerminated}
	case record.ResellerActive:
		may = []record.ResellerStatus{record.ResellerActive, record.ResellerBreach, record.ResellerTerminated}
	case record.ResellerBreach:
		may = []record.ResellerStatus{record.ResellerTerminated}
	default:
		may = []record.ResellerStatus{record.ResellerUnconfirmed, record.ResellerActive}
	}
	if slices.Contains(may, next) {
		return nil
	}
	return j.conflict("%s is %s: %s can follow, not %s", j.st.Thread, before.Status, joinWords(may), next)
}

func resellerFromDelta(d *Delta) State {
	if d.Status == "" {
		return nil
	}
	return &ResellerRow{Status: record.ResellerStatus(d.Status), VerifiedAt: d.VerifiedAt}
}

func resellerCandidates(c *keyCollector, st *record.Statement) {
	c.addParty(st.Issuer, isOfficer)
	c.addParty(st.Thread.Reseller(), isOfficer)
}

// resellerText is the text of the row that lists a reseller of a provider; without a reseller,
// a prefix of those of the provider.
func resellerText(provider, reseller string) string { return provider + "\x1f" + reseller }

// Resellers yields the threads that providers keep of their resellers, or one of them does,
// by provider and reseller, those that come after another.
func (s Snapshot) Resellers(provider string, after record.Thread, yield func(record.Thread) (more bool, err error)) error {
	past := func(text string) []byte { return append([]byte{tableReseller}, text+"\x01"...) }
	prefix := ""
	if provider != "" {
		prefix = resellerText(provider, "")
	}
	lower, upper := prefixBounds(tableReseller, prefix)
	if after != "" {
		if from := past(resellerText(after.Party(), after.Reseller())); bytes.Compare(from, lower) > 0 {
			lower = from
		}
	}
	if upper != nil && bytes.Compare(lower, upper) >= 0 {
		return nil
	}
	return s.rows.scanNewest(lower, upper, s.size, past, func(text string, _ uint64, _ []byte) (bool, error) {
		provider, reseller, _ := strings.Cut(text, "\x1f")
		return yield(record.ResellerThread(reseller, provider))
	})
}

func (*ResellerRow) prepare() error                                     { return nil }
func (*ResellerRow) identifiers(record.Thread) map[string]IdentifierUse { return nil }
func (*ResellerRow) renamed() bool                                      { return false }
