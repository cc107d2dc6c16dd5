package demo

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/seed-53cf897a/docket/client"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// statement fills in what every record has.
func (s *scenario) statement(thread record.Thread, issuer string, p record.Predicate) *record.Statement {
	st := &record.Statement{Kind: p.Kind(), Predicate: p, Common: record.Common{
		Ledger: s.ledger, Thread: thread, Issuer: issuer, Follows: s.heads[thread],
	}}
	st.Subject.Name = string(thread)
	return st
}

// attachDocument writes the fictional paper behind a record; its digest is the subject.
func (s *scenario) attachDocument(st *record.Statement, name, text string) error {
	data := []byte(text)
	size := int64(len(data))
	st.Subject = record.Subject{Name: name, SHA256: record.IDOf(data)}
	st.Document = &record.Document{Name: name, MediaType: "text/plain", Bytes: &size}
	return s.write(filepath.Join("documents", name), data)
}

// commitSubject makes a paper that stays private the subject, by a commitment to its digest.
func (s *scenario) commitSubject(st *record.Statement, text string) (err error) {
	opening := record.NewOpening("/subject", record.IDOf([]byte(text)).String())
	st.Subject.SHA256, err = record.ParseID(opening.Commit(s.ledger, st.Thread).Commit)
	return err
}

// sign makes the envelope of a statement, issued now.
func (s *scenario) sign(ctx context.Context, st *record.Statement, names ...string) (record.Envelope, error) {
	st.IssuedAt = time.Now().UTC().Truncate(time.Second)
	payload, err := record.EncodeStatement(st)
	if err != nil {
		return record.Envelope{}, err
	}
	env := record.Envelope{PayloadType: record.PayloadType, Payload: payload}
	for _, name := range names {
		signer, err := s.keyring.signer(name)
		if err != nil {
			return env, err
		}
		if env, err = signer.Sign(ctx, env); err != nil {
			return env, err
		}
	}
	return env, nil
}

// sentRecord is a record that is on the ledger.
type sentRecord struct {
	envelope []byte
	receipt  *client.Receipt
}

// send signs and submits, and believes nothing but a verified receipt.
func (s *scenario) send(ctx context.Context, st *record.Statement, names ...string) (sentRecord, error) {
	env, err := s.sign(ctx, st, names...)
	if err != nil {
		return sentRecord{}, err
	}
	raw := env.Marshal()
	sub, err := s.client.Submit(ctx, raw, client.SinglePolicy{Only: s.policy}, client.Retry{MaxElapsed: 30 * time.Second})
	if err != nil {
		return sentRecord{}, err
	}
	if sub.Receipt == nil {
		return sentRecord{}, errors.New("committed, and not published in time")
	}
	s.heads[st.Thread] = sub.ID
	return sentRecord{raw, sub.Receipt}, nil
}

// submit sends a record that must be accepted, and keeps its receipt.
func (s *scenario) submit(ctx context.Context, name string, st *record.Statement, names ...string) (sentRecord, error) {
	done, err := s.send(ctx, st, names...)
	if err != nil {
		return sentRecord{}, fmt.Errorf("%s: %w", name, err)
	}
	return done, s.saveReceipt(name, done.receipt)
}

func (s *scenario) saveReceipt(name string, r *client.Receipt) error {
	s.receipts++
	return s.write(filepath.Join("receipts", name+proof.ReceiptSuffix), r.Text)
}
