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
type capacity func(keyid string) (holder string, ok bool)

// signatures are those that the record bears; where a key is tried, that it alone signed.
func (j *judging) signatures() []record.VerifiedSignature {
	if j.tried != nil {
		return []record.VerifiedSignature{{Key: j.tried}}
	}
	return j.v.Signatures()
}

// sign finds the holders who signed in a capacity, and keeps their signatures:
// all of them, beyond the threshold and of one holder too (DESIGN.md section 4,
// "Entry").
func (j *judging) sign(as capacity) (holders []string) {
	for i, s := range j.signatures() {
		if _, ok := as(s.Key.ID()); ok {
			j.kept |= 1 << i
		}
	}
	return j.holders(as)
}

// holders are the distinct holders who signed in a capacity, in order.
func (j *judging) holders(as capacity) (holders []string) {
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

// need refuses the record unless that many distinct holders signed in a capacity.
func (j *judging) need(n int64, noun string, as capacity) error {
	if holders := j.sign(as); int64(len(holders)) < n {
		return j.tooFew(n, noun, holders)
	}
	return nil
}

// needKeys refuses the record unless each of these keys signed it: possession is
// proven, or not enrolled.
func (j *judging) needKeys(keys []*record.Key) error {
	var missing []string
	for _, k := range keys {
		if len(j.sign(func(keyid string) (string, bool) { return "", keyid == k.ID() })) == 0 {
			missing = append(missing, shortKey(k.ID()))
		}
	}
	if missing != nil && !j.unsigned {
		return record.Refuse(record.Forbidden, "every listed key signs, to prove that its holder has it: %s did not", strings.Join(missing, ", "))
	}
	return nil
}

// keeps tells [record.Verified.Entry] which signatures count.
func (j *judging) keeps(k *record.Key) bool {
	for i, s := range j.signatures() {
		if s.Key == k {
			return j.kept&(1<<i) != 0
		}
	}
	return false
}

// root keys of the charter in force. A set is the newest charter's below the index.
func (c *CharterRow) root(keyid string) (string, bool) {
	for i := range c.Root {
		if c.Root[i].ID == keyid {
			return c.Root[i].Holder, true
		}
	}
	return "", false
}

// holder is the capacity of a party's live keys of which pick is true.
func (j *judging) holder(p *PartyRow, pick func(*KeyRow) bool) capacity {
	return func(keyid string) (string, bool) {
		if p == nil {
			return "", false
		}
		k := p.Key(keyid)
		if k == nil || !pick(k) || k.idle(j.admitted, j.today) != "" {
			return "", false
		}
		return k.Holder, true
	}
}

// officer, automation and the functions of the authority's keys. An automation
// key has no function but importer, so an officer is asked for by name.
func officer(k *KeyRow) bool { return k.Use == record.UseOfficer }
func working(k *KeyRow) bool { return k.Use == record.UseOfficer || k.Use == record.UseAutomation }
func registrar(k *KeyRow) bool {
	return officer(k) && slices.Contains(k.Functions, record.FuncRegistrar)
}
func designator(k *KeyRow) bool {
	return officer(k) && slices.Contains(k.Functions, record.FuncDesignator)
}
func importer(k *KeyRow) bool {
	return working(k) && slices.Contains(k.Functions, record.FuncImporter)
}

// tooFew says how many more must sign, and why other signatures do not count.
func (j *judging) tooFew(n int64, noun string, holders []string) error {
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
		if j.kept&(1<<i) != 0 {
			continue
		}
		why, err := j.useless(s.Key.ID())
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "; key %s %s", shortKey(s.Key.ID()), why)
	}
	return record.Refuse(record.Forbidden, "%s", b.String())
}

// useless says why a key's signature does not count here.
func (j *judging) useless(keyid string) (string, error) {
	k, err := j.d.keyRow(keyid)
	switch {
	case err != nil:
		return "", err
	case k == nil:
		return "is not enrolled", nil
	case k.Owner == ownerRoot:
		if _, ok := j.charter.root(keyid); !ok {
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
	if why := k.idle(j.admitted, j.today); why != "" {
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
		what += fmt.Sprintf(" (%s)", joined(k.Functions))
	}
	return what, nil
}

// joined lists functions or roles as a sentence does.
func joined[S ~string](words []S) string {
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

// shortKey is enough of a key ID for a sentence.
func shortKey(keyid string) string {
	const shown = len("SHA256:") + 8
	if len(keyid) <= shown {
		return keyid
	}
	return keyid[:shown] + "…"
}
