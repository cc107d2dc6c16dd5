package main

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// loadSigners opens the private keys that are to sign, and says whose they are: before
// anybody is asked, and before anything is signed. A key that has signed already is
// left out.
func (a *app) loadSigners(c *cobra.Command, b *preview, names []string) ([]*record.Signer, error) {
	var signers []*record.Signer
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
		a.warnOfReaders(name)
		signer, err := record.LoadSigner(text, nil)
		switch {
		case errors.Is(err, record.ErrWrongPassword):
		case err != nil:
			return nil, wrongFileError(name, text, "a PEM private key", err)
		default:
			keys[i] = signer.Key()
		}
	}
	return keys, nil
}
