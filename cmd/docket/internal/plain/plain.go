// Package plain writes text that others have chosen so that a terminal neither obeys nor
// hides any of it. It changes what is shown, and judges nothing.
package plain

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// Text escapes control and hidden characters of untrusted text, which no record may hold
// but a file or a server may, as JSON does.
func Text(s string) string { return escapeHidden(s, "") }

// Lines is [Text] for whole lines, which keep their ends and tabs.
func Lines(s string) string { return escapeHidden(s, "\n\t") }

// escapeHidden escapes what a terminal obeys or does not show, but for the controls that are
// kept. A byte that is no UTF-8 may be such a control.
func escapeHidden(s, allowed string) string {
	unfit := func(i int, r rune) bool {
		return r < 0x20 && !strings.ContainsRune(allowed, r) || r >= 0x7f && r <= 0x9f || r == utf8.RuneError || rules1.IsHiddenAt(s, i)
	}
	var b strings.Builder
	b.Grow(len(s))
	for i, r := range s {
		switch high, low := utf16.EncodeRune(r); {
		case !unfit(i, r):
			b.WriteRune(r)
		case high != utf8.RuneError:
			fmt.Fprintf(&b, "\\u%04x\\u%04x", high, low)
		default:
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}
