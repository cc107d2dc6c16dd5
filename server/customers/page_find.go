package customers

import (
	"net/http"
	"strings"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/event"
	"github.com/seed-53cf897a/docket/server/web"
)

type foundView struct {
	Handle   event.Handle
	Name     string
	Account  string
	Country  string
	Former   []string
	Matched  []string
	Verified verifiedView
	Opened   time.Time
	Closed   bool
}

type searchView struct {
	pageHeader
	Query, Reason, Request string
	Asked                  bool
	Found                  []foundView
	More                   bool
	Fault                  string
}

// searchPage has the form. What is searched for goes in the body of a form, since addresses
// are kept by browsers and logged by proxies.
func (s *Server) searchPage(x *request) error {
	return x.answerPage(http.StatusOK, "search", searchView{pageHeader: x.header("Search", "search")})
}

const foundLimit = 50

func (s *Server) foundPage(x *request) error {
	form, err := x.form()
	if err != nil {
		return err
	}
	v := searchView{
		pageHeader: x.header("Search", "search"), Asked: true,
		Query: strings.TrimSpace(form.Get("query")), Reason: plainLines(form.Get("reason")), Request: strings.TrimSpace(form.Get("request")),
	}
	status := http.StatusOK
	found, err := s.Find(x.req.Context(), x.log, x.who(Purpose{v.Request, v.Reason}, Compliance, Reader, Discloser), v.Query, foundLimit)
	if err != nil {
		p := problemOf(err)
		if status = p.status(); status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
			return err
		}
		x.failed, v.Fault, v.Asked = p, web.Sentence(p.detail), false
	}
	v.More = found.More
	for _, c := range found.Customers {
		v.Found = append(v.Found, foundView{
			c.Handle, c.Life.Customer.Name, c.Life.Customer.Account, c.Life.Customer.Country, c.FormerNames, c.Matched,
			verifiedOf(&c.Life), x.here(c.OpenedAt), c.ClosedAt != nil,
		})
	}
	return x.answerPage(status, "search", v)
}
