package simtest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/client/wire"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// authors write and submit records: valid and invalid ones, repeated after no answer
// and after an answer. They rely only on verified receipts.
type authors struct {
	*registertest.World // what they know of the ledger's threads: by receipts alone

	sim         *simulation
	policies    client.Policies
	submissions []*submission

	designations []string // designations that have a receipt
	suspended    []string // those of them that were suspended
	licences     []string // names of those granted
	addedKeys    []string // keys that were added, by name
	revoked      []string // keys that were revoked

	logs map[string]*privateLog // of providers, by ID
}

// privateLog is a provider's private log, and what it knows to be committed to.
type privateLog struct {
	*registertest.PrivateLog
	size uint64
}

// submission is one envelope and what its sender knows of it.
type submission struct {
	number         int
	description    string
	id             record.ID
	env            record.Envelope
	whyInvalid     string   // why it must never be admitted; empty if it may be
	missingSigners []string // those who have yet to sign it
	onReceipt      func()   // what its sender learns from the receipt; may be nil

	inFlight   int  // how many requests of it are in flight
	decided    bool // refused, or there is a receipt
	hasReceipt bool
}

// submitters are those who send: each has a link of its own to the ledger.
const submitters = 4

func newAuthors(sim *simulation, policy string) *authors {
	parsed, err := proof.ParsePolicy([]byte(policy))
	must(err)
	return &authors{
		World: registertest.New(sim.now, origin, policy), sim: sim, logs: make(map[string]*privateLog),
		policies: client.SinglePolicy{Only: parsed},
	}
}

// newSubmission makes a letter of an envelope.
func (p *authors) newSubmission(what string, env record.Envelope) *submission {
	l := &submission{number: len(p.submissions), description: what, id: record.IDOf(env.Payload), env: env}
	p.submissions = append(p.submissions, l)
	return l
}

// send submits a record, unless it is in flight. Impatient authors submit it twice at
// once.
func (p *authors) send(l *submission) {
	if l.inFlight > 0 {
		return
	}
	p.submit(l)
	if p.sim.chance(10) {
		p.submit(l)
	}
}

func (p *authors) submit(l *submission) {
	l.inFlight++
	l.decided = false
	p.sim.invariants.recordSent(l.id)
	from := fmt.Sprintf("submitter-%d", p.sim.rng.IntN(submitters))
	c, err := client.New(ledgerURL, p.sim.net.transportOf(from))
	must(err)
	ctx := p.sim.dayCtx
	p.sim.tracef("%s sends letter %d, %s (record %s)%s", from, l.number, l.description, shortID(l.id), invalidNote(l))
	p.sim.startTask(func() func() error {
		s, err := c.Submit(ctx, l.env.Marshal(), p.policies, client.Retry{})
		return func() error {
			l.inFlight--
			if err := p.onOutcome(l, s, err); err != nil {
				return fmt.Errorf("letter %d, %s: %w", l.number, l.description, err)
			}
			return nil
		}
	})
}

func invalidNote(l *submission) string {
	if l.whyInvalid == "" {
		return ""
	}
	return ", forged: " + l.whyInvalid
}

// onOutcome notes the outcome of a submission. An error is a violated invariant.
func (p *authors) onOutcome(l *submission, s *client.Submission, err error) error {
	var problem *client.Problem
	switch {
	case err == nil && s.Receipt == nil:
		p.sim.tracef("  letter %d is committed", l.number)
		return p.sim.invariants.recordCommitted(l.id)
	case err == nil:
		return p.onReceipt(l, s)
	case errors.As(err, &problem) && problem.Status == http.StatusInternalServerError:
		return fmt.Errorf("the server has no word for it: %w", err)
	case errors.As(err, &problem) && problem.Retryable():
		p.sim.tracef("  letter %d later: %v", l.number, err)
		return nil
	case errors.As(err, &problem):
		p.sim.tracef("  letter %d refused, %d: %v", l.number, problem.Status, err)
		l.decided = true
		p.resendCurrent(problem.Current)
		return p.sim.invariants.onRefused(l.id, problem, l.inFlight == 0)
	case isTransient(err):
		p.sim.tracef("  letter %d has no answer", l.number)
		return nil
	}
	return fmt.Errorf("an answer that nobody may give: %w", err)
}

func (p *authors) onReceipt(l *submission, s *client.Submission) error {
	p.sim.tracef("  letter %d is at index %d, size %d, known %v", l.number, s.Receipt.Index(), s.Receipt.Published().Checkpoint().Size, s.Existed)
	if l.whyInvalid != "" {
		return fmt.Errorf("admitted at index %d although it is forged: %s", s.Receipt.Index(), l.whyInvalid)
	}
	if err := p.sim.invariants.onReceipt(s.Receipt); err != nil {
		return err
	}
	if first := !l.hasReceipt; first {
		p.NoteAdmitted(l.env)
		if l.onReceipt != nil {
			l.onReceipt()
		}
	}
	l.decided, l.hasReceipt = true, true
	return nil
}

// resendCurrent submits a record again that turns out to be on the ledger: its receipt
// tells what the next one on its thread follows.
func (p *authors) resendCurrent(current string) {
	for _, l := range p.submissions {
		if !l.hasReceipt && l.whyInvalid == "" && l.id.String() == current {
			p.send(l)
		}
	}
}

// isTransient tells whether an error says nothing but that no whole answer came.
func isTransient(err error) bool {
	var unreachable *wire.UnreachableError
	var status *wire.StatusError
	var problem *client.Problem
	return errors.As(err, &unreachable) || errors.Is(err, context.Canceled) || errors.Is(err, client.ErrUnpublished) ||
		errors.As(err, &status) && status.Code == http.StatusServiceUnavailable ||
		errors.As(err, &problem) && problem.Retryable()
}

// undecided are the letters whose fate is not known, and that are not away.
func (p *authors) undecided() (out []*submission) {
	for _, l := range p.submissions {
		if !l.decided && l.inFlight == 0 {
			out = append(out, l)
		}
	}
	return out
}

// withReceipt are the letters that have a receipt.
func (p *authors) withReceipt() []*submission {
	return slices.DeleteFunc(slices.Clone(p.submissions), func(l *submission) bool { return !l.hasReceipt })
}

// nextSubmission writes a letter: the next that the ledger needs to begin, or anything.
func (p *authors) nextSubmission() *submission {
	p.Now = time.Now().UTC().Truncate(time.Millisecond)
	if l := p.bootstrapRecord(); l != nil {
		return l
	}
	return p.randomSubmission()
}

// resendAny sends something that was sent before.
func (p *authors) resendAny() {
	all := p.undecided()
	if got := p.withReceipt(); len(all) == 0 || len(got) > 0 && p.sim.chance(25) {
		all = got
	}
	if len(all) > 0 {
		p.send(all[p.sim.rng.IntN(len(all))])
	}
}

// providers are the parties that enrol, in this order.
var providers = []string{"acme-cloud", "borealis-compute", "cirrus-hosting"}

// zone is the charter's.
var zone = func() *time.Location {
	z, err := rules1.Location("America/New_York")
	must(err)
	return z
}()

// bootstrapRecord is the record without which nothing else goes, nil if there is none.
// While its outcome is unknown, it is the same one.
func (p *authors) bootstrapRecord() *submission {
	switch {
	case p.Ledger.IsZero():
		return p.pendingOrNew("the charter", p.Charter)
	case p.Head("party/authority").IsZero():
		return p.pendingOrNew("the authority's enrolment", p.Authority)
	}
	for _, id := range providers[:1+p.sim.rng.IntN(len(providers))] {
		if p.Head(record.PartyThread(id)).IsZero() {
			return p.pendingOrNew("the enrolment of "+id, func() record.Envelope { return p.Provider(id) })
		}
	}
	return nil
}

// pendingOrNew writes a letter unless there is one already whose fate is not known.
func (p *authors) pendingOrNew(what string, make func() record.Envelope) *submission {
	for _, l := range p.submissions {
		if l.description == what && !l.decided {
			return l
		}
	}
	return p.newSubmission(what, make())
}

// action is a record to be written, and its signers.
type action struct {
	description string
	thread      record.Thread
	issuer      string
	predicate   record.Predicate
	signers     []string
	onReceipt   func()
}

// randomSubmission says something that one of them could say, or forges it.
func (p *authors) randomSubmission() *submission {
	s := p.randomAction()
	st := p.Statement(s.thread, s.issuer, s.predicate)
	st.Note = fmt.Sprintf("letter %d", len(p.submissions)) // no two are alike
	if _, err := record.EncodeStatement(st); err != nil {
		return nil // no one could even sign it
	}
	if p.sim.chance(25) {
		return p.invalidSubmission(s, st)
	}
	if p.sim.chance(5) {
		st.IssuedAt = st.IssuedAt.Add(time.Duration(1+p.sim.rng.IntN(60)) * time.Minute) // a clock ahead: fine later
		s.description += ", dated ahead"
	}
	l := p.newSubmission(s.description, p.Sign(st, s.signers...))
	l.onReceipt = s.onReceipt
	return l
}

// conflictingPair are two letters that cannot both be admitted.
func (p *authors) conflictingPair() []*submission {
	p.Now = time.Now().UTC().Truncate(time.Millisecond)
	if p.bootstrapRecord() != nil {
		return nil
	}
	s := p.randomAction()
	var all []*submission
	for range 2 {
		st := p.Statement(s.thread, s.issuer, s.predicate)
		st.Note = fmt.Sprintf("letter %d", len(p.submissions))
		if _, err := record.EncodeStatement(st); err != nil {
			return nil
		}
		l := p.newSubmission(s.description+", one of two", p.Sign(st, s.signers...))
		l.onReceipt = s.onReceipt
		all = append(all, l)
	}
	return all
}

// randomAction picks something to say.
func (p *authors) randomAction() action {
	sim, today := p.sim, rules1.DateIn(p.Now, zone)
	officers := []string{"authority/officer-1", "authority/officer-2"}
	provider := pick(sim, providers...)
	order := fmt.Sprintf("2026-%03d", len(p.designations))
	if len(p.designations) > 0 && sim.chance(80) {
		order = p.designations[sim.rng.IntN(len(p.designations))]
	}
	thread, listed := record.DesignationThread(order), pick(sim, "36", "173", "306")
	if !slices.Contains(p.designations, order) {
		d := p.NewDesignation(pick(sim, "Kestrel Hosting", "Lumen Resale", "Кестрел"))
		return action{"designation " + order, thread, record.Authority, d, officers, func() { p.designations = append(p.designations, order) }}
	}
	switch sim.rng.IntN(28) {
	case 0:
		return action{"alias for " + order, thread, record.Authority, &record.Amendment{Type: "alias", Reason: "r", Add: alias(fmt.Sprintf("K%d", sim.rng.IntN(5)))}, officers, nil}
	case 1:
		due := today.AddDays(30 + sim.rng.IntN(9))
		scope := schema.Object{{Name: "scope", Value: schema.Object{{Name: "successors", Value: sim.chance(50)}}}}
		return action{"scope of " + order, thread, record.Authority, &record.Amendment{Type: "scope", Reason: "r", Set: scope, ResponseDue: &due}, officers, nil}
	case 2:
		until := today.AddDays(3 + sim.rng.IntN(20))
		return action{"suspension of " + order, thread, record.Authority, &record.Suspension{EffectiveOn: today.AddDays(sim.rng.IntN(3)), Until: &until, Reason: "talks"}, officers, func() { p.suspended = append(p.suspended, order) }}
	case 3, 22, 23:
		if n := len(p.suspended); n > 0 {
			order, thread = p.suspended[n-1], record.DesignationThread(p.suspended[n-1])
		}
		return action{"reinstatement of " + order, thread, record.Authority, &record.Reinstatement{EffectiveOn: today.AddDays(sim.rng.IntN(3)), Reason: "talks ended"}, officers, nil}
	case 4:
		return action{"revocation of " + order, thread, record.Authority, &record.Revocation{EffectiveOn: today, Cause: pick(sim, "lifted", "error"), Reason: "r"}, officers, nil}
	case 5:
		return action{"import of " + listed, record.ImportThread("ofac-sdn", listed), record.Authority, p.NewListedDesignation(listed, pick(sim, "AEROCARIBBEAN", "BANCO")), []string{"authority/nightly-import"}, nil}
	case 6:
		return action{"delisting of " + listed, record.ImportThread("ofac-sdn", listed), record.Authority, &record.Revocation{EffectiveOn: today, Cause: "delisted", Reason: "r"}, []string{"authority/nightly-import"}, nil}
	case 7:
		c := &record.CIPCertification{PeriodFrom: today.AddDays(-400 + sim.rng.IntN(30)), PeriodUntil: today.AddDays(-5), Initial: p.Head(record.CertificationThread(provider)).IsZero()}
		return action{"certification of " + provider, record.CertificationThread(provider), provider, c, []string{provider + "/compliance"}, nil}
	case 8:
		status := &record.Standing{Status: pick(sim, "suspended", "active", "active"), EffectiveOn: today, Reason: "r"}
		return action{status.Status + " " + provider, record.PartyThread(provider), record.Authority, status, []string{"authority/officer-1"}, nil}
	case 9:
		return p.keyRotation(provider)
	case 17, 18, 20, 21:
		return p.disclosure(provider)
	case 19:
		if p.Head("party/north-audit").IsZero() {
			return p.auditorEnrolment()
		}
		return action{"assessment of " + provider, record.AssessmentThread("1", "north-audit"), "north-audit", p.NewAssessment(provider), []string{"north-audit/lead"}, nil}
	case 10:
		c := p.CharterPredicate
		c.Periods.Response = record.Period{Days: 30 + sim.rng.IntN(3)}
		return action{"a new charter", "charter", record.Authority, &c, []string{"root/root-1", "root/root-3"}, nil}
	case 11:
		name := fmt.Sprintf("2027-%03d", sim.rng.IntN(12))
		l := &record.Licence{Type: record.LicenceGeneral, Designations: []string{order}, From: today.AddDays(-2 + sim.rng.IntN(9)), Until: today.AddDays(7 + sim.rng.IntN(90))}
		if sim.chance(50) {
			l.Type, l.Holder = record.LicenceSpecific, provider
		}
		return action{"licence " + name, record.LicenceThread(name), record.Authority, l, []string{"authority/officer-2"}, func() { p.licences = append(p.licences, name) }}
	case 12:
		if n := len(p.licences); n > 0 {
			name := p.licences[n-1]
			return action{"revocation of licence " + name, record.LicenceThread(name), record.Authority, &record.Revocation{EffectiveOn: today, Cause: pick(sim, "lifted", "superseded"), Reason: "r"}, []string{"authority/officer-2"}, nil}
		}
	case 13:
		r := &record.ResellerReport{Provider: provider, Status: pick(sim, record.ResellerUnconfirmed, record.ResellerUnconfirmed, record.ResellerTerminated)}
		if r.Status == record.ResellerUnconfirmed {
			r.Reseller = &record.Reseller{LegalName: "Lumen Resale (fictional)", Country: "XC"}
		}
		return action{string(r.Status) + " reseller of " + provider, record.ResellerThread("lumen-resale", provider), provider, r, []string{provider + "/compliance"}, nil}
	case 14:
		return p.customerLog(provider)
	case 15:
		a := &record.AbuseReport{PeriodFrom: today.AddDays(-60 + sim.rng.IntN(30)), PeriodUntil: today.AddDays(-sim.rng.IntN(20)), Band: pick(sim, "0", "10-99")}
		return action{"abuse reports of " + provider, record.AbuseThread(provider), provider, a, []string{provider + "/ci"}, nil}
	case 16:
		run := pick(sim, "a", "b")
		a := &record.AITrainingReport{KnownOn: today.AddDays(-sim.rng.IntN(40)), Threshold: "more than 10^26 operations"}
		return action{"training run " + run + " at " + provider, record.AITrainingThread(run, provider), provider, a, []string{provider + "/compliance"}, nil}
	}
	return p.response(provider, order)
}

// customerLog is what a provider says next of its private log. A record that was admitted
// and whose receipt did not come makes its proof one from another size: it is refused, as
// what it follows is not the newest.
func (p *authors) customerLog(provider string) action {
	until := rules1.DateIn(p.Now, zone)
	l := p.logs[provider]
	if l == nil {
		l = &privateLog{PrivateLog: registertest.NewPrivateLog(provider + ".example/customers")}
		p.logs[provider] = l
	}
	l.Grow(p.sim.rng.IntN(50))
	size, thread := l.Tree().Size, record.CustomerLogThread(provider)
	c := l.Commit(until)
	if !p.Head(thread).IsZero() {
		c = l.Commit(until, l.size)
	}
	return action{"private log of " + provider, thread, provider, c, []string{provider + "/ci"}, func() { l.size = size }}
}

// disclosure asks a provider to disclose, openly or under seal, opens or withdraws what was
// asked, or is the provider's receipt.
func (p *authors) disclosure(provider string) action {
	name := fmt.Sprintf("%s-%d", provider, p.sim.rng.IntN(2))
	thread, demands := record.RequestThread(name), []string{"authority/officer-3"}
	today := rules1.DateIn(p.Now, zone)
	sealed, open := p.NewSealedRequest(name, provider, today)
	switch {
	case p.Head(thread).IsZero() && p.sim.chance(50):
		return action{"sealed request " + name, thread, record.Authority, sealed, demands, nil}
	case p.Head(thread).IsZero():
		return action{"request " + name, thread, record.Authority, p.NewRequest(provider), demands, nil}
	case p.sim.chance(60):
		receipt := p.NewReceipt(name)
		if p.sim.chance(30) {
			receipt = p.NewChallenge(name)
		}
		return action{"receipt of " + name, record.ReceiptThread(name, provider), provider, receipt, []string{provider + "/compliance"}, nil}
	case p.sim.chance(70):
		return action{"opening of " + name, thread, record.Authority, &record.DisclosureRequest{Status: record.RequestRequested, Open: open}, demands, nil}
	}
	r := &record.DisclosureRequest{Status: pick(p.sim, record.RequestChallenged, record.RequestWithdrawn)}
	return action{"what became of " + name, thread, record.Authority, r, demands, nil}
}

// auditorEnrolment brings in who assesses.
func (p *authors) auditorEnrolment() action {
	st, err := record.ParseStatement(p.Auditor("north-audit").Payload)
	must(err)
	return action{"the enrolment of north-audit", st.Thread, st.Issuer, st.Predicate, []string{"north-audit/lead", "authority/officer-1"}, nil}
}

// response is what a provider did about an order.
func (p *authors) response(provider, order string) action {
	by := rules1.DateIn(p.Now, zone).AddDays(10 + p.sim.rng.IntN(20))
	r := &record.Response{Status: pick(p.sim, "acknowledged", "winding-down", "no-relationship"), WindDownBy: &by}
	return action{"response of " + provider + " on " + order, record.ResponseThread(order, provider), provider, r, []string{provider + "/ci"}, nil}
}

// allResponses is what all providers say at once, each on every order.
func (p *authors) allResponses() (all []*submission) {
	p.Now = time.Now().UTC().Truncate(time.Millisecond)
	for _, order := range p.designations {
		for _, provider := range providers {
			if p.Head(record.PartyThread(provider)).IsZero() {
				continue
			}
			s := p.response(provider, order)
			st := p.Statement(s.thread, s.issuer, s.predicate)
			st.Note = fmt.Sprintf("letter %d", len(p.submissions))
			all = append(all, p.newSubmission(s.description, p.Sign(st, s.signers...)))
		}
	}
	return all
}

// keyRotation adds a key, and revokes one that was added before.
func (p *authors) keyRotation(provider string) action {
	name := fmt.Sprintf("%s/k-%d", provider, len(p.submissions))
	k := &record.Keys{Add: []record.PartyKey{p.Officer(name)}}
	old := ""
	for _, spare := range p.addedKeys {
		if strings.HasPrefix(spare, provider+"/") && !slices.Contains(p.revoked, spare) {
			old = spare
		}
	}
	if old != "" {
		k.Revoke = []record.KeyRevocation{{KeyID: p.KeyID(old)}}
	}
	return action{"keys of " + provider, record.PartyThread(provider), provider, k, []string{provider + "/compliance", name}, func() {
		p.addedKeys = append(p.addedKeys, name)
		if old != "" {
			p.revoked = append(p.revoked, old)
		}
	}}
}

// invalidSubmission spoils what is to be said, so that no ledger may admit it.
func (p *authors) invalidSubmission(s action, st *record.Statement) *submission {
	why, sign := "", s.signers
	lacks := []string(nil)
	switch p.sim.rng.IntN(7) {
	case 0:
		if len(s.signers) > 1 {
			why, sign, lacks = "one has yet to sign", s.signers[:1], s.signers[1:]
			break
		}
		fallthrough
	case 1:
		why, sign = "signed by a stranger", []string{"stranger/compliance"}
	case 2:
		other := slices.IndexFunc(providers, func(id string) bool { return id != s.issuer })
		why, sign = "signed by another provider", []string{providers[other] + "/ci", providers[other] + "/compliance"}
	case 3:
		why, st.Ledger = "for another ledger", record.ID{1}
	case 4:
		why, st.Follows = "follows what is not there", record.ID{byte(p.sim.rng.IntN(256)), 1}
	case 5:
		why, st.IssuedAt = "an abandoned draft", st.IssuedAt.Add(-40*24*time.Hour)
	case 6:
		if len(p.revoked) > 0 {
			why, sign = "signed by a revoked key", []string{p.revoked[p.sim.rng.IntN(len(p.revoked))]}
			break
		}
		why = "a signature of other bytes"
	}
	if _, err := record.EncodeStatement(st); err != nil {
		return nil
	}
	env := p.Sign(st, sign...)
	if why == "a signature of other bytes" {
		env.Signatures[0].Sig[3] ^= 1
	}
	l := p.newSubmission(s.description, env)
	l.whyInvalid, l.missingSigners = why, lacks
	return l
}

// addMissingSignatures lets those sign who had yet to: what was refused may be admitted now.
func (p *authors) addMissingSignatures() *submission {
	for _, l := range p.submissions {
		if len(l.missingSigners) == 0 || l.inFlight > 0 || !l.decided {
			continue
		}
		st, err := record.ParseStatement(l.env.Payload)
		must(err)
		env := l.env
		for _, name := range l.missingSigners {
			env, err = p.Signer(name).Sign(p.sim.dayCtx, env)
			must(err)
		}
		l.missingSigners = nil
		completed := p.newSubmission(l.description+", signed by all", env)
		if st.Kind == record.KindDesignation {
			completed.onReceipt = func() { p.designations = append(p.designations, st.Thread.Designation()) }
		}
		return completed
	}
	return nil
}

func alias(name string) schema.Object {
	return schema.Object{{Name: "target", Value: schema.Object{{Name: "alias", Value: []any{
		schema.Object{{Name: "name", Value: name}, {Name: "type", Value: "aka"}},
	}}}}}
}
