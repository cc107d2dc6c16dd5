package register

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// A capacity says whether a key may sign a record in one role ("registrar"), and
// for which holder. Thresholds count distinct holders, not keys (RECORDS.md
// "Keys and who may sign").
type signerRole func(keyid string) (holder string, ok bool)

// signatures are those that the record bears; where a key is tried, that it alone signed.
func (j *judgment) signatures() []record.VerifiedSignature {
	if j.triedKey != nil {
		return []record.VerifiedSignature{{Key: j.triedKey}}
	}
	return j.v.Signatures()
}

// countSignatures finds the holders who signed in a capacity, and keeps their signatures:
// all of them, beyond the threshold and of one holder too (DESIGN.md section 4,
// "Entry").
func (j *judgment) countSignatures(as signerRole) (holders []string) {
	for i, s := range j.signatures() {
		if _, ok := as(s.Key.ID()); ok {
			j.counted |= 1 << i
		}
	}
	return j.signersInRole(as)
}

// signersInRole are the distinct holders who signed in a capacity, in order.
func (j *judgment) signersInRole(as signerRole) (holders []string) {
	for _, s := range j.signatures() {
		holder, ok := as(s.Key.ID())
		if !ok {
			continue
		}
		if at, found := slices.BinarySearch(holders, holder); !found {
			holders = slices.Insert(holders, at, holder)
		}
	}
	return holders
}

// needSigners refuses the record unless that many distinct holders signed in a capacity.
func (j *judgment) needSigners(n int64, noun string, as signerRole) error {
	if holders := j.countSignatures(as); int64(len(holders)) < n {
		return j.tooFewSigners(n, noun, holders)
	}
	return nil
}

// needEveryKey refuses the record unless each of these keys signed it: possession is
// proven, or not enrolled.
func (j *judgment) needEveryKey(keys []*record.Key) error {
	var missing []string
	for _, k := range keys {
		if len(j.countSignatures(func(keyid string) (string, bool) { return "", keyid == k.ID() })) == 0 {
			missing = append(missing, shortKeyID(k.ID()))
		}
	}
	if missing != nil && !j.unsigned {
		return record.Refuse(record.Forbidden, "every listed key signs, to prove that its holder has it: %s did not", strings.Join(missing, ", "))
	}
	return nil
}

// countsSignature tells [record.Verified.Entry] which signatures count.
func (j *judgment) countsSignature(k *record.Key) bool {
	for i, s := range j.signatures() {
		if s.Key == k {
			return j.counted&(1<<i) != 0
		}
	}
	return false
}

// rootHolder keys of the charter in force. A set is the newest charter's below the index.
func (c *CharterRow) rootHolder(keyid string) (string, bool) {
	for i := range c.Root {
		if c.Root[i].ID == keyid {
			return c.Root[i].Holder, true
		}
	}
	return "", false
}

// roleOf is the capacity of a party's live keys of which pick is true.
func (j *judgment) roleOf(p *PartyRow, pick func(*KeyRow) bool) signerRole {
	return func(keyid string) (string, bool) {
		if p == nil {
			return "", false
		}
		k := p.Key(keyid)
		if k == nil || !pick(k) || k.whyNotLive(j.admitted, j.today) != "" {
			return "", false
		}
		return k.Holder, true
	}
}

// isOfficer, automation and the functions of the authority's keys. An automation
// key has no function but importer, so an officer is asked for by name.
func isOfficer(k *KeyRow) bool { return k.Use == record.UseOfficer }
func isOfficerOrAutomation(k *KeyRow) bool {
	return k.Use == record.UseOfficer || k.Use == record.UseAutomation
}
func isRegistrar(k *KeyRow) bool {
	return isOfficer(k) && slices.Contains(k.Functions, record.FuncRegistrar)
}
func isDesignator(k *KeyRow) bool {
	return isOfficer(k) && slices.Contains(k.Functions, record.FuncDesignator)
}
func isImporter(k *KeyRow) bool {
	return isOfficerOrAutomation(k) && slices.Contains(k.Functions, record.FuncImporter)
}

// tooFewSigners says how many more must sign, and why other signatures do not count.
func (j *judgment) tooFewSigners(n int64, noun string, holders []string) error {
	if j.unsigned {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s needed, ", plural(n, noun))
	if len(holders) == 0 {
		b.WriteString("none signed")
	} else {
		fmt.Fprintf(&b, "%d signed (%s)", len(holders), strings.Join(holders, ", "))
	}
	for i, s := range j.signatures() {
		if j.counted&(1<<i) != 0 {
			continue
		}
		why, err := j.whyNotCounted(s.Key.ID())
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "; key %s %s", shortKeyID(s.Key.ID()), why)
	}
	return record.Refuse(record.Forbidden, "%s", b.String())
}

// whyNotCounted says why a key's signature does not count here.
func (j *judgment) whyNotCounted(keyid string) (string, error) {
	k, err := j.draft.keyRow(keyid)
	switch {
	case err != nil:
		return "", err
	case k == nil:
		return "is not enrolled", nil
	case k.Owner == ownerRoot:
		if _, ok := j.charter.rootHolder(keyid); !ok {
			return "is a root key no more", nil
		}
		return "is a root key", nil
	case k.Owner == ownerPolicy:
		return "is a log or witness key", nil
	}
	id := k.party()
	if id != j.st.Issuer && id != record.Authority {
		return "belongs to " + id, nil
	}
	if why := k.whyNotLive(j.admitted, j.today); why != "" {
		return why, nil
	}
	holder := k.Holder
	if id != j.st.Issuer {
		holder = id + "'s " + holder
	}
	what := fmt.Sprintf("is an %s key of %s", k.Use, holder)
	if k.Use == record.UseRecovery {
		what = "is a recovery key of " + holder
	}
	if len(k.Functions) > 0 {
		what += fmt.Sprintf(" (%s)", joinWords(k.Functions))
	}
	return what, nil
}

// joinWords lists functions or roles as a sentence does.
func joinWords[S ~string](words []S) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// shortKeyID is enough of a key ID for a sentence.
func shortKeyID(keyid string) string {
	const shown = len("SHA256:") + 8
	if len(keyid) <= shown {
		return keyid
	}
	return keyid[:shown] + "…"
}
