package register

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// clockSkew is how far ahead of the ledger's clock a signer's may be.
const clockSkew = 5 * time.Minute

// judgment decides whether one record is admitted: what was known below its index, and
// what the record changes if it is admitted. RECORDS.md is the specification; each
// method names the section that it applies.
type judgment struct {
	draft    *Draft
	v        record.Verified
	st       *record.Statement
	id       record.ID // of the record; zero where it is not signed yet
	index    uint64
	admitted time.Time

	charter *CharterRow // in force: the newest below index; at index 0 the record itself
	today   record.Date // admission date
	head    *ThreadRow  // the thread so far, nil if this record opens it

	unsigned bool        // the record alone is judged, as if all had signed who must
	triedKey *record.Key // whose signature is asked about; nil but in MaySign
	counted  uint64      // bit i: signature i counts

	did          Delta     // what it changes on its thread, as far as later queries need it
	state        State     // the thread after this record
	keys         []*KeyRow // keys that it adds or revokes
	replacedName string    // the name that it replaces, which becomes a former one; "" if none
}

// judge applies what holds for every record, then the kind's own rules.
func (j *judgment) judge() error {
	if err := j.checkUnsigned(); err != nil {
		return err
	}
	return kinds[j.st.Kind].judge(j)
}

// checkUnsigned applies RECORDS.md "Every record", "Dates" and "Threads": all rules
// that do not look at the signatures.
func (j *judgment) checkUnsigned() error {
	if err := j.checkRulesAndLedger(); err != nil {
		return err
	}
	if kinds[j.st.Kind] == nil {
		return unsupported("/predicateType", "kind %s at index %d: upgrade", j.st.Kind, j.index)
	}
	if err := j.checkTables(); err != nil {
		return err
	}
	if err := j.checkEnrolled(); err != nil {
		return err
	}
	head, err := j.draft.lookupThread(j.st.Thread)
	if err != nil {
		return err
	}
	j.head = head // every conflict names it
	if err := j.checkIssuedAt(); err != nil {
		return err
	}
	return j.checkFollows()
}

// checkRulesAndLedger finds the charter in force, the newest below the index (index 0
// is judged by itself), and refuses a record of newer rules or of another ledger.
func (j *judgment) checkRulesAndLedger() error {
	if j.index == 0 {
		c, ok := j.st.Predicate.(*record.Charter)
		if !ok {
			return record.Refuse(record.Conflict, "this ledger has no charter yet: nothing else is admitted before it")
		}
		row, err := newCharterRow(c)
		if err != nil {
			return err
		}
		j.charter = row
	} else {
		j.charter = j.draft.charter.charter()
	}
	if j.charter.Rules > RulesVersion {
		const words = "needs rules %d from index %d on: upgrade"
		if j.index == 0 {
			return unsupported("/predicate/rules", words, j.charter.Rules, j.index)
		}
		return record.Refuse(record.Unsupported, words, j.charter.Rules, j.rulesSince()) // no field of the record asks for it
	}
	j.today = rules1.DateIn(j.admitted, j.charter.zone)
	if j.st.Ledger != j.draft.ledger {
		if j.index == 0 {
			return invalid("/predicate/ledger", "the charter that opens a ledger names none")
		}
		return invalid("/predicate/ledger", "signed for %s, this is %s", j.st.Ledger, j.draft.ledger)
	}
	return nil
}

func (j *judgment) rulesSince() uint64 {
	if j.index == 0 {
		return 0
	}
	return j.draft.charter.Index + 1
}

// checkTables applies what the frozen tables say of single values.
func (j *judgment) checkTables() error {
	if faults := rules1.Check(j.st); len(faults) > 0 {
		return &record.Refusal{Class: record.Invalid, Detail: fmt.Sprintf("the %s breaks rules %d", j.st.Kind, RulesVersion), Faults: faults}
	}
	return nil
}

// checkEnrolled applies "Threads" as far as the ledger's state decides: index 1 enrols
// the authority, and every issuer is enrolled. That thread and issuer go
// together, the record package has checked.
func (j *judgment) checkEnrolled() error {
	if j.index == 1 && (j.st.Kind != record.KindEnrolment || j.st.Issuer != record.Authority) {
		return record.Refuse(record.Conflict, "the authority is not enrolled yet: index 1 is its enrolment")
	}
	if j.index < 2 || j.st.Kind == record.KindEnrolment {
		return nil
	}
	p, err := j.draft.partyRow(j.st.Issuer)
	if hidden := (*NotShownError)(nil); errors.As(err, &hidden) {
		j.draft.gaps.notFound = nil
		return cmp.Or(j.checkKeysOfOthers(), err)
	}
	if err != nil || p != nil {
		return err
	}
	hint, err := j.draft.suggestParty(j.st.Issuer)
	if err != nil {
		return err
	}
	return invalidForNow("/predicate/issuer", "%s is not enrolled%s", j.st.Issuer, hint)
}

// checkIssuedAt applies issuedAt: admitted within [issuedAt − 5 min, issuedAt + draft].
func (j *judgment) checkIssuedAt() error {
	if from := j.st.IssuedAt.Add(-clockSkew); j.admitted.Before(from) {
		r := record.Refuse(record.TooEarly, "issuedAt is %s, ahead of this ledger's clock: the same envelope is fine at %s",
			record.Instant{Time: j.st.IssuedAt}, record.Instant{Time: from})
		r.RetryAt = from.UTC()
		return r
	}
	if until := j.charter.Periods.Draft.AddTo(j.st.IssuedAt); j.admitted.After(until) {
		return j.conflict("draft period over: issued at %s, it could be admitted until %s: sign again",
			record.Instant{Time: j.st.IssuedAt}, record.Instant{Time: until})
	}
	return nil
}

// checkFollows requires the record to follow the newest one on its thread: of two
// writers, the second is refused and overwrites nothing.
func (j *judgment) checkFollows() error {
	if j.draft.gaps != nil {
		return j.checkFollowsShown()
	}
	return j.checkFollowsHead()
}

func (j *judgment) checkFollowsHead() error {
	switch follows := j.st.Follows; {
	case j.head == nil && !follows.IsZero():
		return j.conflict("nothing stands on %s yet, so there is nothing to follow: leave follows out and sign again", j.st.Thread)
	case j.head != nil && follows.IsZero():
		return j.conflict("%s exists: its newest record is %s at index %d; set follows to it and sign again", j.st.Thread, j.head.ID, j.head.Index)
	case j.head != nil && follows != j.head.ID:
		return j.conflict("%s has moved on: its newest record is now %s at index %d; look at it and sign again", j.st.Thread, j.head.ID, j.head.Index)
	}
	return nil
}

// conflict refuses a record that the thread does not allow, naming its newest record.
func (j *judgment) conflict(format string, args ...any) *record.Refusal {
	r := record.Refuse(record.Conflict, format, args...)
	if j.head != nil {
		r.Current = j.head.ID
	}
	return r
}

// unsupported is the refusal of a record one of whose fields asks for a newer binary.
func unsupported(pointer, format string, args ...any) *record.Refusal {
	detail := fmt.Sprintf(format, args...)
	return &record.Refusal{Class: record.Unsupported, Detail: detail, Faults: []record.Fault{{Pointer: pointer, Detail: "asks for more than this binary knows"}}}
}

// invalid refuses a field by its JSON pointer, permanently: the same record is refused
// whatever else is admitted. A record that does not follow its thread is a conflict instead.
func invalid(pointer, format string, args ...any) *record.Refusal {
	return &record.Refusal{Class: record.Invalid, Detail: "not admissible", Faults: []record.Fault{{Pointer: pointer, Detail: fmt.Sprintf(format, args...)}}}
}

// invalidForNow refuses a field that may be valid later: on another day, under another
// charter, or after a record on another thread.
func invalidForNow(pointer, format string, args ...any) *record.Refusal {
	r := invalid(pointer, format, args...)
	r.Transient = true
	return r
}

// dateTooEarly refuses a date that is too early, with the earliest one allowed. Only a
// charter with other periods heals it.
func dateTooEarly(pointer string, earliest record.Date, format string, args ...any) *record.Refusal {
	r := invalidForNow(pointer, format, args...)
	r.Detail, r.Earliest = "too early a date", earliest.String()
	return r
}

// signerRole reports whether a key signs in that role ("registrar"), and for which
// holder. Thresholds count distinct holders, not keys (RECORDS.md "Keys and who may
// sign").
type signerRole func(keyid string) (holder string, ok bool)

// signatures are those that the record bears; where a key is tried, that it alone signed.
func (j *judgment) signatures() []record.VerifiedSignature {
	if j.triedKey != nil {
		return []record.VerifiedSignature{{Key: j.triedKey}}
	}
	return j.v.Signatures()
}

// countSignatures marks every signature made in a role as counted, beyond the threshold
// and several of one holder too (DESIGN.md section 4, "Entry"), and returns the
// distinct holders.
func (j *judgment) countSignatures(as signerRole) (holders []string) {
	for i, s := range j.signatures() {
		if _, ok := as(s.Key.ID()); ok {
			j.counted |= 1 << i
		}
	}
	return j.signersInRole(as)
}

// signersInRole are the distinct holders who signed in a capacity, in order.
func (j *judgment) signersInRole(as signerRole) []string { return holdersAmong(j.signatures(), as) }

func holdersAmong(signatures []record.VerifiedSignature, as signerRole) (holders []string) {
	for _, s := range signatures {
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

// needSigners refuses the record unless that many distinct holders signed in a role.
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
			missing = append(missing, ShortKeyID(k.ID()))
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
func (c *CharterRow) rootHolder(keyid string) (string, bool) { return rootHolder(c.Root, keyid) }

func rootHolder(keys []RootKeyRow, keyid string) (string, bool) {
	for i := range keys {
		if keys[i].ID == keyid {
			return keys[i].Holder, true
		}
	}
	return "", false
}

// roleOf is the role of a party's live keys for which pick is true.
func (j *judgment) roleOf(p *PartyRow, pick func(*KeyRow) bool) signerRole {
	return func(keyid string) (string, bool) {
		if p == nil {
			return "", false
		}
		k := p.Key(keyid)
		if k == nil || !pick(k) || k.WhyNotLive(j.admitted, j.today) != "" {
			return "", false
		}
		return k.Holder, true
	}
}

// isOfficer and the functions below say which uses and functions a key has. Of the
// functions, an automation key can have importer alone.
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
func isLicensing(k *KeyRow) bool {
	return isOfficer(k) && slices.Contains(k.Functions, record.FuncLicensing)
}
func isDemander(k *KeyRow) bool {
	return isOfficer(k) && slices.Contains(k.Functions, record.FuncDemands)
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
		fmt.Fprintf(&b, "; key %s %s", ShortKeyID(s.Key.ID()), why)
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
	case !k.signsRecords():
		return "is the key of " + k.owner() + ", and signs no records", nil
	}
	id := k.party()
	if id != j.st.Issuer && id != record.Authority {
		return "belongs to " + id, nil
	}
	if why := k.WhyNotLive(j.admitted, j.today); why != "" {
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

// ShortKeyID is enough of a key ID for a sentence.
func ShortKeyID(keyid string) string {
	const shown = len("SHA256:") + 8
	if len(keyid) <= shown {
		return keyid
	}
	return keyid[:shown] + "…"
}
