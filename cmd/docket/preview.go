package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// preview is what a signer is shown of a record before signing it.
type preview struct {
	app               *app
	base              *baseState
	envelope          record.Envelope
	id                record.ID
	statement         *record.Statement
	signers           []*record.Key // whose signatures verify
	ignoredSignatures int           // signatures by no key that may sign this
	missing           string        // what is missing for the ledger to take it
	changes           []string
	warnings          []string
	vain              bool // a copy synced just now says that the ledger would refuse it as it stands
}

// preview shows a record before it is signed, its signatures, and what it changes.
func (a *app) preview(ctx context.Context, g *baseState, env record.Envelope) (*preview, error) {
	st, err := record.ParseStatement(env.Payload)
	if err != nil {
		return nil, refusal("%w", err)
	}
	b := &preview{app: a, base: g, envelope: env, id: record.IDOf(env.Payload), statement: st}
	if err := b.readSignatures(env); err != nil {
		return nil, err
	}
	if b.changes, err = g.changes(ctx, st); err != nil {
		return nil, err
	}
	if err := b.collectWarnings(); err != nil {
		return nil, err
	}
	b.print()
	return b, nil
}

// readSignatures finds whose signatures are there.
func (b *preview) readSignatures(env record.Envelope) error {
	if len(env.Signatures) == 0 || b.base.register == nil {
		return nil
	}
	v, err := record.Open(env, b.base.register.CandidateKeysFor(env))
	if err != nil {
		b.ignoredSignatures = len(env.Signatures)
		return nil
	}
	for _, s := range v.Signatures() {
		b.signers = append(b.signers, s.Key)
	}
	b.ignoredSignatures = v.Ignored()
	stands, err := b.base.checkResult(env)
	var f *failure
	switch {
	case errors.As(err, &f):
		b.missing = f.Error()
	case err != nil:
		return err
	case stands.complete:
		b.missing = "complete: enough have signed"
	default:
		b.missing = stands.missing
	}
	return nil
}

// collectWarnings gathers what should make a signer stop: what the ledger would refuse, a
// response about a designation as it no longer stands, a charter that leaves the log
// no key or its witnesses no URL, another ledger.
func (b *preview) collectWarnings() error {
	st, g := b.statement, b.base
	warn := func(format string, args ...any) { b.warnings = append(b.warnings, fmt.Sprintf(format, args...)) }
	if !g.ledger.IsZero() && !st.Ledger.IsZero() && st.Ledger != g.ledger {
		warn("it is written for another ledger, %s; this is %s", st.Ledger, g.ledger)
		return nil
	}
	if g.register == nil {
		warn("nothing here tells who may sign this, or what is missing: only a trust directory does (--trust DIR)")
	}
	if b.ignoredSignatures > 0 {
		warn("%s that it bears will not count: by no key that may sign this", plural(b.ignoredSignatures, "signature"))
	}
	head, ok, err := g.head(st.Thread)
	switch {
	case err != nil:
		return err
	case ok && head.ID == b.id:
		warn("it is on the ledger already, at index %d", head.Index)
	default:
		if err := b.preflight(warn); err != nil {
			return err
		}
	}
	if c, ok := st.Predicate.(*record.Charter); ok {
		if p, err := proof.ParsePolicy([]byte(c.Policy)); err == nil {
			if err := checkAskable(p); err != nil {
				warn("%v", err)
			}
		}
		kept, err := g.namesPresentLogKey(c)
		if err == nil && !kept {
			warn("no log key of the present policy stands in this one: unless the log signs with the new ones already (docket init --next), it can publish nothing under it")
		}
		return err
	}
	thread := answeredThread(st)
	if thread == "" {
		return nil
	}
	if head, ok, err = g.head(thread); err == nil && ok && head.ID != record.ID(st.Subject.SHA256) {
		warn("%s has changed since the record that this answers: %s %s at index %d, %s", thread, article(head.Kind), head.Kind, head.Index, head.ID)
	}
	return err
}

// namesPresentLogKey tells whether a charter's policy names a log key that the present one
// names too; true where no charter is known, or this one's policy is none.
func (g *baseState) namesPresentLogKey(c *record.Charter) (bool, error) {
	if g.register == nil || g.register.Size() == 0 {
		return true, nil
	}
	next, err := proof.ParsePolicy([]byte(c.Policy))
	if err != nil {
		return true, nil // the ledger will say so
	}
	era, err := g.register.PolicyEpochAt(g.register.Size())
	if err != nil {
		return false, err
	}
	present, err := proof.ParsePolicy([]byte(era.Policy))
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(next.LogKeys(c.Origin), func(k proof.Key) bool {
		return slices.ContainsFunc(present.LogKeys(era.Origin), k.SamePublicKey)
	}), nil
}

// preflight asks the register for what no signature could heal. What the day, or others'
// records, may heal in the meantime, or have where the copy is behind, is only warned of; of
// what a copy that is not behind knows, that is so only where it is not sent at once.
func (b *preview) preflight(warn func(format string, args ...any)) error {
	g := b.base
	if g.register == nil || g.ledger.IsZero() && b.statement.Kind != record.KindCharter {
		return nil
	}
	err := g.register.Begin(g.now()).Preflight(b.statement)
	var r *record.Refusal
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &r):
		return err
	case g.isPermanent(r):
		return refusal("the ledger would refuse this, whoever signs it: %w", r).hint("nothing was written; correct the record")
	case g.justSynced && g.sendsAtOnce:
		stop := refusal("the ledger would refuse this as it stands, whoever signs it: %w", r)
		if !r.RetryAt.IsZero() {
			stop = notYet("the ledger would refuse this as it stands, whoever signs it: %w", r)
		}
		return stop.hint("nothing was written or sent; correct the record, or run the same command again when that has changed")
	case g.justSynced:
		b.vain = true
		warn("the ledger would refuse it as it stands, whoever signs it: %v", r)
	default:
		warn("as far as is known here, the ledger would refuse it as it stands, whoever signs it: %v", r)
	}
	return nil
}

// print prints all of it to stderr.
func (b *preview) print() {
	a := b.app
	showStatement(a.err, b.id, b.statement)
	if answeredThread(b.statement) != "" {
		b.printSubject()
	}
	if len(b.changes) > 0 {
		a.logf("  changes")
		for _, line := range b.changes {
			a.logf("    %s", printable(line))
		}
	}
	switch {
	case len(b.envelope.Signatures) == 0:
		a.logf("  signed by    nobody yet")
	case b.base.register == nil:
		a.logf("  signed by    %s that nothing here can check", plural(len(b.envelope.Signatures), "signature"))
	}
	for _, k := range b.signers {
		a.logf("  signed by    %s", b.keyOwnerText(k.ID()))
	}
	if b.missing != "" {
		a.logf("  stands at    %s", printable(b.missing))
	}
	a.logf("  read         %s", b.base)
	for _, w := range b.warnings {
		a.logf("docket: warning: %s", printable(w))
	}
}

// answeredThread is the designation's thread on which the record stands that is a
// statement's subject, "" where its subject is something else.
func answeredThread(st *record.Statement) record.Thread {
	if spec, err := record.SpecOf(st.Kind); err != nil || spec.Subject != record.SubjectDesignation {
		return ""
	}
	return st.Thread.About()
}

// printSubject says which record a response answers, as the copy proves it.
func (b *preview) printSubject() {
	v, err := b.base.view()
	if err != nil || v == nil {
		return
	}
	r, err := v.Record(record.ID(b.statement.Subject.SHA256))
	if err != nil {
		b.warnings = append(b.warnings, fmt.Sprintf("what it is about is not known here: %v", err))
		return
	}
	text := fmt.Sprintf("%s at index %d, admitted %s", r.Kind, r.Index, formatTime(r.Admitted))
	if d, err := v.Designation(r.Thread, time.Now()); err == nil {
		text += ": " + d.Name
	}
	b.app.logf("  answers      %s (%s)", printable(text), r.Thread)
}

// keyOwnerText says whose key it is.
func (b *preview) keyOwnerText(keyid string) string {
	if b.base.register != nil {
		if h, ok, err := b.base.register.KeyHolder(keyid); err == nil && ok {
			return keyHolderText(h)
		}
	}
	for _, k := range record.ListedPartyKeys(b.statement) {
		if key, err := k.Key.Key(); err == nil && key.ID() == keyid {
			return fmt.Sprintf("%s, holder %s (key %s, listed here)", b.statement.Party(), k.Holder, keyid)
		}
	}
	if b.base.register == nil {
		return "key " + keyid
	}
	return "key " + keyid + ", which is not enrolled"
}

// keyHolderText names a key's holder as people say it, and the key's marks.
func keyHolderText(h register.KeyHolder) string {
	party := h.Party
	if party == "" {
		party = "root"
	}
	text := fmt.Sprintf("%s, holder %s (key %s, enrolled at #%d)", party, h.Holder, h.KeyID, h.Added)
	return strings.Join(append([]string{text}, h.Warnings()...), "; ")
}

// checkResult is the outcome of checking an envelope against the known register.
type checkResult struct {
	complete bool
	nextStep string   // what to do with a complete one
	missing  string   // what is missing, where it is not complete
	effects  []string // of a complete one
}

// checkResult tries an envelope on the register. What nothing can heal is an error; too few
// signatures are not, nor what the day or others may still change.
func (g *baseState) checkResult(env record.Envelope) (checkResult, error) {
	st, err := record.ParseStatement(env.Payload)
	if err != nil {
		return checkResult{}, refusal("%w", err)
	}
	if g.register == nil || g.ledger.IsZero() && st.Kind != record.KindCharter {
		return checkResult{}, nil
	}
	d, err := g.check(env)
	var r *record.Refusal
	switch {
	case err == nil:
		effects, err := view.Effects(d)
		next := "docket submit sends it"
		if g.ledger.IsZero() {
			next = "docket init --dir D --charter begins the ledger with it"
		}
		return checkResult{complete: true, nextStep: next, effects: effects}, err
	case !errors.As(err, &r):
		return checkResult{}, err
	case r.Class == record.Forbidden:
		return checkResult{missing: r.Error()}, nil
	case !g.isPermanent(r):
		return checkResult{}, nil // the brief has warned of it
	}
	return checkResult{}, refusal("the ledger would refuse this, however many sign: %w", r).hint("nothing was written; correct the record and sign it again")
}

// print tells the signer what comes next.
func (v checkResult) print(a *app) {
	switch {
	case v.complete:
		a.logf("complete: enough have signed; %s", v.nextStep)
		for _, e := range v.effects {
			a.logf("  %s", printable(e))
		}
	case v.missing != "":
		a.logf("not complete yet: %s", printable(v.missing))
	}
}

// changes says field by field what a record changes against the one that it
// follows; nothing where it opens its thread or the thread is not known here.
func (g *baseState) changes(ctx context.Context, st *record.Statement) ([]string, error) {
	v, err := g.view()
	if err != nil || v == nil || st.Follows.IsZero() {
		return nil, err
	}
	if am, ok := st.Predicate.(*record.Amendment); ok {
		return diffAmendment(v, st.Thread, am)
	}
	if k, ok := st.Predicate.(*record.Keys); ok {
		return g.diffKeys(k)
	}
	old, err := v.Record(st.Follows)
	var absent *view.AbsentError
	if errors.As(err, &absent) {
		return []string{fmt.Sprintf("the record that it follows is not known here (%v)", err)}, nil
	} else if err != nil {
		return nil, err
	}
	if d, err := v.Designation(st.Thread, time.Now()); err == nil && st.Kind == record.KindRevocation {
		return []string{
			fmt.Sprintf("revokes the designation of %s, which is %s", d.Name, d.Status),
			"a revocation is final: what it lifts cannot be reinstated",
		}, nil
	}
	// A later record on a request to disclose leaves out the terms, which stand.
	if old.Kind != st.Kind || st.Kind == record.KindDisclosureRequest || g.trust == nil {
		return []string{fmt.Sprintf("follows %s %s record at index %d, admitted %s", article(old.Kind), old.Kind, old.Index, formatTime(old.Admitted))}, nil
	}
	before, err := g.statementAt(ctx, old.Index)
	if err != nil {
		return nil, err
	}
	return describeChanges(record.DiffLeaves(changeableLeaves(before), changeableLeaves(st))), nil
}

// changeableLeaves is what a statement says but for its ledger, which a thread never
// changes: only the charter that opens it names none.
func changeableLeaves(st *record.Statement) []record.Leaf {
	return slices.DeleteFunc(st.Leaves(), func(l record.Leaf) bool { return l.Pointer == "/ledger" })
}

// diffKeys says what becomes of a party's keys. What the keys record before this one
// did has nothing to do with it.
func (g *baseState) diffKeys(k *record.Keys) (lines []string, err error) {
	for _, add := range k.Add {
		key, err := add.Key.Key()
		if err != nil {
			return nil, refusal("the key of %s: %w", add.Holder, err)
		}
		lines = append(lines, fmt.Sprintf("adds %s (%s, %s)", add.Holder, add.Use, key.ID()))
	}
	for _, r := range k.Revoke {
		h, ok, err := g.register.KeyHolder(r.KeyID)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			lines = append(lines, fmt.Sprintf("revokes %s, which is not enrolled", r.KeyID))
		default:
			lines = append(lines, fmt.Sprintf("revokes %s (%s, %s, enrolled at #%d)", h.Holder, h.Use, r.KeyID, h.Added))
		}
	}
	return lines, nil
}

// article is what English puts before a kind's name.
func article(k record.Kind) string {
	if strings.ContainsRune("aeiou", rune(k[0])) {
		return "an"
	}
	return "a"
}

// diffAmendment applies an amendment to the designation as it stands.
func diffAmendment(v *view.View, thread record.Thread, am *record.Amendment) ([]string, error) {
	d, err := v.Designation(thread, time.Now())
	var absent *view.AbsentError
	if errors.As(err, &absent) {
		return []string{err.Error()}, nil
	} else if err != nil {
		return nil, err
	}
	_, changes, err := record.Amend(&d.Current, am)
	if err != nil {
		return nil, refusal("as %s stands: %w", thread, err)
	}
	lines := make([]string, len(changes))
	for i, c := range changes {
		lines[i] = c.String()
	}
	if am.ReopensDuty() {
		lines = append(lines, "re-opens the duty to respond")
	}
	return lines, nil
}

// describeChanges gives each change a line, and one of a text of several lines as many as
// it needs.
func describeChanges(changes []record.Change) (lines []string) {
	for _, c := range changes {
		if c.Old != "" && c.New != "" && strings.Contains(c.Old+c.New, "\n") {
			lines = append(lines, diffLines(c.Path, c.Old, c.New)...)
		} else {
			lines = append(lines, c.String())
		}
	}
	return lines
}

// diffLines says of a text of several lines, a policy as a rule or a key, which are
// gone and which came.
func diffLines(pointer, old, new string) (lines []string) {
	if key, err := record.PEM(new).Key(); err == nil {
		was := "another key"
		if k, err := record.PEM(old).Key(); err == nil {
			was = k.ID()
		}
		return []string{fmt.Sprintf("%s: %s → %s", pointer, was, key.ID())}
	}
	before, after := strings.Split(strings.TrimSuffix(old, "\n"), "\n"), strings.Split(strings.TrimSuffix(new, "\n"), "\n")
	for _, l := range before {
		if !slices.Contains(after, l) {
			lines = append(lines, fmt.Sprintf("%s: − %s", pointer, shortened(l)))
		}
	}
	for _, l := range after {
		if !slices.Contains(before, l) {
			lines = append(lines, fmt.Sprintf("%s: + %s", pointer, shortened(l)))
		}
	}
	if lines == nil {
		lines = append(lines, pointer+": the same lines in another order, or not as often")
	}
	return lines
}

// sameness is the outcome of comparing two records.
type sameness int

const (
	different sameness = iota
	same
	untold // the same but for commitments, and the salts of the older ones are not here
)

// compareContent compares the content of two records. Two commitments are equal if the
// salts of both open them to one value.
func compareContent(old, new *record.Statement, oldSalts, newSalts []record.Opening) sameness {
	if old.Kind != new.Kind || old.Ledger != new.Ledger {
		return different
	}
	commitments := make(map[string]sameness) // by pointer
	for _, n := range newSalts {
		commitments[n.Pointer] = untold
		for _, o := range oldSalts {
			if o.Pointer != n.Pointer || !saltOpens(old, o) {
				continue
			}
			commitments[n.Pointer] = different
			if o.Value == n.Value {
				commitments[n.Pointer] = same
			}
		}
	}
	result := same
	for _, c := range record.DiffLeaves(old.Leaves(), new.Leaves()) {
		alike := max(commitments[c.Path], commitments[parentPointer(c.Path)])
		switch {
		case c.Old == "" || c.New == "" || alike == different:
			return different
		case alike == untold:
			result = untold
		}
	}
	return result
}

// saltOpens tells whether a salt opens the commitment at its pointer.
func saltOpens(st *record.Statement, salt record.Opening) bool {
	want := salt.Commit(st.Ledger, st.Thread).Commit
	return slices.ContainsFunc(st.Leaves(), func(l record.Leaf) bool {
		return (l.Pointer == salt.Pointer || parentPointer(l.Pointer) == salt.Pointer) && l.Value == want
	})
}

// parentPointer is the pointer of the object that holds a member.
func parentPointer(pointer string) string {
	return pointer[:max(strings.LastIndexByte(pointer, '/'), 0)]
}
