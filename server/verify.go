package server

import (
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/server/verifier"
	"github.com/seed-53cf897a/docket/server/web"
)

// "Check this in your browser": the page that checks files, and the script by which a page of ours hands it one.

var (
	verifierPage   = verifier.Page()
	verifierTag    = `"` + verifier.SHA256() + `"` // what docket version --verifier prints
	verifierPolicy = verifier.ContentPolicy() + "; frame-ancestors 'none'"

	checkScript    = web.Read("check.js")
	checkScriptTag = entityTag(checkScript)
)

// checkLink is the link by which a page has a record checked, and what it calls that.
type checkLink struct {
	Record record.ID
	What   string
}

// verifyPage serves verify.html, the same bytes as the file that people keep.
func (s *Server) verifyPage(x *request) error {
	h := x.Writer.Header()
	h.Set("Content-Security-Policy", verifierPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	return x.answerEmbedded("text/html; charset=utf-8", verifierPage, verifierTag)
}

func (s *Server) checkJS(x *request) error {
	return x.answerEmbedded("text/javascript; charset=utf-8", checkScript, checkScriptTag)
}
