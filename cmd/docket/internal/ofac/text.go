package ofac

import (
	"bytes"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"

	"github.com/seed-53cf897a/docket/ledger/register/rules1"
)

// decode reads the bytes of one line as UTF-8 or, where they are not, as
// Windows-1252, in which older files of OFAC's write accented letters.
func decode(line []byte) (string, error) {
	if utf8.Valid(line) {
		return string(line), nil
	}
	text, err := charmap.Windows1252.NewDecoder().Bytes(line)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) { // five bytes have no character
		return "", errors.New("neither UTF-8 nor Windows-1252: the file is damaged, download it again")
	}
	return string(text), nil
}

// clean makes text that a record may carry (RECORDS.md "Every record"): NFC, a
// blank for each control character and line separator, nothing that a reader does not
// see, no blanks around it. hidden is how many characters of the last sort were dropped.
// The subject's digest is of the bytes as published, so the original stays provable.
func clean(s string) (text string, hidden int) {
	var b strings.Builder
	b.Grow(len(s))
	for i, r := range s {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			b.WriteByte(' ')
		case rules1.IsHiddenAt(s, i):
			hidden++
		default:
			b.WriteRune(r)
		}
	}
	return strings.TrimSpace(norm.NFC.String(b.String())), hidden
}
