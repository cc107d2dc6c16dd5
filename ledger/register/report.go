package register

import (
	"crypto/ed25519"
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// judgeCertification: a provider's officer, for days that are over or today;
// `initial` is the first on the thread.
func (j *judgment) judgeCertification(c *record.CIPCertification) error {
	p, err := j.issuingProvider()
	if err != nil {
		return err
	}
	if err := j.needSigners(1, "officer", j.roleOf(p, isOfficer)); err != nil {
		return err
	}
	if err := j.checkOver("/predicate/periodUntil", c.PeriodUntil, "certified"); err != nil {
		return err
	}
	if first := j.head == nil; c.Initial != first {
		if first {
			return invalid("/predicate/initial", "this is the first certification of %s: initial must be true", p.ID)
		}
		return invalid("/predicate/initial", "%s has certified before, by record %s: this is not the initial one", p.ID, j.head.ID)
	}
	j.setPeriod(c.PeriodFrom, c.PeriodUntil)
	return nil
}

// judgeAbuseReport: a provider's officer or automation key, for days that are over or today.
func (j *judgment) judgeAbuseReport(a *record.AbuseReport) error {
	if err := j.checkReporter(); err != nil {
		return err
	}
	if err := j.checkOver("/predicate/periodUntil", a.PeriodUntil, "reported on"); err != nil {
		return err
	}
	newest := a.PeriodUntil
	if last := stateOf[*PeriodRow](j.head); last != nil && last.Newest.After(newest) {
		newest = last.Newest
	}
	j.did.Newest = &newest
	j.setPeriod(a.PeriodFrom, a.PeriodUntil)
	return nil
}

// setPeriod sets what the record covers. Its record says it all.
func (j *judgment) setPeriod(from, until record.Date) {
	j.did.PeriodFrom, j.did.PeriodUntil = &from, &until
	j.state = periodFromDelta(&j.did)
}

func periodFromDelta(d *Delta) State {
	if d.PeriodFrom == nil || d.PeriodUntil == nil {
		return nil
	}
	row := &PeriodRow{PeriodFrom: *d.PeriodFrom, PeriodUntil: *d.PeriodUntil}
	if d.Newest != nil {
		row.Newest = *d.Newest
	}
	return row
}

// checkReporter: an officer or automation key of a provider signs it.
func (j *judgment) checkReporter() error {
	p, err := j.issuingProvider()
	if err != nil {
		return err
	}
	return j.needSigners(1, "officer or automation key", j.roleOf(p, isOfficerOrAutomation))
}

// checkOver: a day of which something is said as done is no later than the admission date.
func (j *judgment) checkOver(pointer string, day record.Date, done string) error {
	if day.After(j.today) {
		return invalidForNow(pointer, "%s is after today, %s in %s: what is still to come cannot be %s", day, j.today, j.charter.TimeZone, done)
	}
	return nil
}

// judgeAITrainingReport: a provider's officer or automation key. However late, it is
// admitted, and shown as late. Of several on a thread the earliest day counts, so that no
// later record makes an earlier one timely.
func (j *judgment) judgeAITrainingReport(a *record.AITrainingReport) error {
	if err := j.checkReporter(); err != nil {
		return err
	}
	if err := j.checkOver("/predicate/knownOn", a.KnownOn, "known"); err != nil {
		return err
	}
	known := &AITrainingRow{KnownOn: a.KnownOn, KnownBy: j.index}
	if last := stateOf[*AITrainingRow](j.head); last != nil && !a.KnownOn.Before(last.KnownOn) {
		known = last
	}
	j.state, j.did.KnownOn, j.did.KnownBy = known, &known.KnownOn, known.KnownBy
	return nil
}

func aiTrainingFromDelta(d *Delta) State {
	if d.KnownOn == nil {
		return nil
	}
	return &AITrainingRow{KnownOn: *d.KnownOn, KnownBy: d.KnownBy}
}

// judgeCustomerLog: a provider's officer or automation key. The checkpoint is signed by
// the private log's own key, and extends the one before it; or the log was lost, and
// another begins.
func (j *judgment) judgeCustomerLog(c *record.CustomerLog) error {
	if err := j.checkReporter(); err != nil {
		return err
	}
	if err := j.checkOver("/predicate/periodUntil", c.PeriodUntil, "committed to"); err != nil {
		return err
	}
	if c.Origin == j.charter.Origin {
		return invalid("/predicate/origin", "%s is this ledger's own: the private log needs a name of its own", c.Origin)
	}
	j.did.PeriodUntil = &c.PeriodUntil
	if j.head.isUnshown() {
		return j.judgeCustomerLogUnshown(c)
	}
	next := CustomerLogRow{Origin: c.Origin, VKey: c.VKey, Newest: c.PeriodUntil}
	before := stateOf[*CustomerLogRow](j.head)
	if before != nil {
		if next.VKey == "" {
			next.VKey = before.VKey
		}
		if before.Newest.After(next.Newest) {
			next.Newest = before.Newest
		}
		next.Restarts, next.Restarted = before.Restarts, before.Restarted
		if c.Restart != nil {
			ref := j.ref()
			next.Restarts, next.Restarted = next.Restarts+1, &ref
		}
		if err := checkLogOrigin(c, before); err != nil {
			return err
		}
	}
	tree, err := j.checkLogCheckpoint(c, next.VKey)
	if err != nil {
		return err
	}
	if before != nil && c.Restart == nil {
		if err := checkLogExtends(c, before, tree); err != nil {
			return err
		}
	}
	next.Size, next.Root = tree.Size, record.ID(tree.Root)
	j.state = &next
	return nil
}

// checkLogOrigin: a log keeps its origin, and one that begins anew has another.
func checkLogOrigin(c *record.CustomerLog, before *CustomerLogRow) error {
	switch {
	case c.Restart == nil && c.Origin != before.Origin:
		return invalid("/predicate/origin", "the log is %s; another begins only with restart", before.Origin)
	case c.Restart != nil && c.Origin == before.Origin:
		return invalid("/predicate/origin", "%s is the log that was lost: the new one needs a name of its own", before.Origin)
	}
	return nil
}

// checkLogCheckpoint verifies the checkpoint with the log's key. One that the record names
// is set apart: it is nobody else's, and was never this log's or another's before.
func (j *judgment) checkLogCheckpoint(c *record.CustomerLog, vkey string) (proof.Tree, error) {
	key, err := proof.ParseLogKey(vkey)
	if err != nil {
		return proof.Tree{}, invalid("/predicate/vkey", "%v", err)
	}
	signed, err := proof.VerifyLog([]byte(c.Checkpoint), c.Origin, key)
	if err != nil {
		return proof.Tree{}, invalid("/predicate/checkpoint", "%v", err)
	}
	if c.VKey != "" {
		if err := j.checkLogKeyIsNew(key); err != nil {
			return proof.Tree{}, err
		}
	}
	return signed.Checkpoint().Tree(), nil
}

func (j *judgment) checkLogKeyIsNew(key proof.Key) error {
	const pointer = "/predicate/vkey"
	if before := stateOf[*CustomerLogRow](j.head); before != nil {
		old, err := proof.ParseLogKey(before.VKey)
		if err != nil {
			return fmt.Errorf("state of %s: %w: %w", j.st.Thread, ErrDamaged, err)
		}
		if key.SamePublicKey(old) {
			return invalid(pointer, "is the log's key already: leave it out, unless another takes its place")
		}
	}
	owner := ownerOfPrivateLog(j.st.Issuer)
	n := len(j.keys)
	if err := j.assignNoteKey(pointer, key, owner); err != nil {
		return err
	}
	if _, assigned := key.Public().(ed25519.PublicKey); assigned && len(j.keys) == n {
		return invalid(pointer, "was the key of %s before: generate another", (&KeyRow{Owner: owner}).owner())
	}
	return nil
}

// checkLogExtends: what was committed to before is still there.
func checkLogExtends(c *record.CustomerLog, before *CustomerLogRow, tree proof.Tree) error {
	if tree.Size < before.Size {
		return invalid("/predicate/size", "is %d; the record before it commits to %d leaves: a log never shrinks", tree.Size, before.Size)
	}
	path := make([]proof.Hash, len(c.Consistency))
	for i, text := range c.Consistency {
		var err error
		if path[i], err = proof.ParseHash(text); err != nil {
			return invalid(fmt.Sprintf("/predicate/consistency/%d", i), "%v", err)
		}
	}
	if err := proof.VerifyConsistency(proof.Tree{Size: before.Size, Root: proof.Hash(before.Root)}, tree, path); err != nil {
		return invalid("/predicate/consistency", "from size %d, which the record before it commits to: %v", before.Size, err)
	}
	return nil
}

// judgeCustomerLogUnshown is for one of which a sparse replay does not know what stood
// before it: a checkpoint can be verified where the record itself names its key.
func (j *judgment) judgeCustomerLogUnshown(c *record.CustomerLog) error {
	if c.VKey == "" {
		j.addUnchecked("that the key of %s signed its checkpoint", c.Origin)
	} else if _, err := j.checkLogCheckpoint(c, c.VKey); err != nil {
		return err
	}
	if c.Restart == nil {
		j.addUnchecked("that its checkpoint extends the one before it")
	}
	return nil
}
