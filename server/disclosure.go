package server

import (
	"net/http"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/view"
)

type requestsAnswer struct {
	AsOf     asOf           `json:"asOf"`
	Requests []view.Request `json:"requests"`
	Next     string         `json:"next,omitempty"`
	Skipped  []string       `json:"skipped,omitempty"`
}

var requestsQuestion = listQuestion[requestsAnswer]{cursorRequests, []string{"status", "jurisdiction", "party"}, requestsOf}

// disclosureRequests lists the requests to disclose.
func (s *Server) disclosureRequests(x *request) error {
	return requestsQuestion.answerJSON(s, x)
}

func requestFilter(q *registerQuery) (view.RequestFilter, error) {
	return view.RequestFilter{
		Status: oneOf(q.params, "status", view.RequestStatuses), Jurisdiction: q.country("jurisdiction"), Provider: q.text("party"),
		After: q.position,
	}, q.firstFault()
}

func requestsOf(q *registerQuery) (requestsAnswer, error) {
	filter, err := requestFilter(q)
	if err != nil {
		return requestsAnswer{}, err
	}
	p := newListPage(q.limit, func(r view.Request) string { return string(r.Thread) })
	if err := p.finish(q, "after", q.view.Requests(filter, q.asOf.At, p.add)); err != nil {
		return requestsAnswer{}, err
	}
	return requestsAnswer{q.asOf, p.items, q.nextCursor(cursorRequests, p.after), p.skipped}, nil
}

func (s *Server) disclosureRequest(x *request) error {
	q, err := s.parseQuery(x)
	if err != nil {
		return err
	}
	r, err := q.view.Request(record.RequestThread(x.Param("id")), q.asOf.At)
	if err != nil {
		return err
	}
	return x.answerJSON(http.StatusOK, struct {
		AsOf asOf `json:"asOf"`
		view.RequestDetail
		More map[string]string `json:"more,omitempty"`
	}{q.asOf, r, moreLinks(r.Cut, map[string]string{
		"receipts": recordsURL(record.ReceiptThread(r.Thread.Request(), r.Provider)),
	}, recordsURL(r.Thread))})
}

type cooperationAnswer struct {
	AsOf        asOf               `json:"asOf"`
	Cooperation []view.Cooperation `json:"cooperation"`
}

var cooperationQuestion = listQuestion[cooperationAnswer]{0, []string{"jurisdiction"}, cooperationOf}

// cooperation counts the requests by jurisdiction.
func (s *Server) cooperation(x *request) error { return cooperationQuestion.answerJSON(s, x) }

// cooperationOf answers about all or none: where that takes more work than one question may, one
// jurisdiction's may still be counted.
func cooperationOf(q *registerQuery) (cooperationAnswer, error) {
	jurisdiction := q.country("jurisdiction")
	if err := q.firstFault(); err != nil {
		return cooperationAnswer{}, err
	}
	list, err := q.view.Cooperation(jurisdiction, q.asOf.At)
	return cooperationAnswer{q.asOf, list}, err
}
