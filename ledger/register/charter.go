package register

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// Owners of keys that are no party's. But for the root set's, they sign no records, and no
// thread is named so.
const (
	ownerRoot     = record.CharterThread
	ownerPolicy   = record.Thread("policy")
	ownerRefusals = record.Thread("refusals")
	ownerReceipts = record.Thread("receipts")

	privateLogPrefix = "private-log/"
)

// ownerOfPrivateLog is a provider's private log, or the next after one that was lost.
func ownerOfPrivateLog(provider string) record.Thread {
	return privateLogPrefix + record.Thread(provider)
}

// newCharterRow is the state that a charter makes.
func newCharterRow(c *record.Charter) (*CharterRow, error) {
	row := &CharterRow{Charter: *c}
	if err := row.prepare(); err != nil {
		return nil, &record.Refusal{Class: record.Invalid, Detail: "not admissible", Faults: []record.Fault{{Pointer: "/predicate", Detail: err.Error()}}}
	}
	row.Root = make([]RootKeyRow, len(c.RootKeys))
	for i, k := range c.RootKeys {
		key, err := k.Key.Key()
		if err != nil {
			return nil, invalid(fmt.Sprintf("/predicate/rootKeys/%d/key", i), "%v", err)
		}
		row.Root[i] = RootKeyRow{ID: key.ID(), Holder: k.Holder, key: key}
	}
	return row, nil
}

// prepare computes what the row does not store.
func (c *CharterRow) prepare() (err error) {
	if c.zone, err = rules1.Location(c.TimeZone); err != nil {
		return err
	}
	for i := range c.Root {
		if c.Root[i].key, err = c.RootKeys[i].Key.Key(); err != nil {
			return err
		}
	}
	return nil
}

// judgeCharter: thresholds.root of the old root set and of the new, each new
// root key signs, the origin never changes.
func (j *judgment) judgeCharter(c *record.Charter) error {
	j.did.Periods, j.did.TimeZone = &c.Periods, c.TimeZone
	next, err := newCharterRow(c)
	if err != nil {
		return err
	}
	if j.head.isUnshown() {
		return j.notShown("the charter that it follows")
	}
	if err := j.checkRootSigners(next); err != nil {
		return err
	}
	if j.index > 0 {
		if err := j.checkCharterContinuity(c); err != nil {
			return err
		}
	}
	if check := j.draft.r.o.CheckPolicy; check != nil {
		if err := check(c.Policy, c.Origin); err != nil {
			return invalid("/predicate/policy", "%v", err)
		}
	}
	if err := j.assignRootKeys(next); err != nil {
		return err
	}
	if err := j.assignPolicyKeys(next); err != nil {
		return err
	}
	if err := j.assignNoteKeys(c); err != nil {
		return err
	}
	j.state = next
	return nil
}

// checkCharterContinuity checks what a later charter may not change.
func (j *judgment) checkCharterContinuity(c *record.Charter) error {
	if c.Origin != j.charter.Origin {
		return invalid("/predicate/origin", "the origin is %s for ever", j.charter.Origin)
	}
	if c.Rules < j.charter.Rules {
		return invalid("/predicate/rules", "rules %d are in force; they are only raised", j.charter.Rules)
	}
	return nil
}

func (j *judgment) checkRootSigners(next *CharterRow) error {
	before := j.charter
	if j.index == 0 {
		before = nil
	}
	for _, need := range charterSigners(before, next) {
		var err error
		if need.Set == AddedRootKeys {
			err = j.needEveryKey(need.keys())
		} else {
			err = j.needSigners(need.Holders, "root key", need.holder)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// RootKeySet says of which root keys a [CharterSigners] is.
type RootKeySet int

const (
	OldRootKeys   RootKeySet = iota // of the charter before it
	AddedRootKeys                   // those that the charter before it has not
	NewRootKeys                     // its own
)

// CharterSigners is one thing that the signatures of a charter must satisfy: that many
// distinct holders sign with the keys of a set, or, of those that were added, each key.
type CharterSigners struct {
	Set     RootKeySet
	Keys    []RootKeyRow
	Holders int64 // 0 of those that were added
}

// RequiredCharterSigners is the rule of who must sign a charter (RECORDS.md "Kinds",
// charter), in the order in which it is checked: thresholds.root holders of the root keys
// before it, each root key that is new, thresholds.root holders of its own. old is nil for
// the first charter of a ledger. A key that is none is an error.
func RequiredCharterSigners(old, next *record.Charter) ([]CharterSigners, error) {
	var rows [2]*CharterRow
	for i, c := range []*record.Charter{old, next} {
		if c == nil {
			continue
		}
		rows[i] = &CharterRow{Charter: *c, Root: make([]RootKeyRow, len(c.RootKeys))}
		for k, root := range c.RootKeys {
			key, err := root.Key.Key()
			if err != nil {
				return nil, err
			}
			rows[i].Root[k] = RootKeyRow{ID: key.ID(), Holder: root.Holder, key: key}
		}
	}
	return charterSigners(rows[0], rows[1]), nil
}

func charterSigners(old, next *CharterRow) (needs []CharterSigners) {
	added := CharterSigners{Set: AddedRootKeys}
	if old != nil {
		needs = append(needs, CharterSigners{OldRootKeys, old.Root, old.Thresholds.Root})
	}
	for _, k := range next.Root {
		if old != nil {
			if _, known := old.rootHolder(k.ID); known {
				continue
			}
		}
		added.Keys = append(added.Keys, k)
	}
	return append(needs, added, CharterSigners{NewRootKeys, next.Root, next.Thresholds.Root})
}

// holder is the [signerRole] of the set.
func (s CharterSigners) holder(keyid string) (string, bool) { return rootHolder(s.Keys, keyid) }

func (s CharterSigners) keys() []*record.Key {
	keys := make([]*record.Key, len(s.Keys))
	for i, k := range s.Keys {
		keys[i] = k.key
	}
	return keys
}

// SignedBy are the distinct holders of the set's keys who signed a record, and the keys
// that did not.
func (s CharterSigners) SignedBy(v record.Verified) (holders []string, missing []RootKeyRow) {
	missing = slices.DeleteFunc(slices.Clone(s.Keys), func(k RootKeyRow) bool {
		return slices.ContainsFunc(v.Signatures(), func(sig record.VerifiedSignature) bool { return sig.Key.ID() == k.ID })
	})
	return holdersAmong(v.Signatures(), s.holder), missing
}

// assignRootKeys assigns the new root keys to the root set, permanently.
func (j *judgment) assignRootKeys(next *CharterRow) error {
	for i, k := range next.Root {
		row := KeyRow{ID: k.ID, Owner: ownerRoot, PEM: next.RootKeys[i].Key, Holder: k.Holder, Added: j.index, AddedAt: j.admitted, key: k.key}
		if err := j.assignKey(fmt.Sprintf("/predicate/rootKeys/%d/key", i), row); err != nil {
			return err
		}
	}
	return nil
}

// assignPolicyKeys sets the policy's own keys apart: log and witness keys may not be
// party or root keys. Only Ed25519 ones could be: records know no ML-DSA.
func (j *judgment) assignPolicyKeys(next *CharterRow) error {
	list := j.draft.r.o.PolicyKeys
	if list == nil {
		return nil
	}
	raws, err := list(next.Policy)
	if err != nil {
		return invalid("/predicate/policy", "%v", err)
	}
	slices.SortFunc(raws, bytes.Compare)
	for _, raw := range slices.CompactFunc(raws, bytes.Equal) {
		if len(raw) != ed25519.PublicKeySize {
			continue
		}
		key, err := record.NewKey(ed25519.PublicKey(raw))
		if err != nil {
			continue // too weak a key to have an owner
		}
		next.PolicyKeys = append(next.PolicyKeys, key.ID())
		if err := j.assignKey("/predicate/policy", KeyRow{ID: key.ID(), Owner: ownerPolicy, Added: j.index, AddedAt: j.admitted}); err != nil {
			return err
		}
	}
	return nil
}

// assignNoteKeys sets the keys of signed refusals and receipts apart.
func (j *judgment) assignNoteKeys(c *record.Charter) error {
	for _, k := range []struct {
		vkey, pointer string
		owner         record.Thread
	}{{c.RefusalsKey, "/predicate/refusalsKey", ownerRefusals}, {c.ReceiptKey, "/predicate/receiptKey", ownerReceipts}} {
		if k.vkey == "" {
			continue
		}
		key, err := proof.ParseLogKey(k.vkey)
		if err != nil {
			return invalid(k.pointer, "%v", err)
		}
		if err := j.assignNoteKey(k.pointer, key, k.owner); err != nil {
			return err
		}
	}
	return nil
}

// assignNoteKey assigns a key that signs notes and no records, permanently. Only an
// Ed25519 one could be anybody else's; for others there is nothing to assign.
func (j *judgment) assignNoteKey(pointer string, key proof.Key, owner record.Thread) error {
	id, err := noteKeyID(key)
	switch {
	case err != nil:
		return invalid(pointer, "%v", err)
	case id == "":
		return nil
	}
	return j.assignKey(pointer, KeyRow{ID: id, Owner: owner, Added: j.index, AddedAt: j.admitted})
}

// checkCosignerKey: the key by which an auditor cosigns checkpoints is a key of its own, and
// under a name of its own: no party's nor the root set's, no log's, private or not, no witness's,
// nor what signs this ledger's refusals or receipts (RECORDS.md "Kinds", assessment). Of keys of
// ML-DSA no owner is kept, since none signs records, and of names neither: they are looked for
// in the policy in force.
func (j *judgment) checkCosignerKey(vkey string) error {
	const pointer = "/predicate/vkey"
	if vkey == "" {
		return nil
	}
	key, err := proof.ParseAuditorKey(vkey)
	if err != nil {
		return invalid(pointer, "%v", err)
	}
	if policy, err := proof.ParsePolicy([]byte(j.charter.Policy)); err == nil {
		if role := policy.InRole(key); role != "" {
			return invalid(pointer, "is the key, or has the name, of the %s in the policy: an auditor cosigns by a key, and under a name, of its own", role)
		}
	}
	id, err := noteKeyID(key)
	if err != nil {
		return invalid(pointer, "%v", err)
	} else if id == "" {
		return nil
	}
	k, err := j.draft.keyRow(id)
	if err != nil || k == nil {
		return err
	}
	return invalid(pointer, "key %s belongs to %s: an auditor cosigns by a key that has no other use", ShortKeyID(k.ID), k.owner())
}

// noteKeyID is the ID that a key of notes has among the keys of records; "" if it can be none
// of them.
func noteKeyID(key proof.Key) (string, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return "", nil
	}
	k, err := record.NewKey(public)
	if err != nil {
		return "", err
	}
	return k.ID(), nil
}

// assignKey assigns a key to an owner and a holder, permanently, and refuses a key that
// belongs to another. Assigning a key again to its own owner and holder is no fault.
func (j *judgment) assignKey(pointer string, row KeyRow) error {
	k, err := j.keyRow(row.ID)
	switch {
	case err != nil:
		return err
	case k == nil:
		j.keys = append(j.keys, &row)
		return nil
	case k.Owner != row.Owner:
		return invalid(pointer, "key %s belongs to %s: a key has one owner for ever", ShortKeyID(row.ID), k.owner())
	case k.Holder != row.Holder:
		return invalid(pointer, "key %s belongs to holder %s: a key has one holder for ever", ShortKeyID(row.ID), k.Holder)
	}
	return nil
}

// keyRow is the newest row of a key, this record's own included; nil if it has no
// owner.
func (j *judgment) keyRow(keyid string) (*KeyRow, error) {
	for _, k := range slices.Backward(j.keys) {
		if k.ID == keyid {
			return k, nil
		}
	}
	return j.draft.keyRow(keyid)
}

// owner is the key's owner as a sentence names it.
func (k *KeyRow) owner() string {
	switch k.Owner {
	case ownerRoot:
		return "the root set"
	case ownerPolicy:
		return "the policy's log or witnesses"
	case ownerRefusals:
		return "this ledger's refusals"
	case ownerReceipts:
		return "this ledger's receipts"
	}
	if provider, ok := strings.CutPrefix(string(k.Owner), privateLogPrefix); ok {
		return "the customer log of " + provider
	}
	return k.party()
}

// Charters are the rows of all charters, oldest first.
func (r *Register) Charters() (all []RecordRow, err error) {
	err = r.scanListed(tableKind, string(record.KindCharter), 0, r.Size(), func(index uint64) (bool, error) {
		row, err := r.recordRow(index)
		all = append(all, row)
		return true, err
	})
	return all, err
}

// CharterTerms are what a charter says of time: how long each period of its days is.
type CharterTerms struct {
	RecordRef
	Periods record.Periods
	Zone    *time.Location
}

// terms are those of the charter that the row's record is.
func (row *ThreadRow) terms() (CharterTerms, error) {
	t := CharterTerms{RecordRef: row.Ref()}
	if row.Delta.Periods == nil {
		return t, fmt.Errorf("charter row %d has no periods: %w", row.Index, ErrDamaged)
	}
	t.Periods = *row.Delta.Periods
	var err error
	if t.Zone, err = rules1.Location(row.Delta.TimeZone); err != nil {
		return t, fmt.Errorf("charter row %d: %w: %w", row.Index, ErrDamaged, err)
	}
	return t, nil
}

// readTerms reads those of all charters below a size, oldest first.
func (r *Register) readTerms(below uint64) (list []CharterTerms, err error) {
	err = r.versionsBackward(ownerRoot, below, func(row *ThreadRow) (bool, error) {
		t, err := row.terms()
		list = append(list, t)
		return true, err
	})
	slices.Reverse(list)
	return list, err
}

// termsBelow are those of all charters below a size, oldest first; they are in memory.
func (r *Register) termsBelow(size uint64) []CharterTerms {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, _ := slices.BinarySearchFunc(r.terms, size, func(t CharterTerms, size uint64) int { return cmp.Compare(t.Index, size) })
	return r.terms[:n:n]
}

// PolicyEpoch is what a charter says of the checkpoints of its time: those of the sizes above
// its index, up to the index of the next charter.
type PolicyEpoch struct {
	Since  uint64 // index of the charter
	Origin string
	Policy string // tlog-policy text
}

// PolicyEpochAt is that of the newest charter below a size: what judges a checkpoint of that
// size. Every publication asks, so that of the newest charter is in memory.
func (r *Register) PolicyEpochAt(size uint64) (PolicyEpoch, error) {
	r.mu.Lock()
	row := r.tip.charter
	r.mu.Unlock()
	if row == nil || row.Index >= size {
		var err error
		if row, err = r.newestVersion(ownerRoot, size); err != nil {
			return PolicyEpoch{}, err
		}
	}
	if row == nil {
		return PolicyEpoch{}, fmt.Errorf("no charter below size %d", size)
	}
	c := row.charter()
	return PolicyEpoch{row.Index, c.Origin, c.Policy}, nil
}
