package register

import (
	"fmt"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// ExplainSigners says whose signatures an envelope bears that none of the
// [Register.CandidateKeys] made: "key SHA256:3fa9… belongs to delta-racks". It looks
// at the keys that the signatures' key IDs name and verifies each, so it accuses
// nobody falsely. nil means that it knows no better than [record.Open] did.
func (r *Register) ExplainSigners(env record.Envelope, issuer string) error {
	var whose []string
	message := record.PAE(env.Payload)
	for i, s := range env.Signatures {
		if i == record.MaxSignatures {
			break
		}
		h, ok, err := r.KeyHolder(s.KeyID)
		if err != nil {
			return err
		}
		if !ok || h.key.Verify(message, s.Sig) != nil {
			continue
		}
		switch {
		case h.Party == "":
			whose = append(whose, fmt.Sprintf("key %s is a root key", shortKeyID(s.KeyID)))
		case h.Party != issuer:
			whose = append(whose, fmt.Sprintf("key %s belongs to %s", shortKeyID(s.KeyID), h.Party))
		case h.Revoked != 0:
			whose = append(whose, fmt.Sprintf("key %s was revoked at index %d", shortKeyID(s.KeyID), h.Revoked))
		default:
			whose = append(whose, fmt.Sprintf("key %s is %s's, of use %s, which does not sign this kind of record", shortKeyID(s.KeyID), issuer, h.Use))
		}
	}
	if whose == nil {
		return nil
	}
	return record.Refuse(record.Forbidden, "%s: sign with a key of %s that may", strings.Join(whose, "; "), issuer)
}
