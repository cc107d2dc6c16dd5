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
func (s *submitting) send(ctx context.Context, env record.Envelope) (*client.Submission, error) {
	defer s.meanwhile(ctx, record.IDOf(env.Payload))()
	raw, patience := env.Marshal(), s.patience()
	return believed(ctx, s, func() (*client.Submission, error) { return s.server.Submit(ctx, raw, s.policies, patience) })
}

// believed is what the server answers, under a renewed trust directory if need be.
func believed[T any](ctx context.Context, s *submitting, ask func() (T, error)) (T, error) {
	if s.ground == nil {
		return renewing(ctx, s.app, nil, s.server, ask)
	}
	answer, err := renewing(ctx, s.app, s.ground.trust, s.server, ask)
	if s.ground.register != nil {
		s.ground.register, _ = s.ground.trust.Copy() // renewing has closed it; without one it is synced when asked for
	}
	return answer, err
}

// explain says what to do about a refusal.
func (s *submitting) explain(m material, err error) error {
	var p *client.Problem
	if !errors.As(err, &p) || p.Later() {
		return err
	}
	again := "sign its short form again, where " + m.stem + envelopeSuffix + " is out of the way"
	if m.envelope == nil {
		again = "move " + m.stem + envelopeSuffix + " away and run the same command again"
	}
	switch {
	case p.Status == 409 && p.Current != "":
		return refuse("refused: %w", err).hint("the thread's newest record is %s; look at it (docket sync, docket show %[1]s), then %s", p.Current, again)
	case p.Status == 422 && p.Earliest != "":
		return refuse("refused: %w", err).hint("the earliest date allowed is %s; correct the record, then %s", p.Earliest, again)
	case p.Status == 403:
		return refuse("refused: %w", err).hint("who is missing adds a signature: docket sign --key FILE %s; then submit that file", m.stem+envelopeSuffix)
	case p.Type == "urn:docket:problem:log-keys":
		return refuse("refused: %w", err).hint("once the operator has those keys: docket submit %s; or correct the policy, then %s", m.stem+envelopeSuffix, again)
	case p.Status == 422, p.Status == 409:
		return refuse("refused: %w", err).hint("correct the record, then %s", again)
	}
	return refuse("refused: %w", err)
}

// keep writes the receipt, or the chain, and prints the result.
func (s *submitting) keep(ctx context.Context, m material, sub *client.Submission) error {
	text := sub.Receipt.Text
	if s.chain {
		var err error
		if text, err = believed(ctx, s, func() ([]byte, error) {
			chain, _, err := fetchChain(ctx, s.server, s.policies, sub.ID)
			return chain, err
		}); err != nil {
			return err
		}
	}
	file := m.stem + receiptSuffix
	if err := keepReceipt(file, text, sub.ID, true); err != nil {
		return refuse("admitted at %d, record ID %s; only the receipt could not be written: %w", sub.Receipt.Index(), sub.ID, err).hint("make room for %s and run the same command again: what is sent twice is on the ledger once", file)
	}
	if sub.Known {
		s.app.say("already on the ledger at %d", sub.Receipt.Index())
	}
	return s.result(sub.ID, sub.Receipt.Index(), file, sub.Known)
}

// already is the end of a run that had nothing to send.
func (s *submitting) already(ctx context.Context, m material, id record.ID) error {
	if s.dry {
		s.app.say("already on the ledger; nothing would be sent")
		s.app.printf("%s\n", id)
		return nil
	}
	receipt, err := believed(ctx, s, func() (*client.Receipt, error) { return s.server.Receipt(ctx, id, s.policies) })
	if err != nil {
		return err
	}
	return s.keep(ctx, m, &client.Submission{ID: id, Receipt: receipt, Known: true})
}

func (s *submitting) result(id record.ID, index uint64, file string, known bool) error {
	if s.asJSON {
		return s.app.printJSON(map[string]any{"index": index, "record": id, "receipt": file, "known": known})
	}
	s.app.printf("%d %s %s\n", index, id, file)
	return nil
}

// room refuses to send a record whose receipt could not be kept: sent is sent for ever.
func room(file string, id record.ID) error {
	old, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return refuse("the receipt would go to %s: %w", file, err).hint("nothing was sent; move it away and run the same command again")
	case receiptOf(old) != id:
		return refuse("the receipt would go to %s, which exists with other content", file).hint("nothing was sent; move it away and run the same command again")
	}
	return nil
}

// keepReceipt writes a receipt. One of the same record that is there already is as
// good: it stays. Without durable a crash may lose it, which only one that can be
// made again from a copy can afford.
func keepReceipt(file string, text []byte, id record.ID, durable bool) error {
	if old, err := os.ReadFile(file); err == nil && receiptOf(old) == id {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return putNew(file, text, 0o644, durable)
}

// receiptOf is the record that a receipt, or a chain, is of; zero if it is neither.
func receiptOf(text []byte) record.ID {
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
func (s *submitting) dryRun(ctx context.Context, env record.Envelope) error {
	v, err := s.server.DryRun(ctx, env.Marshal())
	if isProblem(err) {
		return refuseOrLater(err)
	} else if err != nil {
		return err
	}
	if s.asJSON {
		return s.app.printJSON(v)
	}
	outcome := "would be admitted now"
	if v.Known {
		outcome = "nothing to send"
	}
	s.app.say("%s, says the server (UNVERIFIED); nothing was written", outcome)
	for _, e := range v.Effects {
		s.app.printf("%s\n", printable(e))
	}
	return nil
}

// refuseOrLater words a server's answer to a dry run.
func refuseOrLater(err error) error {
	if status, _ := statusOf(err); status == statusNotYet {
		return err
	}
	return refuse("would be refused: %w", err)
}
