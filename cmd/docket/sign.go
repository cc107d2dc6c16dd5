package main

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/record"
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
record that it follows, and asks. The document that a statement or an envelope is
about is compared where it lies beside it, and another one refused. A key that may not sign such a record is refused
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
	kind, err := m.kind()
	if err != nil {
		return err
	}
	g, err := s.trust.baseState(c, kind, s.charter, s.offline)
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
	b, err := s.app.preview(c.Context(), g, env)
	if err != nil {
		return err
	}
	if err := s.app.printCommitments(m, g, salts); err != nil {
		return err
	}
	if err := s.app.compareDocument(m, b.statement); err != nil {
		return err
	}
	if g.register != nil {
		if key := changedUnder(env, g.register); key != nil {
			return refusal("%s was changed after it was signed: the signature by %s does not verify over what it says now", m.name, b.keyOwnerText(key.ID())).hint("nothing was written; get the original of it from whoever signed, or sign the short form anew")
		}
	}
	if s.pae {
		return s.printPAE(m, env, salts)
	}
	signed, err := s.signatures(c, b)
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
	if err := saveEnvelope(s.out, m.stem, signed, salts); err != nil {
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

// signatures adds a signature by each key, or the one made outside.
func (s *signCmd) signatures(c *cobra.Command, b *preview) (record.Envelope, error) {
	if s.attach != "" {
		return s.attachSignature(b)
	}
	question := "Sign this?"
	if b.vain {
		question = "The ledger would refuse it as it stands. Sign it all the same?"
	}
	return b.sign(c, s.keys, s.yes, question)
}

// attachSignature adds a signature that was made outside.
func (s *signCmd) attachSignature(b *preview) (record.Envelope, error) {
	env := b.envelope
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

// printResult prints the file, and what it needs next.
func (s *signCmd) printResult(env record.Envelope, v checkResult) error {
	v.print(s.app)
	if s.asJSON {
		return s.app.printJSON(map[string]any{"record": record.IDOf(env.Payload), "file": s.out, "signatures": len(env.Signatures), "complete": v.complete, "needs": v.missing})
	}
	s.app.printf("%s\n", s.out)
	return nil
}
