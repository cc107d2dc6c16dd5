package main

import (
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
)

func (a *app) sign() *cobra.Command {
	s := signCmd{app: a}
	c := &cobra.Command{
		Use:   "sign --key FILE… RECORD",
		Short: "Sign a record, after showing what it says",
		Long: `Signs a record: a short form (YAML or JSON), a statement, an envelope or a Sigstore
bundle. The result is an envelope, NAME.dsse.json; an envelope keeps its name and
gains a signature, and no byte of what others signed changes.

Of a short form it fills in, once, what only the ledger knows: its name, the record
that this one follows, the time. That comes from the trust directory, which is
synced first (--offline leaves it as it is). Secrets become commitments; their
salts go to NAME.salts.json, which stays with you.

Before it signs it shows every field, who signed already, what changes against the
record that it follows, and asks. A key that may not sign such a record is refused
before that, or only warned of where the copy may be behind. Nothing is sent
anywhere: docket submit does.

A charter is signed without any trust directory; so is the authority's own
enrolment, with --charter and the charter's envelope or record ID.

A key that cannot be used here signs outside: --pae prints the bytes to sign,
--attach takes the signature.`,
		Example: `  docket sign --trust trust --key officer-1.key order.yaml       # writes order.dsse.json
  docket sign --trust trust --key officer-2.key order.dsse.json  # on another machine
  docket sign --key root-1.key --key root-2.key charter.yaml
  docket sign --pae order.yaml | my-hsm-sign > order.sig
  docket sign --attach order.sig --public-key officer-1.key.pub order.statement.json`,
		Args:    cobra.ExactArgs(1),
		PreRunE: func(c *cobra.Command, _ []string) error { return s.idle(c) },
		RunE:    func(c *cobra.Command, args []string) error { return s.run(c, args[0]) },
	}
	s.trust = a.trustFlags(c).addLedgerFlag(c).withMaxAgeFlag(c)
	f := c.Flags()
	f.StringArrayVar(&s.keys, "key", nil, "private key file or KMS URI; may be repeated")
	f.StringVar(&s.charter, "charter", "", "the charter's envelope or record ID, while there is no ledger to trust yet")
	f.StringVar(&s.out, "out", "", "file of the envelope (default NAME"+envelopeSuffix+", or where the envelope is)")
	f.BoolVar(&s.offline, "offline", false, "do not sync the trust directory first")
	f.BoolVar(&s.yes, "yes", false, "sign without asking")
	f.BoolVar(&s.pae, "pae", false, "print the bytes to sign outside (DSSE's PAE), and sign nothing")
	f.StringVar(&s.attach, "attach", "", "file of a signature that was made outside, raw or base64")
	f.StringVar(&s.publicKey, "public-key", "", "with --attach: the public key that it verifies with")
	f.BoolVar(&s.asJSON, "json", false, "print JSON")
	c.MarkFlagsMutuallyExclusive("key", "pae", "attach")
	c.MarkFlagsRequiredTogether("attach", "public-key")
	c.MarkFlagsOneRequired("key", "pae", "attach")
	c.MarkFlagsMutuallyExclusive("trust", "charter")
	return c
}

// idle refuses flags without effect.
func (s *signCmd) idle(c *cobra.Command) error {
	for _, mode := range []struct {
		is    bool
		when  string
		flags []string
	}{
		{s.pae, "beside --pae: nothing is signed, and no envelope written", []string{"yes", "out", "json"}},
		{s.attach != "", "beside --attach: what was signed outside needs no consent", []string{"yes"}},
		{s.charter != "", "beside --charter: no trust directory is asked", []string{"offline", "ledger", "max-age"}},
		{s.trust.dir == "", "without --trust or $" + trustEnv, []string{"offline", "ledger", "max-age"}},
		{s.offline, "beside --offline: no server is asked", []string{"ledger", "max-age"}},
	} {
		if mode.is {
			if err := idle(c, mode.when, mode.flags...); err != nil {
				return err
			}
		}
	}
	return nil
}

// signCmd is one run of docket sign.
type signCmd struct {
	app                             *app
	trust                           *trustFlags
	keys                            []string
	charter, out, attach, publicKey string
	offline, yes, pae, asJSON       bool
}

func (s *signCmd) run(c *cobra.Command, file string) error {
	m, err := s.app.readInput(c.Context(), file)
	if err != nil {
		return err
	}
	if s.out == "" {
		s.out = m.envelopePath()
	}
	g, err := s.trust.baseState(c, s.charter, s.offline)
	if err != nil {
		return err
	}
	defer g.Close()
	if err := s.requireNoEnvelope(m, g); err != nil {
		return err
	}
	env, salts, err := g.envelope(m, time.Now())
	if err != nil {
		return err
	}
	b, err := s.app.newPreview(c.Context(), g, env)
	if err != nil {
		return err
	}
	b.print()
	if s.pae {
		return s.printPAE(m, env, salts)
	}
	signed, err := s.signatures(c, b, env)
	if err != nil {
		return err
	}
	verdict, err := g.checkResult(signed)
	if err != nil {
		return err
	}
	if len(signed.Signatures) == len(env.Signatures) {
		s.app.logf("nothing to add; %s stays as it is", m.name)
		s.out = m.name
		return s.printResult(signed, verdict)
	}
	if err := writeSalts(m.stem, salts); err != nil {
		return err
	}
	if err := s.writeEnvelope(m, signed); err != nil {
		return err
	}
	s.app.logf("wrote %s", s.out)
	return s.printResult(signed, verdict)
}

// requireNoEnvelope refuses to sign a short form anew where its envelope stands already:
// it would be another record. One of another ledger is no reason to add a signature.
func (s *signCmd) requireNoEnvelope(m inputFile, g *baseState) error {
	if m.envelope != nil || s.pae {
		return nil
	}
	if s.out == m.stem+envelopeSuffix {
		if err := refuseOtherLedger(m.stem, g.ledger); err != nil {
			return err
		}
	}
	_, err := os.Lstat(s.out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return refusal("looking at %s: %w", s.out, err)
	}
	return refusal("%s exists: signing %s anew would make another record", s.out, m.name).hint("to add your signature: docket sign %s; to begin anew: move it away", s.out)
}

// envelope is what is there to sign: a short form filled in, anything else as it is.
func (g *baseState) envelope(m inputFile, now time.Time) (record.Envelope, []record.Opening, error) {
	if m.envelope != nil {
		return *m.envelope, nil, nil
	}
	payload, salts, err := g.fill(m.short, now)
	if err != nil {
		return record.Envelope{}, nil, err
	}
	return record.Envelope{PayloadType: record.PayloadType, Payload: payload}, salts, nil
}

// signatures asks, and adds a signature by each key, or the one made outside.
func (s *signCmd) signatures(c *cobra.Command, b *preview, env record.Envelope) (record.Envelope, error) {
	if s.attach != "" {
		return s.attachSignature(b, env)
	}
	signers, err := s.app.loadSigners(c, b, s.keys)
	if err != nil || len(signers) == 0 {
		return env, err
	}
	if err := s.app.confirmSigning(c.Context(), s.yes, "Sign this?"); err != nil {
		return env, err
	}
	for _, signer := range signers {
		if env, err = signer.Sign(c.Context(), env); err != nil {
			return env, refusal("signing: %w", err)
		}
	}
	return env, nil
}

// confirmSigning asks before something is signed.
func (a *app) confirmSigning(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	ok, err := a.confirm(ctx, question)
	if err != nil {
		return err
	}
	if !ok {
		return refusal("not signed; nothing was written")
	}
	return nil
}

// attachSignature adds a signature that was made outside.
func (s *signCmd) attachSignature(b *preview, env record.Envelope) (record.Envelope, error) {
	text, err := s.app.readFile(s.publicKey)
	if err != nil {
		return env, err
	}
	key, err := record.ParseKey(text)
	if err != nil {
		return env, wrongFileError(s.publicKey, text, "a PEM public key", err)
	}
	if wanted, err := b.needsSignature(key); !wanted {
		return env, err
	}
	sig, err := s.app.readFile(s.attach)
	if err != nil {
		return env, err
	}
	out, err := env.Attach(key, sig)
	if decoded, bad := base64.StdEncoding.DecodeString(strings.TrimSpace(string(sig))); err != nil && bad == nil {
		out, err = env.Attach(key, decoded)
	}
	if err != nil {
		return env, refusal("%s: %w", s.attach, err).hint("sign exactly the bytes that docket sign --pae prints for this very file")
	}
	return out, nil
}

// printPAE prints what a signature covers. What was filled in is kept as a
// statement beside the record: --attach needs the same bytes.
func (s *signCmd) printPAE(m inputFile, env record.Envelope, salts []record.Opening) error {
	if m.envelope == nil && m.name != m.stem+statementSuffix {
		if err := writeSalts(m.stem, salts); err != nil {
			return err
		}
		if err := writeNew(m.stem+statementSuffix, env.Payload, 0o644); err != nil {
			return err
		}
		s.app.logf("wrote %s; then: docket sign --attach SIGNATURE --public-key KEY %[1]s", m.stem+statementSuffix)
	}
	_, err := s.app.out.Write(record.PAE(env.Payload))
	return err
}

// writeEnvelope keeps the envelope. One of the same payload gains the signatures, in one step.
func (s *signCmd) writeEnvelope(m inputFile, env record.Envelope) error {
	data := append(env.Marshal(), '\n')
	old, err := os.ReadFile(s.out)
	if err != nil {
		return writeNew(s.out, data, 0o644)
	}
	had, err := record.ParseEnvelope(old)
	if err != nil {
		return writeNew(s.out, data, 0o644)
	}
	both, err := record.Merge(had, env)
	if err != nil {
		return refusal("%s holds another record, %s", s.out, record.IDOf(had.Payload)).hint("files are never overwritten: move it away or name another with --out")
	}
	return replaceFile(s.out, append(both.Marshal(), '\n'), 0o644)
}

// printResult prints the file, and what it needs next.
func (s *signCmd) printResult(env record.Envelope, v checkResult) error {
	v.print(s.app)
	if s.asJSON {
		return s.app.printJSON(map[string]any{"record": record.IDOf(env.Payload), "file": s.out, "signatures": len(env.Signatures), "complete": v.complete, "needs": v.missing})
	}
	s.app.printf("%s\n", s.out)
	return nil
}

// loadSigners opens the private keys and prints their owners, before the user is asked
// and before anything is signed. Keys that have already signed are left out.
func (a *app) loadSigners(c *cobra.Command, b *preview, names []string) ([]*draft.Signer, error) {
	var signers []*draft.Signer
	for _, name := range names {
		s, err := a.signerFor(c, name)
		if err != nil {
			return nil, err
		}
		wanted, err := b.needsSignature(s.Key())
		if err != nil {
			return nil, err
		}
		if wanted {
			signers = append(signers, s)
		}
	}
	return signers, nil
}

// needsSignature tells whether a signature by that key would be a new one, and refuses one that
// the ledger would drop. Of a copy that may be behind, that is only a warning.
func (b *preview) needsSignature(key *record.Key) (bool, error) {
	if signedBy(b.envelope, key) {
		b.app.logf("docket: %s has signed already", b.keyOwnerText(key.ID()))
		return false, nil
	}
	b.app.logf("signing as %s", b.keyOwnerText(key.ID()))
	g := b.base
	if g.register == nil || g.ledger.IsZero() && b.statement.Kind != record.KindCharter {
		return true, nil
	}
	err := g.register.Begin(g.now()).MaySign(b.statement, key)
	var r *record.Refusal
	switch {
	case !errors.As(err, &r):
		return err == nil, err
	case g.justSynced && r.Class == record.Forbidden:
		return false, refusal("not signed: %w", r).hint("nothing was written; docket show %s lists who signs for %[1]s", b.statement.Issuer)
	}
	b.app.logf("docket: warning: %v, as far as is known here: the ledger would drop the signature", r)
	return true, nil
}

// signedBy tells whether an envelope bears a signature by that key, whatever its key
// IDs say.
func signedBy(env record.Envelope, key *record.Key) bool {
	message := record.PAE(env.Payload)
	return slices.ContainsFunc(env.Signatures, func(s record.Signature) bool { return key.Verify(message, s.Sig) == nil })
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
