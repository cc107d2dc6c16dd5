// Package registertest makes small fictional worlds for tests: a charter, an
// authority with officers, providers, their real keys and real envelopes. Keys
// are derived from their names, so that the same test makes the same records.
//
// A [World] writes and signs records, and knows what each thread's next record
// follows. A [Fixture] is a world with a register: the fold without a log.
package registertest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft"
)

// World writes records. Its fields may be changed between two of them.
type World struct {
	Now              time.Time      // issuedAt of the next record
	CharterPredicate record.Charter // what [World.Charter] says; change it before
	Ledger           record.ID      // zero until the charter was noted

	heads      map[record.Thread]record.ID // newest record of each thread, as far as noted
	enrolments map[string]record.ID        // first record of each party
	signers    map[string]*draft.Signer
}

// New is a world without records. policy may be any text where it is not checked.
func New(now time.Time, origin, policy string) *World {
	w := &World{
		Now:   now.UTC().Truncate(time.Millisecond),
		heads: make(map[record.Thread]record.ID), enrolments: make(map[string]record.ID), signers: make(map[string]*draft.Signer),
	}
	w.CharterPredicate = record.Charter{
		Name: "Office of Cloud Restrictions (fictional)", Origin: origin, TimeZone: "America/New_York", Rules: 1,
		RootKeys:   []record.RootKey{w.RootKey("root-1"), w.RootKey("root-2"), w.RootKey("root-3")},
		Thresholds: record.Thresholds{Root: 2, Designation: 2, Registrar: 1, Licensing: 1, Import: 1},
		Periods: record.Periods{
			Notice: record.Period{Days: 180}, Term: record.Period{Years: 1}, Response: record.Period{Days: 30},
			Certification: record.Period{Years: 1}, ResellerBreach: record.Period{Days: 30}, AIReport: record.Period{Days: 15},
			Commitment: record.Period{Days: 31}, Draft: record.Period{Days: 30}, Recovery: record.Period{Days: 7},
		},
		Imports: []record.ImportList{{List: "ofac-sdn", MaxRemovedPercent: 2}},
		Policy:  policy,
	}
	return w
}

// Signer is the key of that name: "root/root-1", "authority/officer-1",
// "acme-cloud/ci". What follows a # only makes it another key of the same holder.
func (w *World) Signer(name string) *draft.Signer {
	if s := w.signers[name]; s != nil {
		return s
	}
	s, err := draft.NewSigner(privateKey(name))
	if err != nil {
		panic(err)
	}
	w.signers[name] = s
	return s
}

func privateKey(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("docket test key\n" + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// PrivatePEM is that key as a file holds it, for tests of code that reads key files.
func (w *World) PrivatePEM(name string) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(privateKey(name))
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// KeyID is the key ID of that key.
func (w *World) KeyID(name string) string { return w.Signer(name).Key().ID() }

// RootKey lists a root key of that holder; the key's name is "root/" and it.
func (w *World) RootKey(holder string) record.RootKey {
	return record.RootKey{Key: w.Signer("root/" + holder).Key().PEM(), Holder: baseHolder(holder)}
}

// Officer, Automation and Recovery list a party's key by its name,
// "acme-cloud/compliance", whose second half is the holder.
func (w *World) Officer(name string, functions ...record.KeyFunction) record.PartyKey {
	return w.partyKey(name, record.UseOfficer, functions)
}

// Automation is like [World.Officer].
func (w *World) Automation(name string, functions ...record.KeyFunction) record.PartyKey {
	return w.partyKey(name, record.UseAutomation, functions)
}

// Recovery is like [World.Officer].
func (w *World) Recovery(name string) record.PartyKey {
	return w.partyKey(name, record.UseRecovery, nil)
}

func (w *World) partyKey(name string, use record.KeyUse, functions []record.KeyFunction) record.PartyKey {
	_, holder, _ := strings.Cut(name, "/")
	return record.PartyKey{Key: w.Signer(name).Key().PEM(), Use: use, Holder: baseHolder(holder), Functions: functions}
}

func baseHolder(holder string) string {
	holder, _, _ = strings.Cut(holder, "#")
	return holder
}

// Statement fills in what people leave out: ledger, follows, issuedAt, and the
// subject that goes with the kind.
func (w *World) Statement(thread record.Thread, issuer string, p record.Predicate) *record.Statement {
	st := &record.Statement{Kind: p.Kind(), Predicate: p, Common: record.Common{
		Ledger: w.Ledger, Thread: thread, Issuer: issuer, IssuedAt: w.Now, Follows: w.heads[thread],
	}}
	st.Subject.SHA256 = sha256.Sum256([]byte(thread))
	switch p := p.(type) {
	case *record.Enrolment:
		st.Subject.SHA256 = w.keysSubject(issuer, p.Keys)
	case *record.Keys:
		st.Subject.SHA256 = w.keysSubject(thread.Party(), p.Add)
	case *record.Standing:
		st.Subject.SHA256 = w.enrolments[thread.Party()]
	case *record.Response:
		st.Subject.SHA256 = w.heads[thread.About()]
	case *record.CustomerLog:
		if cp, err := p.ParsedCheckpoint(); err == nil {
			st.Subject.SHA256 = cp.Root
		}
	}
	return st
}

func (w *World) keysSubject(party string, keys []record.PartyKey) [32]byte {
	if len(keys) == 0 {
		return w.enrolments[party]
	}
	key, err := keys[0].Key.Key()
	if err != nil {
		panic(err)
	}
	return sha256.Sum256(key.DER())
}

// Sign encodes a statement and signs it with the keys of those names.
func (w *World) Sign(st *record.Statement, names ...string) record.Envelope {
	payload, err := record.EncodeStatement(st)
	if err != nil {
		panic(fmt.Sprintf("registertest: encoding a %s on %s: %v", st.Kind, st.Thread, err))
	}
	return w.SignAs(record.Envelope{PayloadType: record.PayloadType, Payload: payload}, names...)
}

// NoteAdmitted tells the world that a record was admitted: the next record on its
// thread follows it.
func (w *World) NoteAdmitted(env record.Envelope) {
	st, err := record.ParseStatement(env.Payload)
	if err != nil {
		panic(err)
	}
	id := record.IDOf(env.Payload)
	w.heads[st.Thread] = id
	if st.Kind == record.KindEnrolment && st.Follows.IsZero() {
		w.enrolments[st.Issuer] = id
	}
	if w.Ledger.IsZero() {
		w.Ledger = id
	}
}

// Head is the newest record noted on a thread, zero if there is none.
func (w *World) Head(thread record.Thread) record.ID { return w.heads[thread] }

// Charter is the record at index 0, signed by every root key.
func (w *World) Charter() record.Envelope {
	c := w.CharterPredicate
	c.RootKeys = slices.Clone(c.RootKeys)
	return w.Sign(w.Statement("charter", record.Authority, &c), "root/root-1", "root/root-2", "root/root-3")
}

// Authority enrols the authority: officer-1 (designator, registrar), officer-2
// (designator, licensing), officer-3 (designator, demands) and the automation key
// nightly-import (importer), with two root keys.
func (w *World) Authority() record.Envelope {
	e := &record.Enrolment{
		LegalName: "Office of Cloud Restrictions (fictional)", Country: "XA", Roles: []record.Role{record.RoleAuthority},
		Keys: []record.PartyKey{
			w.Officer("authority/officer-1", record.FuncDesignator, record.FuncRegistrar),
			w.Officer("authority/officer-2", record.FuncDesignator, record.FuncLicensing),
			w.Officer("authority/officer-3", record.FuncDesignator, record.FuncDemands),
			w.Automation("authority/nightly-import", record.FuncImporter),
		},
	}
	return w.Sign(w.Statement("party/authority", record.Authority, e),
		"authority/officer-1", "authority/officer-2", "authority/officer-3", "authority/nightly-import", "root/root-1", "root/root-2")
}

// Provider enrols a provider with the keys compliance (officer), ci (automation)
// and safe (recovery), and officer-1 as registrar.
func (w *World) Provider(id string) record.Envelope {
	e := &record.Enrolment{
		LegalName: id + ", Inc. (fictional)", Country: "US", Roles: []record.Role{record.RoleProvider},
		Keys: []record.PartyKey{w.Officer(id + "/compliance"), w.Automation(id + "/ci"), w.Recovery(id + "/safe")},
	}
	return w.Sign(w.Statement(record.PartyThread(id), id, e), id+"/compliance", id+"/ci", id+"/safe", "authority/officer-1")
}

// NewDesignation is a designation that any charter with the standard periods admits now:
// a company under two conditions, announced 190 days ahead, answers due in 46.
func (w *World) NewDesignation(name string) *record.Designation {
	today := record.DateOf(w.Now, zone)
	from := today.AddDays(190)
	until := from.Add(record.Period{Years: 1}).AddDays(-1)
	due := today.AddDays(46)
	return &record.Designation{
		Measure: "person", Action: "condition",
		Target:       record.Target{Schema: "Company", Name: name, Country: "XB", Role: "reseller", Domain: []string{"kestrel.example"}, ASN: []int64{64511}},
		Program:      []string{"CLOUD-1"},
		Conditions:   []record.Condition{{ID: "c1", Text: "No new accounts."}, {ID: "c2", Text: "Verified identity only."}},
		DeterminedOn: &today, EffectiveFrom: &from, EffectiveUntil: &until, ResponseDue: &due,
	}
}

// Designate signs an order on designation/NAME as two officers.
func (w *World) Designate(name string, d *record.Designation) record.Envelope {
	return w.Sign(w.Statement(record.DesignationThread(name), record.Authority, d), "authority/officer-1", "authority/officer-2")
}

// NewListedDesignation is an imported designation of the list ofac-sdn.
func (w *World) NewListedDesignation(id, name string) *record.Designation {
	return &record.Designation{
		Measure: "person", Action: "prohibit",
		Target:  record.Target{Schema: "Organization", Name: name},
		Program: []string{"SDGT"}, Source: &record.Source{List: "ofac-sdn", ID: id},
	}
}

// ImportListed signs a record on the thread of ofac-sdn's entity as the nightly import.
func (w *World) ImportListed(id string, p record.Predicate) record.Envelope {
	return w.Sign(w.Statement(record.ImportThread("ofac-sdn", id), record.Authority, p), "authority/nightly-import")
}

// Respond answers a designation as a provider's automation key.
func (w *World) Respond(designation, provider string, r *record.Response) record.Envelope {
	return w.Sign(w.Statement(record.ResponseThread(designation, provider), provider, r), provider+"/ci")
}

// Auditor enrols an auditor with the key lead (officer), and officer-1 as registrar.
func (w *World) Auditor(id string) record.Envelope {
	e := &record.Enrolment{
		LegalName: id + " LLP (fictional)", Country: "XA", Roles: []record.Role{record.RoleAuditor},
		Keys: []record.PartyKey{w.Officer(id + "/lead")},
	}
	return w.Sign(w.Statement(record.PartyThread(id), id, e), id+"/lead", "authority/officer-1")
}

// NewAssessment is an auditor's opinion on a party for the year before.
func (w *World) NewAssessment(auditee string) *record.Assessment {
	today := record.DateOf(w.Now, zone)
	return &record.Assessment{
		Auditee: auditee, Scope: "customer log, every leaf", PeriodFrom: today.AddDays(-365), PeriodUntil: today.AddDays(-1),
		Opinion: "unqualified", At: record.TreeAt{Size: 45_000, Root: "qL9zRVx4XNwZC0b6H3B8H0G3S2cT1kQyq0V7mP4dLhE="},
	}
}

// Recipient is a text of the grammar of an age recipient. No identity belongs to it.
var Recipient = "age1pq1" + strings.Repeat("q", 1952)

// NewRequest asks a provider by a warrant for the cooperation of XB, due in 30 days.
func (w *World) NewRequest(provider string) *record.DisclosureRequest {
	due := record.DateOf(w.Now, zone).AddDays(30)
	return &record.DisclosureRequest{
		Status: record.RequestRequested, Type: record.Sealable{Text: "warrant"}, Provider: record.Sealable{Text: provider},
		Jurisdiction: "XB", DueOn: &due, Recipient: Recipient,
	}
}

// Request signs a record on disclosure/NAME as the officer who demands.
func (w *World) Request(name string, r *record.DisclosureRequest) record.Envelope {
	return w.Sign(w.Statement(record.RequestThread(name), record.Authority, r), "authority/officer-3")
}

// NewSealedRequest is [World.NewRequest] under seal until a day, for disclosure/NAME, and what
// opens it from then on.
func (w *World) NewSealedRequest(name, provider string, until record.Date) (*record.DisclosureRequest, *record.RequestOpen) {
	r := w.NewRequest(provider)
	var salts [2]string
	for i, field := range []struct {
		pointer string
		sealed  *record.Sealable
	}{{"/type", &r.Type}, {"/provider", &r.Provider}} {
		salt := sha256.Sum256([]byte(name + field.pointer))
		commit := record.Opening{Pointer: field.pointer, Value: field.sealed.Text, Salt: salt[:]}.Commit(w.Ledger, record.RequestThread(name))
		*field.sealed, salts[i] = record.Sealable{Commitment: &commit}, base64.StdEncoding.EncodeToString(salt[:])
	}
	r.SealedUntil = &until
	return r, &record.RequestOpen{Type: "warrant", Provider: provider, Salts: record.RequestSalts{Type: salts[0], Provider: salts[1]}}
}

// Receipt signs a provider's receipt for disclosure/NAME as its officer.
func (w *World) Receipt(name, provider string, r *record.DisclosureReceipt) record.Envelope {
	return w.Sign(w.Statement(record.ReceiptThread(name, provider), provider, r), provider+"/compliance")
}

// NewReceipt answers the newest record on disclosure/NAME with a bundle of three events.
func (w *World) NewReceipt(name string) *record.DisclosureReceipt {
	entries, size := int64(3), int64(4_000)
	return &record.DisclosureReceipt{Request: w.heads[record.RequestThread(name)], Entries: &entries, LogSize: &size}
}

// NewChallenge challenges it instead.
func (w *World) NewChallenge(name string) *record.DisclosureReceipt {
	return &record.DisclosureReceipt{Request: w.heads[record.RequestThread(name)], Challenged: true, Reason: "A motion to quash is pending."}
}
