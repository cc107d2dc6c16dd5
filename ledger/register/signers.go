package register

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// CandidateKeys are the keys that may have signed a statement, for [record.Open]:
// those whose signature some rule could count, by the newest state, the likeliest
// first. The keys that the statement itself lists are Open's to add. An error of
// the store gives fewer candidates; judging will name it.
//
// Of a reseller's sponsors, who may be any provider, it gives only so many as one
// submission may try; [Register.CandidateKeysFor] finds the others.
func (r *Register) CandidateKeys(st *record.Statement) []*record.Key {
	return r.CandidateKeysFor(record.Envelope{})(st)
}

// CandidateKeysFor is [Register.CandidateKeys] for the statement of an envelope: what its
// signatures' key IDs name comes before what has to be looked for.
func (r *Register) CandidateKeysFor(env record.Envelope) func(*record.Statement) []*record.Key {
	return func(st *record.Statement) []*record.Key {
		r.mu.Lock()
		on := r.tip
		r.mu.Unlock()
		return r.candidateKeys(env, st, on)
	}
}

// candidateKeys are those by the state of a size.
func (r *Register) candidateKeys(env record.Envelope, st *record.Statement, on tip) []*record.Key {
	c := &keyCollector{r: r, below: on.next, charter: on.charter, signatures: env.Signatures[:min(len(env.Signatures), record.MaxVerifications)]}
	if k := kinds[st.Kind]; k != nil {
		k.candidates(c, st)
	}
	return c.keys
}

func charterCandidates(c *keyCollector, _ *record.Statement) { c.addRootKeys() }

func enrolmentCandidates(c *keyCollector, st *record.Statement) {
	if st.Issuer == record.Authority {
		c.addParty(record.Authority, isOfficer)
		c.addRootKeys()
		return
	}
	c.addParty(st.Issuer, isOfficer)
	c.addParty(record.Authority, isRegistrar)
	if e, ok := st.Predicate.(*record.Enrolment); ok && sameRoles(e.Roles, []record.Role{record.RoleReseller}) {
		c.addSponsors()
	}
}

func standingCandidates(c *keyCollector, st *record.Statement) {
	c.addParty(record.Authority, isRegistrar)
	if st.Party() == record.Authority {
		c.addRootKeys()
	}
}

func keysCandidates(c *keyCollector, st *record.Statement) {
	c.addParty(st.Party(), func(k *KeyRow) bool { return k.Use != record.UseAutomation })
	if st.Issuer == record.Authority {
		c.addParty(record.Authority, isRegistrar)
	}
	if st.Party() == record.Authority {
		c.addRootKeys()
	}
}

func designationCandidates(c *keyCollector, _ *record.Statement) {
	c.addParty(record.Authority, isDesignator)
	c.addParty(record.Authority, isImporter)
}

func providerCandidates(c *keyCollector, st *record.Statement) {
	c.addParty(st.Issuer, isOfficerOrAutomation)
}

func demandCandidates(c *keyCollector, _ *record.Statement) {
	c.addParty(record.Authority, isDemander)
}

// keyCollector gathers keys as of a size.
type keyCollector struct {
	r          *Register
	below      uint64
	charter    *ThreadRow // the newest below; nil if there is none
	signatures []record.Signature
	keys       []*record.Key
}

func (c *keyCollector) addParty(id string, pick func(*KeyRow) bool) {
	row, err := c.r.lookupThread(record.PartyThread(id), c.below)
	if err != nil || row == nil {
		return
	}
	p := row.party()
	for i := range p.Keys {
		if k := &p.Keys[i]; pick(k) && !slices.Contains(c.keys, k.key) {
			c.keys = append(c.keys, k.key)
		}
	}
}

func (c *keyCollector) addRootKeys() {
	if c.charter == nil {
		return
	}
	for _, k := range c.charter.charter().Root {
		c.keys = append(c.keys, k.key)
	}
}

// maxSponsorsTried is how many providers are looked at for one that may have sponsored another
// party without naming its key.
const maxSponsorsTried = 256

// addSponsors adds officer keys of providers, any of which may sponsor a reseller:
// first those that the signatures' key IDs name, then others, up to what one submission
// may try. The work is bounded, however many parties there are: the request needs no
// valid signature.
func (c *keyCollector) addSponsors() {
	for _, s := range c.signatures {
		if k, err := c.r.keyRow(s.KeyID, c.below); err == nil && k != nil && k.party() != "" {
			c.addSponsor(k.party())
		}
	}
	looked := 0
	_ = c.r.scanProviders("", c.below, func(id string) (bool, error) { // an error gives fewer candidates
		c.addSponsor(id)
		looked++
		return looked < maxSponsorsTried && len(c.keys) <= record.MaxVerifications, nil
	})
}

func (c *keyCollector) addSponsor(id string) {
	row, err := c.r.lookupThread(record.PartyThread(id), c.below)
	if err == nil && row != nil && row.party().HasRole(record.RoleProvider) {
		c.addParty(id, isOfficer)
	}
}

// KeyOwner says to whom a key belongs, for words about a signature that does not
// count: a party ID, "the root set", or "the policy's log or witnesses".
func (r *Register) KeyOwner(keyid string) (owner, holder string, ok bool, err error) {
	k, err := r.keyRow(keyid, r.Size())
	if err != nil || k == nil {
		return "", "", false, err
	}
	return k.owner(), r.withheldNow().key(k).Holder, true, nil
}

// OwnerOfNoteKey says whose a key of notes is, as a sentence names it, with the holder where it has
// one; "" if it is nobody's. Only an Ed25519 key can be anybody's.
func (r *Register) OwnerOfNoteKey(key proof.Key) (string, error) {
	id, err := noteKeyID(key)
	if err != nil || id == "" {
		return "", err
	}
	owner, holder, known, err := r.KeyOwner(id)
	if err != nil || !known || holder == "" {
		return owner, err
	}
	return fmt.Sprintf("%s (%s)", owner, holder), nil
}

// Sponsor is the provider that introduced a party instead of registrars, "" if none did.
func (r *Register) Sponsor(party string) (string, error) {
	row, err := r.lookupThread(record.PartyThread(party), r.Size())
	if err != nil || row == nil {
		return "", err
	}
	return row.party().Sponsor, nil
}

// Preflight refuses what no signature could make admissible now: it judges as
// [Draft.Judge] does, as if all required signatures were there. So the first signer
// learns of a fault before signing, and nothing is verified for it. The draft stays as
// it was.
func (d *Draft) Preflight(st *record.Statement) error {
	j := judgment{draft: d, st: st, index: d.next, admitted: d.admitted, unsigned: true}
	return j.judge()
}

// MaySign tells before signing whether a signature by that key would count: nil where
// it would, and where the record is refused whatever signatures it has, which
// [Draft.Preflight] reports. Otherwise it is a *[record.Refusal] which says whose key
// it is: Forbidden, or TooEarly for one that a registrar added and that counts from
// RetryAt on. The draft stays as it was.
func (d *Draft) MaySign(st *record.Statement, key *record.Key) error {
	j := judgment{draft: d, st: st, index: d.next, admitted: d.admitted, unsigned: true, triedKey: key}
	var r *record.Refusal
	switch err := j.judge(); {
	case j.counted != 0, errors.As(err, &r):
		return nil
	case err != nil:
		return err
	}
	why, err := j.whyNotCounted(key.ID())
	if err != nil {
		return err
	}
	words := fmt.Sprintf("key %s %s, and may not sign this %s", ShortKeyID(key.ID()), why, st.Kind)
	p, err := d.partyRow(st.Issuer)
	if err != nil {
		return err
	}
	if p != nil {
		if k := p.Key(key.ID()); k != nil && k.UsableFrom != nil && d.admitted.Before(*k.UsableFrom) {
			refusal := record.Refuse(record.TooEarly, "%s", words)
			refusal.RetryAt = *k.UsableFrom
			return refusal
		}
	}
	return record.Refuse(record.Forbidden, "%s%s", words, whoSigns(st))
}

// whoSigns says whose signatures a record takes, by what the catalogue says of its kind.
func whoSigns(st *record.Statement) string {
	sp, err := record.SpecOf(st.Kind)
	if err != nil {
		return "" // nobody signs what is no kind
	}
	own := strings.NewReplacer("key of the provider", "key of "+st.Issuer, "key of the auditor", "key of "+st.Issuer)
	return "; who signs it: " + own.Replace(sp.Signers)
}

// ChargedKey is a key whose owner is charged for a record, because the key signed
// it.
type ChargedKey struct {
	Owner  string // as [Register.KeyOwner] names it
	Holder string
	KeyID  string
}

func (s ChargedKey) String() string { return s.Owner + "'s " + s.Holder }

// ChargedKeys returns the keys whose owner is charged for a record at an instant,
// whether or not the record will be admitted: the keys that signed it, are live, and
// have one owner; the issuer before all others. It is empty where no enrolled key
// signed. The issuer that a record names proves nothing: a charter, an enrolment or a
// keys record may be signed by nothing but the keys that it lists.
//
// Where the issuer has signed, as nearly always, it costs one row in memory.
func (r *Register) ChargedKeys(v record.Verified, at time.Time) ([]ChargedKey, error) {
	r.mu.Lock()
	below, charter := r.tip.next, r.tip.charter
	r.mu.Unlock()
	if charter == nil {
		return nil, nil
	}
	today := rules1.DateIn(at, charter.charter().zone)
	of := func(owner record.Thread, name string) (all []ChargedKey, err error) {
		row, err := r.lookupThread(owner, below) // an owner of live keys is named as the thread that lists them
		if err != nil || row == nil {
			return nil, err
		}
		for _, s := range v.Signatures() {
			if p := row.party(); p != nil {
				if k := p.Key(s.Key.ID()); k != nil && k.Live(at, today) {
					all = append(all, ChargedKey{name, k.Holder, k.ID})
				}
			} else if holder, ok := row.charter().rootHolder(s.Key.ID()); ok {
				all = append(all, ChargedKey{name, holder, s.Key.ID()})
			}
		}
		return all, nil
	}
	issuer := v.Statement().Issuer
	if all, err := of(record.PartyThread(issuer), issuer); err != nil || all != nil {
		return all, err
	}
	for _, s := range v.Signatures() {
		k, err := r.keyRow(s.Key.ID(), below)
		if err != nil {
			return nil, err
		}
		if k == nil {
			continue
		}
		if all, err := of(k.Owner, k.owner()); err != nil || all != nil {
			return all, err
		}
	}
	return nil, nil
}

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

// Warnings are what must be shown with a signature: who vouched for its key, and what
// happened to the key since (RECORDS.md "Keys and who may sign").
func (h KeyHolder) Warnings() []string {
	marks := keyWarnings(h.ByRegistrar, h.Compromised)
	if h.Revoked != 0 {
		marks = append(marks, fmt.Sprintf("revoked at #%d: what it signed up to there counts", h.Revoked))
	}
	return marks
}

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
// false for a key that was never enrolled, or that signs no records.
func (r *Register) KeyHolder(keyid string) (h KeyHolder, ok bool, err error) {
	h, ok, err = r.keyHolder(keyid, r.Size())
	if w := r.withheldNow(); ok && h.Party != "" {
		h.Holder = w.key(&KeyRow{Owner: record.PartyThread(h.Party), Added: h.Added, Holder: h.Holder}).Holder
	}
	return h, ok, err
}

// keyHolder is that of a key as it was at a size.
func (r *Register) keyHolder(keyid string, size uint64) (h KeyHolder, ok bool, err error) {
	k, err := r.keyRow(keyid, size)
	if err != nil || k == nil || !k.signsRecords() {
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
