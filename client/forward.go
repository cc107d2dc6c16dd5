package client

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-53cf897a/docket/client/wire"
)

// Forward sends on what another has asked. The request has the path below a server's URL, and a body that
// can be had again ([http.Request].GetBody) or none. It goes to the server that is asked first, and where
// that one is away, busy or failing to another: what is submitted twice is submitted once. The answer,
// unverified, is that of the first which is neither; else the last that there was, and an error where
// nobody answered. Its body is the caller's to close.
func (c *Client) Forward(req *http.Request) (answer *http.Response, err error) {
	err = c.servers.Ask(req.Context(), nil, func(one *wire.Servers) error {
		on := req.Clone(req.Context())
		if on.URL, err = url.Parse(strings.TrimSuffix(one.URL(), "/") + req.URL.String()); err != nil {
			return fmt.Errorf("sending on %s: %w", req.URL.Path, err)
		}
		if on.Host = ""; req.GetBody != nil {
			if on.Body, err = req.GetBody(); err != nil {
				return err
			}
		}
		res, err := one.Do(on)
		if err != nil {
			return wire.CallError(err)
		}
		if answer != nil {
			answer.Body.Close()
		}
		if answer = res; res.StatusCode >= http.StatusInternalServerError {
			return &wire.StatusError{Code: res.StatusCode}
		}
		return nil
	})
	if answer != nil {
		return answer, nil
	}
	return nil, err
}
