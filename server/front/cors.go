package front

import "net/http"

// LetPagesRead lets a page of any origin read an answer and the headers exposed (a list with
// commas), if the request only reads: a verifier in a browser then needs no server of its own
// (the Fetch standard, section "CORS protocol"). It is for what anybody may read: no such
// answer depends on cookies or on the origin, so that caches need no Vary.
func LetPagesRead(h http.Header, method, exposed string) {
	if method == http.MethodGet || method == http.MethodHead {
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Expose-Headers", exposed)
	}
}
