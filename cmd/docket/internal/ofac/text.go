package ofac

import (
	"bytes"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
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
// blank for each control character, no bidi controls, no blanks around it. The
// subject's digest is of the bytes as published, so the original stays provable.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(norm.NFC.String(s))
}
