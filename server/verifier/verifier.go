// Package verifier is verify.html: one self-contained page that checks receipts, chains, refusals,
// evidence and disclosures in a browser, with the browser's own cryptography, no network, and a policy that the reader chose.
//
// It refuses what docket verify refuses, but for the register's rules, which it does not judge: who had the
// right to sign it shows as NOT CHECKED. Its tests hold it against the Go code, in a browser. Whoever serves the page could serve another, so that its SHA-256 is
// in every binary (docket version --verifier), and the file is meant to be kept.
package verifier

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"regexp"
)

// Name is what the file is called wherever it is kept or served.
const Name = "verify.html"

//go:embed verify.html
var page string

// Page is the file, the same bytes in every build of one commit.
func Page() []byte { return []byte(page) }

// SHA256 is its digest in lower-case hexadecimal, as sha256sum prints it.
func SHA256() string {
	sum := sha256.Sum256([]byte(page))
	return hex.EncodeToString(sum[:])
}

var policyMeta = regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`)

// ContentPolicy is the page's own Content-Security-Policy, for whoever serves it: what a header
// adds to it cannot loosen it.
func ContentPolicy() string { return policyMeta.FindStringSubmatch(page)[1] }
