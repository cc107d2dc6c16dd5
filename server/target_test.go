package server

import (
	"net/http"
	"net/url"
)

// setTarget sets a request's path and query as net/http does when it reads a
// request line, without httptest's panics.
func setTarget(r *http.Request, target string) error {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return err
	}
	r.URL, r.RequestURI = u, target
	return nil
}
