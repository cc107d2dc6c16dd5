package server

import "net/http"

// Pages of any origin may read every GET ([front.LetPagesRead]). They may not submit: a record's signatures protect the
// ledger from them, but nothing would protect their visitors, whose addresses would
// bear the limits on what is refused.
const (
	corsMethods = "GET, HEAD"
	corsHeaders = "If-None-Match"
	corsExposed = "Docket-Index, Docket-Record, Docket-Replica, ETag, Location, Retry-After"
	corsMaxAge  = "86400" // seconds for which a browser does not ask again; it may keep to less
)

// preflight answers OPTIONS of a path that takes these methods, by which a browser asks
// before it sends what is not on its short list.
//
// Browsers send a POST also where the methods do not name it, if the headers are
// allowed, and remember headers for any method. What keeps a submission back is thus
// that Content-Type is not allowed: neither by name nor by "*".
func preflight(allow string) handler {
	return func(x *request) error {
		h := x.Writer.Header()
		h.Set("Allow", allow)
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Allow-Headers", corsHeaders)
		h.Set("Access-Control-Max-Age", corsMaxAge)
		x.Writer.WriteHeader(http.StatusNoContent)
		x.Writer.WriteHeaderNow()
		return nil
	}
}
