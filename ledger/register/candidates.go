package register

import (
	"errors"
	"slices"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
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
		c := keyCollector{r: r, below: r.Size(), signatures: env.Signatures[:min(len(env.Signatures), record.MaxVerifications)]}
		c.collect(st)
		return c.keys
	}
}

func (c *keyCollector) collect(st *record.Statement) {
	switch st.Kind {
	case record.KindCharter:
		c.addRootKeys()
	case record.KindEnrolment:
		switch {
		case st.Issuer == record.Authority:
			c.addParty(record.Authority, isOfficer)
			c.addRootKeys()
		default:
			c.addParty(st.Issuer, isOfficer)
			c.addParty(record.Authority, isRegistrar)
			if e, ok := st.Predicate.(*record.Enrolment); ok && sameRoles(e.Roles, []record.Role{record.RoleReseller}) {
				c.addSponsors()
			}
		}
	case record.KindStanding:
		c.addParty(record.Authority, isRegistrar)
		if st.Party() == record.Authority {
			c.addRootKeys()
		}
	case record.KindKeys:
		c.addParty(st.Party(), func(k *KeyRow) bool { return k.Use != record.UseAutomation })
		if st.Issuer == record.Authority {
			c.addParty(record.Authority, isRegistrar)
		}
		if st.Party() == record.Authority {
			c.addRootKeys()
		}
	case record.KindDesignation, record.KindAmendment, record.KindSuspension, record.KindReinstatement, record.KindRevocation:
		c.addParty(record.Authority, isDesignator)
		c.addParty(record.Authority, isImporter)
	default:
		c.addParty(st.Issuer, isOfficerOrAutomation)
	}
}

// keyCollector gathers keys as of a size.
type keyCollector struct {
	r          *Register
	below      uint64
	signatures []record.Signature
	keys       []*record.Key
}

func (c *keyCollector) addParty(id string, pick func(*KeyRow) bool) {
	row, err := c.r.lookupThread("party/"+id, c.below)
	if err != nil || row == nil {
		return
	}
	p := row.State.(*PartyRow)
	for i := range p.Keys {
		if k := &p.Keys[i]; pick(k) && !slices.Contains(c.keys, k.key) {
			c.keys = append(c.keys, k.key)
		}
	}
}

func (c *keyCollector) addRootKeys() {
	c.r.mu.Lock()
	charter := c.r.tip.charter
	c.r.mu.Unlock()
	if charter == nil {
		return
	}
	for _, k := range charter.State.(*CharterRow).Root {
		c.keys = append(c.keys, k.key)
	}
}

// maxSponsorsTried is how many providers are looked at for one that may have sponsored another
// party without naming its key.
const maxSponsorsTried = 256

// addSponsors are officers of providers, any of whom may introduce a reseller: first those
// whose keys the signatures name, then others, until there are more than one submission
// may try. Anybody can ask this of a ledger, however many parties it has.
func (c *keyCollector) addSponsors() {
	for _, s := range c.signatures {
		if k, err := c.r.keyRow(s.KeyID, c.below); err == nil && k != nil && k.party() != "" {
			c.addSponsor("party/" + k.party())
		}
	}
	looked := 0
	_ = c.r.scanProviders("", c.below, func(id string) (bool, error) { // an error gives fewer candidates
		c.addSponsor("party/" + id)
		looked++
		return looked < maxSponsorsTried && len(c.keys) <= record.MaxVerifications, nil
	})
}

func (c *keyCollector) addSponsor(thread string) {
	row, err := c.r.lookupThread(thread, c.below)
	if err == nil && row != nil && row.State.(*PartyRow).HasRole(record.RoleProvider) {
		c.addParty(strings.TrimPrefix(thread, "party/"), isOfficer)
	}
}

// KeyOwner says to whom a key belongs, for words about a signature that does not
// count: a party ID, "the root set", or "the policy's log or witnesses".
func (r *Register) KeyOwner(keyid string) (owner, holder string, ok bool, err error) {
	k, err := r.keyRow(keyid, r.Size())
	if err != nil || k == nil {
		return "", "", false, err
	}
	return k.owner(), k.Holder, true, nil
}

// Sponsor is the provider that introduced a party instead of registrars, "" if none did.
func (r *Register) Sponsor(party string) (string, error) {
	row, err := r.lookupThread("party/"+party, r.Size())
	if err != nil || row == nil {
		return "", err
	}
	return row.State.(*PartyRow).Sponsor, nil
}

// Preflight refuses what no signature could make admissible now: it judges as
// [Draft.Judge] does, as if all had signed who must. So whoever signs first is told
// what is at fault, and nothing is verified for it. The draft stays as it was.
func (d *Draft) Preflight(st *record.Statement) error {
	j := judgment{draft: d, st: st, index: d.next, admitted: d.admitted, unsigned: true}
	return j.judge()
}

// MaySign tells, before anybody signs, whether a signature by that key would count:
// nil where it would, and where the record is refused whoever signs it, which is
// [Draft.Preflight]'s to say. Else it is a *[record.Refusal] which says whose key it is:
// Forbidden, or TooEarly for one that a registrar added and that counts from RetryAt on.
// The draft stays as it was.
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
	refusal := record.Refuse(record.Forbidden, "key %s %s, and may not sign this %s", shortKeyID(key.ID()), why, st.Kind)
	p, err := d.partyRow(st.Issuer)
	if err != nil {
		return err
	}
	if p == nil {
		return refusal
	}
	if k := p.Key(key.ID()); k != nil && k.UsableFrom != nil && d.admitted.Before(*k.UsableFrom) {
		refusal.Class, refusal.RetryAt = record.TooEarly, *k.UsableFrom
	}
	return refusal
}
