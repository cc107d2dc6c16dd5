package view

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
)

// RequestStatus is how a request to disclose stands at an instant.
type RequestStatus string

const (
	RequestOpen       RequestStatus = "open" // asked, and nothing came of it yet; sealed ones too
	RequestAnswered   RequestStatus = "answered"
	RequestUnanswered RequestStatus = "unanswered" // by the authority's word, after the last day to answer
	RequestChallenged RequestStatus = "challenged" // by the authority's word, or the provider's
	RequestWithdrawn  RequestStatus = "withdrawn"
)

// RequestStatuses are all of them, for parsers of filters.
var RequestStatuses = []RequestStatus{RequestOpen, RequestAnswered, RequestUnanswered, RequestChallenged, RequestWithdrawn}

// Request is a request to disclose as it stands at one instant. Of one that is sealed then,
// type and provider are not told.
type Request struct {
	Thread       record.Thread `json:"thread"`
	Status       RequestStatus `json:"status"`             // at T, all that the view knows of
	Knowable     RequestStatus `json:"knowable,omitempty"` // by what was knowable at T; empty where the request was not
	KnowableBy   Knowable      `json:"knowableBy"`
	Sealed       bool          `json:"sealed,omitempty"`
	SealedUntil  *record.Date  `json:"sealedUntil,omitempty"`
	Type         string        `json:"type,omitempty"`
	Provider     string        `json:"provider,omitempty"`
	Jurisdiction string        `json:"jurisdiction"`
	Recipient    string        `json:"recipient,omitempty"`
	Asked        record.Date   `json:"asked"`         // admission date
	DueOn        record.Date   `json:"dueOn"`         // as the request says
	Due          *record.Date  `json:"due,omitempty"` // last day to answer; none while it is sealed
	Decided      *record.Date  `json:"decided,omitempty"`
	Days         *int          `json:"days,omitempty"` // of an answered one: from the day on which it could be answered
	Record       record.ID     `json:"record"`         // newest on the thread
	Records      []record.ID   `json:"records"`        // every record that the status rests on, oldest first
}

// RequestDetail is one request with what stands on its thread and on its provider's.
type RequestDetail struct {
	Request
	History  []register.RecordRow `json:"history"`            // of the request
	Receipts []register.RecordRow `json:"receipts,omitempty"` // of the provider, where it is known: the first 100
	Cut      []string             `json:"cut,omitempty"`
}

// RequestFilter chooses requests; what is empty chooses all.
type RequestFilter struct {
	Status       RequestStatus // at the instant asked for
	Jurisdiction string        // as [register.Country] gives it
	Provider     string        // a sealed request is nobody's
	After        string        // thread: go on after it
}

// requestAt is a request as it stands in one of the meanings of "at T", with the receipts of the
// provider that it names.
type requestAt struct {
	register.RequestRow
	receipts register.ReceiptRow
}

// requestWithin is a request with those of its records that there are, false if it is not among
// them. Before it was opened nobody knew whom it asks.
func requestWithin(row *register.RequestRow, receipts *register.ReceiptRow, there func(register.RecordRef) bool) (r requestAt, ok bool) {
	if !there(row.Asked) {
		return requestAt{}, false
	}
	only := func(ref *register.RecordRef) *register.RecordRef {
		if ref == nil || !there(*ref) {
			return nil
		}
		return ref
	}
	r.RequestRow = *row
	r.Opened, r.Challenged, r.Unanswered, r.Withdrawn = only(row.Opened), only(row.Challenged), only(row.Unanswered), only(row.Withdrawn)
	if r.Sealed() {
		r.Type, r.Provider = "", ""
	}
	if receipts != nil {
		r.receipts.Answered, r.receipts.Challenged = only(receipts.Answered), only(receipts.Challenged)
	}
	return r, true
}

// status is how it stands, and the record that decided it: nil of an open one.
func (r *requestAt) status() (RequestStatus, *register.RecordRef) {
	switch {
	case r.Withdrawn != nil:
		return RequestWithdrawn, r.Withdrawn
	case r.receipts.Answered != nil:
		return RequestAnswered, r.receipts.Answered
	case r.Unanswered != nil:
		return RequestUnanswered, r.Unanswered
	}
	if by := r.challenge(); by != nil {
		return RequestChallenged, by
	}
	return RequestOpen, nil
}

// challenge is the first record that says it is challenged, nil if there is none.
func (r *requestAt) challenge() *register.RecordRef {
	authority, provider := r.Challenged, r.receipts.Challenged
	if authority == nil || provider != nil && provider.Index < authority.Index {
		return provider
	}
	return authority
}

// answerable is the record from which on it could be answered: the one that asked, or that opened
// the seal.
func (r *requestAt) answerable() register.RecordRef {
	if r.Opened != nil {
		return *r.Opened
	}
	return r.Asked
}

// due is the last day to answer.
func (r *requestAt) due(c asOf) record.Date {
	from := r.answerable()
	return r.Due(c.admissionDate(from), c.periods(from.Index).Response)
}

// discloseDuty is the duty of the provider that a request names. It is met by a receipt that
// answers. A challenge in time puts it off, until the authority says that it went
// unanswered; what was withdrawn has lapsed.
func (c asOf) discloseDuty(thread record.Thread, r *requestAt, p *partyTimeline) *Duty {
	if r.Sealed() || r.Provider != p.ID {
		return nil
	}
	due := r.due(c)
	d := &Duty{Party: p.ID, Kind: DutyDisclose, Request: thread, OpenedBy: r.answerable().ID, Due: dueDateOrNil(due), Records: []record.ID{r.Asked.ID}}
	d.addRecord(r.answerable())
	d.addRecord(p.Enrolled)
	if by := r.challenge(); by != nil && r.Unanswered == nil && !c.admissionDate(*by).After(due) {
		d.addRecord(*by)
		d.Due, d.State = nil, DutyPaused
	}
	if by := r.receipts.Answered; by != nil {
		d.setMet(*by, c)
		d.Answer = string(RequestAnswered)
		return d
	}
	if r.Unanswered != nil {
		d.addRecord(*r.Unanswered)
	}
	if r.Withdrawn != nil {
		d.addRecord(*r.Withdrawn)
		d.State = DutyLapsed
	}
	if !d.setOpenOrOverdue(c, p) {
		return nil
	}
	return d
}

// request reads what stands of a request, false of what is no request's thread.
func (v *View) request(h *threadHistory) (row *register.RequestRow, receipts *register.ReceiptRow, ok bool, err error) {
	if h.thread.Party() != "" {
		return nil, nil, false, nil
	}
	newest, err := h.newest()
	if err != nil || newest == nil {
		return nil, nil, false, err
	}
	row = newest.State.(*register.RequestRow)
	if row.Provider != "" {
		given, err := v.rows.Thread(record.ReceiptThread(h.thread.Request(), row.Provider))
		if err != nil {
			return nil, nil, false, err
		}
		if given != nil {
			receipts = given.State.(*register.ReceiptRow)
		}
	}
	return row, receipts, true, nil
}

// eachRequest yields the threads of the requests that sort after another and may be chosen by
// a provider or a jurisdiction, among others.
func (v *View) eachRequest(provider, jurisdiction, after string, yield func(*threadHistory) (bool, error)) error {
	scheme, value := register.SchemeProvider, provider
	switch {
	case provider == "" && jurisdiction == "":
		return v.eachThread(record.FamilyDisclosure.Prefix(), after, yield)
	case provider == "":
		scheme, value = register.SchemeJurisdiction, jurisdiction
	}
	return v.rows.IdentifierUses(scheme, value, after, func(thread record.Thread, _ uint64, _ register.IdentifierUse) (bool, error) {
		h, err := v.threadHistory(thread)
		if err != nil || h == nil {
			return err == nil, err
		}
		return yield(h)
	})
}

// Requests yields the requests to disclose that a filter chooses, by thread, as they stand at
// an instant, until yield returns false. A [PartialListError] names the thread after which
// it goes on.
func (v *View) Requests(f RequestFilter, at time.Time, yield func(Request) bool) error {
	m, err := v.momentAt(at)
	if err != nil {
		return err
	}
	p := listProgress{startedAfter: f.After, passed: f.After}
	return p.partial(v.eachRequest(f.Provider, f.Jurisdiction, f.After, func(h *threadHistory) (bool, error) {
		p.current = string(h.thread)
		r, err := v.viewRequest(h, m)
		if err != nil {
			return false, err
		}
		more := r == nil || !f.matches(r) || yield(*r)
		p.passed = string(h.thread)
		return more, nil
	}))
}

func (f RequestFilter) matches(r *Request) bool {
	return (f.Status == "" || f.Status == r.Status) &&
		(f.Jurisdiction == "" || f.Jurisdiction == r.Jurisdiction) &&
		(f.Provider == "" || f.Provider == r.Provider)
}

// viewRequest tells a request, nil of one that had not been asked by then.
func (v *View) viewRequest(h *threadHistory, m instantViews) (*Request, error) {
	row, receipts, ok, err := v.request(h)
	if err != nil || !ok {
		return nil, err
	}
	c := m.current
	r, ok := requestWithin(row, receipts, c.includes)
	if !ok {
		return nil, nil
	}
	told := &Request{
		Thread: h.thread, KnowableBy: m.extent, Sealed: r.Sealed(), SealedUntil: r.SealedUntil, Type: r.Type, Provider: r.Provider,
		Jurisdiction: r.Jurisdiction, Recipient: r.Recipient, Asked: c.admissionDate(r.Asked), DueOn: r.DueOn, Record: h.newestRow.ID,
	}
	if !told.Sealed {
		told.Due = dueDateOrNil(r.due(c))
	}
	var by *register.RecordRef
	if told.Status, by = r.status(); by != nil {
		on := c.admissionDate(*by)
		told.Decided = &on
		if told.Status == RequestAnswered {
			days := on.DaysSince(c.admissionDate(r.answerable()))
			told.Days = &days
		}
	}
	if then, ok := requestWithin(row, receipts, func(ref register.RecordRef) bool { return ref.Index < m.extent.Size }); ok {
		told.Knowable, _ = then.status()
	}
	told.Records = r.records(by)
	return told, nil
}

// records are those that the status rests on: what asked, what opened the seal, what decided.
func (r *requestAt) records(decided *register.RecordRef) []record.ID {
	refs := []register.RecordRef{r.Asked}
	for _, ref := range []*register.RecordRef{r.Opened, decided} {
		if ref != nil && !slices.Contains(refs, *ref) {
			refs = append(refs, *ref)
		}
	}
	slices.SortFunc(refs, func(a, b register.RecordRef) int { return cmp.Compare(a.Index, b.Index) })
	ids := make([]record.ID, len(refs))
	for i, ref := range refs {
		ids[i] = ref.ID
	}
	return ids
}

// Request finds a request to disclose by its thread, as it stands at an instant.
func (v *View) Request(thread record.Thread, at time.Time) (RequestDetail, error) {
	if thread.Request() == "" || thread.Party() != "" {
		return RequestDetail{}, v.absentError("request to disclose %s", thread)
	}
	h, err := v.threadHistory(thread)
	if err == nil && h == nil {
		err = v.absentWithHint(thread)
	}
	if err != nil {
		return RequestDetail{}, err
	}
	m, err := v.momentAt(at)
	if err != nil {
		return RequestDetail{}, err
	}
	r, err := v.viewRequest(h, m)
	if err != nil {
		return RequestDetail{}, err
	}
	if r == nil {
		return RequestDetail{}, v.absentError("request to disclose %s on %s", thread, v.LocalDate(at))
	}
	detail := RequestDetail{Request: *r}
	if detail.History, err = v.firstRecords(RecordFilter{Thread: thread}, "history", &detail.Cut); err != nil {
		return RequestDetail{}, err
	}
	if r.Provider != "" {
		detail.Receipts, err = v.firstRecords(RecordFilter{Thread: record.ReceiptThread(thread.Request(), r.Provider)}, "receipts", &detail.Cut)
	}
	return detail, err
}

// Cooperation is how the requests to disclose that asked for one jurisdiction's cooperation
// stand at an instant: each is counted once. Whoever lists the requests ([View.Requests])
// can count anew.
type Cooperation struct {
	Jurisdiction string      `json:"jurisdiction"`
	Asked        int         `json:"asked"` // the sum of the next five
	Answered     int         `json:"answered"`
	Unanswered   int         `json:"unanswered"`
	Challenged   int         `json:"challenged"`
	Withdrawn    int         `json:"withdrawn"`
	Open         int         `json:"open"`
	Sealed       int         `json:"sealed"`               // of all that were asked: sealed at T
	MedianDays   *float64    `json:"medianDays,omitempty"` // of the answered ones: from the day on which each could be answered to the answer's
	Records      []record.ID `json:"records"`              // every record that this rests on, request by request
}

// Cooperation counts the requests of one jurisdiction, or of all, by jurisdiction, as they
// stand at an instant. It answers about all of them or not at all.
func (v *View) Cooperation(jurisdiction string, at time.Time) ([]Cooperation, error) {
	var all []Request
	err := v.Requests(RequestFilter{Jurisdiction: jurisdiction}, at, func(r Request) bool {
		all = append(all, r)
		return true
	})
	if errors.As(err, new(*PartialListError)) {
		return nil, register.ErrOverBudget
	}
	if err != nil {
		return nil, err
	}
	return CountCooperation(all), nil
}

// CountCooperation is [View.Cooperation] of requests that are at hand.
func CountCooperation(requests []Request) []Cooperation {
	by := make(map[string]*Cooperation)
	days := make(map[string][]int)
	for _, r := range requests {
		c := by[r.Jurisdiction]
		if c == nil {
			c = &Cooperation{Jurisdiction: r.Jurisdiction}
			by[r.Jurisdiction] = c
		}
		c.Asked++
		if r.Sealed {
			c.Sealed++
		}
		*map[RequestStatus]*int{
			RequestOpen: &c.Open, RequestAnswered: &c.Answered, RequestUnanswered: &c.Unanswered, RequestChallenged: &c.Challenged, RequestWithdrawn: &c.Withdrawn,
		}[r.Status]++
		if r.Days != nil {
			days[r.Jurisdiction] = append(days[r.Jurisdiction], *r.Days)
		}
		c.Records = append(c.Records, r.Records...)
	}
	list := []Cooperation{}
	for code, c := range by {
		c.MedianDays = median(days[code])
		list = append(list, *c)
	}
	slices.SortFunc(list, func(a, b Cooperation) int { return cmp.Compare(a.Jurisdiction, b.Jurisdiction) })
	return list
}

// median is the middle one, or the mean of the two in the middle; nil of none.
func median(days []int) *float64 {
	if len(days) == 0 {
		return nil
	}
	slices.Sort(days)
	n := len(days)
	m := float64(days[(n-1)/2]+days[n/2]) / 2
	return &m
}
