package record

// KindKeys adds and revokes a party's keys.
const KindKeys Kind = "keys"

var keysSpec = newKindSpec[Keys](kindSpec{
	summary: "A party adds and revokes keys. An officer key signs, and every key added; a registrar only when all are lost.",
	thread:  "party/P",
	issuer:  issuedByOwnerOrAuthority,
	subject: subjectFirstKey,
})

// Keys changes the keys of a party.
type Keys struct {
	Add    []PartyKey      `json:"add,omitempty" rule:"usual items=8" doc:"new keys; each signs this record; at most 16 of a party are live, and it adds at most 64 a year"`
	Revoke []KeyRevocation `json:"revoke,omitempty" rule:"items=16" doc:"keys that sign no more from the next record on"`
}

// KeyRevocation names a key that signs no more.
type KeyRevocation struct {
	KeyID            string   `json:"keyid" rule:"required fmt=keyid" doc:"SHA256:… as docket show prints it" eg:"SHA256:uNiVztksCsDhcc0u9e8BrJBnSvWkkwwAAAAAAAAAAAA"`
	CompromisedSince *Instant `json:"compromisedSince,omitempty" doc:"the party's claim of since when; it changes no validity" eg:"2026-11-20T00:00:00Z"`
}

// Kind is KindKeys.
func (*Keys) Kind() Kind { return KindKeys }

func (k *Keys) check(s *Statement, f *faultList) {
	f.addIf(len(k.Add) == 0 && len(k.Revoke) == 0, "neither adds nor revokes a key", "/predicate")
	checkKeys(k.Add, s.Thread == "party/"+Authority, "/predicate/add", f)
	revoked := make(map[string]bool, len(k.Revoke))
	for i, r := range k.Revoke {
		f.addIf(revoked[r.KeyID], "is revoked twice", "/predicate/revoke/%d/keyid", i)
		revoked[r.KeyID] = true
	}
}
