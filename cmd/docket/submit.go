package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/disk"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
)

func (a *app) submit() *cobra.Command {
	s := submitCmd{app: a}
	c := &cobra.Command{
		Use:   "submit [--key FILE] RECORD…",
		Short: "Sign, send, verify; keep the receipt",
		Long: `Sends records to the ledger and keeps a verified receipt of each, NAME.tlog-proof.

An envelope is sent as it is. A short form is filled in, signed with --key, and
saved as NAME.dsse.json before it is sent; a saved envelope is sent again and never
signed again, whatever --key says, so that repeating the command is always safe. If
the newest record on the thread says the same already, nothing is sent: "already on
the ledger at 10". What the copy, just synced, knows that the ledger would refuse is
not signed, and not sent; where the ledger could not be asked, or an envelope is there
already, the ledger decides. Where that hangs on {secret: …}, NAME.salts.json must be there to tell.

What the ledger refuses it signs, if its charter names a key for that and a key that is
enrolled has signed the record: the refusal is verified and kept as NAME.refusal, with
which you can prove, years later, that you were refused, and by which rule. Keep the
envelope with it; out of the way of another one it is NAME.refused.dsse.json. A server that is silent, or too busy, signs nothing.

While the server is busy it tries again, for as long as --wait says. Exit status 3
means that the record is committed and not published yet, or that the server was
out of reach: run the same command again.`,
		Example: `  docket submit --trust trust --key ci.key response.yaml
  docket submit --trust trust order.dsse.json
  docket submit --trust trust --key ci.key --dry-run response.yaml`,
		Args: cobra.MinimumNArgs(1),
		PreRunE: func(c *cobra.Command, _ []string) error {
			if s.dry {
				if err := idle(c, "beside --dry-run: nothing is sent for good, or kept", "chain", "wait", "yes"); err != nil {
					return err
				}
			}
			if len(s.keys) == 0 {
				if err := idle(c, "without --key: nothing is signed", "yes"); err != nil {
					return err
				}
			}
			if s.trust.policy != "" {
				return idle(c, "beside --policy: no record is filled in from a copy", "max-age")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return s.run(c, args) },
	}
	s.trust = a.trustFlags(c).addLedgerFlag(c).withPolicyFlag(c).withMaxAgeFlag(c)
	f := c.Flags()
	f.StringArrayVar(&s.keys, "key", nil, "private key file or KMS URI; may be repeated")
	f.BoolVar(&s.dry, "dry-run", false, "ask what would become of it; nothing is sent for good, or saved")
	f.BoolVar(&s.chain, "chain", false, "keep a chain: the receipts of the charters and of the signers' keys too")
	f.DurationVar(&s.wait, "wait", 30*time.Second, "how long to go on trying while the server is busy or out of reach, a call under way included; 0: one call, a minute at most")
	f.BoolVar(&s.yes, "yes", false, "sign without asking (it asks on a terminal only)")
	f.BoolVar(&s.asJSON, "json", false, "print one JSON object a record")
	return c
}

// submitCmd is one run of docket submit.
type submitCmd struct {
	app                     *app
	trust                   *trustFlags
	keys                    []string
	dry, chain, yes, asJSON bool
	brief                   bool // without the preview: docket itself made what is signed
	wait                    time.Duration

	public   []*record.Key // of keys, as far as known
	policies client.Policies
	server   *client.Client
	// retryTold: it was said that this sending is tried again, and why.
	retryTold atomic.Bool
	base      *baseState // nil until a short form asks for it
}

// run sends each file; one that fails does not keep the others back.
func (s *submitCmd) run(c *cobra.Command, files []string) error {
	public, err := s.app.publicKeys(s.keys)
	if err != nil {
		return err
	}
	s.public = public
	policies, trust, err := s.trust.policies()
	if err != nil {
		return err
	}
	if trust != nil {
		defer trust.Close()
	}
	s.policies = policies
	if s.server, err = s.trust.connect(trust); err != nil {
		return err
	}
	if trust != nil {
		s.base = &baseState{ledger: trust.Ledger(), trust: trust, sendsAtOnce: !s.dry}
	}
	var failed []error
	for _, file := range files {
		if err := s.submitFile(c, file); err != nil {
			if c.Context().Err() != nil || len(files) == 1 {
				return err
			}
			s.app.reportError(fmt.Errorf("%s: %w", file, err))
			failed = append(failed, err)
		}
	}
	return joinFailures(failed, len(files))
}

// joinFailures sums up: exit 3 only if every failure passes by itself.
func joinFailures(failed []error, of int) error {
	if len(failed) == 0 {
		return nil
	}
	worst := exitNotYet
	for _, err := range failed {
		if status, _ := exitStatusOf(err); status != exitNotYet {
			worst = exitRefused
		}
	}
	return &failure{status: worst, err: fmt.Errorf("%d of %d failed", len(failed), of)}
}

// submitFile takes a file through: fill, sign, save, send, verify, keep.
func (s *submitCmd) submitFile(c *cobra.Command, file string) error {
	m, err := s.app.readInput(c.Context(), file)
	if err != nil {
		return err
	}
	if s.base != nil {
		if err := refuseOtherLedger(m.stem, s.base.ledger); err != nil {
			return err
		}
	}
	env, known, err := s.envelope(c, m)
	if err != nil {
		return err
	}
	if known != nil {
		return s.alreadyOnLedger(c.Context(), m, *known)
	}
	if s.dry {
		return s.dryRun(c.Context(), env)
	}
	if err := checkReceiptPath(m.stem+receiptSuffix, record.IDOf(env.Payload)); err != nil {
		return err
	}
	sub, err := s.send(c.Context(), env)
	if err != nil {
		return s.refused(m, env, err)
	}
	if sub.Receipt == nil {
		return notYet("record %s is committed, not yet published", sub.ID).hint("run the same command again: it is sent once, and the receipt comes when the witnesses have cosigned")
	}
	return s.saveReceipt(c.Context(), m, sub)
}

// envelope is what to send: the one that was named, the one that was saved
// before, or a new one. known is set where nothing needs to be sent.
func (s *submitCmd) envelope(c *cobra.Command, m inputFile) (env record.Envelope, known *record.ID, err error) {
	if m.envelope != nil {
		s.warnUnusedKeys(*m.envelope, m.name)
		return *m.envelope, nil, nil
	}
	saved, err := s.app.readSavedEnvelope(m.stem + envelopeSuffix)
	if err != nil {
		return env, nil, err
	}
	if saved == nil && len(s.keys) == 0 {
		return env, nil, usageError("%s is not signed", m.name).hint("sign it in one go with --key FILE, or with docket sign first")
	}
	if err := s.syncBase(c); err != nil {
		return env, nil, err
	}
	if saved != nil {
		s.warnUnusedKeys(*saved, m.stem+envelopeSuffix)
		return *saved, nil, s.requireSameAsSaved(m, *saved)
	}
	if id, err := s.newestIfSame(c.Context(), m); err != nil || id != nil {
		return env, id, err
	}
	env, err = s.sign(c, m)
	return env, nil, err
}

// readSavedEnvelope reads the envelope of an earlier run; nil if there is none.
func (a *app) readSavedEnvelope(name string) (*record.Envelope, error) {
	if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	saved, err := a.readEnvelope(name)
	return saved.envelope, err
}

// syncBase opens the copy that a record is filled in from.
func (s *submitCmd) syncBase(c *cobra.Command) error {
	if s.base == nil {
		return usageError("to fill in a record, its ledger must be known").hint("give --trust DIR; --policy is enough for an envelope only")
	}
	if s.base.register != nil {
		return nil
	}
	var err error
	if s.base.justSynced, err = s.trust.syncOrWarn(c, s.base.trust); err != nil {
		return err
	}
	s.base.register, err = s.base.trust.Register()
	return err
}

// requireSameAsSaved refuses to send an envelope for a record that was edited since.
func (s *submitCmd) requireSameAsSaved(m inputFile, saved record.Envelope) error {
	before, err := record.ParseStatement(saved.Payload)
	if err != nil {
		return refusal("%s: %w", m.stem+envelopeSuffix, err)
	}
	switch again, err := s.compareWith(m, before, true); {
	case err != nil || again == same:
		return err
	case again == untold:
		return refusal("whether %s and %s say the same cannot be told: its salts are not here", m.name, m.stem+envelopeSuffix).hint("bring %s here; or submit %s, which is sent as it is", m.stem+saltsSuffix, m.stem+envelopeSuffix)
	}
	return refusal("%s and %s say different things", m.name, m.stem+envelopeSuffix).hint("what was signed is never signed again: move %s away to sign the new one", m.stem+envelopeSuffix)
}

// newestIfSame finds that the thread's newest record says the same already.
func (s *submitCmd) newestIfSame(ctx context.Context, m inputFile) (*record.ID, error) {
	st := m.short.Statement
	head, ok, err := s.base.head(st.Thread)
	if err != nil || !ok || head.Kind != st.Kind {
		return nil, err
	}
	before, err := s.base.statementAt(ctx, head.Index)
	if err != nil {
		return nil, err
	}
	switch again, err := s.compareWith(m, before, false); {
	case err != nil || again == different:
		return nil, err
	case again == untold:
		done := "on the ledger"
		if st.Kind == record.KindResponse {
			done = "answered"
		}
		return nil, refusal("already %s at %d; its salts are not here", done, head.Index).hint("bring %s here from where that was signed, and it is compared; if this one says something else: docket sign, then docket submit %s", m.stem+saltsSuffix, m.stem+envelopeSuffix)
	}
	return &head.ID, nil
}

// compareWith compares the content of the short form, filled in with before's follows,
// with that of before. With keepSubject, `about: latest` and `request: latest` keep the meaning that it had
// for a saved envelope, which is never signed again. A short form that could not stand
// in its place, such as a later certification in that of an initial one, is different.
func (s *submitCmd) compareWith(m inputFile, before *record.Statement, keepSubject bool) (sameness, error) {
	payload, salts, err := s.base.fillAfter(m.short, before.Follows, time.Now())
	var r *record.Refusal
	if errors.As(err, &r) {
		return different, nil
	} else if err != nil {
		return different, err
	}
	st, err := record.ParseStatement(payload)
	if err != nil {
		return different, err
	}
	if keepSubject && m.short.SubjectLookup.Source != draft.SubjectGiven {
		st.Subject = before.Subject
	}
	if now, ok := st.Predicate.(*record.DisclosureReceipt); ok && keepSubject && m.short.RequestThread != "" {
		if then, ok := before.Predicate.(*record.DisclosureReceipt); ok {
			now.Request = then.Request
		}
	}
	return compareContent(before, st, s.app.readSalts(m.stem), salts), nil
}

// sign fills in a short form, signs it and saves it.
func (s *submitCmd) sign(c *cobra.Command, m inputFile) (record.Envelope, error) {
	env, salts, err := s.base.envelope(m, time.Now())
	if err == nil && !s.dry {
		err = checkReceiptPath(m.stem+receiptSuffix, record.IDOf(env.Payload))
	}
	if err != nil {
		return env, err
	}
	app := s.app
	if s.brief || s.asJSON && !app.tty { // what is on stderr then is a failure, as one JSON object
		quiet := *app
		quiet.err = io.Discard
		app = &quiet
	}
	b, err := app.preview(c.Context(), s.base, env)
	if err != nil {
		return env, err
	}
	if s.brief {
		b.app = s.app // a key's password is asked for all the same
	}
	if err := app.printCommitments(m, s.base, salts); err != nil {
		return env, err
	}
	env, err = b.sign(c, s.keys, s.yes || s.dry || !s.app.tty, "Sign and send this?")
	if err != nil || s.dry {
		return env, err
	}
	return env, saveEnvelope(m.stem+envelopeSuffix, m.stem, env, salts)
}

// warnUnusedKeys says of an envelope that is sent as it is which of the keys named were not used
// for it, and what to do about that.
func (s *submitCmd) warnUnusedKeys(env record.Envelope, file string) {
	for i, key := range s.public {
		if key != nil && !signedBy(env, key) {
			s.app.logf("docket: warning: %s is sent as it is; %s has not signed it, and was not used", file, s.keys[i])
			s.app.logf("  to add its signature: docket sign --key %s %s; to sign anew, move %[2]s away first", s.keys[i], file)
		}
	}
}

// publicKeys are those of the keys named, each of which must be there; nil for one of
// which it takes a password or a KMS to know.
func (a *app) publicKeys(names []string) ([]*record.Key, error) {
	keys := make([]*record.Key, len(names))
	for i, name := range names {
		if isKMS(name) || name == "-" {
			continue
		}
		text, err := a.readFile(name)
		if err != nil {
			return nil, err
		}
		signer, err := draft.LoadSigner(text, nil)
		switch {
		case errors.Is(err, draft.ErrWrongPassword):
		case err != nil:
			return nil, wrongFileError(name, text, "a PEM private key", err)
		default:
			keys[i] = signer.Key()
		}
		a.warnOfReaders(name)
	}
	return keys, nil
}

// send sends, again while the server is busy.
func (s *submitCmd) send(ctx context.Context, env record.Envelope) (*client.Submission, error) {
	s.retryTold.Store(false)
	defer s.reportCommitted(ctx, record.IDOf(env.Payload))()
	raw, patience := env.Marshal(), s.retry()
	return submitWithRenewal(ctx, s, func() (*client.Submission, error) { return s.server.Submit(ctx, raw, s.policies, patience) })
}

// submitWithRenewal is what the server answers, under a renewed trust directory if need be.
func submitWithRenewal[T any](ctx context.Context, s *submitCmd, ask func() (T, error)) (T, error) {
	if s.base == nil {
		return withRenewal(ctx, s.app, nil, s.server, ask)
	}
	answer, err := withRenewal(ctx, s.app, s.base.trust, s.server, ask)
	if s.base.register != nil {
		s.base.register, _ = s.base.trust.Register() // renewing has closed it; without one it is synced when asked for
	}
	return answer, err
}

// explainRefusal says what to do about a refusal, which is kept in a file, or in none. The
// envelope that it is about stays where docket verify finds it.
func (s *submitCmd) explainRefusal(m inputFile, env record.Envelope, err error, kept string) error {
	var p *client.Problem
	if !errors.As(err, &p) || p.Retryable() || p.Type == "" {
		return err // no ledger has refused it
	}
	saved, then := m.stem+envelopeSuffix, "sign its short form again"
	if m.envelope == nil {
		then = "run the same command again"
	}
	again := "move " + saved + " away and " + then
	if kept != "" {
		again = "move " + saved + " to " + strings.TrimSuffix(kept, refusalSuffix) + refusedSuffix + " and " + then
	}
	vain := s.vainSignatures(env)
	switch {
	case vain != nil && p.Status == http.StatusForbidden:
		return refusal("refused, whoever signs it: %w; and besides: %w", vain, err).hint("no signature heals that: correct the record, then %s", again)
	case p.Status == 403 && s.wasChanged(env):
		return refusal("refused: %w", err).hint("no signature heals that: get the original of %s from whoever signed it, or sign the short form anew", m.name)
	case p.Status == 409 && p.Current != "":
		return refusal("refused: %w", err).hint("the thread's newest record is %s; look at it (docket sync, docket show %[1]s), then %s", p.Current, again)
	case p.Status == 422 && p.Earliest != "":
		return refusal("refused: %w", err).hint("the earliest date allowed is %s; correct the record, then %s", p.Earliest, again)
	case p.Status == 403:
		return refusal("refused: %w", err).hint("who is missing adds a signature: docket sign --key FILE %s; then submit that file", m.envelopePath())
	case p.Type == record.ProblemURN+"log-keys":
		return refusal("refused: %w", err).hint("once the operator has those keys: docket submit %s; or correct the policy, then %s", m.envelopePath(), again)
	case p.Status == 422, p.Status == 409:
		return refusal("refused: %w", err).hint("correct the record, then %s", again)
	}
	return refusal("refused: %w", err)
}

// vainSignatures is why, as far as the copy knows, more signatures would not have the record taken;
// nil if nothing is known against it but those that are missing.
func (s *submitCmd) vainSignatures(env record.Envelope) error {
	if s.base == nil {
		return nil
	}
	reg, err := s.base.trust.Register()
	if err != nil {
		return nil
	}
	st, err := record.ParseStatement(env.Payload)
	if err != nil {
		return nil
	}
	now := time.Now()
	if last := reg.LastAdmitted(); now.Before(last) {
		now = last
	}
	var r *record.Refusal
	if errors.As(reg.Begin(now).Preflight(st), &r) && r.Class != record.Forbidden {
		return r
	}
	return nil
}

// wasChanged tells, as far as the copy does, whether an envelope's text was changed after it
// was signed.
func (s *submitCmd) wasChanged(env record.Envelope) bool {
	if s.base == nil {
		return false
	}
	reg, err := s.base.trust.Register()
	return err == nil && changedUnder(env, reg) != nil
}

// saveReceipt writes the receipt, or the chain, and prints the result.
func (s *submitCmd) saveReceipt(ctx context.Context, m inputFile, sub *client.Submission) error {
	text := sub.Receipt.Text
	if s.chain {
		var err error
		if text, err = submitWithRenewal(ctx, s, func() ([]byte, error) {
			chain, _, err := fetchChain(ctx, s.server, s.policies, sub.ID)
			return chain, err
		}); err != nil {
			return err
		}
	}
	file := m.stem + receiptSuffix
	if err := writeReceipt(file, text, sub.ID, disk.SyncNow); err != nil {
		return refusal("admitted at %d, record ID %s; only the receipt could not be written: %w", sub.Receipt.Index(), sub.ID, err).hint("make room for %s and run the same command again: what is sent twice is on the ledger once", file)
	}
	if sub.Existed {
		s.app.logf("already on the ledger at %d", sub.Receipt.Index())
	}
	return s.printResult(sub.ID, sub.Receipt.Index(), file, sub.Existed)
}

// alreadyOnLedger is the end of a run that had nothing to send.
func (s *submitCmd) alreadyOnLedger(ctx context.Context, m inputFile, id record.ID) error {
	if s.dry {
		s.app.logf("already on the ledger; nothing would be sent")
		s.app.printf("%s\n", id)
		return nil
	}
	receipt, err := submitWithRenewal(ctx, s, func() (*client.Receipt, error) { return s.server.Receipt(ctx, id, s.policies) })
	if err != nil {
		return err
	}
	return s.saveReceipt(ctx, m, &client.Submission{ID: id, Receipt: receipt, Existed: true})
}

func (s *submitCmd) printResult(id record.ID, index uint64, file string, known bool) error {
	if s.asJSON {
		return s.app.printJSON(map[string]any{"index": index, "record": id, "receipt": file, "known": known})
	}
	s.app.printf("%d %s %s\n", index, id, file)
	return nil
}

// dryRun prints what the server says would become of the record.
func (s *submitCmd) dryRun(ctx context.Context, env record.Envelope) error {
	v, err := s.server.DryRun(ctx, env.Marshal())
	if isProblem(err) {
		var p *client.Problem
		if vain := s.vainSignatures(env); vain != nil && errors.As(err, &p) && p.Status == http.StatusForbidden {
			return refusal("would be refused, whoever signs it: %w; and besides: %w", vain, err)
		}
		return dryRunRefusal(err)
	} else if err != nil {
		return err
	}
	if s.asJSON {
		return s.app.printJSON(v)
	}
	outcome := "would be admitted now"
	if v.Existed {
		outcome = "nothing to send"
	}
	s.app.logf("%s, says the server (UNVERIFIED); nothing was written", outcome)
	for _, e := range v.Effects {
		s.app.printf("%s\n", printable(e))
	}
	return nil
}

// dryRunRefusal words a server's answer to a dry run.
func dryRunRefusal(err error) error {
	if status, _ := exitStatusOf(err); status == exitNotYet {
		return err
	}
	return refusal("would be refused: %w", err)
}

// quietFor is how long submit says nothing about what it waits for.
const quietFor = 2 * time.Second

// retry goes on for as long as --wait says: it tells once why, and again only when
// that has become something else.
func (s *submitCmd) retry() client.Retry {
	var told string
	return client.Retry{MaxElapsed: s.wait, Notify: func(err error, _ time.Duration) {
		if why := printableError(err); why != told {
			told = why
			s.retryTold.Store(true)
			s.app.logf("docket: %s; trying for %s", why, s.wait)
		}
	}}
}

// reportCommitted prints, after quietFor without an answer, whose it waits for and, where
// that is known, that the record is committed and the witnesses are awaited. stop ends it.
func (s *submitCmd) reportCommitted(ctx context.Context, id record.ID) (stop func()) {
	if s.asJSON { // what is on stderr then is a failure, as one JSON object
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	asking.Go(func() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(quietFor):
		}
		if !s.retryTold.Load() {
			s.app.logf("waiting for %s", s.server.URL())
		}
		_, err := s.server.GetUnverified(ctx, "/v1/records/"+id.String()+"/receipt")
		var p *client.Problem
		if errors.As(err, &p) && p.Status == http.StatusConflict {
			s.app.logf("committed, says the server; waiting for the witnesses")
		}
	})
	return func() {
		cancel()
		asking.Wait()
	}
}
