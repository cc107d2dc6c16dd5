package register

import (
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// Party is a party as it stands at one instant. Keys are all that it ever had.
type Party struct {
	ID         string        `json:"party"`
	LegalName  string        `json:"legalName"`
	Country    string        `json:"country"`
	Roles      []record.Role `json:"roles"`
	Standing   string        `json:"standing"` // active, suspended, withdrawn, "none" before the enrolment: at T, all corrections known
	Knowable   string        `json:"knowable"` // the same by what was knowable at T
	KnowableBy Knowable      `json:"knowableBy"`
	LEI        string        `json:"lei,omitempty"`
	Website    string        `json:"website,omitempty"`
	Contact    string        `json:"contact,omitempty"`
	FormerName []string      `json:"formerName,omitempty"`
	Sponsor    string        `json:"sponsor,omitempty"`
	Enrolled   record.Date   `json:"enrolled"` // admission date
	Keys       []PartyKey    `json:"keys"`
	Steps      []Standing    `json:"standings,omitempty"`
	Record     record.ID     `json:"record"`  // newest on the thread
	Records    []record.ID   `json:"records"` // the whole thread, oldest first
}

// PartyKey is one key of a party: when it counts, and by whose word.
type PartyKey struct {
	ID               string            `json:"keyid"`
	Key              record.PEM        `json:"key"`
	Use              record.Use        `json:"use"`
	Holder           string            `json:"holder"`
	Functions        []record.Function `json:"functions,omitempty"`
	Live             bool              `json:"live"` // may sign at T
	Idle             string            `json:"idle,omitempty"`
	NotAfter         *record.Date      `json:"notAfter,omitempty"`
	Added            uint64            `json:"added"` // index: it signs from the next
	ByRegistrar      bool              `json:"addedByTheRegistrar,omitempty"`
	UsableFrom       *time.Time        `json:"usableFrom,omitempty"`
	Revoked          *uint64           `json:"revoked,omitempty"` // index: it signs no more from the next
	CompromisedSince *record.Instant   `json:"compromisedSince,omitempty"`
}

// Standing is one step of a party's standing.
type Standing struct {
	Record      record.ID   `json:"record"`
	Status      string      `json:"status"`
	EffectiveOn record.Date `json:"effectiveOn"`
	Reason      string      `json:"reason"`
}

// PartyDetail is a party with what it filed and what it owes.
type PartyDetail struct {
	Party
	Attestations []Record `json:"attestations"` // responses and certifications, in log order
	Duties       []Duty   `json:"duties"`
}

// Party finds a party by its ID, as it stands at an instant.
func (v *View) Party(id string, at time.Time) (PartyDetail, error) {
	h, err := v.history("party/" + id)
	if err != nil {
		return PartyDetail{}, err
	}
	if h == nil {
		return PartyDetail{}, v.unknown("party", id)
	}
	m, err := v.moment(at)
	if err != nil {
		return PartyDetail{}, err
	}
	p, err := v.party(h, m)
	if err != nil {
		return PartyDetail{}, err
	}
	detail := PartyDetail{Party: p, Attestations: []Record{}, Duties: []Duty{}}
	if !slices.Contains(p.Roles, record.RoleProvider) {
		return detail, nil // providers attest and owe, nobody else does in rules 1
	}
	err = v.Records(RecordFilter{Issuer: id}, func(r Record) bool {
		if r.Kind == record.KindResponse || r.Kind == record.KindCIPCertification {
			detail.Attestations = append(detail.Attestations, r)
		}
		return true
	})
	if err != nil {
		return PartyDetail{}, err
	}
	err = v.Duties(DutyFilter{Party: id}, at, func(d Duty) bool {
		detail.Duties = append(detail.Duties, d)
		return true
	})
	return detail, err
}

// PartyFilter chooses parties; what is empty chooses all.
type PartyFilter struct {
	Role     record.Role
	Standing string // at the instant asked for
	After    string // party ID: go on after it
}

// Parties yields the parties that a filter chooses, by ID, until yield returns false.
func (v *View) Parties(f PartyFilter, at time.Time, yield func(Party) bool) error {
	m, err := v.moment(at)
	if err != nil {
		return err
	}
	after := ""
	if f.After != "" {
		after = "party/" + f.After
	}
	return v.histories("party/", after, func(h *history) (bool, error) {
		p, err := v.party(h, m)
		if err != nil {
			return false, err
		}
		if f.Role != "" && !slices.Contains(p.Roles, f.Role) || f.Standing != "" && f.Standing != p.Standing {
			return true, nil
		}
		return yield(p), nil
	})
}

// party tells a party from its thread.
func (v *View) party(h *history, m moment) (Party, error) {
	newest, err := h.newest()
	if err != nil {
		return Party{}, err
	}
	row, err := h.party(newest)
	if err != nil {
		return Party{}, err
	}
	c := m.now
	p := Party{
		ID: row.ID, LegalName: row.LegalName, Country: row.Country, Roles: row.Roles,
		Standing: c.standing(row), Knowable: string(StatusNone), KnowableBy: m.known,
		LEI: row.LEI, Website: row.Website, Contact: row.Contact, Sponsor: row.Sponsor,
		Enrolled: c.date(row.Enrolled.Admitted), Record: newest.ID, Records: h.ids(0),
	}
	earlier, err := h.below(m.known.Size)
	if err != nil {
		return Party{}, err
	}
	if earlier != nil {
		then, err := h.party(earlier)
		if err != nil {
			return Party{}, err
		}
		p.Knowable = m.then.standing(then)
	}
	if row.Renamed {
		if p.FormerName, err = v.r.formerNames(h.thread, v.size, row.LegalName); err != nil {
			return Party{}, err
		}
	}
	keys, err := h.keys(v.size)
	if err != nil {
		return Party{}, err
	}
	for i := range keys {
		p.Keys = append(p.Keys, keys[i].tell(c))
	}
	for _, s := range row.Standing {
		p.Steps = append(p.Steps, Standing{s.ID, s.Status, s.EffectiveOn, s.Reason})
	}
	return p, nil
}

// tell shows a key as of an instant.
func (k *KeyRow) tell(c clock) PartyKey {
	out := PartyKey{
		ID: k.ID, Key: k.PEM, Use: k.Use, Holder: k.Holder, Functions: k.Functions,
		NotAfter: k.NotAfter, Added: k.Added, ByRegistrar: k.ByRegistrar, UsableFrom: k.UsableFrom, CompromisedSince: k.CompromisedSince,
	}
	then := *k
	if k.Revoked != 0 {
		out.Revoked = &k.Revoked
		if k.RevokedAt != nil && k.RevokedAt.After(c.at) {
			then.Revoked = 0 // not yet
		}
	}
	out.Idle = then.idle(c.at, c.today())
	if k.AddedAt.After(c.at) {
		out.Idle = "not yet enrolled"
	}
	out.Live = out.Idle == ""
	return out
}
