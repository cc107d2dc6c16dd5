package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// send sends, again while the server is busy.
func (s *submitCmd) send(ctx context.Context, env record.Envelope) (*client.Submission, error) {
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

// explainRefusal says what to do about a refusal.
func (s *submitCmd) explainRefusal(m inputFile, err error) error {
	var p *client.Problem
	if !errors.As(err, &p) || p.Retryable() {
		return err
	}
	again := "sign its short form again, where " + m.stem + envelopeSuffix + " is out of the way"
	if m.envelope == nil {
		again = "move " + m.stem + envelopeSuffix + " away and run the same command again"
	}
	switch {
	case p.Status == 409 && p.Current != "":
		return refusal("refused: %w", err).hint("the thread's newest record is %s; look at it (docket sync, docket show %[1]s), then %s", p.Current, again)
	case p.Status == 422 && p.Earliest != "":
		return refusal("refused: %w", err).hint("the earliest date allowed is %s; correct the record, then %s", p.Earliest, again)
	case p.Status == 403:
		return refusal("refused: %w", err).hint("who is missing adds a signature: docket sign --key FILE %s; then submit that file", m.stem+envelopeSuffix)
	case p.Type == "urn:docket:problem:log-keys":
		return refusal("refused: %w", err).hint("once the operator has those keys: docket submit %s; or correct the policy, then %s", m.stem+envelopeSuffix, again)
	case p.Status == 422, p.Status == 409:
		return refusal("refused: %w", err).hint("correct the record, then %s", again)
	}
	return refusal("refused: %w", err)
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
	if err := writeReceipt(file, text, sub.ID, true); err != nil {
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

// checkReceiptPath refuses to send a record whose receipt could not be kept: sent is sent for ever.
func checkReceiptPath(file string, id record.ID) error {
	old, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return refusal("the receipt would go to %s: %w", file, err).hint("nothing was sent; move it away and run the same command again")
	case recordOfReceipt(old) != id:
		return refusal("the receipt would go to %s, which exists with other content", file).hint("nothing was sent; move it away and run the same command again")
	}
	return nil
}

// writeReceipt writes a receipt. One of the same record that is there already is as
// good: it stays. Without durable a crash may lose it, which only one that can be
// made again from a copy can afford.
func writeReceipt(file string, text []byte, id record.ID, durable bool) error {
	if old, err := os.ReadFile(file); err == nil && recordOfReceipt(old) == id {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return writeNewFile(file, text, 0o644, durable)
}

// recordOfReceipt is the record that a receipt, or a chain, is of; zero if it is neither.
func recordOfReceipt(text []byte) record.ID {
	chain, err := proof.ParseChain(text)
	if err != nil {
		return record.ID{}
	}
	e, err := record.ParseEntry(chain[len(chain)-1].Entry)
	if err != nil {
		return record.ID{}
	}
	return record.IDOf(e.Envelope.Payload)
}

// dryRun prints what the server says would become of the record.
func (s *submitCmd) dryRun(ctx context.Context, env record.Envelope) error {
	v, err := s.server.DryRun(ctx, env.Marshal())
	if isProblem(err) {
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
