package view

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// Party is a party as it stands at one instant. Keys are those that are neither
// revoked nor run out.
type Party struct {
	ID         string                    `json:"party"`
	LegalName  string                    `json:"legalName"`
	Country    string                    `json:"country"`
	Roles      []record.Role             `json:"roles"`
	Standing   string                    `json:"standing"` // active, suspended, withdrawn, "none" before the enrolment: at T, all corrections known
	Knowable   string                    `json:"knowable"` // the same by what was knowable at T
	KnowableBy Knowable                  `json:"knowableBy"`
	LEI        string                    `json:"lei,omitempty"`
	Website    string                    `json:"website,omitempty"`
	Contact    string                    `json:"contact,omitempty"`
	FormerName []string                  `json:"formerName,omitempty"`
	Sponsor    string                    `json:"sponsor,omitempty"`
	Enrolled   record.Date               `json:"enrolled"` // admission date
	Keys       []PartyKey                `json:"keys"`
	Standings  []register.StandingChange `json:"standings,omitempty"`
	Record     record.ID                 `json:"record"`  // newest on the thread
	Records    []record.ID               `json:"records"` // the enrolment, and the newest of the thread: at most 16, oldest first

	// Cut names the members that show less than there is: the thread's records have it
	// all, [View.Keys], [View.Records] and [View.Duties] list it.
	Cut []string `json:"cut,omitempty"`
}

// PartyKey is one key of a party: when it counts, and by whose word.
type PartyKey struct {
	ID               string               `json:"keyid"`
	Key              record.PEM           `json:"key"`
	Use              record.KeyUse        `json:"use"`
	Holder           string               `json:"holder"`
	Functions        []record.KeyFunction `json:"functions,omitempty"`
	Live             bool                 `json:"live"` // may sign at T
	WhyNotLive       string               `json:"idle,omitempty"`
	NotAfter         *record.Date         `json:"notAfter,omitempty"`
	Added            uint64               `json:"added"` // index: it signs from the next
	ByRegistrar      bool                 `json:"addedByTheRegistrar,omitempty"`
	UsableFrom       *time.Time           `json:"usableFrom,omitempty"`
	Revoked          *uint64              `json:"revoked,omitempty"` // index: it signs no more from the next
	CompromisedSince *record.Instant      `json:"compromisedSince,omitempty"`

	position string
}

// PartyDetail is a party with what it filed and what it owes, or as much of it as one
// answer shows (Cut). Keys are all that it ever had, or the first 100 and those that
// [Party] has.
type PartyDetail struct {
	Party
	Attestations []register.RecordRow `json:"attestations"` // what it filed, in log order
	Duties       []Duty               `json:"duties"`
	CustomerLog  *CustomerLog         `json:"customerLog,omitempty"` // nil where it has committed to none
}

// CustomerLog is what a provider committed to of its private customer log, by the newest
// record of the view. A log that was lost is told of for ever.
type CustomerLog struct {
	Origin    string      `json:"origin"`
	Size      uint64      `json:"size"`                // leaves
	Root      record.ID   `json:"root"`                // hexadecimal
	Until     record.Date `json:"until"`               // the newest day that any record covers
	Restarts  uint64      `json:"restarts"`            // how many logs were lost
	Restarted *record.ID  `json:"restarted,omitempty"` // the record that said so last
	Record    record.ID   `json:"record"`
}

// Words tell it in a line.
func (l *CustomerLog) Words() string {
	words := fmt.Sprintf("%s, %d leaves until %s", l.Origin, l.Size, l.Until)
	switch l.Restarts {
	case 0:
		return words
	case 1:
		return words + "; THE LOG BEFORE IT WAS LOST"
	}
	return fmt.Sprintf("%s; %d LOGS BEFORE IT WERE LOST", words, l.Restarts)
}

// CustomerLog is that of a provider, nil where it has committed to none.
func (v *View) CustomerLog(party string) (*CustomerLog, error) {
	row, err := v.rows.Thread(record.CustomerLogThread(party))
	if err != nil || row == nil {
		return nil, err
	}
	s := row.State.(*register.CustomerLogRow)
	l := &CustomerLog{Origin: s.Origin, Size: s.Size, Root: s.Root, Until: s.Newest, Restarts: s.Restarts, Record: row.ID}
	if s.Restarted != nil {
		l.Restarted = &s.Restarted.ID
	}
	return l, nil
}

// PartySummary finds a party by its ID, as it stands at an instant.
func (v *View) PartySummary(id string, at time.Time) (Party, error) {
	h, m, err := v.partyAt(id, at)
	if err != nil {
		return Party{}, err
	}
	p, _, err := v.viewParty(h, m)
	return p, err
}

// Party is [View.PartySummary] with its history.
func (v *View) Party(id string, at time.Time) (PartyDetail, error) {
	h, m, err := v.partyAt(id, at)
	if err != nil {
		return PartyDetail{}, err
	}
	p, _, err := v.viewParty(h, m)
	if err != nil {
		return PartyDetail{}, err
	}
	if p.Standings, err = h.standingChanges(h.newestRow, &p.Cut); err != nil {
		return PartyDetail{}, err
	}
	if p.Keys, err = v.firstKeys(id, at, p.Keys, &p.Cut); err != nil {
		return PartyDetail{}, err
	}
	detail := PartyDetail{Party: p, Attestations: []register.RecordRow{}, Duties: []Duty{}}
	if !slices.Contains(p.Roles, record.RoleProvider) {
		return detail, nil // only providers attest and owe in rules 1
	}
	if detail.CustomerLog, err = v.CustomerLog(id); err != nil {
		return PartyDetail{}, err
	}
	if detail.Attestations, err = v.firstRecords(RecordFilter{Issuer: id, Attestations: true}, "attestations", &detail.Cut); err != nil {
		return PartyDetail{}, err
	}
	err = v.partialQuery("duties", &detail.Cut, func(v *View) error {
		return v.Duties(DutyFilter{Party: id}, at, func(d Duty) bool {
			if len(detail.Duties) == MaxListItems {
				detail.Cut = append(detail.Cut, "duties")
				return false
			}
			detail.Duties = append(detail.Duties, d)
			return true
		})
	})
	return detail, err
}

// partyAt is the history of a party, and the instant as its queries see it.
func (v *View) partyAt(id string, at time.Time) (*threadHistory, instantViews, error) {
	h, err := v.threadHistory(record.PartyThread(id))
	if err == nil && h == nil {
		err = v.absentWithHint(record.PartyThread(id))
	}
	if err != nil {
		return nil, instantViews{}, err
	}
	m, err := v.momentAt(at)
	return h, m, err
}

// firstKeys are the first keys that the party ever had, and those that live.
func (v *View) firstKeys(party string, at time.Time, live []PartyKey, cut *[]string) (list []PartyKey, err error) {
	err = v.partialQuery("keys", cut, func(v *View) error {
		return v.Keys(party, "", at, func(k PartyKey) bool {
			if len(list) == MaxListItems {
				*cut = append(*cut, "keys")
				return false
			}
			list = append(list, k)
			return true
		})
	})
	for _, k := range live {
		if !slices.ContainsFunc(list, func(x PartyKey) bool { return x.ID == k.ID }) {
			list = append(list, k)
		}
	}
	return list, err
}

// standingChanges are the newest steps of the party's standing, and those that decide the days
// ahead.
func (h *threadHistory) standingChanges(newest *register.ThreadRow, cut *[]string) (list []register.StandingChange, err error) {
	var ahead []register.RecordRef
	for _, s := range newest.State.(*register.PartyRow).Ahead {
		ahead = append(ahead, s.RecordRef)
	}
	err = h.latestTransitions(newest, 0, ahead, "standings", cut,
		func(row *register.ThreadRow) bool { return row.StandingChange() != nil },
		func(row *register.ThreadRow) { list = append(list, *row.StandingChange()) })
	return list, err
}

// Keys yields the keys that a party ever had, in the order in which they came, as they
// stand at an instant, until yield returns false: those after a [PartyKey.Position]. A
// [PartialListError] names the place after which it goes on.
func (v *View) Keys(party, after string, at time.Time, yield func(PartyKey) bool) error {
	h, m, err := v.partyAt(party, at)
	if err != nil {
		return err
	}
	from, passed := uint64(0), 0
	if after != "" {
		index, n, _ := strings.Cut(after, " ")
		from, err = strconv.ParseUint(index, 10, 63)
		if err == nil {
			passed, err = strconv.Atoi(n)
		}
		if err != nil {
			return fmt.Errorf("%w: %q", ErrBadPosition, after)
		}
	}
	p := listProgress{startedAfter: after, passed: after}
	return p.partial(h.rows.Steps(h.thread, from, func(step *register.ThreadRow) (bool, error) {
		p.current = partyKeyPosition(step.Index, len(step.Delta.Added))
		for i, id := range step.Delta.Added {
			if step.Index == from && i < passed {
				continue
			}
			k, err := h.addedKey(id)
			if err != nil {
				return false, err
			}
			told := viewKey(k, m.current)
			told.position = partyKeyPosition(step.Index, i+1)
			if !yield(told) {
				return false, nil
			}
			p.passed = told.position
		}
		p.passed = p.current
		return true, nil
	}))
}

// partyKeyPosition is a place among the keys that a party ever had: how many of those of one
// record were passed.
func partyKeyPosition(index uint64, passed int) string {
	return strconv.FormatUint(index, 10) + " " + strconv.Itoa(passed)
}

// Position is where the key stands in the list of [View.Keys].
func (k PartyKey) Position() string { return k.position }

// PartyFilter chooses parties; what is empty chooses all.
type PartyFilter struct {
	Role     record.Role
	Standing string // at the instant asked for
	After    string // party ID: go on after it
}

// Parties yields the parties that a filter chooses, by ID, until yield returns false.
// A [PartialListError] names the ID after which it goes on.
func (v *View) Parties(f PartyFilter, at time.Time, yield func(Party) bool) error {
	m, err := v.momentAt(at)
	if err != nil {
		return err
	}
	after := ""
	if f.After != "" {
		after = string(record.PartyThread(f.After))
	}
	p := listProgress{startedAfter: f.After, passed: f.After}
	return p.partial(v.eachThread(record.FamilyParty.Prefix(), after, func(h *threadHistory) (bool, error) {
		p.current = h.thread.Party()
		told, _, err := v.viewParty(h, m)
		if err != nil {
			return false, err
		}
		chosen := (f.Role == "" || slices.Contains(told.Roles, f.Role)) && (f.Standing == "" || f.Standing == told.Standing)
		more := !chosen || yield(told)
		p.passed = told.ID
		return more, nil
	}))
}

// viewParty tells a party from its thread.
func (v *View) viewParty(h *threadHistory, m instantViews) (Party, *register.PartyRow, error) {
	newest, err := h.newest()
	if err != nil {
		return Party{}, nil, err
	}
	row := newest.State.(*register.PartyRow)
	c := m.current
	p := Party{
		ID: row.ID, LegalName: row.LegalName, Country: row.Country, Roles: row.Roles,
		Knowable: string(StatusNone), KnowableBy: m.extent,
		LEI: row.LEI, Website: row.Website, Contact: row.Contact, Sponsor: row.Sponsor,
		Enrolled: c.admissionDate(row.Enrolled), Record: newest.ID, Keys: []PartyKey{},
	}
	if p.Standing, err = h.standing(newest, c); err != nil {
		return Party{}, nil, err
	}
	earlier, err := h.newestBelow(m.extent.Size)
	if err == nil && earlier != nil {
		p.Knowable, err = h.standing(earlier, m.knowable)
	}
	if err != nil {
		return Party{}, nil, err
	}
	if p.Records, err = h.recordIDs(row.Enrolled, &p.Cut); err != nil {
		return Party{}, nil, err
	}
	if row.Renamed {
		if p.FormerName, err = h.formerNames(row.LegalName, &p.Cut); err != nil {
			return Party{}, nil, err
		}
	}
	for i := range row.Keys {
		p.Keys = append(p.Keys, viewKey(&row.Keys[i], c))
	}
	return p, row, nil
}

// viewKey shows a key as of an instant.
func viewKey(k *register.KeyRow, c asOf) PartyKey {
	out := PartyKey{
		ID: k.ID, Key: k.PEM, Use: k.Use, Holder: k.Holder, Functions: k.Functions,
		NotAfter: k.NotAfter, Added: k.Added, ByRegistrar: k.ByRegistrar, UsableFrom: k.UsableFrom, CompromisedSince: k.CompromisedSince,
	}
	then := *k
	if k.Revoked != 0 {
		out.Revoked = &k.Revoked
		if k.RevokedAt != nil && k.RevokedAt.After(c.instant) {
			then.Revoked = 0 // not yet
		}
	}
	out.WhyNotLive = then.WhyNotLive(c.instant, c.today())
	if k.AddedAt.After(c.instant) {
		out.WhyNotLive = "not yet enrolled"
	}
	out.Live = out.WhyNotLive == ""
	return out
}

// Warnings are what must be shown with the key, as [register.KeyHolder.Warnings].
func (k PartyKey) Warnings() []string {
	return register.KeyHolder{ByRegistrar: k.ByRegistrar, Compromised: k.CompromisedSince}.Warnings()
}
