package customers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"filippo.io/age"

	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/ledger/customers/vault"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// Review is the bundle of a disclosure as it would leave the house, for who is to approve it. It is logged as
// shown. [ErrChanged] if it cannot be made any more as it was prepared.
func (l *Log) Review(ctx context.Context, who Who, number uint64) ([]byte, error) {
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.end()
	d, err := l.disclosure(number)
	if err != nil {
		return nil, err
	}
	raw, err := l.remake(ctx, d)
	if err != nil {
		return nil, err
	}
	who.Request = string(d.Thread)
	return raw, l.actOn(ctx, who.act(event.KindShown), d, d.Digest)
}

// remake makes the bundle again, and holds it against the digest.
func (l *Log) remake(ctx context.Context, d *Disclosure) ([]byte, error) {
	raw, err := l.plaintext(ctx, d)
	if errors.Is(err, vault.ErrNoCustomer) || err == nil && bundle.Digest(raw) != d.Digest {
		return nil, errors.Join(ErrChanged, err)
	}
	return raw, err
}

// holdDisclosure is a disclosure that nobody else changes before done is called.
func (l *Log) holdDisclosure(number uint64) (d *Disclosure, done func(), err error) {
	if err := l.begin(); err != nil {
		return nil, nil, err
	}
	l.disclosing.Lock()
	done = func() {
		l.disclosing.Unlock()
		l.end()
	}
	if d, err = l.disclosure(number); err != nil {
		done()
		return nil, nil, err
	}
	return d, done, nil
}

// Approve takes in a holder's signature over [Log.Message]. It refuses a key that holds no
// role discloser, a signature that is not of this disclosure, and one key's second approval.
func (l *Log) Approve(ctx context.Context, who Who, number uint64, keyID string, signature []byte) (*Disclosure, error) {
	d, done, err := l.holdDisclosure(number)
	if err != nil {
		return nil, err
	}
	defer done()
	if d.Withdrawn != nil || len(d.Disclosed) > 0 {
		return nil, record.Refuse(record.Conflict, "disclosure %d is %s already", number, d.State())
	}
	a := Approval{By: who.By, KeyID: keyID, At: time.Now().UTC().Truncate(time.Millisecond), Signature: signature}
	holders, err := l.disclosers()
	if err != nil {
		return nil, err
	}
	if err := l.checkApproval(holders, d, a); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(d.Approved, func(b Approval) bool { return b.KeyID == keyID }) {
		return nil, record.Refuse(record.Conflict, "the key %s has approved disclosure %d: another holder's is needed", keyID, number)
	}
	who.Request = string(d.Thread)
	if err := l.actOn(ctx, who.act(event.KindApproved), d, d.Digest); err != nil {
		return nil, err
	}
	d.Approved = append(d.Approved, a)
	return d, l.putDisclosure(d)
}

// disclosers are who holds the role discloser now.
func (l *Log) disclosers() ([]*record.Key, error) {
	if l.config.Disclosers == nil {
		return nil, nil
	}
	keys, err := l.config.Disclosers()
	if err != nil {
		return nil, fmt.Errorf("reading who holds the role discloser: %w", err)
	}
	return keys, nil
}

func (l *Log) checkApproval(holders []*record.Key, d *Disclosure, a Approval) error {
	for _, k := range holders {
		if k.ID() != a.KeyID {
			continue
		}
		if err := k.Verify(l.Message(d), a.Signature); err != nil {
			return record.Refuse(record.Forbidden, "the signature is not that of the key %s over disclosure %d with the digest %s: look at it again, and sign anew", a.KeyID, d.Number, d.Digest)
		}
		return nil
	}
	return record.Refuse(record.Forbidden, "the key %s does not hold the role discloser: docket customers discloser list shows who does, and add lets another", a.KeyID)
}

// HandOut encrypts an approved bundle to the request's recipient, and returns the file and its
// SHA-256, which the public disclosure-receipt names. It logs that it left the house before it
// returns it. Handed out again it is another file with the same content.
func (l *Log) HandOut(ctx context.Context, who Who, number uint64) (file []byte, digest string, err error) {
	d, done, err := l.holdDisclosure(number)
	if err != nil {
		return nil, "", err
	}
	defer done()
	if err := l.mayLeave(d); err != nil {
		return nil, "", err
	}
	raw, err := l.remake(ctx, d)
	if err != nil {
		return nil, "", err
	}
	if file, err = encrypt(raw, d.Recipient); err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(file)
	digest = hex.EncodeToString(sum[:])
	who.Request = string(d.Thread)
	if err := l.actOn(ctx, who.act(event.KindDisclosed), d, digest); err != nil {
		return nil, "", err
	}
	d.Disclosed = append(d.Disclosed, Handed{By: who.By, At: time.Now().UTC().Truncate(time.Millisecond), Digest: digest})
	if err := l.putDisclosure(d); err != nil {
		return nil, "", err
	}
	return file, digest, nil
}

// mayLeave counts the approvals that hold today: of keys that are holders' still, each once.
func (l *Log) mayLeave(d *Disclosure) error {
	if d.Withdrawn != nil {
		return record.Refuse(record.Conflict, "disclosure %d was withdrawn", d.Number)
	}
	holders, err := l.disclosers()
	if err != nil {
		return err
	}
	approved := make(map[string]bool)
	for _, a := range d.Approved {
		if l.checkApproval(holders, d, a) == nil {
			approved[a.KeyID] = true
		}
	}
	if len(approved) < Approvals {
		return record.Refuse(record.Conflict, "disclosure %d has %d of %d approvals: docket customers approve %d, by another holder of the role discloser", d.Number, len(approved), Approvals, d.Number)
	}
	return nil
}

func encrypt(raw []byte, recipient string) ([]byte, error) {
	recipients, err := vault.ParseRecipients([]byte(recipient), nil)
	if err != nil || len(recipients) != 1 {
		return nil, errors.Join(errors.New("the request's recipient is not to be read"), err)
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, recipients[0].Recipient)
	if err == nil {
		_, err = w.Write(raw)
	}
	if err == nil {
		err = w.Close()
	}
	return out.Bytes(), err
}

// Withdraw says that a disclosure is not to leave the house. What left it already does not come back.
func (l *Log) Withdraw(ctx context.Context, who Who, number uint64) (*Disclosure, error) {
	d, done, err := l.holdDisclosure(number)
	if err != nil {
		return nil, err
	}
	defer done()
	if state := d.State(); state == "withdrawn" || state == "disclosed" {
		return nil, record.Refuse(record.Conflict, "disclosure %d is %s already", number, state)
	}
	who.Request = string(d.Thread)
	if err := l.actOn(ctx, who.act(event.KindWithdrawn), d, d.Digest); err != nil {
		return nil, err
	}
	d.Withdrawn = &Handed{By: who.By, At: time.Now().UTC().Truncate(time.Millisecond), Reason: who.Reason}
	return d, l.putDisclosure(d)
}
