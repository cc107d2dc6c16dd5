package server

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

// The board of duties, and the list of them, what is late first.

// dutyBoard is who has to answer what: parties by designations.
type dutyBoard struct {
	Columns []boardColumn
	Rows    []boardRow
	Left    int // designations that are not shown: those with the least to do
}

type boardColumn struct {
	Name, Target string
	Error        bool
}

type boardRow struct {
	Party string
	Cells [][]view.Duty // by column
}

// Bounds of a board: a page holds no more.
const (
	boardColumns = 6
	boardRows    = 20
	boardCells   = 100
	boardReach   = 2000 // duties among which they are
)

// boardPlaces are the places of the duties that a board shows, of duties that are sorted by lateness: so are its rows
// and its columns. left is how many designations are not on it.
func boardPlaces(marks []dutyMark, places []int32) (shown []int32, left int) {
	columns, rows, others := make(map[record.Thread]bool), make(map[string]bool), make(map[record.Thread]bool)
	for _, place := range places[:min(len(places), boardReach)] {
		m := &marks[place]
		switch {
		case m.Thread.Family() != record.FamilyDesignation:
		case !columns[m.Thread] && len(columns) == boardColumns:
			others[m.Thread] = true
		case len(shown) == boardCells || !rows[m.Party] && len(rows) == boardRows:
		default:
			columns[m.Thread], rows[m.Party] = true, true
			shown = append(shown, place)
		}
	}
	return shown, len(others)
}

func newDutyBoard(duties []view.Duty, left int) dutyBoard {
	b := dutyBoard{Left: left}
	columns, rows := make(map[record.Thread]int), make(map[string]int)
	for _, d := range duties {
		if _, ok := columns[d.Designation]; !ok {
			columns[d.Designation] = len(b.Columns)
			b.Columns = append(b.Columns, boardColumn{d.Designation.Name(), d.Target, d.Error})
		}
		if _, ok := rows[d.Party]; !ok {
			rows[d.Party] = len(b.Rows)
			b.Rows = append(b.Rows, boardRow{Party: d.Party})
		}
	}
	for i := range b.Rows {
		b.Rows[i].Cells = make([][]view.Duty, len(b.Columns))
	}
	for _, d := range duties {
		cell := &b.Rows[rows[d.Party]].Cells[columns[d.Designation]]
		*cell = append(*cell, d)
	}
	return b
}

type dutiesPage struct {
	pageHeader
	listChoices
	Board  dutyBoard
	Duties pagePart[view.Duty]
	Party  string
	First  bool // page of the list, which has the board
}

var dutyParameters = []string{"party", "designation", "kind", "state"}

// dutyPageLimit is how many duties a page lists; the first one has the board too.
const dutyPageLimit = 30

// dutiesPage is the board of duties, and the list of them, what is late first.
func (s *Server) dutiesPage(x *request) error {
	q, err := s.parseListQuery(x, cursorBoard, dutyParameters...)
	if err != nil {
		return err
	}
	if !q.has("limit") {
		q.limit = dutyPageLimit
	}
	filter, from := q.dutyFilter(q.text("party")), 0
	if q.position != "" {
		if from, err = strconv.Atoi(q.position); err != nil || from < 0 {
			q.addCursorFault("after")
		}
	}
	if err := q.firstFault(); err != nil {
		return err
	}
	list, err := s.dutyList.follow(s, x, q)
	if err == nil && !list.Whole && (filter.Party != "" || filter.Designation != "") {
		list, err = s.dutiesOfOne(q, filter) // which may be few
	}
	if err != nil {
		return err
	}
	page := dutiesPage{pageHeader: s.listHeader(q, "Duties", "/v1/register/duties", "docket duties"), Party: filter.Party, First: from == 0}
	page.About = "Who has to answer what, by when, and who is late."
	page.Data = append(page.Data, dataLink{"Calendar", withQuery("/v1/register/duties.ics", q.without("after", "limit"))})
	if page.Party != "" {
		page.Prove += " --party " + page.Party
	}
	places, err := s.chooseDuties(q, &page, list, filter)
	if err != nil {
		return err
	}
	if page.First {
		shown, left := boardPlaces(list.Items, places)
		duties, err := q.dutiesAt(list, shown)
		if err != nil {
			return err
		}
		page.Board = newDutyBoard(duties, left)
	}
	to := min(from+q.limit, len(places))
	if page.Duties.Items, err = q.dutiesAt(list, places[min(from, to):to]); err != nil {
		return err
	}
	if to < len(places) {
		page.Duties.Next = q.pageURL(q.path, "after", q.nextCursor(cursorBoard, strconv.Itoa(to)))
	}
	return x.answerPage(http.StatusOK, "duties", page)
}

// dutiesOfParty fills a party's page with what it owes, the latest first.
func (s *Server) dutiesOfParty(q *registerQuery, page *partyPage) error {
	list, err := s.dutyList.get(s, q)
	if err == nil && (!list.Whole || list.size != q.asOf.Size) {
		var own *kept[dutyMark, dutyIndex]
		if own, err = s.dutiesOfOne(q, view.DutyFilter{Party: page.ID}); err == nil && (own.Whole || !list.Whole) {
			list = own
		}
	}
	if err != nil {
		return err
	}
	places := list.Index.of[page.ID]
	for _, place := range places {
		switch list.Items[place].State().Shown(page.Ahead) {
		case view.DutyOverdue:
			page.Late++
		case view.DutyOpen:
			page.Open++
		}
	}
	page.MoreDuties = len(places) > partLimit || !list.Whole
	page.Duties.Items, err = q.dutiesAt(list, places[:min(len(places), partLimit)])
	return err
}

// dutiesOfOne reads the duties of one party or by one designation, as far as the work of a page goes.
func (s *Server) dutiesOfOne(q *registerQuery, f view.DutyFilter) (*kept[dutyMark, dutyIndex], error) {
	m, err := q.moment()
	if err != nil {
		return nil, err
	}
	one := keptList[dutyMark, dutyIndex]{most: s.dutyList.most, index: indexDuties, read: markDuties(view.DutyFilter{Party: f.Party, Designation: f.Designation})}
	return one.readAt(q.view.WithBudget(s.pageBudget()), m, func() bool { return true })
}

// chooseDuties are the places of the duties that the question chooses, with the choices above them.
func (s *Server) chooseDuties(q *registerQuery, page *dutiesPage, list *kept[dutyMark, dutyIndex], f view.DutyFilter) (places []int32, err error) {
	if !list.Whole {
		page.Some = notAll
	}
	state := func(m dutyMark) view.DutyState { return m.State().Shown(page.Ahead) }
	chosen := func(m dutyMark) (kind, state_ bool) {
		return f.Kind == "" || m.Kind() == f.Kind, f.State == "" || state(m) == f.State
	}
	kinds, states := make(map[string]int), make(map[string]int)
	countOne := func(m dutyMark, n int) {
		kind, state_ := chosen(m)
		if state_ {
			kinds[string(m.Kind())] += n
		}
		if kind {
			states[string(state(m))] += n
		}
		if kind && state_ {
			page.Total += n
		}
	}
	among := list.Index.of[f.Party]
	designation := record.NamedDesignation(f.Designation)
	if f.Party == "" && f.Designation != "" {
		among = list.Index.of[string(designation)]
	}
	if f.Party == "" && f.Designation == "" {
		for what, n := range list.Index.count {
			countOne(dutyMark{kind: what[0], state: what[1]}, n)
		}
		for place, m := range list.Items {
			if kind, state_ := chosen(m); kind && state_ {
				if places = append(places, int32(place)); len(places) == boardReach {
					break
				}
			}
		}
	}
	for _, place := range among {
		m := list.Items[place]
		if f.Designation != "" && m.Thread != designation {
			continue
		}
		countOne(m, 1)
		if kind, state_ := chosen(m); kind && state_ {
			places = append(places, place)
		}
	}
	page.choose(q, "state", states)
	page.choose(q, "kind", kinds)
	if len(among) > 0 || f.Party == "" && f.Designation == "" {
		return places, nil
	}
	if f.Party != "" { // is there such a one?
		if _, err := q.view.PartySummary(f.Party, q.asOf.At); err != nil {
			return nil, err
		}
	}
	if f.Designation != "" {
		_, err = q.view.DesignationSummary(designation, q.asOf.At)
	}
	return nil, err
}

// dutiesAt reads the duties at some places, in their order: as many as the work of one question reads.
func (q *registerQuery) dutiesAt(list *kept[dutyMark, dutyIndex], places []int32) (duties []view.Duty, err error) {
	positions := make([]string, len(places))
	for i, place := range places {
		positions[i] = list.Items[place].position()
	}
	err = q.view.WithBudget(q.budget).DutiesAt(positions, q.asOf.At, func(d view.Duty) bool {
		duties = append(duties, d)
		return true
	})
	if errors.Is(err, register.ErrOverBudget) {
		err = nil
	}
	return slices.Clip(duties), err
}
