package register

import (
	"fmt"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// KeyHolder says whose a key is: what a receipt's signature means to people.
type KeyHolder struct {
	KeyID       string          `json:"keyid"`
	Party       string          `json:"party,omitempty"` // empty for a root key
	Holder      string          `json:"holder"`          // a post, never a person
	Use         record.KeyUse   `json:"use,omitempty"`   // empty for a root key
	Added       uint64          `json:"added"`           // index of the record that added it
	ByRegistrar bool            `json:"byRegistrar,omitempty"`
	Revoked     uint64          `json:"revoked,omitempty"` // index of the revoking record, 0 if live
	Compromised *record.Instant `json:"compromisedSince,omitempty"`

	key *record.Key
}

// Warnings are what nobody should see a signature without: by whose word its key came,
// and what became of the key since (RECORDS.md "Keys and who may sign").
func (h KeyHolder) Warnings() []string {
	marks := keyWarnings(h.ByRegistrar, h.Compromised)
	if h.Revoked != 0 {
		marks = append(marks, fmt.Sprintf("revoked at #%d: what it signed up to there counts", h.Revoked))
	}
	return marks
}

// Warnings are those of a key that is shown with whether it may sign.
func (k PartyKey) Warnings() []string { return keyWarnings(k.ByRegistrar, k.CompromisedSince) }

func keyWarnings(byRegistrar bool, compromised *record.Instant) (marks []string) {
	if byRegistrar {
		marks = append(marks, "added by the registrar")
	}
	if compromised != nil {
		marks = append(marks, fmt.Sprintf("compromised since %s, as the party claims", compromised))
	}
	return marks
}

// KeyHolder finds the holder of a key among all that the register ever knew; ok is
// false for a key that was never enrolled, or is a log's or a witness's.
func (r *Register) KeyHolder(keyid string) (h KeyHolder, ok bool, err error) {
	k, err := r.keyRow(keyid, r.Size())
	if err != nil || k == nil || k.Owner == ownerPolicy {
		return KeyHolder{}, false, err
	}
	key, err := k.parsed()
	if err != nil {
		return KeyHolder{}, false, err
	}
	return KeyHolder{
		KeyID: keyid, Party: k.party(), Holder: k.Holder, Use: k.Use,
		Added: k.Added, ByRegistrar: k.ByRegistrar, Revoked: k.Revoked, Compromised: k.CompromisedSince, key: key,
	}, true, nil
}

// KeyByID is a key that some party, or the root set, holds or held; nil if the
// register knows none. It says nothing of what the key may sign.
func (r *Register) KeyByID(keyid string) *record.Key {
	h, ok, err := r.KeyHolder(keyid)
	if err != nil || !ok {
		return nil
	}
	return h.key
}
